"""What stands around a command: fillers, politeness, whom one speaks to, and the reason (太吵了, 孩子睡了).

They are taken from both ends by a table, in every way in which they can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from xiaozhi_persona.providers.intent.automaton import Automaton
from xiaozhi_persona.providers.intent.plain import Plain
from xiaozhi_persona.providers.intent.template import Parts, backwards

ASKS, IS_ASKED, REASON = 1, 2, 4
"""Marks of a frame: it asks whether one can (能不能), it ends as a question does (吗), it gives a reason."""

Words = Mapping[str, int]
"""Words, and the mark of each; 0 for the others."""


class Frames:
    """Finds where the core of a sentence can begin and end."""

    def __init__(self, lead: Words, tail: Words, reasons: Sequence[Parts]) -> None:
        self._lead = _by_first(lead.items())
        self._tail = _by_first((word[::-1], mark) for word, mark in tail.items())
        self._reasons = Automaton(reasons)
        self._reasons_backwards = Automaton([backwards(reason) for reason in reasons])

    def begins(self, said: Plain, names: Sequence[str] = ()) -> dict[int, set[int]]:
        """Return each place where the core can begin, with the marks of what is before it.

        `names`, in the form of `plain`, may be called before a pause: 小雨，停一下.
        """
        called = [name for name in names if name in said.text]

        def words(place: int) -> Iterator[tuple[int, int]]:
            for name in called:
                if said.text.startswith(name, place) and place + len(name) in said.pauses:
                    yield place + len(name), 0

        return _reached(said.text, self._lead, self._reasons, words)

    def ends(self, said: Plain) -> dict[int, set[int]]:
        """Return each place where the core can end, with the marks of what is after it."""
        length = len(said.text)
        found = _reached(said.text[::-1], self._tail, self._reasons_backwards)
        return {length - place: marks for place, marks in found.items()}


def allows(begin: set[int], end: set[int], allowed: int, needed: int) -> bool:
    """Whether a frame has no marks but allowed ones, and those that are needed; a 吗 at the end needs a 能不能 before."""
    for before in begin:
        for after in end:
            marks = before | after
            if not marks & ~allowed and not needed & ~marks and (marks & ASKS or not marks & IS_ASKED):
                return True
    return False


def _by_first(words: Iterable[tuple[str, int]]) -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = {}
    for word, mark in words:
        found.setdefault(word[0], []).append((word, mark))
    return found


def _reached(
    text: str,
    words: Mapping[str, list[tuple[str, int]]],
    reasons: Automaton,
    others: Callable[[int], Iterable[tuple[int, int]]] = lambda _: (),
) -> dict[int, set[int]]:
    """Return the places up to which a text is nothing but such words, with the marks of each way to read them."""
    reached: dict[int, set[int]] = {0: {0}}
    furthest = 0
    for place, char in enumerate(text):
        if place > furthest:
            break
        marks = reached.get(place)
        if marks is None:
            continue
        ends = [
            (place + len(word), mark) for word, mark in words.get(char, ()) if text.startswith(word, place)
        ]
        ends += [(end, REASON) for end, _ in reasons.run(text, place)]
        ends += others(place)
        for end, mark in ends:
            furthest = max(furthest, end)
            reached.setdefault(end, set()).update(before | mark for before in marks)
    return reached
