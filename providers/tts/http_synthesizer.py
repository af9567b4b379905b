"""A synthesizer behind one HTTP address: a request for each sentence, the sound as it comes, fixed phrases kept.

What an engine adds is how its request looks; deadlines, a second try, setting a dead server aside and the cache are
the same for all.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx

from xiaozhi_persona.errors import (
    ServiceError,
    ServiceRejected,
    ServiceTimeout,
    ServiceUnavailable,
    SettingsError,
    own_command,
)
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.local_hosts import is_local
from xiaozhi_persona.providers.tts.failures import (
    DOWN,
    LONGEST_COMPLAINT_BYTES,
    ServerFailures,
    Unreachable,
    WrongLength,
    parsed,
)
from xiaozhi_persona.providers.tts.http_speech import Speech, without_silence_s
from xiaozhi_persona.providers.tts.length import is_plausible, longest_s, misfit, predicted_s
from xiaozhi_persona.providers.tts.sound_cache import SoundCache, sound_key
from xiaozhi_persona.spine import Clip, PcmChunk
from xiaozhi_persona.text.measures import whole_characters
from xiaozhi_persona.voice_settings import HttpSpeechSettings

_log = logging.getLogger(__name__)

KEEP_ALIVE_S = 4.0
"""How long an unused connection is kept: shorter than the 5 s after which uvicorn closes it, so that none is found dead."""

RETRY_PAUSE_S = 0.3

LOOK_TIMEOUT_S = 3.0
"""How long a server may take to say what it is; one that is busy speaking may say nothing meanwhile."""


@dataclasses.dataclass(frozen=True)
class SpeechRequest:
    """What is asked of a server for one sentence."""

    method: str
    url: httpx.URL
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    form: Mapping[str, str] = dataclasses.field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    raw_rate_hz: int = 0
    """The rate of samples without a header, where such were asked for."""
    reference: str = ""
    """The path of a recording that the sound depends on."""

    def as_data(self) -> list[Any]:
        """Return everything that changes the sound."""
        return [self.method, str(self.url), self.params, self.form, self.json, self.raw_rate_hz]


@dataclasses.dataclass(frozen=True)
class Look:
    """What is at an address of a server."""

    status: int = 0
    body: bytes = b""
    failure: ServiceError | None = None
    """Unreachable; ServiceTimeout where it was reached and said nothing."""

    @property
    def json(self) -> dict[str, Any]:
        """The body where it is a JSON object, else {}."""
        return parsed(self.body)


class HttpSynthesizer:
    """A Synthesizer. Shared by all devices; made for one event loop."""

    advice = ""

    def __init__(
        self,
        settings: HttpSpeechSettings,
        url: httpx.URL,
        request_of: Callable[[str, Clip], SpeechRequest],
        failures: ServerFailures,
        kind: str,
        cache_dir: Path | None = None,
    ) -> None:
        """`request_of` says how a sentence is asked for, and raises SettingsError; `kind` is what the server is, for people.

        `cache_dir` takes the sound of fixed phrases, up to settings.cache_mb; without it nothing goes to disk. Raises
        SettingsError for a proxy in the environment that cannot be used.
        """
        self.address = f"{url.scheme}://{url.netloc.decode('ascii')}"
        self.name = tr("{kind}（{address}）", kind=kind, address=self.address)
        self._settings = settings
        self._url = url
        self._place = url.netloc.decode("ascii")
        self.request_of = request_of
        self.failures = failures
        self._cache = SoundCache(cache_dir, settings.cache_mb * 1024 * 1024)
        self._client = _client(url, settings.connect_timeout_s)
        self._aside_until = 0.0
        self._last_failure: ServiceError | None = None

    async def load(self) -> None:
        """See whether a program listens at the address. Raises ServiceUnavailable where none does."""
        found = await self.look(self._url.copy_with(path="/"))
        if isinstance(found.failure, Unreachable):
            raise found.failure

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        """Yield the sound of `text` as it is made; closing the iterator closes the request.

        `first_audio_timeout_s` counts from the call, a second try is in it. A failed request is made once more, before
        the first sound only. After a server failed as a whole it is not asked again for `retry_after_s`.

        Raises SettingsError for a voice that cannot be asked for; before the first sound ServiceUnavailable,
        ServiceTimeout and ServiceRejected; after it ServiceBroken.
        """
        text = " ".join(whole_characters(text).replace("\0", " ").split())
        if not any(map(str.isalnum, text)):
            raise ServiceRejected(tr("这一句没有可以念的字，不用合成。"))
        request = self.request_of(text, clip)
        references = [request.reference] if request.reference else []
        key = await asyncio.to_thread(sound_key, request.as_data(), references)
        known = await self._cache.get(key, fixed=clip.fixed)
        if known:
            yield dataclasses.replace(known, source=tr("缓存"))
            return
        predicted = predicted_s(text, clip.speed)
        seconds, chunks = 0.0, []
        async with contextlib.aclosing(self._speak(request, predicted)) as sound:
            async for chunk in sound:
                seconds += len(chunk.samples) / chunk.sample_rate_hz
                chunks.append(chunk)
                yield dataclasses.replace(chunk, source=self._place)
        if is_plausible(seconds, predicted):
            await self._cache.put(key, chunks, fixed=clip.fixed)

    async def look(self, url: httpx.URL, headers: Mapping[str, str] | None = None) -> Look:
        """Ask for what stands at an address of the server. Never raises a ServiceError."""
        deadline = anyio.current_time() + self._settings.connect_timeout_s + LOOK_TIMEOUT_S
        request = self._client.build_request("GET", url, headers=headers)
        try:
            with anyio.fail_after(max(0.0, deadline - anyio.current_time())):
                response = await self._client.send(request, stream=True)
        except TimeoutError:
            return Look(failure=_no_answer())
        except httpx.TransportError as exc:
            return Look(failure=self.failures.unreachable(exc, self._settings.connect_timeout_s))
        async with contextlib.aclosing(response):
            return Look(response.status_code, await _beginning(response, deadline))

    async def clear_cache(self) -> None:
        """Forget all sound that was kept, in memory and on disk."""
        await self._cache.clear()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _speak(self, request: SpeechRequest, predicted: float) -> AsyncGenerator[PcmChunk, None]:
        """Ask, and ask once more; of two sounds of a wrong length the better one is spoken."""
        self._refuse_while_away()
        deadline = anyio.current_time() + self._settings.first_audio_timeout_s
        wrong: list[PcmChunk] = []
        for is_last_try in (False, True):
            is_heard = False
            try:
                async with contextlib.aclosing(self._ask(request, predicted, deadline)) as sound:
                    async for chunk in sound:
                        is_heard = True
                        self._aside_until, self._last_failure = 0.0, None
                        yield chunk
                return
            except ServiceError as exc:
                wrong += [exc.sound] if isinstance(exc, WrongLength) else []
                has_time = deadline - anyio.current_time() > RETRY_PAUSE_S
                if is_heard or not wrong and (is_last_try or not exc.retryable or not has_time):
                    self._note(exc)
                    raise
                if is_last_try or not has_time:
                    break
                _log.info("再试一次：%s", exc)
            await anyio.sleep(RETRY_PAUSE_S)
        better = min(wrong, key=lambda sound: misfit(without_silence_s(sound), predicted))
        most = int(longest_s(predicted) * better.sample_rate_hz)
        yield dataclasses.replace(better, samples=better.samples[:most])

    async def _ask(
        self, request: SpeechRequest, predicted: float, deadline: float
    ) -> AsyncGenerator[PcmChunk, None]:
        late = self.failures.silent(self._settings.first_audio_timeout_s)
        try:
            with anyio.fail_after(max(0.0, deadline - anyio.current_time())):
                response = await self._client.send(self._built(request), stream=True)
        except TimeoutError as exc:
            raise late from exc
        except httpx.TransportError as exc:
            raise self.failures.unreachable(exc, self._settings.connect_timeout_s) from exc
        async with contextlib.aclosing(response):
            if not response.is_success:
                raise self.failures.refusal(response.status_code, await _beginning(response, deadline))
            speech = Speech(
                response,
                self.failures,
                name=self.name,
                predicted_s=predicted,
                deadline=deadline,
                audio_timeout_s=self._settings.audio_timeout_s,
                late=late,
                raw_rate_hz=request.raw_rate_hz and _stated_rate_hz(response, request.raw_rate_hz),
            )
            async with contextlib.aclosing(speech.chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk

    def _built(self, request: SpeechRequest) -> httpx.Request:
        try:
            return self._client.build_request(
                request.method,
                request.url,
                params=request.params or None,
                data=request.form or None,
                json=request.json,
                headers=request.headers,
            )
        except httpx.InvalidURL as exc:  # a query of more than 64 KB
            raise ServiceRejected(tr("句子太长了。")) from exc

    def _note(self, failure: ServiceError) -> None:
        """Set the server aside when it failed as a whole, not only at this sentence."""
        if isinstance(failure, DOWN):
            self._last_failure = failure
            self._aside_until = anyio.current_time() + self._settings.retry_after_s

    def _refuse_while_away(self) -> None:
        if self._client.is_closed:
            raise ServiceUnavailable(tr("和语音合成的连接已经关闭，请重新启动。"))
        left_s = self._aside_until - anyio.current_time()
        if self._last_failure and left_s > 0:
            raise ServiceUnavailable(
                tr(
                    "{reason}。暂时不用它，{left_s:.0f} 秒后再试。",
                    reason=str(self._last_failure).rstrip("。."),
                    left_s=left_s,
                )
            )


def voice_of(default: str, cloning: bool, clip: Clip) -> tuple[str, str]:
    """Return what to send as voice, and the same where it is the path of a recording, else ""."""
    if cloning and clip.reference:
        return clip.reference.path, clip.reference.path
    return clip.voice.name or default, ""


def server_url(written: str, key: str) -> httpx.URL:
    """Return an address of the settings without a slash at its end. Raises SettingsError that names the key."""
    address = written.strip()
    if not address:
        raise SettingsError(
            tr(
                "{key} 还没有写：填上服务器的地址，如 http://192.168.1.9:8020，再运行 {command}。",
                key=key,
                command=own_command("doctor"),
            )
        )
    if "://" not in address:
        address = "http://" + address
    try:
        url = httpx.URL(address)
        is_usable = url.scheme in ("http", "https") and url.host and 0 < (url.port or 80) < 65536
        if is_usable and "%" not in url.host and not any(map(str.isspace, address)):
            return url.copy_with(path=url.path.rstrip("/") or "/", query=None, fragment=None)
    except httpx.InvalidURL:
        pass
    raise SettingsError(
        tr("{key} {written!r} 不是有效的地址。应如 http://192.168.1.9:8020", key=key, written=written)
    )


def _client(url: httpx.URL, connect_timeout_s: float) -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(
            # Reading has its deadlines where it is done, since one per read would let a trickle go on for ever.
            timeout=httpx.Timeout(None, connect=connect_timeout_s),
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_S),
            headers={"Accept-Encoding": "identity"},
            # The proxy of the environment is for the internet, not for a server in the house.
            trust_env=not is_local(url.host),
            # Loading the certificates takes 20 ms, and most servers are plain HTTP.
            verify=url.scheme == "https",
        )
    except (ImportError, ValueError) as exc:
        raise SettingsError(
            tr("用不了环境变量里的代理：{exc}。检查 ALL_PROXY、HTTPS_PROXY，或改用 http:// 的代理。", exc=exc)
        ) from exc


def _no_answer() -> ServiceTimeout:
    return ServiceTimeout(
        tr(
            "接通了，但 {limit_s:g} 秒没有回答。它可能正在说别的话，或者卡住了；看它窗口里的报错。",
            limit_s=LOOK_TIMEOUT_S,
        )
    )


async def _beginning(response: httpx.Response, deadline: float) -> bytes:
    body = b""
    with contextlib.suppress(TimeoutError, httpx.TransportError):
        with anyio.fail_after(max(0.0, deadline - anyio.current_time())):
            async for data in response.aiter_bytes():
                body += data
                if len(body) >= LONGEST_COMPLAINT_BYTES:
                    break
    return body


def _stated_rate_hz(response: httpx.Response, expected_hz: int) -> int:
    """Return the rate of samples without a header: where the content type says one, as audio/pcm;rate=22050, that.

    0 where it says that something else was sent than was asked for.
    """
    kind, *parameters = response.headers.get("content-type", "").lower().split(";")
    if kind.strip() in ("audio/mpeg", "audio/mp3"):
        return 0
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "rate" and value.strip('"').isdigit():
            return int(value.strip('"'))
    return expected_hz
