"""FunASR's SenseVoiceSmall through funasr-onnx: no torch, one thread.

Tags in its output, such as ``<|zh|><|HAPPY|><|Speech|><|withitn|>``: modelscope/FunASR, funasr/utils/postprocess_utils.py.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np

from xiaozhi_persona.errors import PackageMissing, ServiceTimeout, ServiceUnavailable, SettingsError
from xiaozhi_persona.providers.asr.tiny.sentences import nearest_sentence
from xiaozhi_persona.settings import AsrSettings
from xiaozhi_persona.spine import Samples, Transcript
from xiaozhi_persona.text.emotions import built_in_names

TINY_MODEL = Path(__file__).parent / "tiny" / "model"
"""The embedded model, which knows the sentences of providers/asr/tiny/sentences.py."""

_MIN_SAMPLES = 1600  # 100 ms: with less there is no feature frame
_FILES = ("config.yaml", "am.mvn", "chn_jpn_yue_eng_ko_spectok.bpe.model")
_TAG = re.compile(r"<\|([^|<>]*)\|>")
_LANGUAGES = frozenset(("zh", "en", "yue", "ja", "ko"))
_EVENTS = frozenset(("Speech", "BGM", "Applause", "Laughter", "Cry", "Sneeze", "Breath", "Cough"))


class SenseVoiceRecognizer:
    """Recognizes one utterance at a time, in a thread of its own; the model is loaded once, at first use."""

    def __init__(self, settings: AsrSettings, folder: Path) -> None:
        self._language = settings.language
        self._timeout_s = settings.timeout_s
        self._folder = folder
        self._tiny = folder == TINY_MODEL
        self._model: Any = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="asr")

    async def load(self) -> None:
        """Load the model now. Raises SettingsError for a folder that holds none, PackageMissing without funasr-onnx."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._load)

    async def transcribe(self, pcm16k: Samples) -> Transcript:
        """Recognize one utterance of 16 kHz mono sound; no text when there is no speech in it.

        Raises ServiceTimeout, ServiceUnavailable.
        """
        if len(pcm16k) < _MIN_SAMPLES:
            return Transcript("")
        work = asyncio.get_running_loop().run_in_executor(self._executor, self._recognize, pcm16k)
        try:
            with anyio.fail_after(self._timeout_s):
                transcript = read_tags(await work)
        except TimeoutError as exc:
            raise ServiceTimeout(
                f"语音识别超过 {self._timeout_s:g} 秒，可调大 asr.timeout_s 或换小一些的模型"
            ) from exc
        return replace(transcript, text=nearest_sentence(transcript.text)) if self._tiny else transcript

    async def aclose(self) -> None:
        """End the thread."""
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)  # it may be in a long utterance

    def _load(self) -> None:
        if self._model is None:
            quantized = check_model_folder(self._folder)
            try:
                from funasr_onnx import SenseVoiceSmall
            except ImportError as exc:
                raise PackageMissing("没有语音识别：运行 pip install 'xiaozhi-persona[asr]'") from exc
            try:
                self._model = SenseVoiceSmall(str(self._folder), quantize=quantized, intra_op_num_threads=1)
            except Exception as exc:  # onnxruntime, sentencepiece and YAML errors have no common base class
                raise SettingsError(
                    f"读不了语音识别模型 {self._folder}：{exc}。请重新下载，或留空 asr.model。"
                ) from exc

    def _recognize(self, pcm16k: Samples) -> str:
        self._load()
        try:
            sound = (_trimmed(pcm16k) if self._tiny else pcm16k).astype(np.float32) / 32768
            text: str = self._model(sound, language=[self._language], textnorm=["withitn"])[0]
        except Exception as exc:
            raise ServiceUnavailable(f"语音识别出错：{exc}") from exc
        return text


def _trimmed(pcm16k: Samples) -> Samples:
    """Leave 300 ms of silence at either end: the tiny model was not trained with more."""
    loudness = np.abs(pcm16k.astype(np.int32))
    loud = np.flatnonzero(loudness > loudness.max() / 20)
    margin = 4800
    return pcm16k[max(0, loud[0] - margin) : loud[-1] + margin] if len(loud) else pcm16k


def check_model_folder(folder: Path) -> bool:
    """Return whether the model in `folder` is the quantized one. Raises SettingsError that names what is missing."""
    missing = [name for name in _FILES if not (folder / name).is_file()]
    quantized = (folder / "model_quant.onnx").is_file()
    if not quantized and not (folder / "model.onnx").is_file():
        missing.append("model.onnx 或 model_quant.onnx")
    if missing:
        raise SettingsError(
            f"{folder} 里没有 {'、'.join(missing)}，不是 SenseVoiceSmall 的 ONNX 文件夹。请改 asr.model。"
        )
    return quantized


def read_tags(output: str) -> Transcript:
    """Take the tags of SenseVoice's output into their fields."""
    language = emotion = event = ""
    for tag in _TAG.findall(output):
        if tag in _LANGUAGES:
            language = language or tag
        elif tag in _EVENTS:
            event = event or tag.lower()
        elif not emotion and (known := built_in_names().get(tag)):
            emotion = known.face
    return Transcript(_TAG.sub("", output).strip(), language, emotion, event)
