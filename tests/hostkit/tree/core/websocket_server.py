"""Makes the shared parts once and a handler for each connection."""

import asyncio

import websockets
from config.logger import setup_logging
from core.connection import ConnectionHandler
from core.utils.modules_initialize import initialize_modules
from websockets.asyncio.server import serve


class WebSocketServer:
    def __init__(self, config):
        self.config = config
        self.logger = setup_logging(config)
        modules = initialize_modules(self.logger, config, True, True, True, False, True, True)
        self._vad, self._asr, self._llm = modules["vad"], modules["asr"], modules["llm"]
        self._memory, self._intent = modules["memory"], modules["intent"]
        self.hostkit_connections = []

    async def start(self, ready=lambda port: None):
        server = self.config["server"]
        async with serve(self._handle_connection, server["ip"], int(server["port"])) as listening:
            ready(listening.sockets[0].getsockname()[1])
            await asyncio.Future()

    async def _handle_connection(self, websocket: websockets.asyncio.server.ServerConnection):
        if websocket.request.headers.get("device-id") is None:
            await websocket.send("no device-id")
            await websocket.close()
            return
        parts = (self._vad, self._asr, self._llm, self._memory, self._intent)
        handler = ConnectionHandler(self.config, *parts, self)
        self.hostkit_connections.append(handler)
        try:
            await handler.handle_connection(websocket)
        finally:
            await websocket.close()
