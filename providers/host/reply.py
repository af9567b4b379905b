"""One reply on its way from the host's text to its audio queue, spoken on our loop.

Sentences are handed over shortly before they are heard: an interruption then leaves little behind, and the face
changes when the voice does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from xiaozhi_persona.audio.opus import decoder_reset
from xiaozhi_persona.providers.speech.pipeline import FRAME_MS, Sentence, SpeechPipeline
from xiaozhi_persona.tasks import cancel_and_wait

log = logging.getLogger(__name__)

HAND_OVER_S = 0.9
"""How long before it is heard a sentence goes to the host, which sends it at its own pace."""

HOST_LEAD_S = 0.3
"""How far the host's sending runs ahead of the ear (PRE_BUFFER_COUNT packets, core/handle/sendAudioHandle.py)."""

_LONGEST_PAUSE_S = 2.0
"""What a pause between two pieces counts as at most: a tool that the model has called may take its time."""
_STOP_MARGIN_S = 0.5
"""How long after the end of a reply a device may still be at its last packets (the host waits 0.12 s for it)."""

_POLL_S = 0.02


class ReplyOutput(Protocol):
    """Where a reply goes. Called on our loop; nothing in it may block."""

    def is_over(self) -> bool:
        """Whether the user interrupted, spoke again or hung up."""
        ...

    def sentence(self, subtitle: str) -> None:
        """A sentence begins."""
        ...

    def packet(self, packet: bytes) -> None:
        """One Opus packet of the sentence."""
        ...

    def face(self, face: str) -> None:
        """Show one of the 21 device emotions now."""
        ...

    def last(self) -> None:
        """All was said."""
        ...


class Reply:
    """Speaks what it is fed. The methods may be called from any one thread; none waits but `wait()`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        open_pipeline: Callable[[], SpeechPipeline],
        output: ReplyOutput,
        *,
        speech_timeout_s: float,
        after_cut: bool,
    ) -> None:
        """`open_pipeline` is called on `loop`. `after_cut`: the device's decoder may stand amid other speech.

        Who is fed for `speech_timeout_s` without anything that can be spoken ends by itself, as if finished.
        """
        self.gave_up = False
        """Whether it has ended by itself."""
        self.leaves_quiet = not after_cut
        """Whether the device's decoder stands in silence: all was played, or nothing was begun."""
        self._after_cut = after_cut
        self._speech_timeout_s = speech_timeout_s
        self._unspoken_s = 0.0  # how long what cannot be spoken has been written
        self._fed_at_s = time.monotonic()
        self._loop = loop
        self._open_pipeline = open_pipeline
        self._output = output
        self._pipeline: SpeechPipeline | None = None
        self._task: asyncio.Task[None] | None = None
        self._spoken = threading.Event()
        self._ends_turn = False
        self._began_s = time.monotonic()
        self._marks: dict[str, float] = {}
        self._plays_until_s = 0.0
        self._is_whole = False  # whether all was handed over, with silence at its end
        self._face = ""
        self._faces: list[asyncio.TimerHandle] = []
        loop.call_soon_threadsafe(self._start)

    def feed(self, text: str) -> None:
        """Take the next piece of the reply, cut anywhere."""
        self._loop.call_soon_threadsafe(self._feed, text)

    def finish(self, *, ends_turn: bool, may_be_silent: bool) -> None:
        """Nothing more will be fed. With `ends_turn` the output is told when all was handed over.

        `may_be_silent`: a reply without a word needs no apology.
        """
        self._loop.call_soon_threadsafe(self._finish, ends_turn, may_be_silent)

    def wait(self, timeout_s: float) -> bool:
        """Return whether all was handed over, or the reply was ended, within that time. Blocks."""
        return self._spoken.wait(timeout_s)

    def cancel(self) -> None:
        """End it: the request is closed, and nothing more is handed over."""
        self._loop.call_soon_threadsafe(self._cancel)

    def _start(self) -> None:
        try:
            self._pipeline = self._open_pipeline()
        except Exception:
            log.exception("这个回答说不了")
            self._spoken.set()
            return
        self._task = self._loop.create_task(self._run(self._pipeline), name="host-reply")

    def _feed(self, text: str) -> None:
        self._mark("first_text")
        if self._pipeline is None or self.gave_up:
            return
        before, now = self._pipeline.characters, time.monotonic()
        self._pipeline.feed(text)
        spoken = self._pipeline.characters > before
        self._unspoken_s = 0.0 if spoken else self._unspoken_s + min(now - self._fed_at_s, _LONGEST_PAUSE_S)
        self._fed_at_s = now
        if self._unspoken_s > self._speech_timeout_s:
            log.warning(
                "对话模型 %.0f 秒没有写出能说的话，这一轮到此为止。请让它不要思考。", self._speech_timeout_s
            )
            self._finish(ends_turn=True, may_be_silent=False)
            self.gave_up = True

    def _finish(self, ends_turn: bool, may_be_silent: bool) -> None:
        if self.gave_up:
            return
        self._ends_turn = ends_turn
        if self._pipeline is not None:
            self._pipeline.finish(may_be_silent=may_be_silent)
        if self._spoken.is_set():
            self._end_turn()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self, pipeline: SpeechPipeline) -> None:
        try:
            async with contextlib.aclosing(pipeline):
                speaking = asyncio.create_task(self._speak_all(pipeline), name="host-speaking")
                try:
                    while not speaking.done() and not self._output.is_over():
                        await asyncio.wait({speaking}, timeout=_POLL_S)
                finally:
                    await cancel_and_wait(speaking)
        except Exception:
            log.exception("这个回答说不下去了")
        finally:
            self._pipeline = None
            self._spoken.set()
            if self._output.is_over():
                for timer in self._faces:
                    timer.cancel()
            else:
                self._end_turn()
            if self._marks:
                marks = "，".join(f"{name} {ms:.0f}" for name, ms in self._marks.items())
                log.info("一轮（毫秒）：%s", marks)
        await self._play_out()

    async def _play_out(self) -> None:
        """Watch until the device has played what was handed over: an interruption up to then cuts it all the same."""
        while self._is_whole and not self._output.is_over():
            if time.monotonic() > self._plays_until_s + _STOP_MARGIN_S:
                self.leaves_quiet = True
                return
            await asyncio.sleep(_POLL_S)

    def _end_turn(self) -> None:
        if self._ends_turn and not self._output.is_over():
            self._ends_turn = False
            self._output.last()

    async def _speak_all(self, pipeline: SpeechPipeline) -> None:
        async for sentence in pipeline:
            self._mark("first_sentence")
            await self._speak(sentence)
        if self._plays_until_s and not self._output.is_over():
            if not pipeline.ends_quietly:  # here nobody waits for it; before the next reply somebody would
                self._hand_over(decoder_reset(FRAME_MS), time.monotonic())
            self._is_whole = True

    async def _speak(self, sentence: Sentence) -> None:
        wait_s = self._plays_until_s - HAND_OVER_S - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        is_announced = False
        async with contextlib.aclosing(sentence.packets()) as packets:
            async for packet in packets:
                if self._output.is_over():
                    return
                now = time.monotonic()
                if not is_announced:
                    is_announced = True
                    self._marks.setdefault("request", (sentence.requested_at_s - self._began_s) * 1000)
                    self._mark("first_audio")
                    self._announce(sentence, now)
                if self._after_cut:
                    self._after_cut = False
                    self._hand_over(decoder_reset(FRAME_MS), now)
                self._hand_over(packet, now)
        if not is_announced and not self._output.is_over():
            self._announce(sentence, time.monotonic())  # it has no sound, but it can be read

    def _hand_over(self, packet: bytes, now: float) -> None:
        self.leaves_quiet = False
        self._output.packet(packet)
        self._plays_until_s = max(self._plays_until_s, now) + FRAME_MS / 1000

    def _announce(self, sentence: Sentence, now: float) -> None:
        face = sentence.clip.face
        if face != self._face:
            self._face = face
            due_s = self._plays_until_s - HOST_LEAD_S - now
            self._faces.append(self._loop.call_later(max(0.0, due_s), self._output.face, face))
        self._output.sentence(sentence.subtitle)

    def _mark(self, name: str) -> None:
        self._marks.setdefault(name, (time.monotonic() - self._began_s) * 1000)
