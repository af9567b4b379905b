"""Regular expressions that are compiled when they are first used, and texts that are made of certain words alone.

What people say is matched against expressions of ours in the middle of a turn, and nothing stops a match once it has
begun. So the time of each of them grows with the text, and no faster: no text can be read by a repeated part in two ways
(`(?:a|b|ab)*`, `X*X*`), and a search does not scan the rest of the text from each place where it could begin
(`X.*Y`, `X+$`). tests/test_expressions.py tries them all. Where the words themselves are ambiguous, Words reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast


def pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    """Return the expression; it behaves as re.compile(text, flags) would, and costs nothing until it is asked."""
    return cast("re.Pattern[str]", _Later(text, flags))


def followed(first: str, later: str) -> str:
    """Return what to search for where `first.*later` is meant: it begins with the text, and finds `first` only once.

    Whether `first` is there at all is looked up before, which is quick, and most texts end there.
    """
    return f"^(?=(?s:.*)(?:{first}))(?s:(?!{first}).)*(?:{first})(?s:.*)(?:{later})"


class _Later:
    def __init__(self, text: str, flags: int) -> None:
        self._given = text, flags

    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(*self._given), name)
        setattr(self, name, value)  # the next call finds it without coming here
        return value


class Words:
    """Certain words, which may follow each other in any order, and as often as they like.

    Every place of a text is looked at once, so that it does not matter in how many ways it can be read.
    """

    def __init__(self, words: str) -> None:
        """`words` are separated by "|", as in an expression; they are words, and nothing else of expressions."""
        self._forwards = _by_first(words.split("|"))
        self._backwards = _by_first(word[::-1] for word in words.split("|"))

    def make_up(self, text: str) -> bool:
        """Whether a text is nothing but such words; the empty one is."""
        return len(text) in _reached(text, self._forwards)

    def lead(self, text: str) -> int:
        """Return where the words end with which a text begins."""
        return max(_reached(text, self._forwards))

    def tail(self, text: str, least: int = 0) -> int:
        """Return where the words begin with which a text ends, at `least` or later."""
        begins = (len(text) - place for place in _reached(text[::-1], self._backwards))
        return min(begin for begin in begins if begin >= min(least, len(text)))


def _by_first(words: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in words:
        found.setdefault(word[0], []).append(word)
    return found


def _reached(text: str, words: Mapping[str, Sequence[str]]) -> set[int]:
    """Return the places up to which a text is nothing but words, which are given by their first characters."""
    reached, furthest = {0}, 0
    for place, char in enumerate(text):
        if place > furthest:
            break
        if place in reached:
            ends = [place + len(word) for word in words.get(char, ()) if text.startswith(word, place)]
            reached.update(ends)
            furthest = max([furthest, *ends])
    return reached
