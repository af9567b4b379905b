"""Many templates matched at once, a character at a time, so that a sentence takes time that grows with its length alone.

What may follow is worked out when it is first reached, and kept: a state is the set of all places in all templates that
the characters so far can have led to. Slots are taken for any characters that their values may hold; whether one holds a
value, and which, `read` says of the few templates that are left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from xiaozhi_persona.providers.intent.plain import Plain
from xiaozhi_persona.providers.intent.slots import Lists
from xiaozhi_persona.providers.intent.template import Either, Item, Parts, Slot

_MAX_STATES = 20_000
"""More are not kept: what people say leads to some hundreds."""

Captured = tuple[tuple[Slot, Any], ...]


class Automaton:
    """Finds which templates a text may be a sentence of."""

    def __init__(self, templates: Sequence[Parts]) -> None:
        self._cells: dict[tuple[Any, int], _Cell] = {}
        self._insides: dict[Slot, _Inside] = {}
        self._states: dict[frozenset[_Cell], _State] = {}
        self._start = self._state(frozenset([self._tree(list(enumerate(templates)))]))

    def run(self, text: str, start: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield each place up to which the text from `start` may be a sentence, with the numbers of its templates."""
        state = self._start
        for place in range(start, len(text)):
            char = text[place]
            after = state.after.get(char)
            if after is None:
                after = state.after[char] = self._step(state, char)
            if not after.cells:
                return
            if after.ends:
                yield place + 1, after.ends
            state = after

    def _step(self, state: _State, char: str) -> _State:
        reached: set[_Cell] = set()
        for cell in state.cells:
            for tail, rest in cell.follows.get(char, ()):
                reached.add(self._cell(tail, rest) if tail else rest)
            for chars, inside in cell.slots:
                if chars is None or char in chars:
                    reached.add(inside)
        return self._state(frozenset(reached))

    def _state(self, cells: frozenset[_Cell]) -> _State:
        state = self._states.get(cells)
        if state is None:
            if len(self._states) >= _MAX_STATES:
                self._states.clear()
                self._start.after.clear()
            for cell in cells:
                if not cell.is_known:
                    self._look_beyond(cell)
            ends = tuple(sorted({end for cell in cells for end in cell.ends}))
            state = self._states[cells] = _State(cells, ends)
        return state

    def _look_beyond(self, cell: _Cell) -> None:
        """Work out where a cell leads with each character, and which templates end at it."""
        follows = cell.follows
        seen: set[_Cell] = set()
        stack: list[tuple[Any, _Cell | None]] = [(cell.item, cell.rest)]
        while stack:
            item, rest = stack.pop()
            if rest is None:
                if isinstance(item, tuple):
                    stack += [(begin.item, begin.rest) for begin in item]
                else:
                    cell.ends.append(item)
            elif isinstance(item, str):
                follows.setdefault(item[0], []).append((item[1:], rest))
            elif isinstance(item, Either):
                for option in item.options:
                    if len(option) == 1:
                        stack.append((option[0], rest))
                    elif (at := self._chain(option, rest)) not in seen:
                        seen.add(at)
                        stack.append((at.item, at.rest))
            else:
                slot = item
                if isinstance(item, _Inside):
                    stack.append((rest.item, rest.rest))
                    slot = item.slot
                if slot.kind.words is not None:
                    for word in slot.kind.words:
                        follows.setdefault(word[0], []).append((word[1:], rest))
                else:
                    inside = self._insides.setdefault(slot, _Inside(slot))
                    cell.slots.append((slot.kind.chars, self._cell(inside, rest)))
        cell.is_known = True

    def _tree(self, templates: list[tuple[int, Parts]]) -> _Cell:
        """Return the cell at which numbered templates begin; what several of them begin with is there once."""
        groups: dict[Item, list[tuple[int, Parts]]] = {}
        cells = []
        for number, items in templates:
            if items:
                groups.setdefault(items[0], []).append((number, items[1:]))
            else:
                cells.append(_Cell(number, None))
        for item, group in groups.items():
            if len(group) > 1:
                rest = self._tree(group)
            else:
                number, items = group[0]
                rest = self._chain(items, _Cell(number, None))
            cells.append(self._cell(item, rest))
        return cells[0] if len(cells) == 1 else _Cell(tuple(cells), None)

    def _chain(self, items: Parts, rest: _Cell) -> _Cell:
        for item in reversed(items):
            rest = self._cell(item, rest)
        return rest

    def _cell(self, item: Item | _Inside, rest: _Cell) -> _Cell:
        key = (item, id(rest))
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = _Cell(item, rest)
        return cell


def read(items: Parts, said: Plain, start: int, end: int, lists: Lists) -> Captured | None:
    """Return the slots of a template and their values, if what stands between two places is a sentence of it."""
    known: dict[tuple[int, int], dict[int, Captured]] = {}

    def sequence(items: Parts, begin: int) -> dict[int, Captured]:
        reached: dict[int, Captured] = {begin: ()}
        for item in items:
            after: dict[int, Captured] = {}
            for place, captured in reached.items():
                for stop, more in one(item, place).items():
                    after.setdefault(stop, captured + more)
            reached = after
            if not reached:
                break
        return reached

    def one(item: Item, place: int) -> dict[int, Captured]:
        if isinstance(item, str):
            stop = place + len(item)
            return {stop: ()} if stop <= end and said.text.startswith(item, place) else {}
        key = (id(item), place)
        found = known.get(key)
        if found is None:
            found = known[key] = {}
            if isinstance(item, Either):
                for option in item.options:
                    for stop, captured in sequence(option, place).items():
                        found.setdefault(stop, captured)
            else:
                for stop in range(place + 1, min(end, place + item.kind.max_chars) + 1):
                    value = item.kind.read(said, place, stop, lists)
                    if value is not None:
                        found[stop] = ((item, value),)
        return found

    return sequence(items, start).get(end)


@dataclass(frozen=True, eq=False)
class _Inside:
    """Stands after the first character of a slot's value."""

    slot: Slot


class _Cell:
    """A place in a template: what comes there, and what after it.

    Where templates part, what comes is a tuple of cells, and at the end of template n it is n; nothing comes after these.
    """

    __slots__ = ("item", "rest", "is_known", "follows", "slots", "ends")

    def __init__(self, item: Any, rest: _Cell | None) -> None:
        self.item, self.rest = item, rest
        self.is_known = False
        self.follows: dict[str, list[tuple[Any, Any]]] = {}
        """By character: what comes next in its part ("" for nothing), and what after that."""
        self.slots: list[tuple[frozenset[str] | None, _Cell]] = []
        """The characters of the slots that can begin or go on here (None for any), and where each leads."""
        self.ends: list[int] = []


class _State:
    """All cells that the characters so far can have led to."""

    __slots__ = ("cells", "ends", "after")

    def __init__(self, cells: frozenset[_Cell], ends: tuple[int, ...]) -> None:
        self.cells, self.ends = cells, ends
        self.after: dict[str, _State] = {}
