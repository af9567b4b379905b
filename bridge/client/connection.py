"""A device's connection: what the model decides, done over a websocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

import anyio
import numpy as np
from websockets.asyncio.client import ClientConnection

from xiaozhi_persona.bridge.binary import pack, unpack
from xiaozhi_persona.bridge.client import failures
from xiaozhi_persona.bridge.client.device import QUEUE_PACKETS, DeviceModel, DeviceState, packet_duration_s
from xiaozhi_persona.bridge.client.handshake import open_websocket
from xiaozhi_persona.bridge.client.link import Link, Received, cancel
from xiaozhi_persona.bridge.client.mcp import McpServer, Tool
from xiaozhi_persona.bridge.client.sound import (
    DEFAULT_RATE_HZ,
    FRAME_MS,
    MIC_RATE_HZ,
    Microphone,
    ReplyPlayer,
    WavMicrophone,
)
from xiaozhi_persona.bridge.client.timeline import Timeline, TurnEvent, TurnLog
from xiaozhi_persona.bridge.client.uplink import Uplink
from xiaozhi_persona.bridge.messages import (
    AudioParams,
    Face,
    Hello,
    Listen,
    ListenMode,
    Mcp,
    Message,
    ProtocolError,
    ServerMessage,
    Stt,
    Tts,
    decode_server_message,
    encode,
)
from xiaozhi_persona.errors import ServiceTimeout
from xiaozhi_persona.language import tr
from xiaozhi_persona.spine import Samples

DEFAULT_AUDIO = AudioParams(DEFAULT_RATE_HZ, frame_ms=60)
"""What the firmware expects of a server whose hello does not say."""

FEATURES = frozenset({"mcp"})
"""What a device says that it can do."""
HELLO_TIMEOUT_S = 10.0
REPLY_TIMEOUT_S = 60.0
WAITING_S = 10.0
"""After so long without any answer `on_event` is told."""
_NO_WORDS_S = 2.5
"""How long words may still come after the server said that it heard none: of a later part of the recording."""

_RECEIVED_KEPT = 20_000
_TIMER_MARGIN_S = 0.001  # event loops may call a timer a clock tick early

_Device = TypeVar("_Device", bound="DeviceConnection")
_log = logging.getLogger(__name__)


class DeviceConnection:
    """A device that is connected. Made by `open`; used by one task at a time."""

    frame_ms = FRAME_MS
    """Of the packets that it sends."""

    def __init__(
        self,
        websocket: ClientConnection,
        url: str,
        mode: ListenMode,
        version: int,
        player: ReplyPlayer | None,
        features: frozenset[str],
        on_event: Callable[[TurnEvent], None],
        tools: Sequence[Tool] = (),
    ) -> None:
        self.model = DeviceModel(mode, player.queue_packets if player else QUEUE_PACKETS)
        self.url = url
        self.version = version
        self.server_hello: Hello | None = None
        self.received: deque[Received] = deque(maxlen=_RECEIVED_KEPT)
        """What the server sent, with times; the last 20,000 frames."""
        self._features = features
        self._on_event = on_event
        self._player = player
        self._refused_hello: Hello | None = None
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._turn = TurnLog("", False, self._now())
        if player is not None:
            player.on_begin = lambda at: self._turn.audio(at)
        self._dropped_before = 0
        self._silence: asyncio.Task[None] | None = None
        self._mcp = McpServer(tools, lambda payload: self.send(Mcp(payload)))
        self._link = Link(websocket, self._take, self._lose)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls: type[_Device],
        url: str,
        *,
        mode: ListenMode = "auto",
        version: int = 1,
        device_id: str = "02:00:00:00:00:01",
        client_id: str = "5c4f2f0e-0d7b-4c57-9d5e-0a6f0e3b7a11",
        token: str = "",
        player: ReplyPlayer | None = None,
        hello_timeout_s: float = HELLO_TIMEOUT_S,
        features: frozenset[str] = FEATURES,
        on_event: Callable[[TurnEvent], None] = lambda event: None,
        tools: Sequence[Tool] = (),
        ping_s: float | None = None,
    ) -> AsyncIterator[_Device]:
        """Connect and exchange hellos; leaving the block closes the connection. `on_event` is told what happens;
        `tools` are what the server may ask the device to do. Every `ping_s`, the server is asked whether it is there.

        The device then is in connecting, where it refuses `tts start`, until the first `say` or `type_text`.
        Raises as `open_websocket` does, and ServiceTimeout or ServiceUnavailable when no usable hello comes.
        """
        websocket = await open_websocket(url, version, device_id, client_id, token, ping_s)
        device = cls(websocket, url, mode, version, player, features, on_event, tools)
        try:
            await device._exchange_hellos(hello_timeout_s)
            yield device
        finally:
            await device.close()

    @property
    def state(self) -> DeviceState:
        """The device's state."""
        return self.model.state

    @property
    def closed(self) -> bool:
        """Whether the connection is gone, whoever ended it."""
        return self._link.closed

    @property
    def ending(self) -> str | None:
        """How the connection was closed: the code, and the reason where one was given; None while it is open."""
        return self._link.ending if self.closed else None

    @property
    def audio(self) -> AudioParams:
        """What the server said about its packets, with the firmware's defaults."""
        return (self.server_hello and self.server_hello.audio) or DEFAULT_AUDIO

    async def say(self, sound: Samples | Microphone, name: str = "") -> None:
        """Begin a turn: send 16 kHz sound in real time, as 60 ms frames, and return when it has been sent.

        It ends early when the device closes its microphone because the reply begins (auto), or the connection is
        gone. Then manual mode sends `listen stop`; else silence follows until the device begins to speak (auto)
        or `say` is called again (realtime).

        Raises RuntimeError while the device speaks, realtime mode excepted, and ServiceUnavailable when the
        connection is gone.
        """
        microphone = WavMicrophone(sound) if isinstance(sound, np.ndarray) else sound
        await self._end_silence()
        self._begin_turn(name, typed=False)
        self._turn.event("speaking", self._turn.zero_at, name)
        uplink = Uplink(self._send_packet, lambda: self.model.mic_open, self._note_speech)
        is_whole = await uplink.speak(microphone)
        self._turn.spoken()
        if not is_whole:
            return
        if self.model.mode == "manual":
            self.model.stop_listening(self._now())
            self._update()
        else:
            self._silence = asyncio.create_task(uplink.stay_silent(), name="device-silence")

    def type_text(self, text: str) -> None:
        """Begin a turn: send `text` as typed, as py-xiaozhi does. Raises as `say` does."""
        self._begin_turn(text, typed=True)
        self.send(Listen("detect", text=text))
        self._turn.event("typed", self._turn.zero_at, text)

    def abort(self, reason: str = "") -> None:
        """Interrupt the reply, as a button does, or with `device.WAKE_WORD`, as the wake word does.

        Raises RuntimeError when the device does not speak.
        """
        self.model.abort(self._now(), reason)
        self._update()

    async def reply(self, timeout_s: float = REPLY_TIMEOUT_S) -> Timeline:
        """Wait until the reply of this turn has been played, and return the turn.

        Raises ServiceTimeout (no answer, or one without end), ServiceUnavailable (connection lost before any
        answer), ServiceBroken (connection lost during the reply) and ServiceRejected (no words were heard).
        """
        turn, until = self._turn, self._now() + timeout_s
        if not await self._wait(lambda: turn.answered or turn.no_words, min(WAITING_S, timeout_s)):
            if not self.closed and timeout_s > WAITING_S:
                turn.event("waiting", self._now())
            await self._wait(lambda: turn.answered or turn.no_words, until - self._now())
        if turn.no_words and not await self._wait(lambda: turn.answered, _NO_WORDS_S) and not self.closed:
            turn.event("no_words", self._now())
            raise failures.no_words(self.url)
        await self._wait(lambda: self._is_over(turn), until - self._now())
        if turn.ends_at is not None:  # the rest of the playback is known, even with the connection gone
            turn.event("played", turn.ends_at)
            turn.dropped_not_speaking = self.model.dropped_not_speaking - self._dropped_before
            return turn.timeline()
        raise failures.no_reply(self.url, self.ending, turn, timeout_s)

    async def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait until `condition` holds; it is asked after every frame and every change of state.

        Raises ServiceTimeout, and ServiceUnavailable when the connection is gone and it still does not hold.
        """
        if await self._wait(condition, timeout_s):
            return
        if self.closed:
            raise failures.gone(self.url, self._link.ending, tr("请看服务器的日志"))
        raise ServiceTimeout(
            tr(
                "等了 {timeout_s:g} 秒，没有等到 {url} 该有的消息。请看服务器的日志",
                timeout_s=timeout_s,
                url=self.url,
            )
        )

    def send(self, message: Message) -> None:
        """Send a message, as it is, with the server's session id."""
        self.send_frame(encode(message, self.server_hello.session_id if self.server_hello else ""))

    def send_frame(self, frame: str | bytes) -> None:
        """Send any text or binary frame, as it is."""
        self._link.send(frame)

    async def hang_up(self) -> None:
        """End the connection as the firmware does: TCP is closed, without a close frame."""
        await self._end_silence()
        await self._link.hang_up()

    async def close(self) -> None:
        """Close the connection politely; leaves no task behind."""
        try:
            await self._end_silence()
            await self._mcp.aclose()
        finally:
            await self._link.close()
            if self._timer is not None:
                self._timer.cancel()

    async def _exchange_hellos(self, timeout_s: float) -> None:
        self.model.connect(self._now())
        hello = Hello(self.version, features=self._features, audio=AudioParams(MIC_RATE_HZ, self.frame_ms))
        self.send_frame(json.dumps(hello.fields()))
        if not await self._wait(lambda: self.server_hello is not None, timeout_s):
            raise failures.no_hello(self.url, self.ending, self._refused_hello, timeout_s)

    # What comes in.

    def _take(self, frame: str | bytes) -> None:
        at = self._now()
        self._advance(at)
        content: ServerMessage | bytes | None
        try:
            content = decode_server_message(frame) if isinstance(frame, str) else unpack(frame, self.version)
        except ProtocolError as exc:
            _log.debug("a frame of %d that follows no protocol: %s", len(frame), exc)
            content = None
        self.received.append(Received(at, frame, content))
        self._heed(at, content)
        self._update()

    def _heed(self, at: float, content: ServerMessage | bytes | None) -> None:
        if isinstance(content, bytes):
            self._play(at, content)
        elif isinstance(content, Hello):
            if content.transport == "websocket":
                self.server_hello = content
            else:
                self._refused_hello = content
        elif isinstance(content, Tts):
            self._tts(at, content)
        elif isinstance(content, Stt):
            self._turn.stt(at, content.text)
        elif isinstance(content, Face):
            self._turn.face(content.emotion)
        elif isinstance(content, Mcp):
            self._mcp.take(content.payload)

    def _lose(self) -> None:
        self.model.disconnect(self._now())
        self._update()

    def _tts(self, at: float, message: Tts) -> None:
        if message.state == "start":
            if self.model.tts_start(at):
                self._turn.tts_start(at)
                if self._player is not None:
                    self._player.begin(self.audio.sample_rate_hz, at)
        elif message.state == "sentence_start":
            self._turn.sentence(at, message.text)
        else:
            if self._player is not None:
                self._player.end()
            self._wait_for_loudspeaker()
            if self.model.tts_stop(at):
                self._turn.tts_stop(at, self.model.playback)
            elif self._turn.unspoken:
                self._turn.tts_stop(at)

    def _play(self, at: float, packet: bytes) -> None:
        duration_s = packet_duration_s(packet)
        played = self.model.audio(at, packet, duration_s) if duration_s else None
        if played is None:
            return
        if self._player is not None:
            self._player.play(packet, played.at)
        else:
            self._turn.audio(played.at)

    def _wait_for_loudspeaker(self) -> None:
        until = self._player.ends_at() if self._player is not None else None
        if until is not None:
            self.model.sounds_until(until)

    # What goes out.

    def _begin_turn(self, asked: str, typed: bool) -> None:
        if self.closed:
            raise failures.gone(self.url, self._link.ending, tr("请重新连接"))
        now = self._now()
        self.model.advance(now)
        interrupts = self.model.state == "speaking"
        if not (interrupts and self.model.mic_open):
            self.model.start_listening(now)
        self._turn = TurnLog(asked, typed, now, self._on_event, interrupts)
        self._dropped_before = self.model.dropped_not_speaking
        self._update()

    def _send_packet(self, packet: bytes) -> None:
        self.send_frame(pack(packet, self.version))

    def _note_speech(self) -> None:
        self._turn.zero_at = self._now()

    async def _end_silence(self) -> None:
        if self._silence is not None:
            await cancel(self._silence)
            self._silence = None

    # Waiting.

    def _now(self) -> float:
        return self._loop.time()

    def _is_over(self, turn: TurnLog) -> bool:
        ends_at = turn.ends_at
        return ends_at is not None and self._now() >= ends_at and self.model.drained_at is None

    def _update(self) -> None:
        """Send what the model wants to be sent, set the timer to what falls due next, wake who waits."""
        for message in self.model.take_messages():
            self.send(message)
        due = [] if self.model.drained_at is None else [self.model.drained_at]
        if self._turn.ends_at is not None and self._turn.ends_at > self._now():
            due.append(self._turn.ends_at)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(due) + _TIMER_MARGIN_S, self._tick) if due else None
        self._changed.set()

    def _advance(self, at: float) -> None:
        if self.model.drained_at is not None:
            self._wait_for_loudspeaker()
        self.model.advance(at)

    def _tick(self) -> None:
        self._advance(self._now())
        self._update()

    async def _wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Return True when `condition` holds, False at the deadline or when the connection is gone."""
        with anyio.move_on_after(timeout_s):
            while not condition():
                if self.closed:
                    return False
                self._changed.clear()
                await self._changed.wait()
            return True
        return condition()
