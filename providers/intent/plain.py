"""The form in which sentences and templates are compared: folded characters, without punctuation and spaces."""

from __future__ import annotations

from typing import NamedTuple

from xiaozhi_persona.memory.time_words.fold import fold

_WITHIN_NUMBERS = ".:"
_WITHIN_WORDS = "'"
_BEFORE_ER = "点声会名"


class Plain(NamedTuple):
    """A sentence in that form, and where its characters stand in what was said."""

    text: str
    places: tuple[int, ...]
    """The place in `said` of each character of `text`."""
    pauses: frozenset[int]
    """The places in `text` before which there was punctuation or a space."""
    said: str

    def words(self, start: int, end: int) -> str:
        """Return what was said between two places of `text`, with its spaces and punctuation."""
        return self.said[self.places[start] : self.places[end - 1] + 1] if start < end else ""


def plain(said: str) -> Plain:
    """Bring a sentence into that form. Any string will do."""
    folded = fold(said).replace("您", "你")
    chars: list[str] = []
    places: list[int] = []
    pauses: set[int] = set()
    last = len(folded) - 1
    for place, char in enumerate(folded):
        if char == "儿" and place and folded[place - 1] in _BEFORE_ER:
            continue  # 一点儿 is 一点
        is_within = char in _WITHIN_NUMBERS and 0 < place < last and _is_digit(folded, place)
        if char.isalnum() or char == "%" or is_within:
            chars.append(char)
            places.append(place)
        elif char not in _WITHIN_WORDS:
            pauses.add(len(chars))
    return Plain("".join(chars), tuple(places), frozenset(pauses), said)


def _is_digit(text: str, place: int) -> bool:
    return text[place - 1].isdecimal() and text[place + 1].isdecimal()
