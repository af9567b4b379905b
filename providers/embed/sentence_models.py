"""Models of sentence-transformers: a folder, or a name on the hub. Needs torch."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.errors import PackageMissing, ServiceUnavailable, SettingsError, first_line, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Embedder


class SentenceModel:
    """An Embedder."""

    def __init__(self, model: str) -> None:
        self.name = f"sentence_transformers {model}"
        self._model_name = model
        self._model: Any = None
        # E5 models want to know what a text is: intfloat/multilingual-e5-small, its model card.
        self._marks = ("query: ", "passage: ") if "e5" in model.lower().rpartition("/")[2] else ("", "")

    def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector for each text that may be found. Raises PackageMissing, ServiceUnavailable."""
        return self._encoded([self._marks[1] + text for text in texts])

    def query(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a question. Raises PackageMissing, ServiceUnavailable."""
        vector: NDArray[np.float32] = self._encoded([self._marks[0] + text])[0]
        return vector

    def close(self) -> None:
        """Let go of the model."""
        self._model = None

    def _encoded(self, texts: list[str]) -> NDArray[np.float32]:
        if self._model is None:
            self._model = _loaded(self._model_name)
        return np.asarray(self._model.encode(texts, show_progress_bar=False), np.float32)


def open_engine(settings: MemorySettings) -> Embedder:
    """Return the embedder; the model is loaded at the first text. Raises SettingsError."""
    if not settings.embedder_model:
        raise SettingsError(
            tr("memory.embedder 为 sentence_transformers 时，memory.embedder_model 写模型的文件夹或名字。")
        )
    return SentenceModel(settings.embedder_model)


def _loaded(name: str) -> Any:
    try:
        module = importlib.import_module("sentence_transformers")
    except ImportError as exc:
        raise PackageMissing(
            tr(
                "memory.embedder 用 sentence-transformers，但它没有装。运行：{command}",
                command=pip_install("sentence-transformers"),
            )
        ) from exc
    try:
        return module.SentenceTransformer(name)
    except Exception as exc:  # whatever the hub, the files or torch report
        raise ServiceUnavailable(
            tr(
                "载入不了 memory.embedder_model {name}（{why}）。检查文件夹或名字；没有网络时写本地文件夹。",
                name=name,
                why=first_line(exc),
            )
        ) from exc
