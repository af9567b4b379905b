"""A sound card that is opened once and stays open: found by name, watched, and opened again when it was unplugged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from xiaozhi_persona.bridge.client.card.devices import (
    Block,
    NoCard,
    SoundSystem,
    Stream,
    choose_input,
    choose_output,
)
from xiaozhi_persona.bridge.client.card.echo import EchoCanceller
from xiaozhi_persona.bridge.client.card.interface import CardEvent, CardEventKind, Levels
from xiaozhi_persona.bridge.client.card.loudspeaker import OutputPath
from xiaozhi_persona.bridge.client.card.microphone import InputPath
from xiaozhi_persona.bridge.client.link import cancel
from xiaozhi_persona.language import tr
from xiaozhi_persona.spine import Samples

BUFFER_MS = 240.0
"""Of sound is kept before a reply starts, at first."""

STALLED_S = 1.0
"""A stream whose callback has not come for so long is taken for dead: drivers do not always say so."""
_LOOK_EVERY_S = 0.25
_RETRY_S = 1.0
_START_S = 3.0
_CLOSE_S = 2.0
MUTED_S = 3.0
"""Nothing but zeros for so long, from the beginning: no microphone is that quiet."""
GATED_S = 20.0
"""The same once there was sound: speakerphones give zeros while nobody speaks."""
_UNDERRUNS_TOLD_EVERY_S = 60.0

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CardOptions:
    """Which devices, and how they are used."""

    input_name: str = ""
    """A part of the microphone's name; "" for the system's own."""
    output_name: str = ""
    buffer_ms: float = BUFFER_MS
    cancels_echo: bool = False
    """Whether what the loudspeaker plays is taken out of what the microphone hears."""


class SoundCard:
    """A microphone and a loudspeaker. Made by `open`; see Card."""

    def __init__(self, system: SoundSystem, options: CardOptions, now: Callable[[], float]) -> None:
        self.on_event: Callable[[CardEvent], None] = lambda event: None
        self.input_name = self.output_name = ""
        """The names of the devices that are used."""
        self.rounds = 0
        """How often the card has been opened."""
        self._system = system
        self._options = options
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._started = asyncio.Event()
        self.input = InputPath(self._loop, now)
        self.output = OutputPath(self._loop, now, options.buffer_ms)
        self.echo = EchoCanceller() if options.cancels_echo else None
        if self.echo is not None:
            self.input.clean, self.output.played = self.echo.clean, self.echo.play
        self._streams: list[Stream] = []
        self._ended = False
        self._muted = False
        self._underruns = 0
        self._underruns_told_at = -_UNDERRUNS_TOLD_EVERY_S

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, system: SoundSystem, options: CardOptions, now: Callable[[], float] | None = None
    ) -> AsyncIterator[SoundCard]:
        """Open both directions; leaving the block closes them. `now` is the event loop's clock where not given.

        Raises NoCard where a device is missing, busy, or gives no sound.
        """
        card = cls(system, options, now or asyncio.get_running_loop().time)
        watch: asyncio.Task[None] | None = None
        try:
            await card._open()
            watch = asyncio.create_task(card._watch(), name="card-watch")
            yield card
        finally:
            if watch is not None:
                await cancel(watch)
            await card._close()

    @property
    def gain(self) -> float:
        """Software volume, 0 to 1."""
        return self.output.gain

    @gain.setter
    def gain(self, gain: float) -> None:
        self.output.gain = min(max(gain, 0.0), 1.0)

    @property
    def levels(self) -> Levels:
        """The present levels."""
        return Levels(self.input.meter.dbfs, self.output.meter.dbfs)

    @property
    def player(self) -> OutputPath:
        """Plays the server's replies."""
        return self.output

    def listen(self) -> AsyncGenerator[Samples, None]:
        """As Card says."""
        return self.input.listen()

    def sound(self, samples: Samples, sample_rate_hz: int) -> None:
        """As Card says."""
        self.output.sound(samples, sample_rate_hz)

    def sounds_until(self) -> float:
        """As Card says."""
        return self.output.sounds_until()

    # Opening, and opening again.

    async def _open(self) -> None:
        self._ended = False
        self.rounds += 1
        self._started.clear()
        await _off_loop(self._open_streams)
        with anyio.move_on_after(_START_S) as waiting:
            await self._started.wait()
        if waiting.cancelled_caught:
            silent = self.output_name if self.input.clock.frames else self.input_name
            await self._close()
            raise NoCard(tr("声卡 {name} 打开了，却没有声音进出。请拔下再插上，或换一个", name=silent))
        self._tell(
            "opened", tr("话筒 {input}，喇叭 {output}", input=self.input_name, output=self.output_name)
        )

    def _open_streams(self) -> None:
        devices = self._system.devices()
        microphone = choose_input(devices, self._options.input_name)
        loudspeaker = choose_output(devices, self._options.output_name)
        self.input_name, self.output_name = microphone.name, loudspeaker.name
        began: set[str] = set()
        silent = {"input", "output"}

        # The driver may call before it has said at which rate it runs.
        def hear(block: Block, lost: bool) -> None:
            if "input" in began:
                self._underruns += lost
                self.input.hear(block)
                note("input")

        def fill(block: Block, hole: bool) -> None:
            if "output" in began:
                self._underruns += hole
                self.output.fill(block)
                note("output")
            else:
                block[:] = 0

        def note(direction: str) -> None:
            if direction in silent:
                silent.discard(direction)
                if not silent:
                    self._loop.call_soon_threadsafe(self._started.set)

        # The loudspeaker first: it then has been awake for a while when it is to speak.
        stream = self._system.open_output(loudspeaker, fill, self._end)
        self._streams.append(stream)
        self.output.open(stream.rate_hz, stream.latency_s)
        if self.echo is not None:
            self.echo.open(stream.rate_hz)
        began.add("output")
        try:
            stream = self._system.open_input(microphone, hear, self._end)
        except NoCard:
            self._close_streams()
            raise
        self._streams.append(stream)
        self.input.open(stream.rate_hz)
        began.add("input")

    def _end(self) -> None:
        self._ended = True

    def _close_streams(self) -> None:
        while self._streams:
            self._streams.pop().close()

    async def _close(self) -> None:
        closing = asyncio.ensure_future(_off_loop(self._close_streams))
        await asyncio.wait({closing}, timeout=_CLOSE_S)
        if not closing.done():  # a driver whose device is gone may never come back
            _log.warning("声卡 %s 关不上，不等了", self.output_name)
            closing.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            self._look()
            if self._is_dead():
                await asyncio.sleep(0)  # what was late because this loop was is let in
                if self._is_dead():
                    await self._open_again()

    def _is_dead(self) -> bool:
        last = min(self.input.heard_at, self.output.filled_at)
        return self._ended or self._now() - last > STALLED_S

    async def _open_again(self) -> None:
        self._tell("lost", tr("声卡断开了（{name}），等它回来", name=self._name_of_dead()))
        while True:
            await self._close()
            try:
                await self._open()
                return
            except NoCard as exc:
                _log.debug("%s", exc)
            await asyncio.sleep(_RETRY_S)

    def _name_of_dead(self) -> str:
        is_input = self.input.heard_at <= self.output.filled_at
        return self.input_name if is_input else self.output_name

    def _look(self) -> None:
        muted = self.input.meter.zeros_s > (GATED_S if self.input.meter.heard else MUTED_S)
        if muted != self._muted:
            self._muted = muted
            if muted:
                self._tell(
                    "silent_microphone",
                    tr(
                        "话筒 {name} 一点声音也没有（全是零）：是不是静音了，或选错了设备",
                        name=self.input_name,
                    ),
                )
            else:
                self._tell("microphone_back", tr("话筒有声音了"))
        if self._underruns and self._now() - self._underruns_told_at > _UNDERRUNS_TOLD_EVERY_S:
            count, self._underruns = self._underruns, 0
            self._underruns_told_at = self._now()
            self._tell("underrun", tr("声卡断音 {count} 次：机器太忙", count=count))

    def _tell(self, kind: CardEventKind, text: str) -> None:
        _log.debug("card %s: %s", kind, text)
        self.on_event(CardEvent(kind, text))


async def _off_loop(work: Callable[[], _T]) -> _T:
    """Run `work` in a thread that nobody waits for at the end of the process, since drivers may hang."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def finish(result: _T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as exc:
            error = exc
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=run, name="card-driver", daemon=True).start()
    return await done
