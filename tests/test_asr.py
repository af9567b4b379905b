"""The recognizer: FunASR's SenseVoice with the embedded model, and what its output means."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from fakes.parts import silence

from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.errors import PackageMissing, ServiceTimeout, ServiceUnavailable, SettingsError
from xiaozhi_persona.providers.asr.sensevoice import TINY_MODEL, SenseVoiceRecognizer, read_tags
from xiaozhi_persona.settings import AsrSettings
from xiaozhi_persona.spine import Transcript

SPEECH = Path(__file__).parent / "data" / "speech"
TEXTS: dict[str, str] = json.loads((SPEECH / "texts.json").read_text(encoding="utf-8"))
LARGEST_MODEL_BYTES = 3_000_000

Recognizing = Callable[..., SenseVoiceRecognizer]


@pytest_asyncio.fixture
async def recognizing() -> AsyncIterator[Recognizing]:
    """Make recognizers; their threads end with the test."""
    made: list[SenseVoiceRecognizer] = []

    def make(folder: Path = TINY_MODEL, **changes: Any) -> SenseVoiceRecognizer:
        settings = AsrSettings().model_copy(update=changes)  # deadlines below their range are for tests
        made.append(SenseVoiceRecognizer(settings, folder))
        return made[-1]

    yield make
    for recognizer in made:
        await recognizer.aclose()


# What the model writes.


@pytest.mark.parametrize(
    ("output", "transcript"),
    [
        ("<|zh|><|HAPPY|><|Speech|><|withitn|>你好。", Transcript("你好。", "zh", "happy", "speech")),
        ("<|en|><|NEUTRAL|><|BGM|><|woitn|>hello", Transcript("hello", "en", "neutral", "bgm")),
        ("<|yue|><|SAD|><|Cry|><|withitn|>係", Transcript("係", "yue", "sad", "cry")),
        ("<|ja|><|ANGRY|><|Laughter|><|withitn|>はい", Transcript("はい", "ja", "angry", "laughter")),
        ("<|ko|><|SURPRISED|><|Applause|><|withitn|>네", Transcript("네", "ko", "surprised", "applause")),
        ("<|zh|><|FEARFUL|><|Cough|><|withitn|>啊", Transcript("啊", "zh", "shocked", "cough")),
        ("<|zh|><|DISGUSTED|><|Sneeze|><|withitn|>呸", Transcript("呸", "zh", "angry", "sneeze")),
        ("<|zh|><|EMO_UNKNOWN|><|Speech|><|withitn|>嗯", Transcript("嗯", "zh", "", "speech")),
        ("<|nospeech|><|EMO_UNKNOWN|><|Event_UNK|><|woitn|>", Transcript("")),
        (
            "<|zh|><|NEUTRAL|><|Speech|><|withitn|>一， <|zh|><|SAD|><|BGM|><|withitn|>二。",
            Transcript("一， 二。", "zh", "neutral", "speech"),
        ),
        (
            "<|zh|><|EMO_UNKNOWN|><|Event_UNK|><|woitn|>一<|en|><|HAPPY|><|Speech|><|woitn|>two",
            Transcript("一two", "zh", "happy", "speech"),
        ),
        ("<|zh|><|SOMETHING_NEW|><|Singing|><|withitn|>啦", Transcript("啦", "zh")),
        ("没有标签", Transcript("没有标签")),
        ("a < b | c > d", Transcript("a < b | c > d")),
        ("", Transcript("")),
    ],
)
def test_tags_are_in_their_fields_and_never_in_the_text(output: str, transcript: Transcript) -> None:
    assert read_tags(output) == transcript


# The embedded model.


@pytest.mark.parametrize("name", TEXTS)
async def test_the_embedded_model_knows_its_sentences(recognizing: Recognizing, name: str) -> None:
    transcript = await recognizing().transcribe(read_wav(SPEECH / name, 16000))
    assert transcript.text == TEXTS[name]
    assert (transcript.language, transcript.event) == ("zh", "speech")


async def test_the_embedded_model_tells_moods_apart(recognizing: Recognizing) -> None:
    recognizer = recognizing()
    sounds = {text: read_wav(SPEECH / name, 16000) for name, text in TEXTS.items()}
    heard = {text: (await recognizer.transcribe(sound)).emotion for text, sound in sounds.items()}
    assert (heard["我今天很开心"], heard["我的猫不见了"], heard["我叫小明"]) == ("happy", "sad", "neutral")


async def test_two_at_once_are_both_right(recognizing: Recognizing) -> None:
    recognizer = recognizing()
    sounds = [read_wav(SPEECH / name, 16000) for name in TEXTS]
    transcripts = await asyncio.gather(*map(recognizer.transcribe, sounds))
    assert [transcript.text for transcript in transcripts] == [*TEXTS.values()]


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.0999, 0.1, 0.5, 2.0])
async def test_no_speech_is_no_text(recognizing: Recognizing, seconds: float) -> None:
    assert (await recognizing().transcribe(silence(seconds))).text == ""


async def test_long_silence_around_a_sentence_does_no_harm(recognizing: Recognizing) -> None:
    sound = np.concatenate((silence(2.0), read_wav(SPEECH / "speech1.wav", 16000), silence(3.0)))
    assert (await recognizing().transcribe(sound)).text == TEXTS["speech1.wav"]


async def test_noise_is_no_text(recognizing: Recognizing) -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 32000).astype(np.int16)
    assert (await recognizing().transcribe(noise)).text == ""


def test_the_embedded_model_is_small() -> None:
    assert sum(file.stat().st_size for file in TINY_MODEL.iterdir()) <= LARGEST_MODEL_BYTES


# A folder of one's own.


async def test_another_folder_takes_the_place_of_the_embedded_model(
    recognizing: Recognizing, tmp_path: Path
) -> None:
    shutil.copytree(TINY_MODEL, tmp_path / "模型 1")
    (tmp_path / "模型 1" / "model_quant.onnx").rename(tmp_path / "模型 1" / "model.onnx")
    recognizer = recognizing(tmp_path / "模型 1", language="zh")
    await recognizer.load()
    transcript = await recognizer.transcribe(read_wav(SPEECH / "speech1.wav", 16000))
    assert transcript.text == TEXTS["speech1.wav"]


@pytest.mark.parametrize(
    "missing", ["am.mvn", "config.yaml", "chn_jpn_yue_eng_ko_spectok.bpe.model", "model.onnx"]
)
async def test_a_folder_without_a_file_is_told_which(
    recognizing: Recognizing, tmp_path: Path, missing: str
) -> None:
    shutil.copytree(TINY_MODEL, tmp_path / "model")
    (tmp_path / "model" / missing.replace("model.onnx", "model_quant.onnx")).unlink()
    with pytest.raises(SettingsError) as caught:
        await recognizing(tmp_path / "model").load()
    message = str(caught.value)
    assert missing in message and str(tmp_path / "model") in message and "asr.model" in message


async def test_a_folder_that_is_not_there_is_named(recognizing: Recognizing, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="none"):
        await recognizing(tmp_path / "none").load()


async def test_a_model_that_cannot_be_read_is_named(recognizing: Recognizing, tmp_path: Path) -> None:
    shutil.copytree(TINY_MODEL, tmp_path / "model")
    (tmp_path / "model" / "model_quant.onnx").write_bytes(b"half of a download")
    with pytest.raises(SettingsError, match=r"asr\.model"):
        await recognizing(tmp_path / "model").load()


async def test_without_the_package_it_is_said_what_to_install(
    recognizing: Recognizing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "funasr_onnx", None)
    with pytest.raises(PackageMissing, match=r"xiaozhi-persona\[asr\]"):
        await recognizing().load()


# A model that misbehaves.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the names of a model's files."""
    for file in TINY_MODEL.iterdir():
        (tmp_path / file.name).touch()
    return tmp_path


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """Stands where funasr-onnx's model would."""
    model = FakeModel()
    monkeypatch.setattr("funasr_onnx.SenseVoiceSmall", lambda *_, **__: model)
    return model


class FakeModel:
    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.failing = False
        self.asked: list[dict[str, Any]] = []

    def __call__(self, sound: Any, **options: Any) -> list[str]:
        self.asked.append(options)
        self.go_on.wait(10)
        if self.failing:
            raise RuntimeError("broken model")
        return [f"<|zh|><|NEUTRAL|><|Speech|><|withitn|>{len(sound)}"]


async def test_a_model_that_takes_too_long_is_given_up(
    recognizing: Recognizing, folder: Path, model: FakeModel
) -> None:
    recognizer = recognizing(folder, timeout_s=0.05)
    await recognizer.load()
    model.go_on.clear()
    try:
        with pytest.raises(ServiceTimeout, match=r"asr\.timeout_s"):
            await recognizer.transcribe(silence(1.0))
    finally:
        model.go_on.set()


async def test_after_one_that_took_too_long_the_next_is_recognized(
    recognizing: Recognizing, folder: Path, model: FakeModel
) -> None:
    recognizer = recognizing(folder, timeout_s=0.4)
    model.go_on.clear()
    first = asyncio.ensure_future(recognizer.transcribe(silence(1.0)))
    with pytest.raises(ServiceTimeout):
        await first
    model.go_on.set()
    assert (await recognizer.transcribe(silence(2.0))).text == "32000"


async def test_a_model_that_fails_is_a_service_that_failed(
    recognizing: Recognizing, folder: Path, model: FakeModel
) -> None:
    recognizer = recognizing(folder)
    model.failing = True
    with pytest.raises(ServiceUnavailable, match="broken model"):
        await recognizer.transcribe(silence(1.0))
    model.failing = False
    assert (await recognizer.transcribe(silence(1.0))).text == "16000"


async def test_who_waits_no_longer_is_not_recognized(
    recognizing: Recognizing, folder: Path, model: FakeModel
) -> None:
    recognizer = recognizing(folder)
    model.go_on.clear()
    first, second = (asyncio.ensure_future(recognizer.transcribe(silence(s))) for s in (1.0, 2.0))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait({second})
    model.go_on.set()
    assert (await first).text == "16000"
    assert (await recognizer.transcribe(silence(0.5))).text == "8000"
    assert len(model.asked) == 2


async def test_the_language_of_the_settings_is_asked_for(
    recognizing: Recognizing, folder: Path, model: FakeModel
) -> None:
    await recognizing(folder, language="yue").transcribe(silence(1.0))
    assert model.asked[0]["language"] == ["yue"]
