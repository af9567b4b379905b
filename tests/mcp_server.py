"""An MCP server for tests, run as a program: over stdio, or over HTTP on the port that is given."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

from mcp.server.mcpserver import Image, MCPServer

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
server = MCPServer("tests")


@server.tool()
def light_set(room: str, level: int = 50) -> str:
    """Set the light of a room."""
    return f"{room} {level} {os.environ.get('LAMP', '-')}"


@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("没有灯泡")


@server.tool()
def picture(question: str = "") -> Image:
    """Return a picture."""
    return Image(data=PNG, format="png")


@server.tool()
async def wait() -> str:
    """Never answers."""
    import anyio

    await anyio.sleep_forever()
    return ""


@server.tool()
def end() -> str:
    """End the server without an answer."""
    os._exit(3)


if __name__ == "__main__":
    if len(sys.argv) > 2:  # noted by a test that counts how often it was started
        with Path(sys.argv[2]).open("a") as file:
            file.write(f"{os.getpid()}\n")
    if len(sys.argv) > 1 and sys.argv[1] != "stdio":
        kind, port = sys.argv[1].split(":")
        server.run(kind, host="127.0.0.1", port=int(port))  # type: ignore[arg-type]
    server.run("stdio")
