"""Which local intent a sentence is: the whole sentence must be a template's, but for the frame around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xiaozhi_persona.memory.spoken import parse_command
from xiaozhi_persona.providers.intent.automaton import Captured, read
from xiaozhi_persona.providers.intent.frames import allows
from xiaozhi_persona.providers.intent.own_files import OwnFiles
from xiaozhi_persona.providers.intent.plain import Plain, plain
from xiaozhi_persona.providers.intent.slots import Lists, name_in_plain
from xiaozhi_persona.providers.intent.tables import Tables, Template, bundled

MAX_CLOSED_CHARS = 40
"""A longer core is no command, unless it has an open slot."""
MAX_OPEN_CHARS = 100
_MAX_SAID_CHARS = 200
_MEMORY = {
    "off": "off_record",
    "on": "on_record",
    "remember": "remember",
    "forget": "forget",
    "forget_all": "forget",
    "ask_forget_all": "forget",
}


@dataclass(frozen=True)
class Match:
    """What a sentence asks for."""

    intent: str
    slots: Mapping[str, Any] = field(default_factory=dict)
    template: Template | None = None
    """The template of which the sentence is; None for what is said to the memory, which has rules of its own."""


class Router:
    """Finds the intents of sentences."""

    def __init__(self, own: Path | None = None) -> None:
        """`own` is the folder of the owner's files; `refresh` reads them."""
        self._bundled, self._frames = bundled()
        self._own = OwnFiles(own)

    def route(self, text: str, lists: Lists | None = None) -> Match | None:
        """Return the intent of a sentence, None for whatever is not plainly one.

        `lists` are the names of the moment: {"role": [...]}. Any string will do.
        """
        if len(text) > _MAX_SAID_CHARS:
            return None
        said = plain(text)
        if not said.text:
            return None
        return self._of_templates(said, lists or {}) or _of_the_memory(text)

    def refresh(self) -> list[str]:
        """Read the owner's files again where they have changed; return what is wrong in them, a line each. Blocks."""
        return self._own.refresh()

    def cores(self, said: Plain) -> Iterator[tuple[int, int, set[int], set[int]]]:
        """Yield each way to take the frame off: where the core begins and ends, and the marks before and after it."""
        begins, ends = self._begins(said, {}), self._frames.ends(said)
        for start, before in begins.items():
            for end, after in ends.items():
                if start < end:
                    yield start, end, before, after

    def templates(self) -> Iterator[Template]:
        """Yield all templates, the owner's first."""
        for tables in self._tables():
            yield from tables.templates

    def _tables(self) -> tuple[Tables, ...]:
        own = self._own.tables
        return (own, self._bundled) if own else (self._bundled,)

    def _begins(self, said: Plain, lists: Lists) -> dict[int, set[int]]:
        return self._frames.begins(said, [name for one in lists.get("role", ()) if (name := name_in_plain(one))])

    def _of_templates(self, said: Plain, lists: Lists) -> Match | None:
        begins, ends = self._begins(said, lists), self._frames.ends(said)
        length = len(said.text)
        for tables in self._tables():
            best: tuple[int, int, int] | None = None
            found: Match | None = None
            for start, before in begins.items():
                for end, numbers in tables.automaton.run(said.text, start):
                    after = ends.get(end)
                    if after is None:
                        continue
                    for number in numbers:
                        template = tables.templates[number]
                        if template.allowed is None:
                            if start or end < length:
                                continue
                        elif not allows(before, after, template.allowed):
                            continue
                        captured = read(template.items, said, start, end, lists)
                        if captured is None or end - start > _longest(captured):
                            continue
                        # Few words in open slots, then a long core, then the earlier template.
                        rank = _open_chars(captured), start - end, number
                        if best is None or rank < best:
                            best, found = rank, Match(template.intent, _slots(captured), template)
            if found:
                return found
        return None


def _of_the_memory(text: str) -> Match | None:
    command = parse_command(text)
    if command is None:
        return None
    return Match(_MEMORY[command.kind], {"what": command.what} if command.what else {})


def _longest(captured: Captured) -> int:
    return MAX_OPEN_CHARS if any(slot.kind.is_open for slot, _ in captured) else MAX_CLOSED_CHARS


def _open_chars(captured: Captured) -> int:
    return sum(len(value) for slot, value in captured if slot.kind.is_open)


def _slots(captured: Captured) -> dict[str, Any]:
    slots: dict[str, Any] = {}
    for slot, value in captured:
        if slot.name.startswith("_"):
            continue
        slots.update(value if isinstance(value, dict) else {slot.name: value})
    return slots
