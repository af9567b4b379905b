"""Where a recognizer's model comes from, which kind it is, and what is said when it cannot be had."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fakes.model_hub import ModelHub

from xiaozhi_persona.errors import PackageMissing, ServiceUnavailable, SettingsError
from xiaozhi_persona.providers.asr import model_hub
from xiaozhi_persona.providers.asr.engine import open_recognizer
from xiaozhi_persona.providers.asr.model_hub import fetch, find_model
from xiaozhi_persona.providers.asr.onnx_models import TINY_MODEL, load_onnx_model, look_at
from xiaozhi_persona.providers.asr.recognizer import ModelRecognizer, lacks_memory
from xiaozhi_persona.settings import AsrSettings, Settings
from xiaozhi_persona.spine import Transcript

BPE = "chn_jpn_yue_eng_ko_spectok.bpe.model"
BASE = ("config.yaml", "am.mvn")
SOUND = np.zeros(16000, np.float32)


def folder_of(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


# Which model lies in a folder.


@pytest.mark.parametrize(
    ("names", "prefer_quantized", "kind", "quantized"),
    [
        ((BPE, "model.onnx"), True, "sensevoice", False),
        ((BPE, "model_quant.onnx"), False, "sensevoice", True),
        ((BPE, "model.onnx", "model_quant.onnx"), True, "sensevoice", True),
        ((BPE, "model.onnx", "model_quant.onnx"), False, "sensevoice", False),
        (("tokens.json", "model.onnx"), True, "paraformer", False),
        (("tokens.json", "model_quant.onnx"), True, "paraformer", True),
        (("tokens.json", "model.onnx", "model_eb.onnx"), True, "contextual", False),
        (("tokens.json", "model_quant.onnx", "model_eb_quant.onnx"), True, "contextual", True),
        (("tokens.json", "model.onnx", "model_eb.onnx", "model_quant.onnx"), True, "contextual", False),
    ],
)
def test_the_kind_is_found_in_the_folder(
    tmp_path: Path, names: tuple[str, ...], prefer_quantized: bool, kind: str, quantized: bool
) -> None:
    found = look_at(folder_of(tmp_path, *BASE, *names), prefer_quantized)
    assert (found.kind, found.quantized) == (kind, quantized)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), "config.yaml、am.mvn"),
        ((*BASE, "model.onnx"), "tokens.json"),
        ((*BASE, "tokens.json"), "model.onnx 或 model_quant.onnx"),
        ((*BASE, "tokens.json", "model.onnx", "model_eb_quant.onnx"), "model_eb"),
        ((*BASE, "bpe.model", "model.pt"), "asr.engine 改成 funasr"),
    ],
)
def test_what_is_missing_in_a_folder_is_named(tmp_path: Path, names: tuple[str, ...], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        look_at(folder_of(tmp_path, *names))


# What funasr-onnx is asked and what it answers.


class FakeFunasrOnnx(ModuleType):
    """Stands for funasr_onnx: answers what it is told to."""

    def __init__(self) -> None:
        super().__init__("funasr_onnx")
        self.answer: Any = []
        self.failing: Exception | None = None
        self.made: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[tuple[Any, ...]] = []
        for name in ("SenseVoiceSmall", "Paraformer", "ContextualParaformer"):
            setattr(self, name, lambda *_, name=name, **options: self._make(name, options))

    def _make(self, name: str, options: dict[str, Any]) -> Any:
        self.made.append((name, options))

        return FakeModel(self)


class FakeModel:
    """As Paraformer, takes what goes wrong in it for silence, but knows one kind of error only."""

    def __init__(self, onnx: FakeFunasrOnnx) -> None:
        self._onnx = onnx

    def __call__(self, _: Any, *hotwords: str, **__: Any) -> Any:
        self._onnx.asked.append(hotwords)
        try:
            (self.bb_infer if hotwords else self.infer)(1, 2)
        except LookupError:
            return []
        return self._onnx.answer

    def infer(self, *_: Any) -> None:
        if self._onnx.failing:
            raise LookupError("ONNXRuntime inferece failed.") from self._onnx.failing

    bb_infer = infer


@pytest.fixture
def onnx(monkeypatch: pytest.MonkeyPatch) -> FakeFunasrOnnx:
    fake = FakeFunasrOnnx()
    monkeypatch.setitem(sys.modules, "funasr_onnx", fake)
    return fake


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ([{"preds": ("你好 hello world", ["你", "好", "hello", "world"])}], "你好 hello world"),
        ([{"preds": "你 好 hello world", "timestamp": [], "raw_tokens": []}], "你好 hello world"),
        ([{"preds": ("", [])}], ""),
        ([], ""),  # silence
    ],
)
def test_paraformer_writes_text_in_several_forms(
    onnx: FakeFunasrOnnx, tmp_path: Path, answer: Any, text: str
) -> None:
    onnx.answer = answer
    folder = folder_of(tmp_path, *BASE, "tokens.json", "model.onnx")
    model = load_onnx_model(folder, AsrSettings(device="cpu"), ["小智"])
    assert model.recognize(SOUND) == Transcript(text)
    assert onnx.made == [
        ("Paraformer", {"quantize": False, "device_id": "-1", "intra_op_num_threads": 1}),
    ]
    assert onnx.asked == [()]


@pytest.mark.parametrize("more", [(), ("model_eb.onnx",)])
def test_paraformer_without_memory_is_not_taken_for_silence(
    onnx: FakeFunasrOnnx, tmp_path: Path, more: tuple[str, ...]
) -> None:
    folder = folder_of(tmp_path, *BASE, "tokens.json", "model.onnx", *more)
    (folder / "tokens.json").write_text('["好"]', encoding="utf-8")
    model = load_onnx_model(folder, AsrSettings(device="cpu"), ["好"])
    onnx.failing = RuntimeError("[ONNXRuntimeError] : 1 : FAIL : std::bad_alloc")
    with pytest.raises(MemoryError) as caught:
        model.recognize(SOUND)
    assert lacks_memory(caught.value)
    onnx.failing = RuntimeError("Non-zero status code returned while running ScatterND node")
    assert model.recognize(SOUND) == Transcript("")


def test_hot_words_that_the_model_cannot_spell_are_left_out(onnx: FakeFunasrOnnx, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, *BASE, "tokens.json", "model_quant.onnx", "model_eb_quant.onnx")
    (folder / "tokens.json").write_text(json.dumps(["<blank>", *"小智咪好", "hello"]), encoding="utf-8")
    words = ["小智", "咪咪", "魑魅", "hello", "好" * 11]
    load_onnx_model(folder, AsrSettings(), words).recognize(SOUND)
    assert onnx.made[0][0] == "ContextualParaformer" and onnx.asked == [("小智 咪咪",)]


def test_a_graphics_card_that_cannot_be_used_is_told(onnx: FakeFunasrOnnx, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, *BASE, BPE, "model.onnx")
    with pytest.raises(SettingsError, match=r"cuda:1.*onnxruntime-gpu"):
        load_onnx_model(folder, AsrSettings(device="cuda:1"), ())


@pytest.mark.parametrize(
    ("device", "number"), [("auto", "0"), ("cuda", "0"), ("cuda:3", "3"), ("cpu", "-1"), ("mps", "-1")]
)
def test_the_device_of_the_settings_is_obeyed(
    onnx: FakeFunasrOnnx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, number: str
) -> None:
    providers = SimpleNamespace(get_available_providers=lambda: ["CUDAExecutionProvider"])
    monkeypatch.setitem(sys.modules, "onnxruntime", providers)
    load_onnx_model(folder_of(tmp_path, *BASE, BPE, "model.onnx"), AsrSettings(device=device), ())
    assert onnx.made[0][1]["device_id"] == number


# Where a model is.


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("tqdm.tqdm.monitor_interval", 0)  # its thread lives on
    files = {file.name: file.read_bytes() for file in TINY_MODEL.iterdir()}
    with ModelHub("iic/Tiny-onnx", files) as hub:
        yield hub


DOWNLOAD = "xiaozhi_persona.providers.asr.model_hub._download"
REAL_DOWNLOAD = model_hub._download


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Download in this process, in which the hub's client can be told to be quick."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the client's tries
    monkeypatch.setattr(DOWNLOAD, lambda model, asr, target, _: fetch(model, asr.hub, asr.mirror, target))


def find(model: str, settings: AsrSettings, base: Path, downloads: Path) -> Path:
    return find_model(model, settings, base, downloads, threading.Event())


def settings_for(hub: ModelHub) -> AsrSettings:
    return AsrSettings(hub="hf", mirror=hub.url)


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "模型").mkdir()
    assert find("模型", AsrSettings(), tmp_path, tmp_path / "m") == tmp_path / "模型"
    assert find(str(tmp_path), AsrSettings(), Path("/"), tmp_path / "m") == tmp_path


def test_a_model_given_as_its_file_is_sent_to_the_folder(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    with pytest.raises(SettingsError, match=f"是一个文件。请写它所在的文件夹 {tmp_path}"):
        find("model.onnx", AsrSettings(), tmp_path, tmp_path / "m")


@pytest.mark.parametrize("name", ["gone", "./gone/model", "/gone/model", "a/b/c", "../x/y"])
def test_what_is_neither_folder_nor_name_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=r"asr\.model"):
        find(name, AsrSettings(), tmp_path, tmp_path / "m")


def test_a_model_is_downloaded_once_and_needs_no_network_after_that(hub: ModelHub, tmp_path: Path) -> None:
    folder = find("iic/Tiny-onnx", settings_for(hub), tmp_path, tmp_path / "m")
    assert all((folder / name).read_bytes() == data for name, data in hub.files.items())
    assert look_at(folder).kind == "sensevoice"
    hub.asked.clear()
    assert find("iic/Tiny-onnx", settings_for(hub), tmp_path, tmp_path / "m") == folder
    assert not hub.asked


def test_a_download_that_breaks_off_goes_on_where_it_stopped(
    hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)
    hub.breaks_after = 450_000
    folder = find("iic/Tiny-onnx", settings_for(hub), tmp_path, tmp_path / "m")
    assert all((folder / name).read_bytes() == data for name, data in hub.files.items())
    assert any(wanted.startswith("bytes=4") for *_, wanted in hub.asked)


def test_half_a_download_is_not_taken_for_a_model(hub: ModelHub, tmp_path: Path) -> None:
    hub.breaks_after = 0
    with pytest.raises(ServiceUnavailable, match=r"iic/Tiny-onnx.*接着下载"):
        find("iic/Tiny-onnx", settings_for(hub), tmp_path, tmp_path / "m")
    hub.breaks_after = None
    folder = find("iic/Tiny-onnx", settings_for(hub), tmp_path, tmp_path / "m")
    assert look_at(folder).kind == "sensevoice"


def test_without_a_network_the_next_step_is_said(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(ServiceUnavailable, match=r"检查网络.*asr\.mirror"):
            find("iic/Tiny", AsrSettings(hub="hf", mirror=url), tmp_path, tmp_path / "m")


def test_a_name_that_the_hub_does_not_know_is_told(hub: ModelHub, tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match="iic/Other"):
        find("iic/Other", settings_for(hub), tmp_path, tmp_path / "m")


def test_without_the_hub_s_package_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "modelscope_hub.compat", None)
    with pytest.raises(PackageMissing, match="pip install modelscope-hub"):
        find("iic/Tiny", AsrSettings(), tmp_path, tmp_path / "m")


def test_a_mirror_of_modelscope_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def download(model_id: str, local_dir: str = "", endpoint: str = "") -> None:
        asked.update(model_id=model_id, endpoint=endpoint)

    monkeypatch.setitem(sys.modules, "modelscope_hub.compat", SimpleNamespace(snapshot_download=download))
    find("iic/Tiny", AsrSettings(mirror="https://mirror.example/"), tmp_path, tmp_path / "m")
    assert asked == {"model_id": "iic/Tiny", "endpoint": "https://mirror.example"}


def test_a_folder_that_is_missing_is_told_beside_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "modelscope_hub.compat", None)
    with pytest.raises(PackageMissing, match=f"没有文件夹 {tmp_path}/models/gone"):
        find("models/gone", AsrSettings(), tmp_path, tmp_path / "m")
    (tmp_path / "models").mkdir()  # now it can only be meant as a folder
    with pytest.raises(SettingsError, match=f"没有模型的文件夹 {tmp_path}/models/gone"):
        find("models/gone", AsrSettings(), tmp_path, tmp_path / "m")


# A download in a process of its own.


@pytest.fixture
def _apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DOWNLOAD, REAL_DOWNLOAD)


@pytest.mark.usefixtures("_apart")
def test_another_process_downloads(hub: ModelHub, tmp_path: Path) -> None:
    folder = find("iic/Tiny-onnx", settings_for(hub), tmp_path, tmp_path / "m")
    assert all((folder / name).read_bytes() == data for name, data in hub.files.items())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 always looks there")
@pytest.mark.usefixtures("_apart")
def test_modules_of_the_current_folder_do_not_get_in_its_way(
    hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "huggingface_hub.py").write_text("raise RuntimeError", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    find("iic/Tiny-onnx", settings_for(hub), tmp_path, tmp_path / "m")


@pytest.mark.usefixtures("_apart")
def test_what_went_wrong_there_is_told_here(hub: ModelHub, tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match=r"Hugging Face 下载不了模型 iic/Other.*asr\.mirror"):
        find("iic/Other", settings_for(hub), tmp_path, tmp_path / "m")


@pytest.mark.usefixtures("_apart")
@pytest.mark.parametrize(
    "nonsense", [b"", b"<html>log in first</html>", b"[]", b"{}", b'{"siblings": 7}', b"\xff\0"]
)
def test_a_hub_that_answers_nonsense_is_told(hub: ModelHub, tmp_path: Path, nonsense: bytes) -> None:
    hub.nonsense = nonsense
    with pytest.raises(ServiceUnavailable, match="iic/Tiny-onnx"):
        find("iic/Tiny-onnx", settings_for(hub), tmp_path, tmp_path / "m")


@pytest.mark.usefixtures("_apart")
async def test_closing_ends_a_download(hub: ModelHub, tmp_path: Path) -> None:
    with hub.holding_back():
        asr = {"model": "iic/Tiny-onnx", "hub": "hf", "mirror": hub.url}
        recognizer = open_recognizer(Settings.model_validate({"asr": asr}).at(tmp_path))
        loading = asyncio.ensure_future(recognizer.load())
        await asyncio.to_thread(hub.wanted.wait, 30)
        loading.cancel()
        began = time.monotonic()
        await recognizer.aclose()
        assert time.monotonic() - began < 5
        for thread in threading.enumerate():
            if thread.name == "asr-load":
                thread.join(1)
                assert not thread.is_alive()
    assert find("iic/Tiny-onnx", settings_for(hub), tmp_path, tmp_path / "data" / "models").is_dir()


HOST = """
import sys
from xiaozhi_persona.providers.host.recognizers import shared_recognizer
from xiaozhi_persona.config import load_settings
door = set
shared_recognizer(load_settings(None), door)
sys.stdin.readline()
"""


@pytest.mark.parametrize("killed", [False, True])
def test_a_process_that_ends_takes_its_download_with_it(hub: ModelHub, tmp_path: Path, killed: bool) -> None:
    asr = {"XZP_ASR__MODEL": "iic/Tiny-onnx", "XZP_ASR__HUB": "hf", "XZP_ASR__MIRROR": hub.url}
    with hub.holding_back():
        process = subprocess.Popen(
            [sys.executable, "-c", HOST],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, **asr, "XZP_PATHS__DATA": str(tmp_path)},
        )
        assert hub.wanted.wait(30)
        if killed:
            process.kill()
        _, log = process.communicate(b"\n", timeout=10)  # the other process holds this pipe open, too
        assert "Traceback" not in log.decode()


# The engine of the settings.


async def test_a_downloaded_model_recognizes(hub: ModelHub, tmp_path: Path) -> None:
    asr = {"model": "iic/Tiny-onnx", "hub": "hf", "mirror": hub.url}
    recognizer = open_recognizer(Settings.model_validate({"asr": asr}).at(tmp_path))
    await recognizer.load()
    await recognizer.aclose()
    assert (tmp_path / "data" / "models" / "hf" / "iic--Tiny-onnx" / "model_quant.onnx").is_file()


def test_the_same_hot_word_counts_once(onnx: FakeFunasrOnnx, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, *BASE, "tokens.json", "model.onnx", "model_eb.onnx")
    shutil.copy(TINY_MODEL / "config.yaml", folder)
    (folder / "tokens.json").write_text(json.dumps([*"小智咪"]), encoding="utf-8")
    asr = {"model": str(folder), "hotwords": ["小智", "咪咪"]}
    recognizer = open_recognizer(Settings.model_validate({"asr": asr}), ["小智", "咪 小"])
    assert isinstance(recognizer, ModelRecognizer)
    recognizer._load_model().recognize(SOUND)
    assert onnx.asked == [("小智 咪咪 咪 小",)]
