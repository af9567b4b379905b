"""Models of this process: the embedded SenseVoice, folders of one's own, the queue, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from fakes.parts import silence, speech

from xiaozhi_persona.audio.resample import resample
from xiaozhi_persona.audio.wav import read_wav, write_wav
from xiaozhi_persona.errors import PackageMissing, ServiceTimeout, ServiceUnavailable, SettingsError
from xiaozhi_persona.providers.asr.onnx_models import TINY_MODEL, load_onnx_model
from xiaozhi_persona.providers.asr.recognizer import ModelRecognizer
from xiaozhi_persona.settings import AsrSettings
from xiaozhi_persona.spine import Transcript

SPEECH = Path(__file__).parent / "data" / "speech"
TEXTS: dict[str, str] = json.loads((SPEECH / "texts.json").read_text(encoding="utf-8"))
LARGEST_MODEL_BYTES = 3_000_000

Recognizing = Callable[..., ModelRecognizer]


@pytest_asyncio.fixture
async def recognizing() -> AsyncIterator[Recognizing]:
    """Make recognizers; their threads end with the test."""
    made: list[ModelRecognizer] = []

    def make(folder: Path = TINY_MODEL, **changes: Any) -> ModelRecognizer:
        settings = AsrSettings().model_copy(update=changes)  # deadlines below their range are for tests
        made.append(
            ModelRecognizer("test", settings, lambda: load_onnx_model(folder, settings, settings.hotwords))
        )
        return made[-1]

    yield make
    for recognizer in made:
        await recognizer.aclose()


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


async def test_long_silence_around_a_sentence_does_no_harm(recognizing: Recognizing) -> None:
    sound = np.concatenate((silence(2.0), read_wav(SPEECH / "speech1.wav", 16000), silence(3.0)))
    assert (await recognizing().transcribe(sound)).text == TEXTS["speech1.wav"]


def test_the_embedded_model_is_small() -> None:
    assert sum(file.stat().st_size for file in TINY_MODEL.iterdir()) <= LARGEST_MODEL_BYTES


def test_the_root_logger_stays_as_it_was() -> None:
    code = (
        "import logging\n"
        "from xiaozhi_persona.providers.asr.onnx_models import *\n"
        "load_onnx_model(TINY_MODEL, AsrSettings(), ())\n"
        "print(logging.root.level, logging.root.handlers)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{logging.WARNING} []\n", done.stderr


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
        self.began = threading.Event()
        self.go_on.set()
        self.failing: Exception | None = None
        self.asked: list[dict[str, Any]] = []

    def __call__(self, sound: Any, **options: Any) -> list[str]:
        self.asked.append({"samples": len(sound), **options})
        self.began.set()
        self.go_on.wait(10)
        if self.failing:
            raise self.failing
        return [f"<|zh|><|NEUTRAL|><|Speech|><|withitn|>{len(sound)}"]


async def test_the_language_of_the_settings_is_asked_for(
    recognizing: Recognizing, folder: Path, model: FakeModel
) -> None:
    await recognizing(folder, language="yue").transcribe(speech(1.0))
    assert model.asked[0]["language"] == ["yue"]


async def test_figures_are_written_as_the_settings_say(
    recognizing: Recognizing, folder: Path, model: FakeModel
) -> None:
    await recognizing(folder, itn=False).transcribe(speech(1.0))
    await recognizing(folder).transcribe(speech(1.0))
    assert [asked["textnorm"] for asked in model.asked] == [["woitn"], ["withitn"]]


async def test_loading_runs_the_model_once(recognizing: Recognizing, folder: Path, model: FakeModel) -> None:
    await recognizing(folder).load()
    assert [asked["samples"] for asked in model.asked] == [16000]


async def test_a_model_that_cannot_recognize_anything_is_told_when_it_is_loaded(
    recognizing: Recognizing, folder: Path, model: FakeModel
) -> None:
    model.failing = RuntimeError("wrong shape")
    with pytest.raises(ServiceUnavailable, match="wrong shape"):
        await recognizing(folder).load()


async def test_a_long_recording_is_recognized_in_pieces(
    recognizing: Recognizing, folder: Path, model: FakeModel
) -> None:
    sound = np.concatenate((speech(29.0), silence(1.0), speech(29.0), silence(1.0), speech(5.0)))
    text = (await recognizing(folder).transcribe(sound)).text
    samples = [asked["samples"] for asked in model.asked]
    assert text == " ".join(map(str, samples)) and sum(samples) == len(sound) and len(samples) == 3


# The queue.


async def test_first_come_first_served(recognizing: Recognizing, folder: Path, model: FakeModel) -> None:
    recognizer = recognizing(folder)
    sounds = [speech(0.5 + 0.1 * number) for number in range(8)]
    await asyncio.gather(*map(recognizer.transcribe, sounds))
    assert [asked["samples"] for asked in model.asked] == [len(sound) for sound in sounds]


async def test_who_comes_when_loading_has_just_ended_overtakes_nobody(
    model: FakeModel,
) -> None:
    may_load = threading.Event()

    def load() -> Any:
        may_load.wait(10)
        return SimpleNamespace(recognize=lambda sound: Transcript(model(sound)[0]))

    recognizer = ModelRecognizer("test", AsrSettings(), load)
    async with contextlib.aclosing(recognizer):
        waiting = [asyncio.ensure_future(recognizer.transcribe(speech(0.5 + 0.1 * n))) for n in range(4)]
        await asyncio.sleep(0)
        may_load.set()
        assert recognizer._loader
        recognizer._loader.join()  # blocks the loop, so that nobody who waits hears of it before the next has come
        waiting.append(asyncio.ensure_future(recognizer.transcribe(speech(1.5))))
        await asyncio.gather(*waiting)
    assert [asked["samples"] for asked in model.asked] == [8000, 9600, 11200, 12800, 24000]


async def test_who_gave_up_gives_the_place_to_others(
    recognizing: Recognizing, folder: Path, model: FakeModel
) -> None:
    recognizer = recognizing(folder, queue_utterances=2)
    model.go_on.clear()
    for _ in range(3):
        waiting = [asyncio.ensure_future(recognizer.transcribe(speech(0.5))) for _ in range(2)]
        await asyncio.to_thread(model.began.wait, 5)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
    waiting = [asyncio.ensure_future(recognizer.transcribe(speech(0.5))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(ServiceUnavailable, match="太忙"):  # the model is still at the first of all
        await recognizer.transcribe(speech(0.5))
    model.go_on.set()
    assert [(await one).text for one in waiting] == ["8000"] * 2
    assert len(model.asked) == 3  # the first of all, and those that were waited for


# Loading.


class SlowLoad:
    """Loads a model, or fails to, when it is told to go on."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.go_on = threading.Event()
        self.failure = failure
        self.times = 0

    def __call__(self) -> Any:
        self.times += 1
        self.go_on.wait(10)
        if self.failure:
            raise self.failure
        return self

    def recognize(self, sound: Any) -> Transcript:
        return Transcript("好")


async def test_while_the_model_is_being_loaded_it_says_so_and_several_who_wait_load_it_once() -> None:
    load = SlowLoad()
    recognizer = ModelRecognizer("test", AsrSettings().model_copy(update={"timeout_s": 0.05}), load)
    with pytest.raises(ServiceTimeout, match="还没有读好"):
        await recognizer.transcribe(speech(1.0))
    waiting = [asyncio.ensure_future(recognizer.load()) for _ in range(3)]
    await asyncio.sleep(0)
    load.go_on.set()
    await asyncio.gather(*waiting)
    assert (await recognizer.transcribe(speech(1.0))).text == "好" and load.times == 1
    await recognizer.aclose()


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (SystemExit(3), "3"),
        (OSError("the disk is gone"), "the disk is gone"),
        (MemoryError(), "内存不够"),
    ],
)
async def test_whatever_loading_raises_is_a_service_that_failed(failure: BaseException, says: str) -> None:
    load = SlowLoad(failure)
    load.go_on.set()
    recognizer = ModelRecognizer("test", AsrSettings(), load)
    for _ in range(3):
        with pytest.raises(ServiceUnavailable, match=says):
            await recognizer.transcribe(speech(1.0))
    assert load.times == 1  # not for each utterance anew
    with pytest.raises(ServiceUnavailable, match=says):
        await recognizer.load()
    await recognizer.aclose()


async def test_a_model_too_large_for_the_memory_is_not_called_broken(
    recognizing: Recognizing, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: Any, **__: Any) -> None:
        raise RuntimeError("std::bad_alloc")

    monkeypatch.setattr("funasr_onnx.SenseVoiceSmall", too_large)
    with pytest.raises(ServiceUnavailable, match="内存不够"):
        await recognizing(folder).load()


async def test_a_failure_keeps_nothing_of_those_who_met_it() -> None:
    load = SlowLoad(PackageMissing("没有 funasr"))
    load.go_on.set()
    recognizer = ModelRecognizer("test", AsrSettings(), load)
    for _ in range(20):
        with pytest.raises(ServiceUnavailable, match="没有 funasr"):
            await recognizer.transcribe(speech(1.0))
    with pytest.raises(PackageMissing) as caught:
        await recognizer.load()
    assert len(list(traceback.walk_tb(caught.value.__traceback__))) < 5
    await recognizer.aclose()


async def test_what_cannot_be_loaded_is_asked_for_once(
    recognizing: Recognizing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer = recognizing(tmp_path / "none")
    with pytest.raises(SettingsError):
        await recognizer.load()
    (tmp_path / "none").mkdir()
    with pytest.raises(ServiceUnavailable, match="none"):  # who recognizes is not told to mend the settings
        await recognizer.transcribe(speech(1.0))


# Sound as it may come.


@pytest.mark.parametrize("gain", [0.1, 30])
async def test_a_quiet_and_an_overdriven_microphone_are_understood(
    recognizing: Recognizing, gain: float
) -> None:
    sound = read_wav(SPEECH / "speech1.wav", 16000).astype(np.float32) * gain
    assert (await recognizing().transcribe(np.clip(sound, -32768, 32767).astype(np.int16))).text


@pytest.mark.parametrize(("rate_hz", "texts"), [(8000, {"", "你好小智"}), (48000, {"你好小智"})])
async def test_other_sample_rates_do_no_harm(
    recognizing: Recognizing, tmp_path: Path, rate_hz: int, texts: set[str]
) -> None:
    """The tiny model was not trained with the narrow band of 8 kHz."""
    sound = resample(read_wav(SPEECH / "speech1.wav", 16000), 16000, rate_hz)
    write_wav(tmp_path / "a.wav", sound, rate_hz)
    with (tmp_path / "a.wav").open("ab") as file:
        file.write(b"\0")  # half a sample
    assert (await recognizing().transcribe(read_wav(tmp_path / "a.wav", 16000))).text in texts


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is meant")
async def test_memory_that_loading_has_freed_goes_back_to_the_system() -> None:
    class Held:
        """Keeps the last of many pieces, so that what was freed below it does not go back by itself."""

        def __init__(self) -> None:
            pieces = [bytes(2000) for _ in range(100_000)]
            assert rss_mb() > before + 150
            self.last = pieces[-1]

        def recognize(self, sound: Any) -> Transcript:
            return Transcript("")

    def rss_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    before = rss_mb()
    recognizer = ModelRecognizer("test", AsrSettings(), Held)
    await recognizer.load()
    assert rss_mb() < before + 50
    await recognizer.aclose()


CHILD = """
import asyncio, resource, sys
import numpy as np
from xiaozhi_persona.errors import ServiceUnavailable
from xiaozhi_persona.providers.asr.onnx_models import TINY_MODEL, load_onnx_model
from xiaozhi_persona.providers.asr.recognizer import ModelRecognizer
from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.settings import AsrSettings
from pathlib import Path

async def main():
    settings = AsrSettings(timeout_s=60.0)
    recognizer = ModelRecognizer("test", settings, lambda: load_onnx_model(TINY_MODEL, settings, ()))
    speech = read_wav(Path(sys.argv[1]), 16000)
    print((await recognizer.transcribe(speech)).text)
    long = np.tile(speech, 60)[:29 * 16000]
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 1_000_000, -1))
    ballast = []
    try:
        while True:
            ballast.append(bytes(100_000))  # what was used before and is free again
    except MemoryError:
        del ballast[-10:]
    try:
        print((await recognizer.transcribe(long)).text)
    except ServiceUnavailable as exc:
        print(exc)
    ballast.clear()
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    print((await recognizer.transcribe(speech)).text)
    await recognizer.aclose()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_process_that_has_no_more_memory_says_so_and_lives() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(SPEECH / "speech1.wav")],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
    )
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first == third == TEXTS["speech1.wav"]
    assert "内存不够" in second
