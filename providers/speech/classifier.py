"""The feeling of a sentence by a text classifier that a role brings along: a BERT folder with emotion labels.

Two forms are read: a folder of Hugging Face transformers (config.json with the weights), and one with `model.onnx`
and `tokenizer.json`, which needs no torch.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.errors import PackageMissing, PersonaError, SettingsError, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.text.emotions import LABELS, Emotion, EmotionNames

log = logging.getLogger(__name__)

MIN_CONFIDENCE = 0.5
"""Below this probability the classifier has no opinion."""

_MAX_TOKENS = 128

_Model = Callable[[str], NDArray[np.float32]]
"""Returns the logits of one sentence, shape (labels,)."""


class TextClassifier:
    """Judges sentences in a thread. The model is loaded at first use; one that cannot be loaded has no opinion."""

    def __init__(self, folder: Path, names: EmotionNames) -> None:
        self._folder = folder
        self._names = names
        self._free = asyncio.Lock()
        self._model: _Model | None = None
        self._labels: list[str] = []
        self._broken = False

    async def feeling_of(self, text: str) -> Emotion | None:
        """Return the emotion of a sentence, None when the classifier is not sure. Never raises."""
        # One thread at a time, also after a caller has given up: they are the threads that speech is encoded in.
        await self._free.acquire()
        judged = asyncio.get_running_loop().run_in_executor(None, self._judge, text)
        judged.add_done_callback(lambda _: self._free.release())
        return await asyncio.shield(judged)

    def _judge(self, text: str) -> Emotion | None:
        if self._broken:
            return None
        try:
            if self._model is None:
                self._labels, self._model = read_labels(self._folder), _load(self._folder)
            logits = self._model(text)
        except PersonaError as exc:
            self._broken = True
            log.warning("感情分类模型用不了：%s", exc)
            return None
        except Exception:
            self._broken = True
            log.exception("感情分类模型 %s 出错，以后不用它", self._folder)
            return None
        weights = np.exp(logits - logits.max())
        best = int(weights.argmax())
        if weights[best] / weights.sum() < MIN_CONFIDENCE or best >= len(self._labels):
            return None
        return self._names.get(self._labels[best])


def read_labels(folder: Path) -> list[str]:
    """Return the labels in the order of the model's outputs; the 15 built-in ones where the folder names none.

    Raises SettingsError when config.json is missing or unreadable.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        names = config.get("id2label") or {}
        labels = [str(names[str(i)]) for i in range(len(names))]
    except (OSError, ValueError, KeyError, AttributeError) as exc:
        raise SettingsError(
            tr(
                "{folder} 里没有能读的 config.json（{exc}），不是感情分类模型的文件夹。",
                folder=folder,
                exc=exc,
            )
        ) from exc
    return list(LABELS) if all(label.startswith("LABEL_") for label in labels) else labels


def _load(folder: Path) -> _Model:
    return _load_onnx(folder) if (folder / "model.onnx").is_file() else _load_transformers(folder)


def _load_onnx(folder: Path) -> _Model:
    try:
        import onnxruntime
        from tokenizers import Tokenizer
    except ImportError as exc:
        raise PackageMissing(
            tr(
                "感情分类要用 onnxruntime 和 tokenizers：{pip_install}",
                pip_install=pip_install("onnxruntime", "tokenizers"),
            )
        ) from exc
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, ["CPUExecutionProvider"])
    tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(_MAX_TOKENS)
    wanted = {item.name for item in session.get_inputs()}

    def logits(text: str) -> NDArray[np.float32]:
        encoded = tokenizer.encode(text)
        feed = {
            "input_ids": encoded.ids,
            "attention_mask": encoded.attention_mask,
            "token_type_ids": encoded.type_ids,
        }
        arrays = {name: np.array([values], np.int64) for name, values in feed.items() if name in wanted}
        found: NDArray[np.float32] = session.run(None, arrays)[0][0]
        return found

    return logits


def _load_transformers(folder: Path) -> _Model:
    try:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
    except ImportError as exc:
        raise PackageMissing(
            tr(
                "这个感情分类模型要用 transformers 和 torch：{pip_install}",
                pip_install=pip_install("transformers", "torch"),
            )
        ) from exc
    torch.set_num_threads(1)
    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    model: Any = AutoModelForSequenceClassification.from_pretrained(str(folder), local_files_only=True).eval()

    def logits(text: str) -> NDArray[np.float32]:
        with torch.inference_mode():
            encoded = tokenizer(text, return_tensors="pt", truncation=True, max_length=_MAX_TOKENS)
            found: NDArray[np.float32] = model(**encoded).logits[0].float().numpy()
        return found

    return logits
