"""The bridge as a whole: the websocket server for devices and the HTTP server beside it."""

from __future__ import annotations

import errno
import hmac
import http
from collections.abc import Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from xiaozhi_persona.bridge.credentials import CredentialsReader, bare_token
from xiaozhi_persona.bridge.http_api import make_app
from xiaozhi_persona.bridge.http_server import serve_http
from xiaozhi_persona.bridge.listening import Connections
from xiaozhi_persona.bridge.origins import REFUSAL, Origins
from xiaozhi_persona.bridge.own_names import OwnNames
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.bridge.session import Session
from xiaozhi_persona.bridge.turn import TurnTimeline
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.settings import Settings

WEBSOCKET_PATH = "/xiaozhi/v1/"

_MAX_FRAME_BYTES = 256 * 1024
_CLOSE_TIMEOUT_S = 1.0  # the device does not answer a close frame (78/esp-ml307, src/web_socket.cc)


class Bridge:
    """Listens while its `async with` block runs. Raises SettingsError when a port is taken."""

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        on_turn: Callable[[TurnTimeline], None] = lambda timeline: None,
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._on_turn = on_turn
        self._stack = AsyncExitStack()
        self._origins = Origins(settings.bridge.allowed_origins, OwnNames())
        self._credentials = CredentialsReader(settings.bridge.ids_in_url)
        self._sessions: set[Session] = set()
        self._connections = Connections(settings.bridge.connections_per_address)

    async def __aenter__(self) -> Bridge:
        bridge = self._settings.bridge
        if bridge.websocket_port == bridge.http_port != 0:
            raise SettingsError(
                f"bridge.websocket_port 和 bridge.http_port 都是 {bridge.http_port}，要各用一个端口。请改其中一个。"
            )
        async with AsyncExitStack() as stack:
            try:
                port = bridge.websocket_port
                listener = stack.enter_context(self._connections.listen(bridge.host, port))
                self.websocket_port = listener.getsockname()[1]
                await stack.enter_async_context(
                    serve(
                        self._serve_device,
                        sock=listener,
                        process_request=self._admit,
                        compression=None,  # Opus does not shrink, and each device would cost 190 KiB
                        max_size=_MAX_FRAME_BYTES,
                        close_timeout=_CLOSE_TIMEOUT_S,
                    )
                )
                port = bridge.http_port
                listener = stack.enter_context(self._connections.listen(bridge.host, port))
                self.http_port = self._origins.http_port = listener.getsockname()[1]
                app = make_app(
                    self._settings, self.websocket_port, self._origins, lambda: len(self._sessions)
                )
                await stack.enter_async_context(serve_http(app, listener, self._connections))
            except OSError as exc:
                raise _cannot_listen(exc, bridge.host, port) from exc
            stack.callback(self._connections.close)  # first of all: the servers wait for connections to end
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse a foreign web page, a wrong path or token before the connection is made."""
        if not self._origins.allow(request.headers.get_all("Origin")):
            return connection.respond(http.HTTPStatus.FORBIDDEN, REFUSAL)
        if urlsplit(request.path).path.rstrip("/") != WEBSOCKET_PATH.rstrip("/"):
            return connection.respond(http.HTTPStatus.NOT_FOUND, f"WebSocket 的路径是 {WEBSOCKET_PATH}\n")
        token = bare_token(self._settings.bridge.token)
        given = self._credentials.read(request).token
        if token and not hmac.compare_digest(token.encode(), given.encode()):
            return connection.respond(
                http.HTTPStatus.UNAUTHORIZED, "令牌不对，见 config.yaml 的 bridge.token\n"
            )
        return None

    async def _serve_device(self, websocket: ServerConnection) -> None:
        request = websocket.request
        assert request is not None
        self._connections.request_came(websocket.transport)
        given = self._credentials.read(request)
        session = Session(websocket, given, self._parts, self._settings, self._on_turn, self._end_former)
        self._sessions.add(session)
        session.log.info("已连接")
        try:
            await session.run()
        except Exception:
            session.log.exception("连接出错，断开")
            await websocket.close(1011)
        finally:
            self._sessions.discard(session)
            session.log.info("已断开")

    def _end_former(self, session: Session) -> None:
        """End the connections that a device had before this one."""
        for other in self._sessions:
            if other is not session and other.device_id == session.device_id:
                other.leave()


def _cannot_listen(exc: OSError, host: str, port: int) -> SettingsError:
    if exc.errno == errno.EADDRINUSE or "address already in use" in str(exc):
        return SettingsError(
            f"端口 {port} 已被占用：是不是 xiaozhi-esp32-server 或另一个 xiaozhi-persona 正在运行？"
            "先停掉它，或在 config.yaml 里改 bridge.websocket_port 和 bridge.http_port。"
        )
    return SettingsError(
        f"不能在 {host} 的端口 {port} 上监听：{exc}。请检查 config.yaml 的 bridge.host 和端口。"
    )
