"""Real FunASR with torch on tiny models made here: `python3 run.py test --torch` runs these, else they are skipped."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

pytest.importorskip("torch", reason="python3 run.py test --torch installs it")
pytest.importorskip("funasr", reason="python3 run.py test --torch installs it")

from fakes.heard import SPEECH, TEXTS, hear, hear_two, settings_with
from fakes.parts import silence, speech
from fakes.tiny_funasr import MAKERS, export
from host_doors import host_that_hears
from hostkit import VERSIONS, Llm

from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.bridge.messages import ListenMode
from xiaozhi_persona.errors import ServiceUnavailable, SettingsError
from xiaozhi_persona.providers.asr import torch_models
from xiaozhi_persona.providers.asr.engine import open_recognizer
from xiaozhi_persona.providers.asr.recognizer import Recognizer
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Samples

Opening = Callable[..., Recognizer]
Folder = Callable[[str], Path]

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::Warning"),  # of the exporter
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Make a model when it is first asked for."""
    root = tmp_path_factory.mktemp("models")
    return functools.cache(lambda name: MAKERS[name](root / name))


@pytest.fixture(scope="module")
def exported(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("exported")
    return functools.cache(lambda name: export(folder(name), root / name))


@pytest_asyncio.fixture
async def opening() -> AsyncIterator[Opening]:
    made: list[Recognizer] = []

    def open_(hotwords: tuple[str, ...] = (), **asr: Any) -> Recognizer:
        paths = {key: str(value) if isinstance(value, Path) else value for key, value in asr.items()}
        settings = Settings.model_validate({"asr": {"engine": "funasr", "timeout_s": 60.0, **paths}})
        made.append(open_recognizer(settings, hotwords))
        return made[-1]

    yield open_
    for recognizer in made:
        await recognizer.aclose()


@pytest.fixture(autouse=True)
def _thread_count() -> Iterator[None]:
    import torch

    torch.set_num_threads(1)
    yield
    assert torch.get_num_threads() == 1


def noise(seconds: float) -> Samples:
    samples: Samples = np.random.default_rng(0).normal(0, 3000, int(16000 * seconds)).astype(np.int16)
    return samples


# AutoModel.


@pytest.mark.parametrize("name", ["sensevoice", "paraformer", "contextual"])
async def test_models_of_every_kind_recognize(opening: Opening, folder: Folder, name: str) -> None:
    recognizer = opening(model=folder(name))
    await recognizer.load()
    transcript = await recognizer.transcribe(noise(2.0))
    assert transcript.text and "<" not in transcript.text
    assert transcript == await recognizer.transcribe(noise(2.0))


async def test_vad_and_punctuation_are_joined_to_a_model_without_them(
    opening: Opening, folder: Folder
) -> None:
    plain = opening(model=folder("paraformer"))
    whole = opening(model=folder("paraformer"), vad_model=folder("vad"), punc_model=folder("punctuation"))
    words = (await plain.transcribe(noise(2.0))).text
    text = (await whole.transcribe(noise(2.0))).text
    assert text != words and set(text) & set("，。？、.,?") and not set(words) & set("，。？、.,?")


async def test_punctuation_comes_without_a_vad_too(opening: Opening, folder: Folder) -> None:
    recognizer = opening(model=folder("paraformer"), punc_model=folder("punctuation"))
    assert set((await recognizer.transcribe(noise(2.0))).text) & set("，。？、.,?")


async def test_hot_words_change_what_a_model_that_takes_them_hears(opening: Opening, folder: Folder) -> None:
    name = folder("contextual")
    without = await opening(model=name).transcribe(noise(3.0))
    words = ("https", "小", "智", "http://127.0.0.1:1/words.txt")
    with_words = await opening(words, model=name).transcribe(noise(3.0))
    assert with_words.text != without.text


async def test_a_folder_may_be_called_as_one_of_the_short_names(
    opening: Opening, folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "paraformer-zh").symlink_to(folder("paraformer"))
    monkeypatch.chdir(tmp_path)
    await opening(model="paraformer-zh", mirror="http://127.0.0.1:1").load()


def test_two_loads_at_once_leave_the_output_as_it_was() -> None:
    output = sys.stdout
    first_is_in, second_waits = threading.Event(), threading.Event()

    def first() -> None:
        with torch_models._kept_quiet():
            first_is_in.set()
            second_waits.wait(0.2)

    def second() -> None:
        first_is_in.wait(5)
        with torch_models._kept_quiet():
            second_waits.set()
            threads[0].join(0.2)

    threads = [threading.Thread(target=work) for work in (first, second)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sys.stdout is output
    finally:
        sys.stdout = output


async def test_several_at_once_are_each_right(opening: Opening, folder: Folder) -> None:
    recognizer = opening(model=folder("sensevoice"), workers=3)
    sounds = [noise(0.5 + 0.3 * number) for number in range(9)]
    alone = [await recognizer.transcribe(sound) for sound in sounds]
    assert await asyncio.gather(*map(recognizer.transcribe, sounds)) == alone


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.2, 65.0])
async def test_any_length_is_taken(opening: Opening, folder: Folder, seconds: float) -> None:
    for name in ("sensevoice", "paraformer"):
        recognizer = opening(model=folder(name))
        await recognizer.transcribe(noise(seconds))
        assert (await recognizer.transcribe(silence(seconds))).text == ""
        await recognizer.transcribe(speech(seconds))


async def test_nothing_is_printed_and_the_root_logger_stays_as_it_was(
    opening: Opening, folder: Folder, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    root = logging.getLogger()
    before = root.level
    recognizer = opening(model=folder("sensevoice"))
    await recognizer.load()
    await recognizer.transcribe(noise(1.0))
    assert root.level == before
    assert capfd.readouterr().out == ""
    assert not [record for record in caplog.records if "/funasr/" in record.pathname]


# What goes wrong.


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps"])
async def test_a_device_that_is_not_there_is_told(opening: Opening, folder: Folder, device: str) -> None:
    with pytest.raises(SettingsError, match=rf"asr\.device 写的是 {device}"):
        await opening(model=folder("sensevoice"), device=device).load()


async def test_a_folder_without_a_model_is_told(opening: Opening, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(SettingsError, match=r"asr\.model"):
        await opening(model=tmp_path / "model").load()


async def test_half_a_model_is_told(opening: Opening, folder: Folder, tmp_path: Path) -> None:
    half = tmp_path / "model"
    half.mkdir()
    for file in folder("paraformer").iterdir():
        (half / file.name).write_bytes(file.read_bytes()[: 20_000 if file.name == "model.pt" else None])
    with pytest.raises(SettingsError, match="重新下载"):
        await opening(model=half).load()


async def test_an_onnx_model_is_sent_to_the_other_engine(opening: Opening, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    with pytest.raises(SettingsError, match="asr.engine 改成 funasr_onnx"):
        await opening(model=tmp_path).load()


async def test_a_model_that_fails_on_one_utterance_goes_on_with_the_next(
    opening: Opening, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer = opening(model=folder("sensevoice"))
    await recognizer.load()
    from funasr.models.sense_voice.model import SenseVoiceSmall

    with monkeypatch.context() as patch:
        patch.setattr(SenseVoiceSmall, "inference", lambda *_, **__: 1 / 0)
        with pytest.raises(ServiceUnavailable, match="division"):
            await recognizer.transcribe(noise(1.0))
    assert (await recognizer.transcribe(noise(1.0))).text


# What AutoModel exports, through funasr-onnx.


@pytest.mark.parametrize("name", ["sensevoice", "paraformer", "contextual"])
async def test_exported_models_recognize_without_torch(opening: Opening, exported: Folder, name: str) -> None:
    recognizer = opening(("小智", "咪咪"), engine="funasr_onnx", model=exported(name))
    await recognizer.load()
    assert (await recognizer.transcribe(noise(2.0))).text
    assert (await recognizer.transcribe(noise(0.1))).text is not None


async def test_torch_and_onnx_hear_the_same(opening: Opening, folder: Folder, exported: Folder) -> None:
    by_torch = opening(model=folder("hearing"))
    others = [opening(engine="funasr_onnx"), opening(engine="funasr_onnx", model=exported("hearing"))]
    for name, text in TEXTS.items():
        sound = read_wav(SPEECH / name, 16000)
        heard = await by_torch.transcribe(sound)
        assert heard.text == text
        assert [await other.transcribe(sound) for other in others] == [heard, heard]


# The command.


def test_the_command_prints_nothing_but_its_lines(folder: Folder) -> None:
    wav = Path(__file__).parent / "data" / "speech" / "speech1.wav"
    done = subprocess.run(
        [sys.executable, "-m", "xiaozhi_persona", "transcribe", "--json", str(wav)],
        env={**os.environ, "XZP_ASR__ENGINE": "funasr", "XZP_ASR__MODEL": str(folder("sensevoice"))},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert [line[:1] for line in done.stdout.splitlines()] == ["{"]


# In the bridge and in the host.


@pytest.mark.parametrize("mode", ["auto", "manual"])
async def test_the_bridge_hears_with_automodel(folder: Folder, tmp_path: Path, mode: ListenMode) -> None:
    heard, said = await hear(settings_with(tmp_path, **automodel(folder)), mode)
    assert heard == TEXTS["speech1.wav"] and said


async def test_the_bridge_hears_two_devices_at_once(folder: Folder, tmp_path: Path) -> None:
    heard = await hear_two(settings_with(tmp_path, **automodel(folder)))
    assert heard == [TEXTS["speech1.wav"], TEXTS["speech2.wav"]]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", ["auto", "manual"])
async def test_the_host_hears_with_automodel(folder: Folder, tmp_path: Path, version: str, mode: str) -> None:
    llm = Llm("好的。")
    starting = host_that_hears(version, tmp_path, automodel(folder), llm=llm)
    async with starting as server, server.connect() as device:
        reply = await device.speak(read_wav(SPEECH / "speech4.wav", 16000), mode)
    assert reply.stopped and reply.heard == TEXTS["speech4.wav"] == llm.requests[-1].question


async def test_the_host_hears_two_devices_at_once(folder: Folder, tmp_path: Path) -> None:
    async with (
        host_that_hears(VERSIONS[-1], tmp_path, automodel(folder), llm=Llm("好的。")) as server,
        server.connect() as one,
        server.connect("aa:bb:cc:00:00:02") as other,
    ):
        sounds = [read_wav(SPEECH / name, 16000) for name in ("speech2.wav", "speech4.wav")]
        replies = await asyncio.gather(one.speak(sounds[0], "manual"), other.speak(sounds[1], "manual"))
    assert [reply.heard for reply in replies] == [TEXTS["speech2.wav"], TEXTS["speech4.wav"]]


def automodel(folder: Folder) -> dict[str, Any]:
    return {"engine": "funasr", "model": str(folder("hearing")), "timeout_s": 60.0}
