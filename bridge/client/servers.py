"""Which server to talk to: the first of several that opens, and the one that an OTA address names."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeVar

from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.errors import ServiceError

OTA_FRESH_S = 30.0
"""For so long its answer is not asked for again, however often the connection fails."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Server:
    """A websocket address, and the token that it wants."""

    url: str
    token: str = ""


Device = TypeVar("Device", bound=DeviceConnection)

Connect = Callable[[Server], AbstractAsyncContextManager[Device]]
"""Opens a connection, as DeviceConnection.open does."""


class Servers:
    """The servers of this device, in the order in which they are tried."""

    def __init__(self, fixed: Sequence[Server], ask: Callable[[], Awaitable[Server]] | None = None) -> None:
        """`ask` returns the server that an OTA address names; it comes before the `fixed` ones."""
        self._fixed = fixed
        self._ask = ask
        self._named: Server | None = None
        self._asked_at = 0.0
        self._told: dict[str, str] = {}

    async def in_order(self) -> Sequence[Server]:
        """Return the servers to try. Raises ServiceError when OTA is asked in vain and none was ever named."""
        if self._ask is not None and (self._named is None or time.monotonic() > self._asked_at + OTA_FRESH_S):
            try:
                self._named = await self._ask()
                self._asked_at = time.monotonic()
            except ServiceError as exc:
                if self._named is None and not self._fixed:
                    raise
                log.info("%s", exc)
        return [*([self._named] if self._named is not None else []), *self._fixed]

    @contextlib.asynccontextmanager
    async def first(self, connect: Connect[Device]) -> AsyncIterator[Device]:
        """Connect to the first server that answers with a hello. Raises what the last one failed with."""
        servers = await self.in_order()
        async with contextlib.AsyncExitStack() as stack:
            for server in servers:
                try:
                    device = await stack.enter_async_context(connect(server))
                    break
                except ServiceError as exc:
                    if server is servers[-1]:
                        raise
                    if self._told.get(server.url) != str(exc):
                        log.warning("%s", exc)
                    self._told[server.url] = str(exc)
            yield device
