"""The wire to one device: messages as text frames, Opus packets as binary frames."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import anyio
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from xiaozhi_persona.bridge.binary import pack
from xiaozhi_persona.bridge.messages import Message, encode
from xiaozhi_persona.language import tr

if TYPE_CHECKING:
    _LoggerAdapter = logging.LoggerAdapter[logging.Logger]
else:
    _LoggerAdapter = logging.LoggerAdapter  # Python 3.10 cannot subscribe it

_SEND_TIMEOUT_S = 10.0
_GOODBYE_S = 1.0


class DeviceLog(_LoggerAdapter):
    """Writes into the log with the device's name before every line."""

    def __init__(self, logger: logging.Logger, device_id: str) -> None:
        super().__init__(logger, {})
        self.rename(device_id)

    def rename(self, device_id: str) -> None:
        """Write this name from now on."""
        # What a device calls itself must not break a line, or be taken for a place where an argument goes.
        self._name = "".join(c for c in device_id if c.isprintable() and c != "%")[:64] or tr(
            "没有编号的设备"
        )

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the name before the message."""
        return f"[{self._name}] {tr(msg)}", kwargs


class Link:
    """Sends to one device. A closed connection makes sending do nothing: the receiving side sees it too.

    A device that has taken nothing for 10 s is gone: its connection is cut. (The library's pings do not find out,
    since they wait behind what could not be sent.)
    """

    def __init__(self, websocket: ServerConnection, device_id: str, stop_margin_ms: int) -> None:
        self._websocket = websocket
        self.device_id = device_id
        """"" until it is known, and for a device that does not say."""
        self.log = DeviceLog(logging.getLogger(__name__), device_id)
        """For all that concerns this connection."""
        self.stop_margin_ms = stop_margin_ms
        """How long after the end of playback `tts stop` may come, so that it cuts nothing off."""
        self.session_id = uuid.uuid4().hex
        self.binary_version = 1
        self.wants_no_words = False
        """Whether it is told when speech was heard and no words in it: NO_WORDS."""
        self.mid_stream = False
        """Whether the device's decoder may stand amid the speech of a reply, which was cut if another one begins."""
        self._complained: set[str] = set()
        self.sent_at_s = time.monotonic()
        """When the device was last sent anything; it counts from there whether the connection lives."""

    def name(self, device_id: str) -> None:
        """Note which device it is, where that was not known before its hello."""
        self.device_id = device_id
        self.log.rename(device_id)

    async def send(self, message: Message) -> None:
        """Send a message."""
        await self._send(encode(message, self.session_id))

    async def send_packet(self, packet: bytes, timestamp_ms: int) -> None:
        """Send an Opus packet. Raises ProtocolError when it does not fit the binary version."""
        self.mid_stream = True
        await self._send(pack(packet, self.binary_version, timestamp_ms))

    def complain(self, what: str) -> None:
        """Log what the device does against the protocol, each kind once a connection."""
        if what not in self._complained and len(self._complained) < 20:
            self._complained.add(what)
            self.log.warning("设备发来的不合协议：%s", what)

    async def close(self, reason: str) -> None:
        """Close the connection; where nobody is there any more, that does not take long."""
        try:
            with anyio.move_on_after(_GOODBYE_S):
                await self._websocket.close(1000, reason)
        finally:
            self._websocket.transport.abort()

    async def _send(self, frame: str | bytes) -> None:
        with contextlib.suppress(ConnectionClosed):
            with anyio.move_on_after(_SEND_TIMEOUT_S) as waiting:
                await self._websocket.send(frame)
                self.sent_at_s = time.monotonic()
            if waiting.cancelled_caught:
                self.log.warning("设备不再收数据，断开")
                self._websocket.transport.abort()
