"""eSpeak NG: sound for three languages, emotions that are heard, and what it refuses."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xiaozhi_persona.bridge.parts import build_parts
from xiaozhi_persona.errors import PackageMissing, ServiceUnavailable
from xiaozhi_persona.providers.tts import espeak
from xiaozhi_persona.providers.tts.engine import open_synthesizer
from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip, Samples
from xiaozhi_persona.text.emotions import LABELS
from xiaozhi_persona.voice_settings import EspeakSettings

SENTENCE = "今天我们一起去公园玩好不好"
RATE_HZ = 22050


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(espeak, "_load_engine", espeak._load_engine.__wrapped__)


async def spoken(text: str, emotion: str = "", **settings: Any) -> Samples:
    synthesizer = EspeakSynthesizer(EspeakSettings(**settings))
    chunks = [chunk async for chunk in synthesizer.synthesize(text, Clip(emotion))]
    assert all(chunk.sample_rate_hz == RATE_HZ and chunk.samples.dtype == np.int16 for chunk in chunks)
    return np.concatenate([np.zeros(0, np.int16), *(chunk.samples for chunk in chunks)])


def loudness(sound: Samples) -> float:
    return float(np.sqrt(np.mean(sound.astype(float) ** 2)))


def pitch_hz(sound: Samples) -> float:
    """The middle pitch of the voiced stretches of 50 ms, by autocorrelation."""
    pitches = []
    shortest, longest = RATE_HZ // 400, RATE_HZ // 60
    for part in np.array_split(sound.astype(float), len(sound) // (RATE_HZ // 20)):
        part = part - part.mean()
        likeness = np.correlate(part, part, "full")[len(part) - 1 :]
        best = shortest + int(np.argmax(likeness[shortest:longest]))
        if loudness(part) > 500 and likeness[best] > 0.5 * likeness[0]:
            pitches.append(RATE_HZ / best)
    return float(np.median(pitches))


@pytest.mark.parametrize(
    "text", ["今天天气很好", "The weather is fine", "こんにちは、元気ですか", "我喜欢 Python", "3.14"]
)
async def test_every_language_is_heard(text: str) -> None:
    sound = await spoken(text)
    assert len(sound) > 0.4 * RATE_HZ
    assert loudness(sound) > 1000


async def test_the_language_chooses_the_voice() -> None:
    # The Chinese voice would read Latin words letter by letter, and an unknown one cannot be used at all.
    await spoken("Hello", voice="no-such-voice")
    await spoken("こんにちは", voice="no-such-voice")
    with pytest.raises(ServiceUnavailable):
        await spoken("你好", voice="no-such-voice")


@pytest.mark.parametrize(
    ("emotion", "faster", "higher"),
    [
        ("高兴", True, True),
        ("兴奋", True, True),
        ("惊讶", True, True),
        ("悲伤", False, False),
        ("恐惧", True, True),
    ],
)
async def test_an_emotion_changes_speed_and_pitch(emotion: str, faster: bool, higher: bool) -> None:
    plain, moved = await spoken(SENTENCE), await spoken(SENTENCE, emotion)
    speed, pitch = len(plain) / len(moved), pitch_hz(moved) / pitch_hz(plain)
    assert speed > 1.05 if faster else speed < 0.95
    assert pitch > 1.1 if higher else pitch < 0.95


async def test_no_two_labels_sound_alike() -> None:
    sounds = {label: await spoken(SENTENCE, label) for label in LABELS}
    heard = {label: (len(s) / RATE_HZ, pitch_hz(s), loudness(s)) for label, s in sounds.items()}
    for label, (seconds, pitch, strength) in heard.items():
        for other, (other_seconds, other_pitch, other_strength) in heard.items():
            assert label == other or (
                abs(seconds / other_seconds - 1) > 0.01
                or abs(pitch / other_pitch - 1) > 0.03
                or abs(strength / other_strength - 1) > 0.05
            ), f"{label} {other}"


async def test_neutral_and_unknown_emotions_are_the_plain_voice() -> None:
    plain = await spoken(SENTENCE)
    for emotion in ("中性", "没有这种感情"):
        other = await spoken(SENTENCE, emotion)
        assert len(other) == pytest.approx(len(plain), rel=0.01)
        assert pitch_hz(other) == pytest.approx(pitch_hz(plain), rel=0.05)


async def test_the_settings_change_the_voice() -> None:
    plain = await spoken(SENTENCE)
    assert len(await spoken(SENTENCE, rate_wpm=350)) < 0.7 * len(plain)
    assert pitch_hz(await spoken(SENTENCE, pitch=90)) > 1.2 * pitch_hz(plain)
    assert loudness(await spoken(SENTENCE, "高兴", rate_wpm=450, pitch=99)) > 1000
    assert loudness(await spoken(SENTENCE, "悲伤", rate_wpm=80, pitch=0)) > 1000


async def test_one_sentence_leaves_nothing_to_the_next() -> None:
    before = await spoken(SENTENCE)
    await spoken("Completely different!", "兴奋")
    await spoken("さようなら", "悲伤")
    after = await spoken(SENTENCE)
    assert len(after) == pytest.approx(len(before), rel=0.01)
    assert pitch_hz(after) == pytest.approx(pitch_hz(before), rel=0.05)


async def test_an_unknown_voice_names_the_setting() -> None:
    with pytest.raises(ServiceUnavailable, match=r"'no-such-voice'.*espeak\.voice"):
        await spoken("你好", voice="no-such-voice")
    assert loudness(await spoken("你好")) > 1000


@pytest.mark.parametrize("text", ["", " ", "\0", "。", "\ud800"])
async def test_what_has_no_sound_is_silence(text: str) -> None:
    sound = await spoken(text)
    assert len(sound) < 0.2 * RATE_HZ
    assert not np.any(sound)


async def test_a_nul_does_not_cut_the_sentence() -> None:
    assert len(await spoken("今天\0我们一起去公园玩好不好")) > 0.9 * len(await spoken(SENTENCE))


async def test_two_at_once_are_both_right() -> None:
    texts = ["你好", SENTENCE, "Good morning everyone", "再见", SENTENCE * 2]
    alone = [len(await spoken(text)) for text in texts]
    together = await asyncio.gather(*map(spoken, texts * 4))
    assert [len(sound) for sound in together] == pytest.approx(alone * 4, rel=0.02)


def test_two_event_loops_in_two_threads_are_both_right() -> None:
    with ThreadPoolExecutor(2) as threads:
        short, long = threads.map(lambda text: asyncio.run(spoken(text)), ["你好", SENTENCE])
    assert len(short) == pytest.approx(len(asyncio.run(spoken("你好"))), rel=0.02)
    assert len(long) == pytest.approx(len(asyncio.run(spoken(SENTENCE))), rel=0.02)


def test_the_first_callers_at_once_start_one_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    together, another = threading.Barrier(4), threading.Event()
    started: list[object] = []

    class Engine:
        def __init__(self, *_: object) -> None:
            started.append(self)
            if len(started) > 1:
                another.set()
            another.wait(0.1)

    def first_call(_: int) -> object:
        together.wait(5)
        return espeak.load_engine()

    monkeypatch.setattr(espeak, "_Engine", Engine)
    monkeypatch.setattr(espeak, "_load_engine", functools.cache(espeak._load_engine.__wrapped__))
    with ThreadPoolExecutor(4) as threads:
        engines = list(threads.map(first_call, range(4)))
    assert len(started) == 1
    assert engines == started * 4


@pytest.mark.usefixtures("no_wheel")
async def test_without_the_wheel_it_is_said_what_to_install() -> None:
    with pytest.raises(PackageMissing, match="pip install espeakng-loader"):
        await spoken("你好")


def settings_of(engine: str, fallback: str) -> Settings:
    return Settings.model_validate(
        {"tts": {"engine": engine, "fallback": fallback}, "gpt_sovits": {"servers": ["http://127.0.0.1:9"]}}
    )


@pytest.mark.usefixtures("no_wheel")
async def test_the_bridge_does_not_start_without_its_only_voice(tmp_path: Path) -> None:
    with pytest.raises(PackageMissing, match="pip install espeakng-loader"):
        await build_parts(settings_of("espeak", "none").at(tmp_path))


@pytest.mark.usefixtures("no_wheel")
async def test_the_bridge_says_at_the_start_that_the_fallback_is_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = await build_parts(settings_of("gpt_sovits", "espeak").at(tmp_path))
    await parts.aclose()
    assert "备用的声音用不了" in caplog.text and "pip install espeakng-loader" in caplog.text


@pytest.mark.usefixtures("no_wheel")
async def test_what_is_not_used_is_not_missed(caplog: pytest.LogCaptureFixture) -> None:
    synthesizer = open_synthesizer(settings_of("gpt_sovits", "none"))
    with pytest.raises(ServiceUnavailable, match="连不上"):
        await synthesizer.load()
    await synthesizer.aclose()
    assert not caplog.records


async def test_nothing_is_kept_of_what_was_spoken() -> None:
    await spoken("你好")

    def array_types() -> int:
        gc.collect()
        return sum(isinstance(one, type(ctypes.c_short * 1)) for one in gc.get_objects())

    before = array_types()
    for number in range(20):
        await spoken(f"{SENTENCE}{number}")
    assert array_types() == before
