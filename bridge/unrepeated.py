"""What a chat model writes once more after its tools answered: left out, so that nothing is spoken twice."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TAG = re.compile("^【[^】]{1,12}】")
_INSIDE_WORDS, _INSIDE_NUMBERS = "'’-_", ".,:：/%°℃"


class Unrepeated:
    """Leaves out the beginning of a text that was written before: a model may begin anew after its tools answered."""

    def __init__(self, before: Iterable[str]) -> None:
        texts = [text.strip() for text in before]
        texts.append("".join(texts))
        self._before = {text for text in (*texts, *(_TAG.sub("", text) for text in texts)) if text}
        self._held = ""

    def feed(self, text: str) -> str:
        """Return what was not written before, as far as that is known."""
        if not self._before:
            return text
        self._held += text
        held = self._held.lstrip()
        if any(text.startswith(held) for text in self._before):
            return ""
        return self.finish()

    def finish(self) -> str:
        """Return what was held back, at the text's end."""
        held = self._held.lstrip()
        repeated = max((text for text in self._before if _begins(held, text)), key=len, default="")
        rest = held[len(repeated) :] if repeated else self._held
        self._before, self._held = set(), ""
        return rest


def _begins(text: str, beginning: str) -> bool:
    """Whether a text begins with another one that ends where a word ends; in Chinese only a mark tells that."""
    if not text.startswith(beginning):
        return False
    last, following = beginning[-1], text[len(beginning) : len(beginning) + 1]
    goes_on = (
        following.isalnum() or following in _INSIDE_WORDS or (last.isdigit() and following in _INSIDE_NUMBERS)
    )
    return not (last.isalnum() and following and goes_on)
