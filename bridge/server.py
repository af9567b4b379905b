"""The bridge as a whole: the websocket server for devices and the HTTP server beside it."""

from __future__ import annotations

import asyncio
import errno
import http
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from xiaozhi_persona.bridge.admission.addresses import source_of
from xiaozhi_persona.bridge.admission.admission import REFUSALS, Admission
from xiaozhi_persona.bridge.admission.devices import Waiting
from xiaozhi_persona.bridge.credentials import CredentialsReader
from xiaozhi_persona.bridge.http.api import Api
from xiaozhi_persona.bridge.http.doors import Doors
from xiaozhi_persona.bridge.http_api import make_app
from xiaozhi_persona.bridge.http_server import serve_http
from xiaozhi_persona.bridge.listening import Connections
from xiaozhi_persona.bridge.mcp.photos import PHOTO_PATH, Photos
from xiaozhi_persona.bridge.origins import REFUSAL, Origins
from xiaozhi_persona.bridge.ota import Ota
from xiaozhi_persona.bridge.own_names import OwnNames
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.bridge.session import Session
from xiaozhi_persona.bridge.speaking import TurnTimeline
from xiaozhi_persona.bridge.visit import Visit
from xiaozhi_persona.bridge.wits.spoken_to import SpokenTo
from xiaozhi_persona.errors import PersonaError, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.spellings import is_remembered
from xiaozhi_persona.providers.intent.first_words import FirstWords
from xiaozhi_persona.providers.intent.ringing import Ringing
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.tasks import cancel_and_wait

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
        on_code: Callable[[Waiting], None] = lambda waiting: None,
    ) -> None:
        """`on_code` is called, in a thread, when a client waits to be approved that did not before."""
        self._settings = settings
        self._parts = parts
        self._on_turn = on_turn
        self._on_code = on_code
        self._stack = AsyncExitStack()
        self._own_names = OwnNames()
        self._origins = Origins(settings.bridge.allowed_origins, self._own_names)
        self._credentials = CredentialsReader(settings.bridge.ids_in_url)
        self._photos = Photos(parts.vision)
        self._sessions: set[Session] = set()
        self._connections = Connections(settings.bridge.connections_per_address)

    async def __aenter__(self) -> Bridge:
        bridge = self._settings.bridge
        if bridge.websocket_port == bridge.http_port != 0:
            raise SettingsError(
                tr(
                    "bridge.websocket_port 和 bridge.http_port 都是 {http_port}，要各用一个端口。请改其中一个。",
                    http_port=bridge.http_port,
                )
            )
        async with AsyncExitStack() as stack:
            self.admission = await asyncio.to_thread(
                Admission, bridge, self._settings.data_dir, self._has_memory, self._on_code
            )
            stack.push_async_callback(self.admission.aclose)
            self._begin_wits(stack)
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
                self.http_port = listener.getsockname()[1]
                self._origins.own_ports = {self.http_port, self.websocket_port}
                ota = Ota(bridge, self.websocket_port, self._own_names, self.admission)
                doors = await asyncio.to_thread(
                    Doors, bridge, self._settings.data_dir, self._origins, self._own_names
                )
                self.api_token = doors.token
                api = Api(self._parts, self._settings, lambda: [*self._sessions])
                app = make_app(self._origins, ota, self._photos, api, lambda: len(self._sessions))
                rooms = (self._photos.room, doors.room)
                await stack.enter_async_context(serve_http(app, listener, self._connections, rooms))
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
            return connection.respond(http.HTTPStatus.FORBIDDEN, tr(REFUSAL))
        if urlsplit(request.path).path.rstrip("/") != WEBSOCKET_PATH.rstrip("/"):
            return connection.respond(
                http.HTTPStatus.NOT_FOUND,
                tr("WebSocket 的路径是 {WEBSOCKET_PATH}\n", WEBSOCKET_PATH=WEBSOCKET_PATH),
            )
        try:
            refusal = (await self._visit(connection, request).knock()).refusal
        except PersonaError:
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, tr("现在不能接设备，原因见日志\n"))
        if not refusal:
            return None
        status, text = REFUSALS[refusal]
        return connection.respond(status, tr(text))

    def _visit(self, connection: ServerConnection, request: Request) -> Visit:
        headers = request.headers
        source = source_of(
            connection.remote_address, headers.get_all("X-Forwarded-For"), headers.get_all("Forwarded")
        )
        given = self._credentials.read(request)
        return Visit(self.admission, given, source, self._parts, self._settings)

    def _has_memory(self, device_id: str) -> bool:
        settings = self._settings
        return is_remembered(settings.memory_dir, settings.memory.owner_of(device_id))

    async def _serve_device(self, websocket: ServerConnection) -> None:
        request = websocket.request
        assert request is not None
        self._connections.request_came(websocket.transport)
        visit = self._visit(websocket, request)
        session = Session(
            websocket,
            visit,
            self._parts,
            self._settings,
            self._on_turn,
            self._entered,
            lambda: self._photos.admit(partial(self._photo_address, websocket)),
        )
        self._sessions.add(session)
        session.log.info("已连接")
        try:
            await session.run()
        except Exception:
            session.log.exception("连接出错，断开")
            await websocket.close(1011)
        finally:
            self._sessions.discard(session)
            visit.leave()
            session.log.info("已断开")

    async def _photo_address(self, websocket: ServerConnection) -> str:
        """Return where a device sends its photos: to the host name by which it came, where that is this machine's."""
        if address := self._settings.bridge.vision_url:
            return address
        if self._settings.bridge.websocket_url:
            host = urlsplit(self._settings.bridge.websocket_url).hostname
        else:
            asked = websocket.request.headers.get("Host", "") if websocket.request else ""
            host = asked.partition(":")[0]
            if not host or not await self._own_names.is_ours(host):
                host = str(websocket.local_address[0]).removeprefix("::ffff:")
        return f"http://{host}:{self.http_port}{PHOTO_PATH}"

    def _entered(self, session: Session) -> None:
        """End the connections that the same device had before this one."""
        for other in self._sessions:
            if other is not session and session.key and other.key == session.key:
                other.leave()

    def _begin_wits(self, stack: AsyncExitStack) -> None:
        intents, settings = self._parts.intents, self._settings
        if intents is None or intents.scheduler is None:
            return

        def connected() -> list[SpokenTo]:
            owner_of = settings.memory.owner_of
            return [SpokenTo(session, self._parts.memory, owner_of) for session in self._sessions]

        ringing = Ringing(intents.scheduler, connected, intents.now)
        self._keep_running(ringing.run(), "ringing", stack)
        if settings.speak_first.enabled:
            words = FirstWords(settings.speak_first, intents.scheduler, connected, intents.now)
            self._keep_running(words.run(), "first-words", stack)

    def _keep_running(self, work: Coroutine[Any, Any, None], name: str, stack: AsyncExitStack) -> None:
        stack.push_async_callback(cancel_and_wait, asyncio.create_task(work, name=name))


def _cannot_listen(exc: OSError, host: str, port: int) -> SettingsError:
    if exc.errno == errno.EADDRINUSE or "address already in use" in str(exc):
        return SettingsError(
            tr(
                "端口 {port} 已被占用：是不是 xiaozhi-esp32-server 或另一个 xiaozhi-persona 正在运行？"
                "先停掉它，或在 data/.config.yaml 里改 bridge.websocket_port 和 bridge.http_port。",
                port=port,
            )
        )
    return SettingsError(
        tr(
            "不能在 {host} 的端口 {port} 上监听：{exc}。请检查 data/.config.yaml 的 bridge.host 和端口。",
            host=host,
            port=port,
            exc=exc,
        )
    )
