"""The sockets on which the bridge listens: how many connections there may be, and how long one may wait for its request.

asyncio accepts as many connections as come and keeps each for as long as its peer likes, and of the HTTP libraries not
every version bounds the wait for a first request (websockets does, aiohttp from 3.14 on). So it is bounded here, where
connections are accepted, for both ports alike and before a library spends anything on them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from xiaozhi_persona.bridge.admission.addresses import is_loopback
from xiaozhi_persona.language import tr

REQUEST_TIMEOUT_S = 10.0
"""How long after it was accepted a connection must have sent a whole request head, however its bytes come."""

MAX_CONNECTIONS = 512

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

_log = logging.getLogger(__name__)


class Connections:
    """Every open connection of both ports. While it has not sent a whole request head it is said to wait.

    Who comes when there are too many takes the place of the one that has waited longest; where nobody waits, it is
    answered with 503. An address may have `per_address` of them. Those of this machine are not counted by address: a
    reverse proxy speaks for everybody. (On Windows asyncio does not accept by `accept`, and nothing is bounded.)
    """

    def __init__(self, per_address: int) -> None:
        self._per_address = per_address
        # The other half is for memories, models and the servers that are asked.
        self._most = min(MAX_CONNECTIONS, _descriptor_limit() // 2)
        self._open: dict[int, _Connection] = {}  # by file descriptor
        self._waiting: dict[_Connection, None] = {}  # the longest first
        self._of_host: Counter[str] = Counter()
        self._closed = False
        self._just_cut = False

    def listen(self, host: str, port: int) -> socket.socket:
        """Return a bound socket for a server to listen on. Raises OSError."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)  # which devices have
        listener = _Listener(self, family)
        try:
            if os.name == "posix":  # elsewhere it lets two servers have the same port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
        return listener

    def request_came(self, transport: asyncio.BaseTransport) -> None:
        """Note that a request has come: who serves it sees to the time from here on."""
        if connection := self._find(transport):
            connection.stop_waiting()

    def wait_for_request(self, transport: asyncio.BaseTransport, timeout_s: float) -> None:
        """Cut the connection unless the answer has gone, and another request has come, within `timeout_s`."""
        if connection := self._find(transport):
            connection.wait(timeout_s, transport.abort)  # type: ignore[attr-defined]

    def close(self) -> None:
        """Let nobody in any more, and cut the connections that wait."""
        self._closed = True
        for connection in [*self._waiting]:
            connection.cut()

    def _find(self, transport: asyncio.BaseTransport) -> _Connection | None:
        opened = transport.get_extra_info("socket")
        return self._open.get(opened.fileno()) if opened else None

    def _enter(self, accepted: socket.socket, host: str) -> _Connection | None:
        """Return the accepted connection, which counts until it is closed; None if there is no room for it."""
        if self._closed:
            return None
        crowded = self._of_host[host] >= self._per_address and not is_loopback(host)
        if crowded or len(self._open) >= self._most:
            longest = next((one for one in self._waiting if not crowded or one.host == host), None)
            if longest is None:
                most = (
                    tr("{host} 的（bridge.connections_per_address）", host=host)
                    if crowded
                    else tr("{most} 条以外的", most=self._most)
                )
                _log.warning("连接太多，不再接受 %s", most)
                return None
            _log.warning("连接太多，断开一直没有发完请求的")
            longest.cut()
            self._just_cut = True
        connection = _Connection(self, accepted, host)
        self._open[connection.descriptor] = connection
        self._of_host[host] += 1
        connection.wait(REQUEST_TIMEOUT_S, lambda: connection.shutdown(socket.SHUT_RDWR))
        return connection

    def _leave(self, connection: _Connection) -> None:
        if self._open.get(connection.descriptor) is connection:
            del self._open[connection.descriptor]
            self._of_host[connection.host] -= 1
            if not self._of_host[connection.host]:
                del self._of_host[connection.host]


class _Listener(socket.socket):
    """Accepts for asyncio, which calls `accept` up to a hundred times in a row, until it raises BlockingIOError."""

    def __init__(self, connections: Connections, family: int) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._connections = connections
        self._spare: int | None = os.open(os.devnull, os.O_RDONLY)

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection. Where it had to be refused, raises BlockingIOError: the loop turns to others first."""
        if self._connections._just_cut:
            self._connections._just_cut = False
            raise BlockingIOError  # so that the loop frees the file descriptor of what was cut
        try:
            accepted, address = super().accept()
        except OSError as exc:
            if exc.errno not in (errno.EMFILE, errno.ENFILE) or self._spare is None:
                raise
            self._refuse_by_spare()
            raise BlockingIOError from exc
        connection = self._connections._enter(accepted, address[0])
        if connection is None:
            _refuse(accepted)
            raise BlockingIOError
        return connection, address

    def close(self) -> None:
        """Close the socket."""
        super().close()
        self._free_spare()

    def _refuse_by_spare(self) -> None:
        """Refuse a connection for which no file descriptor is left: in the queue it would wake the loop for ever."""
        self._free_spare()
        try:
            _refuse(super().accept()[0])
            _log.warning("打开的文件到了系统的上限，不再接受连接（见 ulimit -n）")
        finally:
            with contextlib.suppress(OSError):  # then asyncio will pause for a second at the next
                self._spare = os.open(os.devnull, os.O_RDONLY)

    def _free_spare(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None


class _Connection(socket.socket):
    """An accepted connection."""

    def __init__(self, connections: Connections, accepted: socket.socket, host: str) -> None:
        family, kind, protocol = accepted.family, accepted.type, accepted.proto
        super().__init__(family, kind, protocol, fileno=accepted.detach())
        # asyncio does this only for sockets that name their protocol. Without it the second of two short messages waits
        # until the device has acknowledged the first, which devices put off: 40 ms before every reply, often more.
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.descriptor = self.fileno()
        self.host = host
        self._connections = connections
        self._cut: Callable[[], None] = lambda: None
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, timeout_s: float, cut: Callable[[], None]) -> None:
        """Be cut by `cut` unless `stop_waiting` is called within `timeout_s`."""
        self.stop_waiting()
        self._cut = cut
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self.cut)
        self._connections._waiting[self] = None

    def stop_waiting(self) -> None:
        """Have no deadline any more."""
        self._connections._waiting.pop(self, None)
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def cut(self) -> None:
        """End the connection, whatever its peer does. It counts no more."""
        self._forget()
        with contextlib.suppress(OSError):  # its peer was first
            self._cut()

    def close(self) -> None:
        """Close the socket."""
        self._forget()
        super().close()

    def _forget(self) -> None:
        self.stop_waiting()
        self._connections._leave(self)


def _refuse(accepted: socket.socket) -> None:
    with contextlib.closing(accepted), contextlib.suppress(OSError):
        accepted.setblocking(False)
        accepted.send(_BUSY)
        accepted.shutdown(socket.SHUT_WR)
        accepted.recv(65536)  # closed with something unread, it would be reset, and the answer lost


def _descriptor_limit() -> int:
    if sys.platform == "win32":
        return 2 * MAX_CONNECTIONS
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 2 * MAX_CONNECTIONS
