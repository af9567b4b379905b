"""microWakeWord: small models for one word each; four English ones are inside the package pymicro-wakeword."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xiaozhi_persona.bridge.wake_words import WakeWords
from xiaozhi_persona.errors import PackageMissing, SettingsError, first_line, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.spine import Samples

_TFLITE_MARK = slice(4, 8), b"TFL3"
"""Every TensorFlow Lite model has it (its schema's file identifier). The library crashes on what is none."""


class MicroSpotter:
    """Finds the word of one model."""

    def __init__(self, word: str, config: Path | None) -> None:
        """`config` is the model's .json file; None for the packaged model of `word`. Raises as `open_spotter` does."""
        try:
            import pymicro_wakeword as package
        except ImportError as exc:
            raise PackageMissing(
                tr("唤醒词要用 pymicro-wakeword：运行 {command}", command=pip_install("pymicro-wakeword"))
            ) from exc
        if config is None:
            config = _packaged(Path(package.__file__).parent / "models", word)
        self.word = _checked(config)
        try:
            self._model: Any = package.MicroWakeWord.from_config(config)
        except (OSError, KeyError, TypeError, ValueError) as exc:
            raise _unreadable(config, first_line(exc)) from exc
        self._features: Any = package.MicroWakeWordFeatures()

    def feed(self, samples: Samples) -> bool:
        """As Spotter says."""
        found = False
        for features in self._features.process_streaming(samples.astype("<i2").tobytes()):
            if self._model.process_streaming(features):
                found = True
                self._model.reset()  # else the same word is found again and again
        return found


def _packaged(folder: Path, word: str) -> Path:
    models = {_word(file): file for file in sorted(folder.glob("*.json"))}
    for name, file in models.items():
        if WakeWords([name, file.stem]).has(word):
            return file
    raise SettingsError(
        tr(
            "audio.wake_word 的“{word}”没有自带的模型，只有 {names}。换成其中一个，或用 audio.wake_word_model 写模型的位置",
            word=word,
            names=tr("、").join(models),
        )
    )


def _checked(config: Path) -> str:
    """Return the word of a model whose files are what they should be."""
    try:
        word = _word(config)
        model = config.parent / json.loads(config.read_text(encoding="utf-8"))["model"]
        with model.open("rb") as file:
            head = file.read(8)
    except OSError as exc:
        raise _unreadable(config, f"{exc.filename}: {exc.strerror}") from exc
    except (KeyError, TypeError, ValueError) as exc:
        raise _unreadable(config, first_line(exc)) from exc
    place, mark = _TFLITE_MARK
    if head[place] != mark:
        raise _unreadable(config, tr("{name} 不是 TensorFlow Lite 的模型", name=model.name))
    return word


def _word(config: Path) -> str:
    return str(json.loads(config.read_text(encoding="utf-8"))["wake_word"])


def _unreadable(config: Path, reason: str) -> SettingsError:
    return SettingsError(
        tr(
            "audio.wake_word_model 的 {config} 用不了（{reason}）。应是 microWakeWord 的 .json，.tflite 在旁边",
            config=config,
            reason=reason,
        )
    )
