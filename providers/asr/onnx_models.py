"""FunASR's models through funasr-onnx: no torch. SenseVoiceSmall, and Paraformer with and without hot words.

File names and options: modelscope/FunASR, runtime/python/onnxruntime/funasr_onnx.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from xiaozhi_persona.checks import Check
from xiaozhi_persona.errors import PackageMissing, SettingsError, first_line, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.asr.checks import check_model
from xiaozhi_persona.providers.asr.model_hub import find_model
from xiaozhi_persona.providers.asr.recognizer import Floats, Model, ModelRecognizer, lacks_memory
from xiaozhi_persona.providers.asr.tiny.sentences import nearest_sentence
from xiaozhi_persona.providers.asr.transcripts import join_words, read_tags
from xiaozhi_persona.settings import AsrSettings, Settings
from xiaozhi_persona.spine import Transcript

PACKAGES = ("funasr-onnx", "onnxruntime")
NAMED_BY = "model"

TINY_MODEL = Path(__file__).parent / "tiny" / "model"
"""The embedded model, which knows the sentences of providers/asr/tiny/sentences.py."""

_BPE = "chn_jpn_yue_eng_ko_spectok.bpe.model"
_LONGEST_HOTWORD = 10  # letters; funasr-onnx fails on a longer one


def open_engine(settings: Settings, hotwords: tuple[str, ...]) -> ModelRecognizer:
    """Return a recognizer with the model of the settings, or the embedded one; nothing is loaded yet."""
    asr, base, downloads = settings.asr, settings.path("."), settings.data_dir / "models"
    closing = threading.Event()

    def load() -> Model:
        folder = find_model(asr.model, asr, base, downloads, closing) if asr.model else TINY_MODEL
        return load_onnx_model(folder, asr, hotwords)

    if asr.model:
        return ModelRecognizer(tr("FunASR ONNX（{model}）", model=asr.model), asr, load, closing)
    name = tr("FunASR，自带的小模型：只认识演示的句子")
    advice = tr("asr.model 设为 iic/SenseVoiceSmall-onnx，或你的文件夹")
    return ModelRecognizer(name, asr, load, closing, advice)


def check(settings: Settings) -> AsyncIterator[Check]:
    """Check the packages, the device, the model and one sentence."""
    asr = settings.asr

    def has_card() -> bool:
        _import_funasr_onnx()
        _device_id(asr.device)
        return _has_cuda()

    return check_model(settings, open_engine, PACKAGES, has_card, lambda: [asr.model])


@dataclass(frozen=True)
class OnnxFolder:
    """What lies in a model's folder."""

    path: Path
    kind: Literal["sensevoice", "paraformer", "contextual"]
    quantized: bool


def look_at(folder: Path, prefer_quantized: bool = True) -> OnnxFolder:
    """Return which model is in `folder`. Raises SettingsError that names what is missing."""
    there = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    missing = [name for name in ("config.yaml", "am.mvn") if name not in there]
    contextual = any(name.startswith("model_eb") for name in there)
    if not there & {_BPE, "tokens.json"}:
        missing.append(tr("{BPE}（SenseVoice）或 tokens.json（Paraformer）", BPE=_BPE))
    plain, small = {"model.onnx"}, {"model_quant.onnx"}
    if contextual:
        plain, small = plain | {"model_eb.onnx"}, small | {"model_eb_quant.onnx"}
    found = [quantized for quantized, names in ((False, plain), (True, small)) if names <= there]
    if not found:
        missing.append(
            tr("model.onnx 或 model_quant.onnx") + (tr("，以及它的 model_eb") if contextual else "")
        )
    if missing:
        text = tr(
            "{folder} 里没有 {missing}，不是 funasr_onnx 能用的文件夹",
            folder=folder,
            missing=tr("、").join(missing),
        )
        if "model.pt" in there:
            raise SettingsError(
                tr("{value}，而是 torch 的模型。把 asr.engine 改成 funasr，或换 ONNX 的模型。", value=text)
            )
        raise SettingsError(tr("{value}。请改 asr.model，或删掉它重新下载。", value=text))
    quantized = prefer_quantized if len(found) == 2 else found[0]
    kind: Literal["sensevoice", "paraformer", "contextual"]
    kind = "sensevoice" if _BPE in there else "contextual" if contextual else "paraformer"
    return OnnxFolder(folder, kind, quantized)


def load_onnx_model(folder: Path, settings: AsrSettings, hotwords: Sequence[str]) -> Model:
    """Load the model in `folder`.

    Raises SettingsError for a folder that holds none that can be read, PackageMissing without funasr-onnx.
    """
    found = look_at(folder, settings.quantized)
    funasr_onnx = _import_funasr_onnx()
    options = {
        "quantize": found.quantized,
        "device_id": _device_id(settings.device),
        "intra_op_num_threads": 1,
    }
    try:
        if found.kind == "sensevoice":
            return _SenseVoice(funasr_onnx.SenseVoiceSmall(str(folder), **options), settings, folder)
        if found.kind == "paraformer":
            return _Paraformer(funasr_onnx.Paraformer(str(folder), **options))
        known = set(json.loads((folder / "tokens.json").read_text(encoding="utf-8")))
        words = [word for word in hotwords if len(word) <= _LONGEST_HOTWORD and known.issuperset(word)]
        return _ContextualParaformer(funasr_onnx.ContextualParaformer(str(folder), **options), words)
    except Exception as exc:  # onnxruntime, sentencepiece and YAML errors have no common base class
        raise SettingsError(
            tr(
                "读不了语音识别模型 {folder}：{rstrip}。请删掉它重新下载，或改 asr.model。",
                folder=folder,
                rstrip=first_line(exc).rstrip("."),
            )
        ) from exc


def _import_funasr_onnx() -> ModuleType:
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)  # where there is one, funasr-onnx does not set the root logger to its own liking
    try:
        import funasr_onnx
    except (ImportError, OSError) as exc:  # OSError: libraries that do not fit this system
        raise PackageMissing(
            tr("没有语音识别（{exc}）。运行 {pip_install}", exc=exc, pip_install=pip_install("funasr-onnx"))
        ) from exc
    finally:
        root.removeHandler(handler)
    return funasr_onnx  # type: ignore[no-any-return]


class _SenseVoice:
    def __init__(self, model: Any, settings: AsrSettings, folder: Path) -> None:
        self._model = model
        self._language = settings.language
        self._textnorm = "withitn" if settings.itn else "woitn"
        self._tiny = folder == TINY_MODEL

    def recognize(self, sound: Floats) -> Transcript:
        if self._tiny:
            sound = _trimmed(sound)
        transcript = read_tags(self._model(sound, language=[self._language], textnorm=[self._textnorm])[0])
        if self._tiny:
            return Transcript(
                nearest_sentence(transcript.text), transcript.language, transcript.emotion, transcript.event
            )
        return transcript


class _Paraformer:
    def __init__(self, model: Any) -> None:
        self._model = model
        model.infer = _not_silent(model.infer)

    def recognize(self, sound: Floats) -> Transcript:
        return _read_words(self._model(sound))


class _ContextualParaformer:
    def __init__(self, model: Any, hotwords: Sequence[str]) -> None:
        self._model = model
        model.bb_infer = _not_silent(model.bb_infer)
        self._hotwords = " ".join(hotwords)

    def recognize(self, sound: Floats) -> Transcript:
        return _read_words(self._model(sound, self._hotwords))


def _not_silent(infer: Callable[..., Any]) -> Callable[..., Any]:
    """Keep funasr-onnx from taking a lack of memory for silence, as it does with all that goes wrong in Paraformer."""

    def inferred(*features: Any) -> Any:
        try:
            return infer(*features)
        except Exception as exc:
            if lacks_memory(exc):
                raise MemoryError from exc
            raise

    return inferred


def _read_words(results: list[dict[str, Any]]) -> Transcript:
    """Read Paraformer's result: a text, a text with its words, or nothing at all for silence."""
    preds = results[0]["preds"] if results else ""
    return Transcript(join_words(preds if isinstance(preds, str) else preds[0]))


def _trimmed(sound: Floats) -> Floats:
    """Leave 300 ms of silence at either end: the tiny model was not trained with more."""
    loudness = np.abs(sound)
    loud = np.flatnonzero(loudness > loudness.max() / 20)
    margin = 4800
    return sound[max(0, loud[0] - margin) : loud[-1] + margin] if len(loud) else sound


def _device_id(device: str) -> str:
    """Return the number of the graphics card for funasr-onnx, "-1" for the CPU. Raises SettingsError."""
    if device in ("cpu", "mps"):  # onnxruntime has no mps; the CPU of such a computer is fast
        return "-1"
    if device == "auto":
        return "0" if _has_cuda() else "-1"
    if not _has_cuda():
        raise SettingsError(
            tr(
                "asr.device 写的是 {device}，但这里的 onnxruntime 用不了显卡。"
                "运行 {pip_install}，或把 asr.device 改成 cpu。",
                device=device,
                pip_install=pip_install("onnxruntime-gpu"),
            )
        )
    return device.partition(":")[2] or "0"


def _has_cuda() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
