"""The wire to one device: messages as text frames, Opus packets as binary frames."""

from __future__ import annotations

import contextlib
import logging
import uuid

import anyio
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from xiaozhi_persona.bridge.binary import pack
from xiaozhi_persona.bridge.messages import Message, encode

log = logging.getLogger(__name__)

_SEND_TIMEOUT_S = 10.0


class Link:
    """Sends to one device. A closed connection makes sending do nothing: the receiving side sees it too.

    A device that has taken nothing for 10 s is gone: its connection is cut. (The library's pings do not find out,
    since they wait behind what could not be sent.)
    """

    def __init__(self, websocket: ServerConnection, device_id: str, stop_margin_ms: int) -> None:
        self._websocket = websocket
        self.device_id = device_id
        self.stop_margin_ms = stop_margin_ms
        """How long after the end of playback `tts stop` may come, so that it cuts nothing off."""
        self.session_id = uuid.uuid4().hex
        self.binary_version = 1

    async def send(self, message: Message) -> None:
        """Send a message."""
        await self._send(encode(message, self.session_id))

    async def send_packet(self, packet: bytes, timestamp_ms: int) -> None:
        """Send an Opus packet. Raises ProtocolError when it does not fit the binary version."""
        await self._send(pack(packet, self.binary_version, timestamp_ms))

    async def _send(self, frame: str | bytes) -> None:
        with contextlib.suppress(ConnectionClosed):
            with anyio.move_on_after(_SEND_TIMEOUT_S) as waiting:
                await self._websocket.send(frame)
            if waiting.cancelled_caught:
                log.warning("设备 %s 不再收数据，断开", self.device_id[:64])
                self._websocket.transport.abort()
