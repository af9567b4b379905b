"""The client's side of MCP: it has no tools, but answers, so that servers that ask go on. No I/O.

Source: 78/xiaozhi-esp32 2.4.2, main/mcp_server.cc: JSON-RPC 2.0, errors without a code.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

PROTOCOL_VERSION = "2024-11-05"


def answer(request: dict[str, Any]) -> dict[str, Any] | None:
    """Return the answer to a server's JSON-RPC message, None where the firmware gives none."""
    method, number = request.get("method"), request.get("id")
    if not isinstance(method, str) or method.startswith("notifications/"):
        return None
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    if method == "initialize":
        return _result(
            number,
            {
                "protocolVersion": PROTOCOL_VERSION,
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "xiaozhi-persona talk", "version": version("xiaozhi-persona")},
            },
        )
    if method == "tools/list":
        return _result(number, {"tools": []})
    if method == "tools/call":
        params = request.get("params")
        name = params.get("name") if isinstance(params, dict) else None
        return _error(number, f"Unknown tool: {name}")
    return _error(number, f"Method not implemented: {method}")


def _result(number: float, result: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": result}


def _error(number: float, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"message": message}}
