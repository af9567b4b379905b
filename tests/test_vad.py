"""Voice activity detection and the end of speech: hand-made probabilities, and the real models on real speech."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from fakes.parts import LoudnessModel, silence, speech

from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.errors import PackageMissing, SettingsError
from xiaozhi_persona.providers.vad.detector import (
    WINDOW_SAMPLES,
    VadModel,
    VadStream,
    VoiceActivityDetector,
    WebRtcModel,
    load_vad_model,
)
from xiaozhi_persona.providers.vad.endpointing import Endpointer
from xiaozhi_persona.settings import VadSettings
from xiaozhi_persona.spine import Samples

SPEECH = Path(__file__).parent / "data" / "speech"
RECORDINGS = sorted(json.loads((SPEECH / "texts.json").read_text(encoding="utf-8")))
WINDOW_MS = 32
YES, MAYBE, NO = 0.9, 0.4, 0.1
"""MAYBE lies between the threshold and what is still speech once it has begun."""


# The endpointer. Window number n holds the value n, so that it can be seen which windows an utterance has.


class Ear:
    """Feeds an endpointer window by window."""

    def __init__(self, **settings: Any) -> None:
        self.endpointer = Endpointer(VadSettings(**settings))
        self.heard = 0

    def hear(self, *probabilities: float) -> list[list[int]]:
        """Return the utterances that ended, each as the numbers of its windows."""
        ended = []
        for probability in probabilities:
            utterance = self.endpointer.feed(window(self.heard), [probability])
            self.heard += 1
            if utterance is not None:
                ended.append(windows_of(utterance))
        return ended


def window(number: int) -> Samples:
    return np.full(WINDOW_SAMPLES, number, np.int16)


def windows_of(sound: Samples) -> list[int]:
    assert len(sound) % WINDOW_SAMPLES == 0
    return [int(number) for number in sound[::WINDOW_SAMPLES]]


def test_an_utterance_ends_after_the_silence_and_has_its_pre_roll() -> None:
    ear = Ear(silence_ms=160, pre_roll_ms=96, min_speech_ms=64)
    assert ear.hear(*[NO] * 20, *[YES] * 10, *[NO] * 4) == []
    assert ear.hear(NO) == [[*range(17, 35)]]
    assert not ear.endpointer.speaking


def test_the_defaults_wait_400_ms_and_keep_320_ms() -> None:
    ear = Ear()
    (utterance,) = ear.hear(*[NO] * 50, *[YES] * 10, *[NO] * 30)
    assert utterance == [
        *range(40, 73)
    ]  # 10 windows before, 10 of speech, 13 of 32 ms are the first beyond 400


def test_without_a_pre_roll_at_most_one_window_is_kept() -> None:
    (utterance,) = Ear(pre_roll_ms=0, silence_ms=100).hear(*[NO] * 20, *[YES] * 10, *[NO] * 9)
    assert utterance[0] in (19, 20)


def test_a_pause_shorter_than_the_silence_does_not_end_it() -> None:
    ear = Ear(silence_ms=160, pre_roll_ms=0)
    assert ear.hear(*[YES] * 6, *[NO] * 4, *[YES] * 6, *[NO] * 4) == []
    assert ear.hear(NO) == [[*range(21)]]


def test_once_in_speech_less_is_enough() -> None:
    ear = Ear(silence_ms=100, pre_roll_ms=0)
    assert ear.hear(*[MAYBE] * 10) == []
    assert not ear.endpointer.speaking
    assert ear.hear(*[YES] * 6, *[MAYBE] * 20) == []
    assert ear.endpointer.speaking
    assert len(ear.hear(*[NO] * 4)) == 1


def test_a_click_is_dropped_and_becomes_the_pre_roll() -> None:
    ear = Ear(silence_ms=100, min_speech_ms=128, pre_roll_ms=320)
    assert ear.hear(*[NO] * 5, *[YES] * 3, *[NO] * 4) == []
    assert not ear.endpointer.speaking
    (utterance,) = ear.hear(*[YES] * 6, *[NO] * 4)
    assert utterance == [*range(2, 22)]


def test_speech_is_confirmed_when_there_was_enough_of_it() -> None:
    ear = Ear(min_speech_ms=128)
    ear.hear(*[YES] * 3)
    assert ear.endpointer.speaking and not ear.endpointer.confirmed
    ear.hear(YES)
    assert ear.endpointer.confirmed


def test_an_utterance_that_never_ends_is_cut_and_the_next_begins() -> None:
    ear = Ear(max_utterance_s=2.0, pre_roll_ms=0, silence_ms=3000)
    utterances = ear.hear(*[YES] * 200)
    assert [len(utterance) for utterance in utterances] == [63, 63, 63]
    assert sum(utterances, []) == [*range(189)]


def test_noise_that_is_hardly_speech_is_not_collected_for_ever() -> None:
    ear = Ear(max_utterance_s=2.0, silence_ms=3000, min_speech_ms=500)
    assert ear.hear(YES, *[NO] * 70) == []
    assert not ear.endpointer.speaking
    assert len(ear.endpointer.finish()) <= 11 * WINDOW_SAMPLES


def test_finish_gives_what_there_is_and_begins_anew() -> None:
    ear = Ear(pre_roll_ms=96)
    ear.hear(*[NO] * 10, *[YES] * 5)
    assert windows_of(ear.endpointer.finish()) == [*range(7, 15)]
    assert not ear.endpointer.speaking
    assert len(ear.endpointer.finish()) == 0
    assert ear.hear(*[NO] * 20) == []


def test_reset_forgets_what_was_heard() -> None:
    ear = Ear()
    ear.hear(*[NO] * 10, *[YES] * 5)
    ear.endpointer.reset()
    assert not ear.endpointer.speaking and not ear.endpointer.confirmed
    assert len(ear.endpointer.finish()) == 0


def test_sound_that_completes_no_window_is_kept() -> None:
    endpointer = Endpointer(VadSettings(silence_ms=100))
    for number in range(40):
        endpointer.feed(np.full(256, number, np.int16), [YES] if number % 2 else [])
    assert [int(n) for n in endpointer.finish()[::256]] == [*range(40)]


# The detector.


@pytest_asyncio.fixture
async def detecting() -> AsyncIterator[Callable[[VadModel], VoiceActivityDetector]]:
    """Make detectors; their threads end with the test."""
    made: list[VoiceActivityDetector] = []

    def make(model: VadModel) -> VoiceActivityDetector:
        made.append(VoiceActivityDetector(model))
        return made[-1]

    yield make
    for detector in made:
        await detector.aclose()


Detecting = Callable[[VadModel], VoiceActivityDetector]


@functools.cache
def silero() -> VadModel:
    return load_vad_model(None)  # it keeps nothing between calls


def recording(name: str, before_s: float = 0.5, after_s: float = 1.0) -> Samples:
    return np.concatenate((silence(before_s), read_wav(SPEECH / name, 16000), silence(after_s)))


def chunked(sound: Samples, size: int) -> Iterable[Samples]:
    return (sound[start : start + size] for start in range(0, len(sound), size))


async def judged(detector: VoiceActivityDetector, sound: Samples, chunk_samples: int) -> list[float]:
    stream = VadStream()
    return [p for part in chunked(sound, chunk_samples) for p in await detector.probabilities(stream, part)]


@pytest.mark.parametrize("name", RECORDINGS)
async def test_silero_finds_each_recording_as_one_utterance(detecting: Detecting, name: str) -> None:
    detector, stream, endpointer = detecting(silero()), VadStream(), Endpointer(VadSettings())
    sound = recording(name)
    utterances, speaking = [], []
    for part in chunked(sound, 960):
        ended = endpointer.feed(part, await detector.probabilities(stream, part))
        speaking.append(endpointer.speaking)
        utterances += [] if ended is None else [ended]
    (utterance,) = utterances
    assert speaking.index(True) * 0.06 >= 0.45  # not in the silence before
    assert len(sound) / 16000 - 1.9 < len(utterance) / 16000 < len(sound) / 16000 - 0.4
    assert np.abs(utterance[-3200:]).max() < 1000


async def test_silero_hears_no_speech_in_silence_and_noise(detecting: Detecting) -> None:
    detector = detecting(silero())
    noise = np.random.default_rng(1).normal(0, 1000, 32000).astype(np.int16)
    assert max(await judged(detector, silence(2.0), 960)) < 0.2
    assert max(await judged(detector, noise, 960)) < 0.2


async def test_streams_judged_together_get_what_each_gets_alone(detecting: Detecting) -> None:
    detector = detecting(silero())
    sounds = [recording(name, before_s=0.1 * i) for i, name in enumerate(RECORDINGS)]
    alone = [await judged(detector, sound, 960) for sound in sounds]
    together = await asyncio.gather(*(judged(detector, sound, 960) for sound in sounds))
    for one, other in zip(alone, together, strict=True):
        assert np.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("chunk_samples", [100, 512, 960, 5000, 10**6])
async def test_the_size_of_the_chunks_does_not_matter(detecting: Detecting, chunk_samples: int) -> None:
    detector = detecting(silero())
    sound = recording("speech1.wav")
    assert await judged(detector, sound, chunk_samples) == await judged(detector, sound, 512)


async def test_there_is_one_probability_for_each_whole_window(detecting: Detecting) -> None:
    detector, stream = detecting(LoudnessModel()), VadStream()
    counts = [len(await detector.probabilities(stream, speech(1.0)[:960])) for _ in range(8)]
    assert counts == [1, 2, 2, 2, 2, 2, 2, 2]


class Recorded:
    """A model that remembers how many streams it was given at once, and fails when it is told to."""

    name = "recorded"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.failing = False

    def judge(self, streams: list[VadStream], windows: Any) -> Any:
        self.batches.append(len(streams))
        if self.failing:
            raise RuntimeError("broken model")
        return np.full(len(streams), 0.7, np.float32)


async def test_what_arrives_together_is_judged_together(detecting: Detecting) -> None:
    model = Recorded()
    detector = detecting(model)
    lengths = [1, 3, 2, 3]
    results = await asyncio.gather(
        *(detector.probabilities(VadStream(), speech(1.0)[: 512 * length]) for length in lengths)
    )
    assert [len(result) for result in results] == lengths
    assert model.batches == [4, 3, 2]


async def test_a_model_that_fails_hears_no_speech_and_goes_on(
    detecting: Detecting, caplog: pytest.LogCaptureFixture
) -> None:
    model, stream = Recorded(), VadStream()
    detector = detecting(model)
    model.failing = True
    assert await detector.probabilities(stream, speech(1.0)[:1024]) == [0.0, 0.0]
    assert "broken model" in caplog.text
    model.failing = False
    assert await detector.probabilities(stream, speech(1.0)[:1024]) == pytest.approx([0.7, 0.7])


async def test_a_listener_that_goes_away_does_not_disturb_the_others(detecting: Detecting) -> None:
    detector = detecting(Recorded())
    leaver, stayer = (
        asyncio.ensure_future(detector.probabilities(VadStream(), speech(1.0)[:512])) for _ in range(2)
    )
    await asyncio.sleep(0)
    leaver.cancel()
    assert await stayer == pytest.approx([0.7])
    assert leaver.cancelled()


# Which model.


def test_silero_is_found_in_its_wheel_without_importing_it() -> None:
    assert silero().name == "Silero VAD"
    assert "silero_vad" not in sys.modules


@pytest.fixture
def _no_silero(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "silero_vad" else find_spec(name, *more),
    )


async def test_without_the_silero_wheel_webrtc_serves_and_says_so(
    _no_silero: None, caplog: pytest.LogCaptureFixture, detecting: Detecting
) -> None:
    with caplog.at_level(logging.WARNING):
        model = load_vad_model(None)
    assert isinstance(model, WebRtcModel)
    assert "pip install --no-deps silero-vad" in caplog.text
    detector = detecting(model)
    assert max(await judged(detector, silence(1.0), 960)) == 0.0
    assert np.mean(await judged(detector, read_wav(SPEECH / "speech5.wav", 16000), 960)) > 0.5


def test_a_model_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.onnx.*vad\.model"):
        load_vad_model(tmp_path / "none.onnx")


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(SettingsError, match=r"text\.onnx.*vad\.model"):
        load_vad_model(tmp_path / "text.onnx")


@pytest.mark.parametrize("package", ["onnxruntime", "webrtcvad"])
def test_without_the_packages_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, package: str
) -> None:
    if package == "webrtcvad":
        request.getfixturevalue("_no_silero")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PackageMissing, match="webrtcvad-wheels"):
        load_vad_model(None)


def test_the_model_runtime_reports_to_nobody(tmp_path: Path) -> None:
    code = (
        "from xiaozhi_persona.providers.vad.detector import load_vad_model; print(load_vad_model(None).name)"
    )
    environ = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.stdout == "Silero VAD\n", done.stderr
    assert not list(tmp_path.iterdir())
