"""What stands in a slot: a number, a length of time, a time of day, one of a list, a name of the moment, any words."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xiaozhi_persona.providers.intent.plain import Plain, plain

Lists = Mapping[str, Sequence[str]]
"""Names of the moment by kind, such as the roles that there are: {"role": ["小雨"]}."""
Read = Callable[[Plain, int, int, Lists], Any]
"""Gives the value of what stands between two places of a sentence; None when it is none."""


@dataclass(frozen=True, eq=False)
class Kind:
    """What values a slot takes."""

    name: str
    read: Read
    example: str
    """A value, as it is said."""
    max_chars: int = 20
    chars: frozenset[str] | None = None
    """The characters that a value may hold; None for any."""
    words: Mapping[str, Any] | None = None
    """All values, by their words; then `chars` does not count."""
    is_open: bool = False
    """Whether nearly anything is a value."""


def of_text(name: str, read: Callable[[str], Any], chars: str, example: str, max_chars: int = 20) -> Kind:
    """Return a kind that is read from the bare characters."""
    return Kind(name, lambda said, a, b, _: read(said.text[a:b]), example, max_chars, frozenset(chars))


def of_words(name: str, words: Mapping[str, Any]) -> Kind:
    """Return the kind of a closed list; its words are in the form of `plain`."""
    longest = max(map(len, words), default=1)
    example = next(iter(words), "")
    return Kind(name, lambda said, a, b, _: words.get(said.text[a:b]), example, longest, words=words)


def of_range(name: str, low: float, high: float, number: Kind) -> Kind:
    """Return the kind of a number from `low` to `high`."""

    def read(said: Plain, start: int, end: int, lists: Lists) -> Any:
        value = number.read(said, start, end, lists)
        return value if value is not None and low <= value <= high else None

    return Kind(name, read, f"{low:g}", number.max_chars, number.chars)


def of_any(name: str, fits: Callable[[str], bool], example: str, max_chars: int = 30) -> Kind:
    """Return the kind of any words without a pause that `fits` takes, in the form of `plain`."""

    def read(said: Plain, start: int, end: int, _: Lists) -> Any:
        inside = (place for place in said.pauses if start < place < end)
        if any(not _is_english(said.text, place) for place in inside):
            return None
        return said.words(start, end).strip() if fits(said.text[start:end]) else None

    return Kind(name, read, example, max_chars, is_open=True)


def of_the_moment(name: str, example: str) -> Kind:
    """Return the kind of names that are handed in with each sentence."""

    def read(said: Plain, start: int, end: int, lists: Lists) -> Any:
        text = said.text[start:end]
        return next((one for one in lists.get(name, ()) if name_in_plain(one) == text), None)

    return Kind(name, read, example)


@functools.lru_cache(maxsize=1000)
def name_in_plain(name: str) -> str:
    """Return a name of the moment in the form of `plain`."""
    return plain(name).text


def _is_english(text: str, place: int) -> bool:
    """Whether the pause at a place is one between words that are written apart."""
    return text[place - 1].isascii() and text[place].isascii()
