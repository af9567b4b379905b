"""A model shared by all connections: a bounded queue before a set number of threads.

The queue is first come, first served. That is fair as long as each device has at most one utterance in it, which the
bridge and the host's connections see to: a new utterance ends the turn of the one before.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import math
import re
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import anyio
import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.errors import (
    PersonaError,
    ServiceError,
    ServiceTimeout,
    ServiceUnavailable,
    first_line,
)
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.asr.transcripts import join_transcripts
from xiaozhi_persona.providers.asr.utterance import RATE_HZ, count_pieces, has_sound, pieces_of
from xiaozhi_persona.settings import AsrSettings
from xiaozhi_persona.spine import Samples, SpeechRecognizer, Transcript

_RETRY_S = 60.0
_CLOSE_S = 10.0
"""How long closing waits for a model that is just being read: to end the process within that may abort it (C++)."""
_NO_MEMORY = re.compile(r"bad.alloc|allocat|out of memory", re.IGNORECASE)
_FIRST_RUN_S = 120.0
"""A graphics card may have to be made ready."""

Floats = NDArray[np.float32]
"""Mono sound at 16 kHz, full scale 1.0, shape (n,)."""


class Recognizer(SpeechRecognizer, Protocol):
    """A recognizer that is opened and closed."""

    @property
    def name(self) -> str:
        """What it is, for people, with its address where it has one."""
        ...

    @property
    def advice(self) -> str:
        """Which setting replaces it by a better one; "" for one that the user has chosen."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, or is being closed."""
        ...

    async def load(self) -> None:
        """Make ready for the first utterance. Raises SettingsError, PackageMissing, ServiceError."""
        ...

    async def aclose(self) -> None:
        """End threads and connections."""
        ...


class Model(Protocol):
    """A loaded model. It is called from several threads at once."""

    def recognize(self, sound: Floats) -> Transcript:
        """Recognize up to 30 s. Any exception stands for this utterance only."""
        ...


class ModelRecognizer:
    """Recognizes with a model of this process, `settings.workers` utterances at once."""

    def __init__(
        self,
        name: str,
        settings: AsrSettings,
        load_model: Callable[[], Model],
        closing: threading.Event | None = None,
        advice: str = "",
    ) -> None:
        """`load_model` runs in a thread, raises PersonaError, and ends early when `closing` is set."""
        self.name, self.advice = name, advice
        self._settings = settings
        self._load_model = load_model
        self._closing = closing or threading.Event()
        self._loading: Future[Model] | None = None
        self._loader: threading.Thread | None = None
        self._retry_at_s = math.inf
        self._places = threading.BoundedSemaphore(settings.workers + settings.queue_utterances)
        self._executor = ThreadPoolExecutor(settings.workers, thread_name_prefix="asr")
        self._order = asyncio.Lock()  # of those who wait for the model: it lets them go on as they came

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, or is being closed."""
        return self._closing.is_set()

    async def load(self) -> None:
        """Load the model and run it once, so that the first utterance need not wait.

        Raises what `load_model` raises, and ServiceError.
        """
        model = await self._loaded()
        job = _Job(np.random.default_rng(0).normal(0, 33, RATE_HZ).astype(np.int16))  # noise of -60 dB
        try:
            with anyio.fail_after(_FIRST_RUN_S):  # anyio too loads something at its first use
                loop = asyncio.get_running_loop()
                outcome = await loop.run_in_executor(self._executor, self._work, model, job)
        except TimeoutError as exc:
            raise ServiceTimeout(
                tr("语音识别的模型试跑超过 {FIRST_RUN_S:g} 秒，请换小一些的模型。", FIRST_RUN_S=_FIRST_RUN_S)
            ) from exc
        if isinstance(outcome, ServiceError):
            raise outcome

    async def transcribe(self, pcm16k: Samples) -> Transcript:
        """Recognize one utterance of 16 kHz mono sound; no text when there is no speech in it.

        Raises ServiceUnavailable (too many are waiting, or the model failed), ServiceTimeout.
        """
        if not has_sound(pcm16k):
            return Transcript("")
        if not self._places.acquire(blocking=False):
            raise ServiceUnavailable(
                tr(
                    "语音识别太忙：已有 {queue_utterances} 句在排队。请稍后再说，或调大 asr.workers、换小一些的模型。",
                    queue_utterances=self._settings.queue_utterances,
                )
            )
        job = _Job(pcm16k)
        timeout_s = self._settings.timeout_s * count_pieces(pcm16k)
        try:
            with anyio.fail_after(timeout_s):
                outcome = await self._outcome(job)
        except TimeoutError as exc:
            if self._loading and not self._loading.done():
                raise ServiceTimeout(
                    tr(
                        "语音识别的模型 {timeout_s:g} 秒还没有读好，第一次用时要下载它。请稍后再说。",
                        timeout_s=timeout_s,
                    )
                ) from exc
            raise ServiceTimeout(
                tr(
                    "语音识别超过 {timeout_s:g} 秒，可调大 asr.timeout_s 或换小一些的模型。",
                    timeout_s=timeout_s,
                )
            ) from exc
        except PersonaError as exc:  # of loading: who speaks is not told to mend the settings
            raise ServiceUnavailable(str(exc)) from None
        finally:
            job.sound = None
        if isinstance(outcome, ServiceError):
            raise outcome
        assert isinstance(outcome, Transcript)
        return outcome

    async def aclose(self) -> None:
        """End the threads."""
        self._closing.set()
        if self._loading and self._loader:
            # Joined in no other thread, for which the end of the process would wait; it is at its end by then.
            with contextlib.suppress(PersonaError, asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.wrap_future(self._loading), _CLOSE_S)
            if self._loading.done():
                self._loader.join()
        await asyncio.to_thread(self._executor.shutdown)  # one may be in a long utterance

    async def _outcome(self, job: _Job) -> Transcript | ServiceError | None:
        """Queue a job, and wait for it. Its place is given back when a thread has done with it, or when it is given up
        before a thread has begun."""
        try:
            async with self._order:
                model = await self._loaded()
                future = self._executor.submit(self._work, model, job)
        except BaseException:
            self._places.release()
            raise
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    async def _loaded(self) -> Model:
        """Return the model, which is loaded once. Raises what `load_model` raised, and ServiceUnavailable."""
        if self.is_closed:
            raise closed()
        if self._loading is None or (self._loading.done() and time.monotonic() >= self._retry_at_s):
            self._loading, self._retry_at_s = Future(), math.inf
            self._loading.set_running_or_notify_cancel()  # who waits no longer does not end it for the others
            # None of the executor's, for which the end of the process would wait: reading may take long.
            self._loader = threading.Thread(
                target=self._load, args=(self._loading,), name="asr-load", daemon=True
            )
            self._loader.start()
        if self._loading.done():
            if failure := self._loading.exception():
                # Else it would hold every frame through which it ever went.
                raise failure.with_traceback(None)
            return self._loading.result()
        model = await asyncio.wrap_future(self._loading)
        if self.is_closed:
            raise closed()
        return model

    def _load(self, loading: Future[Model]) -> None:
        try:
            model = self._load_model()
            _return_freed_memory()
        except BaseException as exc:
            failure = exc if isinstance(exc, PersonaError) and not lacks_memory(exc) else _broken(exc)
            # A network may come back; a missing package stays missing until the next start.
            if isinstance(failure, ServiceError):
                self._retry_at_s = time.monotonic() + _RETRY_S
            loading.set_exception(failure)
        else:
            loading.set_result(model)

    def _work(self, model: Model, job: _Job) -> Transcript | ServiceError | None:
        """Recognize piece by piece for as long as somebody waits; what goes wrong is returned, for nobody may wait."""
        heard: list[Transcript] = []
        try:
            sound = job.sound
            for piece in pieces_of(sound) if sound is not None else ():
                if self.is_closed:
                    return closed()
                if job.sound is None:
                    return None
                if has_sound(piece):
                    heard.append(model.recognize(piece.astype(np.float32) / np.float32(32768)))
            return join_transcripts(heard) if heard else Transcript("")
        except BaseException as exc:  # SystemExit too: it would end the event loop of who waits
            return _broken(exc)


class _Job:
    """An utterance in the queue; its sound is taken away when nobody waits for it any more."""

    def __init__(self, sound: Samples) -> None:
        self.sound: Samples | None = sound


def _return_freed_memory() -> None:
    """Give the system back what loading has freed. FunASR with torch holds a model three times while it loads it, and
    glibc would keep two thirds of that."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # musl has none
            ctypes.CDLL(None).malloc_trim(0)


def closed() -> ServiceUnavailable:
    """Return what is told of a recognizer that was closed."""
    return ServiceUnavailable(tr("语音识别已经关闭，请重新启动。"))


def lacks_memory(exc: BaseException) -> bool:
    """Whether a model failed because no memory was left."""
    error: BaseException | None = exc
    while error is not None:
        # Not by words of ours, which have the user's paths in them.
        is_ours = isinstance(error, PersonaError)
        if isinstance(error, MemoryError) or (not is_ours and _NO_MEMORY.search(str(error))):
            return True
        error = error.__cause__
    return False


def _broken(exc: BaseException) -> ServiceUnavailable:
    if lacks_memory(exc):
        return ServiceUnavailable(
            tr("语音识别时内存不够。请换量化的或小一些的模型，减小 asr.workers，或关掉别的程序。")
        )
    return ServiceUnavailable(
        tr("语音识别出错：{exc}。请再说一次；总是这样就换一个模型或重新下载它。", exc=first_line(exc))
    )
