"""Any model of FunASR through its AutoModel, with torch; versions 1.2.7 to 1.4.

Each of recognizer, VAD and punctuation is an AutoModel of its own and is joined here: version 1.2.7 leaves out the
punctuation where there is no VAD, and the newer ones drop the tags of all but the first part where there is one.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import re
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from xiaozhi_persona.checks import Check
from xiaozhi_persona.errors import PackageMissing, SettingsError, first_line, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.asr.checks import check_model
from xiaozhi_persona.providers.asr.model_hub import find_model
from xiaozhi_persona.providers.asr.recognizer import Floats, Model, ModelRecognizer
from xiaozhi_persona.providers.asr.transcripts import join_transcripts, join_words, read_tags
from xiaozhi_persona.settings import AsrSettings, Settings
from xiaozhi_persona.spine import Transcript

PACKAGES = ("funasr", "torch")
NAMED_BY = "model"

_DEFAULT_MODEL = "iic/SenseVoiceSmall"
_SAMPLES_PER_MS = 16
_HOTWORD = re.compile(r"(?!http)[\w'-]+")
_quiet = threading.Lock()
"""Of two at once, the second would put back the output that the first has taken away."""


def open_engine(settings: Settings, hotwords: tuple[str, ...]) -> ModelRecognizer:
    """Return a recognizer with the models of the settings; nothing is loaded yet."""
    asr, base, downloads = settings.asr, settings.path("."), settings.data_dir / "models"
    closing = threading.Event()
    name = tr("FunASR（{value}）", value=asr.model or _DEFAULT_MODEL)
    return ModelRecognizer(
        name, asr, lambda: load_torch_model(asr, base, downloads, hotwords, closing), closing
    )


def check(settings: Settings) -> AsyncIterator[Check]:
    """Check the packages, the device, the models and one sentence."""
    asr, base = settings.asr, settings.path(".")

    def has_card() -> bool:
        with _kept_quiet():
            torch, _ = _import_funasr()
            _device(asr.device, torch)
            return bool(torch.cuda.is_available())

    return check_model(settings, open_engine, PACKAGES, has_card, lambda: _names(asr, base))


def load_torch_model(
    settings: AsrSettings, base: Path, downloads: Path, hotwords: Sequence[str], stop: threading.Event
) -> Model:
    """Load the models that the settings name; relative folders start at `base`, and `stop` ends a download.

    Raises SettingsError (no such model, device or folder), PackageMissing, ServiceUnavailable (a download failed).
    """
    with _kept_quiet():
        torch, auto_model = _import_funasr()
        device = _device(settings.device, torch)
    folders = [
        find_model(name, settings, base, downloads, stop) if name else None for name in _names(settings, base)
    ]
    with _kept_quiet():
        recognizer, vad, punctuation = (folder and _load(auto_model, folder, device) for folder in folders)
        torch.set_num_threads(1)  # one for each worker; version 1.2.7 sets 4 for some models
    return _TorchModel(recognizer, vad, punctuation, settings, hotwords)


def _import_funasr() -> tuple[Any, Any]:
    """Return torch and FunASR's AutoModel. Raises PackageMissing."""
    try:
        import torch
        from funasr import AutoModel
    except (ImportError, OSError) as exc:  # OSError: a torchaudio that does not fit this torch
        raise PackageMissing(
            tr(
                "asr.engine 是 funasr，但用不了它（{exc}）。"
                "运行 {pip_install}，或把 asr.engine 改成 funasr_onnx。",
                exc=exc,
                pip_install=pip_install("funasr[knf]", "torch"),
            )
        ) from exc
    return torch, AutoModel


def _names(settings: AsrSettings, base: Path) -> list[str]:
    """Return the folders or the hub's names of recognizer, VAD and punctuation, "" for one that is not wanted."""
    names = (settings.model or _DEFAULT_MODEL, settings.vad_model, settings.punc_model)
    return [_full_name(name, settings.hub, base) if name else "" for name in names]


def _full_name(name: str, hub: str, base: Path) -> str:
    """Return the hub's name for one of FunASR's short names, such as paraformer-zh, where no folder is called so."""
    if (base / Path(name).expanduser()).is_dir():
        return name
    from funasr.download import name_maps_from_hub as maps

    return str((maps.name_maps_ms if hub == "ms" else maps.name_maps_hf).get(name, name))


class _TorchModel:
    """AutoModel changes itself while it works, so each thread has a shallow copy; they share the weights."""

    def __init__(
        self, recognizer: Any, vad: Any, punctuation: Any, settings: AsrSettings, hotwords: Sequence[str]
    ) -> None:
        self._originals = (recognizer, vad, punctuation)
        self._of_thread = threading.local()
        self._options: dict[str, Any] = {
            "use_itn": settings.itn,
            "itn": settings.itn,
        }  # SenseVoice, Fun-ASR-Nano
        if settings.language != "auto":  # which not every kind of model knows as a word
            self._options["language"] = settings.language
        words = [word for word in hotwords if _HOTWORD.fullmatch(word)]  # a file or address would be opened
        if words:
            self._options |= {"hotword": " ".join(words), "hotwords": words}  # Paraformer, Fun-ASR-Nano

    def recognize(self, sound: Floats) -> Transcript:
        recognizer, vad, punctuation = self._models()
        parts = [sound]
        if vad is not None:
            spans = _generate(vad, sound).get("value", [])
            parts = [sound[start * _SAMPLES_PER_MS : end * _SAMPLES_PER_MS] for start, end in spans]
        results = [_generate(recognizer, part, **self._options) for part in parts]
        heard = join_transcripts([read_tags(str(result.get("text", ""))) for result in results])
        if punctuation is None or not heard.text:
            return heard
        text = str(_generate(punctuation, heard.text).get("text", heard.text))
        return Transcript(join_words(text), heard.language, heard.emotion, heard.event)

    def _models(self) -> tuple[Any, ...]:
        if not hasattr(self._of_thread, "models"):
            self._of_thread.models = tuple(model and _shallow_copy(model) for model in self._originals)
        models: tuple[Any, ...] = self._of_thread.models
        return models


def _generate(model: Any, given: Floats | str, **options: Any) -> dict[str, Any]:
    """Return the first result, empty when there is none."""
    results = model.generate(input=given, cache={}, disable_pbar=True, **options)
    first: dict[str, Any] = results[0] if results else {}
    return first


def _shallow_copy(model: Any) -> Any:
    twin = copy.copy(model)
    for name, value in vars(model).items():
        if name.endswith("kwargs") and isinstance(value, dict):
            setattr(twin, name, dict(value))
    return twin


def _load(auto_model: Any, folder: Path, device: str) -> Any:
    try:
        model = auto_model(
            model=str(folder),
            device=device,
            ncpu=1,
            disable_update=True,
            disable_pbar=True,
            log_level="ERROR",
        )
    except Exception as exc:  # torch, omegaconf, sentencepiece and YAML errors have no common base class
        onnx = any(folder.glob("*.onnx")) and not (folder / "model.pt").is_file()
        advice = (
            tr("它是 ONNX 的模型：把 asr.engine 改成 funasr_onnx。")
            if onnx
            else tr("请删掉它重新下载，或改 asr.model。")
        )
        raise SettingsError(
            tr(
                "读不了语音识别模型 {folder}（{name}：{exc}）。{advice}",
                folder=folder,
                name=type(exc).__name__,
                exc=first_line(exc),
                advice=advice,
            )
        ) from exc
    weights = next(iter(model.model.parameters()), None)
    if weights is not None and weights.device.type != device.partition(":")[0]:
        model.model.to(device)  # some versions fall back to the CPU without a word
        model.kwargs["device"] = device
    return model


def _device(device: str, torch: Any) -> str:
    """Return the device for torch. Raises SettingsError for one that this machine does not have."""
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = bool(torch.backends.mps.is_available())
    if device == "auto":
        return "cuda:0" if cards else "mps" if has_mps else "cpu"
    if device == "cuda":
        device = "cuda:0"
    kind, _, number = device.partition(":")
    if kind == "cuda" and int(number) >= cards:
        found = (
            tr("只有 {cards} 块（cuda:0 起）", cards=cards)
            if cards
            else tr("torch 没有找到能用的 NVIDIA 显卡")
        )
        raise SettingsError(
            tr(
                "asr.device 写的是 {device}，{found}。请检查驱动，装带 CUDA 的 torch，或把 asr.device 改成 cpu。",
                device=device,
                found=found,
            )
        )
    if kind == "mps" and not has_mps:
        raise SettingsError(
            tr("asr.device 写的是 mps，但 torch 在这台机器上用不了它。请把 asr.device 改成 cpu。")
        )
    return device


@contextlib.contextmanager
def _kept_quiet() -> Iterator[None]:
    """Keep what FunASR prints to itself, and leave the root logger as it was."""
    root = logging.getLogger()
    with _quiet:
        handlers, level = root.handlers[:], root.level
        if _not_funasr not in root.filters:
            root.addFilter(_not_funasr)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        finally:
            for handler in root.handlers[:]:
                if handler not in handlers:
                    root.removeHandler(handler)
            root.setLevel(level)


def _not_funasr(record: logging.LogRecord) -> bool:
    """Drop what FunASR writes into the root logger, errors excepted; some of it is what was said."""
    return record.levelno >= logging.ERROR or "/funasr/" not in record.pathname.replace("\\", "/")
