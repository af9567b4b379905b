"""One GPT-SoVITS server: which API it speaks, what weights it holds, and one sentence at a time.

The servers keep the reference in state that all requests share and have no lock: two requests at once mix voices. So
a lock is held from the change of weights to the end of the sentence, and the next sentence waits until the step of an
abandoned one has ended (pace.py). Mode 0 needs no such wait: the server works it off before it reads the next request.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import anyio
import httpx

from xiaozhi_persona.errors import ServiceError, ServiceRejected, ServiceTimeout
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.tts.failures import DOWN, LONGEST_COMPLAINT_BYTES
from xiaozhi_persona.providers.tts.gpt_sovits import failures
from xiaozhi_persona.providers.tts.gpt_sovits.dialect import Dialect, ask_dialect, guesses
from xiaozhi_persona.providers.tts.gpt_sovits.pace import Pace
from xiaozhi_persona.providers.tts.gpt_sovits.utterance import Utterance
from xiaozhi_persona.providers.tts.gpt_sovits.weights import HeldWeights
from xiaozhi_persona.providers.tts.http_speech import Speech
from xiaozhi_persona.spine import PcmChunk
from xiaozhi_persona.voice_settings import GptSovitsSettings

_log = logging.getLogger(__name__)

PROBE_TIMEOUT_S = 2.0
"""How long /openapi.json may take; a server that is at work for somebody else in mode 0 answers nothing."""


class Server:
    """A server at one address. Made for one event loop."""

    def __init__(self, url: str, client: httpx.AsyncClient, settings: GptSovitsSettings) -> None:
        """`url` is as base_url() of pool.py gives it."""
        self.place = httpx.URL(url).netloc.decode("ascii")
        """Host and port, for messages."""
        self.load = 0
        """Sentences that are spoken or wait here."""
        self.aside_until = 0.0
        """Not asked before this time (anyio's clock)."""
        self.last_failure: ServiceError | None = None
        """Why it was set aside; None when it works."""
        self._url = url
        self._client = client
        self._settings = settings
        self._lock = asyncio.Lock()
        self._pace = Pace()
        self._free_at = 0.0
        self._dialects: Sequence[Dialect] = ()
        """What is tried, the first first; one when it is certain, none when nothing is known."""
        self.weights = HeldWeights(url, self.place, client, settings)

    async def speak(self, utterance: Utterance, deadline: float) -> AsyncGenerator[PcmChunk, None]:
        """Yield the sound of a sentence; closing the iterator closes the request.

        `deadline` is that of the first sound, on anyio's clock; waiting for other sentences, for weights and for the
        probe counts. Raises the errors of failures.py; only ServiceBroken and Stalled come after the first sound.
        """
        self.load += 1
        try:
            await self._acquire(deadline)
            try:
                async with contextlib.aclosing(self._speak(utterance, deadline)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except DOWN:
                self._forget()
                raise
            finally:
                self._lock.release()
        finally:
            self.load -= 1

    async def dialect(self, deadline: float) -> Dialect:
        """Return the API that the server speaks, or the first guess.

        Raises Unreachable; Silent for a server that has failed before and does not answer now; ServiceRejected when
        the settings name the other API.
        """
        if not self._dialects:
            found = await self._described(deadline)
            if found and self._settings.api not in ("auto", found.api):
                script = tr("api.py（v1）") if found.api == "v1" else tr("api_v2.py（v2）")
                raise ServiceRejected(
                    tr(
                        "GPT-SoVITS {place} 运行的是 {script}：把 gpt_sovits.api 改成 auto 或 {api}。",
                        place=self.place,
                        script=script,
                        api=found.api,
                    )
                )
            self._dialects = (found,) if found else guesses(self._settings.api)
        return self._dialects[0]

    async def aclose(self) -> None:
        """End what still goes on here."""
        await self.weights.aclose()

    async def _acquire(self, deadline: float) -> None:
        try:
            with _until(deadline):
                await self._lock.acquire()
        except TimeoutError as exc:
            raise self._busy() from exc
        try:
            if self._free_at > anyio.current_time():
                if self._free_at > deadline:
                    await anyio.sleep_until(deadline)
                    raise self._busy()
                await anyio.sleep_until(self._free_at)
        except BaseException:
            self._lock.release()
            raise

    async def _speak(self, utterance: Utterance, deadline: float) -> AsyncGenerator[PcmChunk, None]:
        await self.weights.ensure(utterance.weights, await self.dialect(deadline), deadline)
        asked_at = anyio.current_time()
        while True:
            dialect = self._dialects[0]
            answer = await self._ask(dialect, utterance, asked_at, deadline)
            if answer is None:
                continue  # another dialect or mode is first now
            is_whole = dialect.api == "v2" and utterance.streaming_mode == 0
            try:
                sound = answer.speech.chunks(is_whole=is_whole)
                async with contextlib.aclosing(answer.response), contextlib.aclosing(sound) as chunks:
                    async for chunk in chunks:
                        self._dialects = (dialect,)
                        yield chunk
            finally:
                if not answer.speech.is_over:
                    self._abandon(dialect, utterance)
            return

    async def _ask(
        self, dialect: Dialect, utterance: Utterance, asked_at: float, deadline: float
    ) -> _Answer | None:
        """Post the sentence; None when it is to be asked in another way. Raises for every refusal."""
        request = self._client.build_request("POST", self._at(dialect.path), json=dialect.body(utterance))
        late = self._late(asked_at, deadline)
        self._pace.begin()
        is_answered = False
        try:
            with _until(deadline):
                response = await self._client.send(request, stream=True)
            is_answered = True
        except TimeoutError as exc:
            raise late from exc
        except httpx.TransportError as exc:
            is_answered = True
            raise failures.connection_failure(exc, self.place, self._settings.connect_timeout_s) from exc
        finally:
            if not is_answered:
                self._abandon(dialect, utterance)
        if response.is_success:
            speech = Speech(
                response,
                failures.SovitsFailures(self.place),
                name=f"GPT-SoVITS {self.place}",
                predicted_s=utterance.predicted_s,
                deadline=deadline,
                audio_timeout_s=self._settings.audio_timeout_s,
                late=late,
                arrived=self._pace.arrived,
                listener_took=self._pace.listener_took,
            )
            return _Answer(response, speech)
        async with contextlib.aclosing(response):
            body = await self._complaint(response, deadline)
        if self._asks_otherwise(response.status_code, body):
            return None
        raise failures.failure_of(response.status_code, body, self.place)

    async def _complaint(self, response: httpx.Response, deadline: float) -> bytes:
        body = b""
        with contextlib.suppress(TimeoutError, httpx.TransportError), _until(deadline):
            async for data in response.aiter_bytes():
                body += data
                if len(body) >= LONGEST_COMPLAINT_BYTES:
                    break
        return body

    def _asks_otherwise(self, status: int, body: bytes) -> bool:
        """Draw the conclusion of a refusal; return whether to ask once more."""
        dialect, *others = self._dialects
        if status == 422 and dialect.knows_chunks and failures.refuses(body, "streaming_mode"):
            _log.info("GPT-SoVITS %s 不认流式方式 2、3，改用 1", self.place)
            self._dialects = (dataclasses.replace(dialect, knows_chunks=False),)
            return True
        is_elsewhere = status in (404, 405)
        if dialect.api == "v1":
            is_elsewhere = is_elsewhere or failures.wants_v2_names(body)
        if is_elsewhere and others:
            self._dialects = others
            return True
        if is_elsewhere:
            self._dialects = ()
        return False

    async def _described(self, deadline: float) -> Dialect | None:
        probe_ends = min(deadline, anyio.current_time() + PROBE_TIMEOUT_S)
        try:
            with _until(probe_ends):
                found, _ = await ask_dialect(self._client, self._url)
        except TimeoutError as exc:
            if self.last_failure or anyio.current_time() >= deadline:
                raise failures.silent(self.place, PROBE_TIMEOUT_S) from exc
            return None
        except httpx.TransportError as exc:
            raise failures.connection_failure(exc, self.place, self._settings.connect_timeout_s) from exc
        return found

    def _abandon(self, dialect: Dialect, utterance: Utterance) -> None:
        """A request was closed while the server works at it."""
        if dialect.api == "v1" or utterance.streaming_mode != 0:
            self._free_at = self._pace.step_ends_at()

    def _forget(self) -> None:
        """It failed as a whole: when it is back it may be another release, with other weights."""
        self._dialects = ()
        self.weights.forget()

    def _late(self, asked_at: float, deadline: float) -> ServiceError:
        """The error for no sound by the deadline; it is the server's fault when it had at least half the time."""
        limit_s = self._settings.first_audio_timeout_s
        return failures.silent(self.place, limit_s) if deadline - asked_at >= limit_s / 2 else self._busy()

    def _busy(self) -> ServiceTimeout:
        return ServiceTimeout(
            tr(
                "GPT-SoVITS {place} 正忙着说别的话，没有轮到这一句。"
                "多设几台 gpt_sovits.servers，或调大 gpt_sovits.first_audio_timeout_s。",
                place=self.place,
            )
        )

    def _at(self, path: str) -> str:
        return self._url + path


@dataclasses.dataclass(frozen=True)
class _Answer:
    response: httpx.Response
    speech: Speech


def _until(deadline: float) -> contextlib.AbstractContextManager[Any]:
    # Not asyncio.wait_for: before Python 3.12 it can swallow a cancellation that comes together with the result.
    return anyio.fail_after(max(0.0, deadline - anyio.current_time()))
