"""Lore books: what a role knows of its world, found by the words of the conversation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.text.measures import estimated_tokens, normalized
from xiaozhi_persona.text_files import read_text
from xiaozhi_persona.yaml_files import load_yaml, not_yaml

_BRACKETS = str.maketrans("<>", "‹›")
"""In a lore text they could end the <memory> block that it will stand in."""
_SEPARATORS = re.compile(r"[,，、;；|/\n]+")


@dataclass(frozen=True)
class LoreEntry:
    """A text, and the words that call for it."""

    keys: tuple[str, ...]
    text: str


class LoreBook:
    """The entries of a role's lore books."""

    def __init__(self, entries: Sequence[LoreEntry], max_entries: int | None = None) -> None:
        """`max_entries` bounds what one look-up returns."""
        self.entries = tuple(entries)
        self._max_entries = max_entries
        # By the first two characters of a key (one, when it has no more): a text is read once, however many keys.
        self._by_start: dict[str, list[tuple[str, int]]] = {}
        for number, entry in enumerate(self.entries):
            for key in entry.keys:
                plain = normalized(key).strip()
                if plain:
                    self._by_start.setdefault(plain[:2], []).append((plain, number))

    def find(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """Return the texts whose keys occur, each once: those of the first of `texts` come first.

        `texts` are the question and then the messages before it, newest first. An entry that does not fit into
        what is left of `max_tokens` is left out.
        """
        found: dict[str, None] = {}
        left = max_tokens
        for text in texts:
            for number in self._numbers(normalized(text)):
                entry = self.entries[number]
                told = entry.text.translate(_BRACKETS)
                cost = estimated_tokens(told)
                if told not in found and cost <= left:
                    found[told] = None
                    left -= cost
        return list(found)[: self._max_entries]

    def _numbers(self, text: str) -> list[int]:
        numbers: dict[int, None] = {}
        for place in range(len(text)):
            for start in (text[place : place + 2], text[place]):
                for key, number in self._by_start.get(start, ()):
                    if text.startswith(key, place) and _whole_word(text, place, key):
                        numbers[number] = None
        return list(numbers)


def load_lore(folder: Path) -> LoreBook:
    """Read every *.yaml and *.yml of a folder; an empty book when there is none.

    Two forms: a list of `{keys: [...], text: ...}`, and MoeChat's mapping of a key to its text (a key may hold
    several words, separated by commas). Raises SettingsError that names the file and the entry.
    """
    entries: list[LoreEntry] = []
    for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        try:
            data = load_yaml(read_text(file))
        except yaml.YAMLError as exc:
            raise not_yaml(exc, file) from exc
        entries += _entries(file, data)
    return LoreBook(entries)


def _entries(file: Path, data: Any) -> list[LoreEntry]:
    if data is None:
        return []
    if isinstance(data, dict):
        return [
            LoreEntry(tuple(part.strip() for part in _SEPARATORS.split(str(key))), str(text).strip())
            for key, text in data.items()
            if text is not None
        ]
    if isinstance(data, list) and all(
        isinstance(item, dict) and item.get("keys") and item.get("text") for item in data
    ):
        return [
            LoreEntry(
                tuple(map(str, item["keys"] if isinstance(item["keys"], list) else [item["keys"]])),
                str(item["text"]).strip(),
            )
            for item in data
        ]
    raise SettingsError(
        tr(
            "世界书 {file} 的形式不对：应为“词: 文字”，或每一项都有 keys 和 text 的列表。请照此修改。",
            file=file,
        )
    )


def _whole_word(text: str, place: int, key: str) -> bool:
    """Whether a key in Latin letters is not a part of a longer word."""
    end = place + len(key)
    before, after = text[place - 1 : place], text[end : end + 1]
    return not (
        (key[0].isascii() and key[0].isalnum() and before.isascii() and before.isalnum())
        or (key[-1].isascii() and key[-1].isalnum() and after.isascii() and after.isalnum())
    )
