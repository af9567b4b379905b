"""How an MCP server is reached, by the `mcp` package, and what is told when it is not."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, TextIO
from urllib.parse import urlsplit

from xiaozhi_persona.errors import first_line
from xiaozhi_persona.language import tr
from xiaozhi_persona.mcp_settings import McpServerSettings
from xiaozhi_persona.providers.local_hosts import is_local

_READ_S = 300.0
"""How long a stream over HTTP may be silent."""
_LONGEST_LINE = 4096
_LAST_LINES_S = 0.5

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def transport(
    settings: McpServerSettings, timeout_s: float, tries: int, complaints: deque[str]
) -> AsyncIterator[Any]:
    """Yield what a client speaks through.

    `complaints` gets what a command writes to its standard error, of an address the statuses with which it refuses.

    Of an address that names no transport, the two are tried by turns: `tries` is 1 for the first try.
    """
    if settings.command:
        from mcp import StdioServerParameters
        from mcp.client.stdio import stdio_client

        command = StdioServerParameters(command=settings.command, args=settings.args, env=settings.env)
        with _lines_into(complaints) as errors:
            yield stdio_client(command, errlog=errors)
        return
    import httpx2

    async def note_refusal(response: httpx2.Response) -> None:
        if response.status_code >= 400:
            complaints.append(str(response.status_code))

    def connected(
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        timeout = timeout or httpx2.Timeout(timeout_s, read=_READ_S)
        # The proxy of the environment is for the internet, not for a server in the house.
        is_outside = not is_local(urlsplit(settings.url).hostname or "")
        return httpx2.AsyncClient(
            headers=headers,
            timeout=timeout,
            auth=auth,
            trust_env=is_outside,
            event_hooks={"response": [note_refusal]},
        )

    is_sse = settings.transport == "sse"
    if settings.transport == "auto":
        is_sse = urlsplit(settings.url).path.rstrip("/").endswith("/sse") == bool(tries % 2)
    if is_sse:
        from mcp.client.sse import sse_client

        yield sse_client(settings.url, headers=settings.headers, httpx_client_factory=connected)
        return
    from mcp.client.streamable_http import streamable_http_client

    async with connected(headers=settings.headers) as client:
        yield streamable_http_client(settings.url, http_client=client)


def reason_of(exc: BaseException, settings: McpServerSettings, complaints: Sequence[str]) -> str:
    """Say in a line why a server cannot be used, with the next step."""
    while nested := getattr(exc, "exceptions", ()):  # an exception group: the library's tasks end together
        exc = nested[0]
    if settings.command and isinstance(exc, FileNotFoundError):
        return tr("没有命令 {command}。装上它，或写全它的路径。", command=settings.command)
    if complaints and settings.command:
        return tr("{command} 说：{lines}", command=settings.command, lines=" ".join(complaints)[-300:])
    if isinstance(exc, TimeoutError):
        return tr("到时限还没有连上。检查它能不能启动，慢的调大 mcp.timeout_s。")
    if complaints and complaints[-1] in ("401", "403"):
        return tr(
            "{url} 不让连（{status}）。检查 headers 里的令牌。", url=settings.url, status=complaints[-1]
        )
    if complaints:
        return tr("{url} 回答 {status}。检查地址，它是不是 MCP 的。", url=settings.url, status=complaints[-1])
    kind, what = type(exc).__name__, settings.command or settings.url
    return tr(
        "{what} 用不了：{reason}（{kind}）。看它有没有在运行，地址或命令对不对。",
        what=what,
        reason=first_line(exc),
        kind=kind,
    )


@contextlib.contextmanager
def _lines_into(lines: deque[str]) -> Iterator[TextIO]:
    """Yield a file of which what is written to it ends up in `lines`, as far as they go."""
    reading, writing = os.pipe()

    def read() -> None:
        with open(reading, encoding="utf-8", errors="replace") as file:
            while line := file.readline(_LONGEST_LINE):
                log.debug("%s", line.rstrip())
                if line.strip():
                    lines.append(line.strip())

    reader = threading.Thread(target=read, name="mcp-stderr", daemon=True)
    reader.start()
    try:
        with open(writing, "w", encoding="utf-8") as file:
            yield file
    finally:
        reader.join(_LAST_LINES_S)  # it ends with the command, which has ended by now
