"""sherpa-onnx keyword spotting: any word in the language of a model, of which there are Chinese ones.

Source: sherpa-onnx 2.0, keyword_spotter.py and utils.py (text2token: how Chinese words become the tokens of a model).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from xiaozhi_persona.bridge.client.sound import MIC_RATE_HZ
from xiaozhi_persona.bridge.wake_words import WakeWords
from xiaozhi_persona.errors import PackageMissing, SettingsError, first_line, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.spine import Samples

_PARTS = ("encoder", "decoder", "joiner")
_WEIGHTS = ":#"
"""How the score and the threshold of a keyword begin, which may stand behind its tokens."""


class SherpaSpotter:
    """Finds one word by a streaming transducer."""

    def __init__(self, word: str, folder: Path) -> None:
        """`folder` holds tokens.txt, encoder*.onnx, decoder*.onnx and joiner*.onnx, and may hold keywords.txt, as the
        downloads of sherpa-onnx do. Raises as `open_spotter` does.
        """
        try:
            import sherpa_onnx
        except ImportError as exc:
            raise _missing("sherpa-onnx") from exc
        self.word = word
        parts = {part: str(_part(folder, part)) for part in _PARTS}
        tokens = _read(folder, folder / "tokens.txt")
        known = {line.split()[0] for line in tokens.splitlines() if line.strip()}
        line = _keyword(folder, word, known)
        try:
            with tempfile.TemporaryDirectory() as scratch:
                keywords = Path(scratch) / "keywords.txt"
                keywords.write_text(line + "\n", encoding="utf-8")
                self._spotter: Any = sherpa_onnx.KeywordSpotter(
                    tokens=str(folder / "tokens.txt"), keywords_file=str(keywords), num_threads=1, **parts
                )
            self._stream: Any = self._spotter.create_stream()
        except Exception as exc:  # onnxruntime's errors are of many kinds
            raise _unusable(folder, first_line(exc)) from exc

    def feed(self, samples: Samples) -> bool:
        """As Spotter says."""
        self._stream.accept_waveform(MIC_RATE_HZ, samples.astype(np.float32) / 32768)
        found = False
        while self._spotter.is_ready(self._stream):
            self._spotter.decode_stream(self._stream)
            if self._spotter.get_result(self._stream):
                found = True
                self._spotter.reset_stream(self._stream)
        return found


def _part(folder: Path, part: str) -> Path:
    files = sorted(folder.glob(f"{part}*.onnx"), key=lambda file: (".int8." not in file.name, file.name))
    if not files:
        raise _unusable(folder, tr("没有 {name}", name=f"{part}*.onnx"))
    return files[0]


def _keyword(folder: Path, word: str, known: set[str]) -> str:
    """Return the line that tells the engine the word: its tokens, and behind @ its name.

    What is wrong in it would end the process, and is told before.
    """
    words = next(_written(folder, word), None) or _pinyin(word)
    strange = [token for token in words if token not in known and token[0] not in _WEIGHTS]
    if strange:
        raise SettingsError(
            tr(
                "{folder} 的模型里没有“{word}”的音（{tokens}）。换一个词，或在它的 keywords.txt 里写一行：音 空格隔开 @{word}",
                folder=folder,
                word=word,
                tokens=" ".join(strange),
            )
        )
    return " ".join(words) + " @" + "".join(word.split())


def _written(folder: Path, word: str) -> Iterator[list[str]]:
    """Yield the tokens of a word as the folder's keywords.txt has them."""
    if (folder / "keywords.txt").is_file():
        for line in _read(folder, folder / "keywords.txt").splitlines():
            tokens, _, name = line.partition("@")
            if WakeWords([word]).has(name or tokens):
                yield tokens.split()


def _pinyin(word: str) -> list[str]:
    """Return the initials and finals of a Chinese word, as the Chinese models write them: n ǐ h ǎo."""
    try:
        from pypinyin import pinyin
        from pypinyin.contrib.tone_convert import to_finals_tone, to_initials
    except ImportError as exc:
        raise _missing("pypinyin") from exc
    tokens = []
    for (syllable,) in pinyin(word):
        initial, final = to_initials(syllable, strict=False), to_finals_tone(syllable, strict=False)
        tokens += [part for part in (initial, final) if part] or [syllable]
    return tokens


def _read(folder: Path, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        raise _unusable(folder, f"{file.name}: {first_line(exc)}") from exc


def _missing(package: str) -> PackageMissing:
    return PackageMissing(
        tr("这个唤醒词要用 {package}：运行 {command}", package=package, command=pip_install(package))
    )


def _unusable(folder: Path, reason: str) -> SettingsError:
    return SettingsError(
        tr(
            "audio.wake_word_model 的 {folder} 用不了（{reason}）。应是 sherpa-onnx 的 kws 模型解开后的文件夹",
            folder=folder,
            reason=reason,
        )
    )
