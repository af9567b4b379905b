"""One device's connection: hello, listening in its three modes, turns and their interruption."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import numpy as np
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from xiaozhi_persona.audio.opus import OpusError
from xiaozhi_persona.bridge.answering import MAX_TYPED_CHARACTERS, Answering, Unasked
from xiaozhi_persona.bridge.binary import VERSIONS, unpack, version_of
from xiaozhi_persona.bridge.current import CurrentConversation
from xiaozhi_persona.bridge.hearing import Hearing
from xiaozhi_persona.bridge.link import Link
from xiaozhi_persona.bridge.mcp.device_tools import DeviceTools
from xiaozhi_persona.bridge.mcp.photos import PhotoPass
from xiaozhi_persona.bridge.messages import (
    CONNECTED_AGAIN,
    NO_WORDS,
    Abort,
    Alert,
    AudioParams,
    DeviceMessage,
    Hello,
    Listen,
    ListenMode,
    Mcp,
    ProtocolError,
    Tts,
    Unknown,
    decode_device_message,
)
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.bridge.speaking import Speaker, TurnTimeline
from xiaozhi_persona.bridge.tools import role_tools
from xiaozhi_persona.bridge.visit import Visit
from xiaozhi_persona.bridge.wake_words import WakeWords
from xiaozhi_persona.bridge.wits.reachable import Reachable
from xiaozhi_persona.bridge.wits.wits import Wits
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.speech.pipeline import FRAME_MS, SAMPLE_RATE_HZ
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Owner, Samples
from xiaozhi_persona.tasks import cancel_and_wait

# The host's web page, told by its bare hello, begins to play 400 ms late and drops what is left at `tts stop`.
_WEB_PAGE_STOP_MARGIN_MS = 500

_CROSSING_S = 0.5
"""A `listen start` this soon after our `tts start` may have been sent before the device had seen that."""

SHORT_PRESS_S = 0.5
"""Who has held the button for less, and said nothing, has not meant to."""

WAKE_WORD_S = 1.0
"""How long before or after a `detect` the sound of the wake word, or the `listen start`, may come that go with it."""

LONGEST_SILENCE_S = 115.0
"""A device that has been sent nothing for 120 s takes the connection for dead (78/xiaozhi-esp32, protocol.cc)."""


class Session:
    """Serves one connection with one turn at a time."""

    def __init__(
        self,
        websocket: ServerConnection,
        visit: Visit,
        parts: Parts,
        settings: Settings,
        on_turn: Callable[[TurnTimeline], None],
        on_entered: Callable[[Session], None],
        photo_pass: Callable[[], Awaitable[PhotoPass | None]],
    ) -> None:
        self._websocket = websocket
        self._visit = visit
        self._on_entered = on_entered
        self._parts = parts
        self._settings = settings
        self._on_turn = on_turn
        self._link = Link(websocket, visit.device_id, settings.session.stop_margin_ms)
        self.log = self._link.log
        self._greeted = asyncio.Event()
        self._device = DeviceTools(self._link, parts.vision, photo_pass)
        self._has_tools = False
        self._conversation = CurrentConversation(self._device, parts.servers)
        self._wits = Wits(parts.casting, settings, Reachable(self._device, parts.servers))
        self._hearing = Hearing(parts.vad, settings.vad)
        self._typed: asyncio.Task[None] | None = None  # a text that may yet turn out to be a wake word
        self._acting = asyncio.Lock()  # held by who begins or ends turns
        self._takes_sound = True
        self._hears_anew = False  # whether listening began anew since the turn began
        self._heard: Samples = np.zeros(0, np.int16)  # the utterance of the running turn
        self._turn: Answering | None = None
        self._turn_task: asyncio.Task[None] | None = None
        self._active_at_s = time.monotonic()
        self._leaving: asyncio.Task[None] | None = None  # set when the device has connected again
        self._is_over = False
        self._opening: asyncio.Task[None] | None = None  # of the memory, ahead of the first question
        self._wake_words = WakeWords(settings.session.wake_words)

    @property
    def key(self) -> str:
        """The same for two connections of which the later one ends the former; "" for one that ends none."""
        return self._visit.standing.key

    @property
    def device(self) -> tuple[str, Owner]:
        """Which device it is, "" for one that cannot prove it, and whose memory it uses."""
        return self._visit.admitted_id, self._visit.owner

    @property
    def quiet_since_s(self) -> float:
        """Since when nobody has spoken, neither side (time.monotonic); inf while one does, or may not be spoken to."""
        is_busy = self._turn_runs or self._typed or self._hearing.speaking or self._hearing.mode == "manual"
        if is_busy or self._leaving or self._is_over or not self._greeted.is_set():
            return math.inf
        return max(self._active_at_s, self._hearing.active_at_s)

    async def say(self, unasked: Unasked) -> bool:
        """Say something that nobody has asked for, unless somebody speaks; return whether it was begun to be said."""
        async with self._acting:
            if self.quiet_since_s == math.inf:
                return False
            await self._begin_turn(unasked)
            turn, task = self._turn, self._turn_task
        if task:
            await asyncio.wait({task})
        return bool(turn and turn.speaker.said)

    async def run(self) -> None:
        """Serve until the connection ends. Leaves nothing running."""
        watch = asyncio.create_task(self._watch(), name="session-watch")
        try:
            async for frame in self._websocket:
                if self._leaving:
                    break
                try:
                    async with self._acting:
                        await self._receive(frame)
                except (ProtocolError, OpusError) as exc:
                    self._link.complain(f"{type(exc).__name__} {exc}")
        except ConnectionClosed:
            pass
        finally:
            self._is_over = True
            await cancel_and_wait(watch)
            await self._drop_typed()
            await self._cancel_turn()
            await self._wits.aclose()
            await self._device.aclose()
            await self._conversation.aclose()
            if self._opening:
                await cancel_and_wait(self._opening)
            if self._leaving:
                await cancel_and_wait(self._leaving)

    def leave(self, reason: str = CONNECTED_AGAIN) -> None:
        """End this connection, by default since the device has made another one: no sound from now on, closed soon."""
        if self._leaving is None:
            if reason == CONNECTED_AGAIN:
                self.log.info("设备又连上来了，旧的连接结束")
            for task in (self._typed, self._turn_task):
                if task:
                    task.cancel()
            self._leaving = asyncio.create_task(self._link.close(reason), name="session-leave")

    async def _watch(self) -> None:
        """Close a connection without hello, one where nobody has spoken for long, and one that the device gives up."""
        limits = self._settings.session
        try:
            with anyio.fail_after(limits.hello_timeout_s):
                await self._greeted.wait()
        except TimeoutError:
            self.log.warning("设备没有发 hello，断开")
            await self._websocket.close(1008, "no hello")
            return
        while self._turn_runs or time.monotonic() < self._ends_at_s():  # noqa: ASYNC110
            # Speech is heard many times a second: looking at a time now and then costs less than an event for each.
            await asyncio.sleep(max(1.0, self._ends_at_s() - time.monotonic()))
        self.log.info("很久没有对话，断开")
        await self._websocket.close(1000, "idle")

    def _ends_at_s(self) -> float:
        """Return until when nothing need happen: somebody may speak without an answer, which the device does not count."""
        idle_s = self._settings.session.idle_s
        active_at_s = max(self._active_at_s, self._hearing.active_at_s)
        return min(active_at_s + idle_s, self._link.sent_at_s + LONGEST_SILENCE_S)

    @property
    def _turn_runs(self) -> bool:
        return self._turn_task is not None and not self._turn_task.done()

    @property
    def _speaking(self) -> bool:
        return self._turn is not None and self._turn.speaker.speaking

    async def _receive(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            if self._greeted.is_set():
                await self._hear(frame)
            return
        message = decode_device_message(frame)
        self._active_at_s = time.monotonic()
        if not isinstance(message, Hello) and not self._greeted.is_set():
            self._link.complain(tr("消息在 hello 之前"))
            return
        await self._obey(message)

    async def _obey(self, message: DeviceMessage) -> None:
        if isinstance(message, Hello):
            await self._greet(message)
        elif isinstance(message, Abort):
            await self._drop_typed()
            await self._stop_turn()
            self._hearing.begin_anew()
        elif isinstance(message, Listen):
            if message.state == "start":
                await self._start_listening(message.mode)
            elif message.state == "stop":
                await self._stop_listening()
            else:
                await self._detected(message.text)
        elif isinstance(message, Mcp):
            self._device.receive(message.payload)
        elif isinstance(message, Unknown):
            self._link.complain(tr("不认识的消息类型 {value!r}", value=message.type[:40]))

    async def _greet(self, hello: Hello) -> None:
        version = hello.version or self._visit.binary_version
        if version not in VERSIONS:
            self._link.complain(tr("不认识的二进制协议版本 {version}", version=version))
            version = 1
        self._link.binary_version = version
        if not hello.transport and hello.audio is None:
            self._link.stop_margin_ms = max(self._link.stop_margin_ms, _WEB_PAGE_STOP_MARGIN_MS)
        self._link.wants_no_words = NO_WORDS in hello.features
        is_first = not self._greeted.is_set()
        if is_first and not await self._enter(hello):
            return
        audio = AudioParams(SAMPLE_RATE_HZ, FRAME_MS)
        await self._link.send(Hello(version=version, session_id=self._link.session_id, audio=audio))
        self._takes_sound = hello.audio is None or hello.audio.format == audio.format
        if hello.audio and not self._takes_sound:
            refusal = tr(
                "只收发 Opus，不收 {value!r}：请在设备的 hello 里把 format 设为 opus",
                value=hello.audio.format[:20],
            )
            self._link.complain(refusal)
            await self._link.send(Alert(tr("声音格式不支持"), refusal))
        self._greeted.set()
        self._has_tools = "mcp" in hello.features
        self._ask_for_tools()
        if is_first and (owner := self._visit.owner).id:  # a question need not wait for it
            opening = self._parts.memory.open(owner)
            self._opening = asyncio.create_task(opening, name="session-open")

    def _ask_for_tools(self) -> None:
        """Ask the device, if it has tools and is served: it may be approved while it is connected."""
        if self._has_tools and self._visit.standing.owner_id is not None:
            self._device.start()

    async def _enter(self, hello: Hello) -> bool:
        """Find out which device it is, and return whether it is served, or at least told its code."""
        try:
            standing = await self._visit.enter(hello.device_id)
        except PersonaError:
            await self._websocket.close(1013, "try again later")
            return False
        self._link.name(self._visit.device_id)
        if standing.owner_id is None and not standing.code:
            self.log.warning("设备没有报上编号，或来得太多，断开")
            await self._websocket.close(1008, "not admitted")
            return False
        if standing.owner_id == "":
            self.log.info("设备没有报上编号，这次连接没有记忆")
        self._on_entered(self)
        return True

    async def _start_listening(self, mode: ListenMode) -> None:
        await self._drop_typed()  # it was the wake word that opened the microphone
        if mode == "manual":
            # The button is pressed for a new question. The device has left its speaking state by itself, and
            # a `tts stop` would end py-xiaozhi's listening. But where press and `tts start` crossed, the device
            # has gone on from listening to speaking, and without a stop it would stay there.
            if self._turn and self._speaking and self._turn.speaker.speaks_for_s() < _CROSSING_S:
                await self._stop_turn(quietly=True)
            await self._cancel_turn()
        elif mode == self._hearing.mode and self._hearing.speaking:
            return  # sent again, as py-xiaozhi does after an abort: what is being said goes on
        self._hears_anew = True
        self._hearing.open(mode)

    async def _stop_listening(self) -> None:
        if pressed := self._hearing.close():
            sound, pressed_s = pressed
            if len(sound) or pressed_s >= SHORT_PRESS_S:
                await self._begin_turn(sound, pressed_s=pressed_s)

    async def _detected(self, text: str) -> None:
        """A wake word, which only wakes, or a text that was typed.

        Wake words have many names. One comes behind its own sound, sent while the microphone is closed, or just before
        the microphone opens, as the firmware and the web page do; who types has opened it, or opens it not at all.
        """
        await self._drop_typed()
        woken = time.monotonic() - self._hearing.unasked_at_s < WAKE_WORD_S
        if not text.strip() or woken or self._wake_words.has(text[:MAX_TYPED_CHARACTERS]):
            return
        if self._hearing.mode is None:
            self._typed = asyncio.create_task(self._begin_typed(text.strip()), name="session-typed")
        else:
            await self._begin_turn(text.strip())

    async def _begin_typed(self, text: str) -> None:
        await asyncio.sleep(WAKE_WORD_S)
        async with self._acting:
            await self._begin_turn(text)

    async def _drop_typed(self) -> None:
        if self._typed:
            await cancel_and_wait(self._typed)
            self._typed = None

    async def _hear(self, frame: bytes) -> None:
        version = version_of(frame)
        if version > 1 and version != self._link.binary_version:
            self._link.complain(
                tr("声音是二进制协议版本 {version} 的，和 hello 说的不同，照它的来", version=version)
            )
            self._link.binary_version = version
        packet = unpack(frame, self._link.binary_version)
        if not packet or not self._takes_sound:
            return
        utterance = await self._hearing.hear(packet, is_answering=self._speaking)
        if self._hearing.interrupts and self._turn and self._turn.answered:
            await self._stop_turn(quietly=True)  # the user speaks into the answer
        if utterance is not None:
            await self._begin_turn(utterance)

    async def _begin_turn(self, heard: Samples | str | Unasked, *, pressed_s: float = 0.0) -> None:
        """Answer what was heard or typed, or say something unasked; `pressed_s` is how long a button was held for it."""
        if isinstance(heard, np.ndarray):
            if self._turn_runs and self._turn and not self._turn.answered:
                # More came while the first part was being recognized: it is one question with a pause in it.
                heard = self._hearing.joined(self._heard, heard)
            self._heard = heard
        await self._stop_turn(quietly=True)
        self._hears_anew = False
        owner, parts = await self._visit.speak()
        self._ask_for_tools()
        self._wits.device_id = self._visit.admitted_id
        roles = role_tools(parts.casting, self._visit.admitted_id)
        conversation = await self._conversation.with_memory(owner, parts.memory, roles)
        if self._leaving or self._is_over:
            return
        speaker, waits = partial(Speaker, self._link, self._settings.session), pressed_s >= SHORT_PRESS_S
        toolbox = self._conversation.toolbox
        self._turn = turn = Answering(
            self._link, conversation, toolbox, self._wits, parts, self._settings, speaker, tells_unheard=waits
        )
        self._turn_task = asyncio.create_task(turn.run(heard), name=f"turn-{turn.timeline.turn_id}")
        self._turn_task.add_done_callback(lambda _: self._turn_ended(turn))

    def _turn_ended(self, turn: Answering) -> None:
        self._active_at_s = time.monotonic()
        self.log.info("%s", turn.timeline)
        self._on_turn(turn.timeline)
        if turn.ends_connection and turn.timeline.outcome == "done":
            self.leave("goodbye")
        # A device has begun to listen anew by then; a web page goes on sending what it heard of the reply.
        if self._hearing.mode == "auto" and turn.answered and not self._hears_anew:
            self._hearing.begin_anew()

    async def _stop_turn(self, quietly: bool = False) -> None:
        """End the turn and tell the device at once; `quietly` leaves out a stop for what has not begun."""
        was_speaking = self._speaking
        if self._turn and self._turn_task:
            self._turn_task.cancel()
            self._turn.speaker.speaking = False  # before we wait: the turn must not send its own stop as well
        if was_speaking or not quietly:
            await self._link.send(Tts("stop"))
        await self._cancel_turn()

    async def _cancel_turn(self) -> None:
        if self._turn_task:
            await cancel_and_wait(self._turn_task)
            self._turn_task = self._turn = None
