"""The words that wake a device, however they are written."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


class WakeWords:
    """Some words."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = {_plain(word) for word in words}

    def has(self, text: str) -> bool:
        """Whether a text is one of them."""
        return _plain(text) in self._words


def _plain(text: str) -> str:
    """Bring a wake word to the form that is compared: letter case, width, spaces and punctuation do not count."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())
