"""eSpeak NG from the wheel `espeakng-loader`: a robotic voice that needs no server and no model.

API: espeak-ng, src/include/espeak-ng/speak_lib.h.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import re
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xiaozhi_persona.checks import Check, failed
from xiaozhi_persona.errors import PackageMissing, PersonaError, ServiceUnavailable, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.tts.synthesizer import SeenServer, Synthesizer
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip, PcmChunk, Samples
from xiaozhi_persona.voice_settings import EspeakSettings

_JAPANESE = re.compile(r"[\u3040-\u30ff]")
_CHINESE = re.compile(r"[\u3400-\u9fff]")


_MIN_WPM, _MAX_WPM = 80, 450


@dataclass(frozen=True)
class _Prosody:
    """How an emotion changes the voice."""

    pitch: int = 0
    """Added to the pitch of 0 to 99."""
    rate: float = 1.0
    """Factor on the words per minute."""
    range: int = 50
    """Liveliness of the melody, 0 to 99."""
    volume: int = 100


_PROSODY = {
    "高兴": _Prosody(18, 1.10, 75),
    "悲伤": _Prosody(-20, 0.78, 25, 80),
    "愤怒": _Prosody(-5, 1.15, 85, 130),
    "惊讶": _Prosody(28, 1.08, 90),
    "恐惧": _Prosody(22, 1.20, 40, 85),
    "厌恶": _Prosody(-15, 0.92, 60),
    "害羞": _Prosody(12, 0.88, 35, 75),
    "兴奋": _Prosody(25, 1.22, 90, 115),
    "舒适": _Prosody(-6, 0.88, 45, 90),
    "紧张": _Prosody(12, 1.18, 35),
    "爱慕": _Prosody(8, 0.90, 65, 90),
    "委屈": _Prosody(6, 0.80, 30, 80),
    "骄傲": _Prosody(-4, 0.96, 80, 110),
    "困惑": _Prosody(10, 0.92, 70),
}


def open_engine(settings: Settings) -> Synthesizer:
    """Return the synthesizer; the library is loaded when it is needed."""
    return EspeakSynthesizer(settings.espeak)


def takes_pace(settings: Settings) -> bool:
    """Every sentence is said at its own rate."""
    return True


def servers(settings: Settings) -> Mapping[str, Settings]:
    """It asks none."""
    return {}


async def look(settings: Settings) -> Sequence[SeenServer]:
    """It asks none."""
    return []


async def check(settings: Settings, roles: Sequence[Role]) -> AsyncIterator[Check]:
    """Say a word; no role changes it."""
    began, samples = time.monotonic(), 0
    try:
        async with contextlib.aclosing(
            EspeakSynthesizer(settings.espeak).synthesize("你好。", Clip())
        ) as sound:
            async for chunk in sound:
                samples += len(chunk.samples)
    except PersonaError as exc:
        is_needed = "espeak" in (settings.tts.engine, settings.tts.fallback)
        yield failed("eSpeak", exc, "error" if is_needed else "warning")
        return
    yield Check("ok", "eSpeak", tr("说得出话（{value:.0f} 毫秒）", value=(time.monotonic() - began) * 1000))


class EspeakSynthesizer:
    """Speaks Chinese, English and Japanese sentences; the emotion changes pitch, speed, melody and loudness."""

    def __init__(self, settings: EspeakSettings) -> None:
        self._settings = settings
        self.name = tr("eSpeak NG：机器声")
        self.advice = tr("tts.engine 设为 gpt_sovits")

    async def load(self) -> None:
        """Load the library. Raises PackageMissing without the wheel, ServiceUnavailable when it does not start."""
        await asyncio.to_thread(load_engine)

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        """Yield the whole sentence as one chunk: it is made a thousand times faster than it plays.

        Raises PackageMissing without the wheel, ServiceUnavailable when eSpeak refuses.
        """
        prosody = _PROSODY.get(clip.emotion, _Prosody())
        voice = self._voice(text)
        rate = round(min(max(self._settings.rate_wpm * prosody.rate * clip.speed, _MIN_WPM), _MAX_WPM))
        pitch = min(99, max(0, self._settings.pitch + prosody.pitch))
        engine = await asyncio.to_thread(load_engine)
        samples = await asyncio.to_thread(
            engine.speak, text, voice, rate, pitch, prosody.range, prosody.volume
        )
        if len(samples):
            yield PcmChunk(samples, engine.sample_rate_hz, "eSpeak NG")

    async def clear_cache(self) -> None:
        """Nothing is kept."""

    async def aclose(self) -> None:
        """Nothing is open."""

    def _voice(self, text: str) -> str:
        if _JAPANESE.search(text):
            return "ja"
        return self._settings.voice if _CHINESE.search(text) else "en-us"


class _Engine:
    """The library. It keeps its state in globals, so there is one for the process, used by one thread at a time."""

    _SYNCHRONOUS, _UTF8 = 2, 1
    _RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
    _Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

    def __init__(self, library: str, data: str) -> None:
        self._lock = threading.Lock()
        self._parts: list[Samples] = []
        self._library = ctypes.CDLL(library)
        self.sample_rate_hz: int = self._library.espeak_Initialize(self._SYNCHRONOUS, 0, data.encode(), 0)
        if self.sample_rate_hz <= 0:
            raise ServiceUnavailable(
                tr(
                    "eSpeak 启动不了，它的数据文件夹是 {data}。可重装：{pip_install}",
                    data=data,
                    pip_install=pip_install("-U", "espeakng-loader"),
                )
            )
        self._callback = self._Callback(self._take)  # must live as long as the library may call it
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(
        self, text: str, voice: str, rate_wpm: int, pitch: int, pitch_range: int, volume: int
    ) -> Samples:
        """Return the sound of `text`. Raises ServiceUnavailable for an unknown voice."""
        with self._lock:
            if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise ServiceUnavailable(
                    tr("eSpeak 没有语音 {voice!r}，请改 espeak.voice，如 cmn-latn-pinyin", voice=voice)
                )
            for parameter, value in (
                (self._RATE, rate_wpm),
                (self._VOLUME, volume),
                (self._PITCH, pitch),
                (self._RANGE, pitch_range),
            ):
                self._library.espeak_SetParameter(parameter, value, 0)
            self._parts = []
            data = text.replace("\0", " ").encode("utf-8", "ignore") + b"\0"
            if self._library.espeak_Synth(data, len(data), 0, 0, 0, self._UTF8, None, None) != 0:
                raise ServiceUnavailable(tr("eSpeak 没有合成这一句"))
            parts, self._parts = self._parts, []
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: int) -> int:
        if samples and count > 0:
            # numpy.ctypeslib would make a type for each length, and ctypes keeps every one for good.
            self._parts.append(np.frombuffer(ctypes.string_at(samples, 2 * count), np.int16))
        return 0


_loading = threading.Lock()


def load_engine() -> _Engine:
    """Return the library, loaded at the first call. Raises PackageMissing without the wheel, ServiceUnavailable."""
    with _loading:  # functools.cache alone lets two first callers in, and the library has one state
        return _load_engine()


@functools.cache
def _load_engine() -> _Engine:
    try:
        import espeakng_loader
    except ImportError as exc:
        raise PackageMissing(
            tr("没有 eSpeak：运行 {pip_install}", pip_install=pip_install("espeakng-loader"))
        ) from exc
    return _Engine(espeakng_loader.get_library_path(), str(espeakng_loader.get_data_path()))
