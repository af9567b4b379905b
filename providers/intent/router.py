"""Which local intent a sentence is: the whole sentence must be a template's, but for the frame around it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from xiaozhi_persona.memory.commands import Command, parse_command
from xiaozhi_persona.providers.intent.automaton import Captured, read
from xiaozhi_persona.providers.intent.frames import IS_ASKED, allows
from xiaozhi_persona.providers.intent.own_files import OwnFiles
from xiaozhi_persona.providers.intent.plain import Plain, plain
from xiaozhi_persona.providers.intent.slots import Lists, name_in_plain
from xiaozhi_persona.providers.intent.tables import KINDS, Tables, Template, bundled
from xiaozhi_persona.providers.intent.template import example

MAX_CLOSED_CHARS = 40
"""A longer core is no command, unless it has an open slot; an English one may have half as many letters more."""
MAX_OPEN_CHARS = 100
_MAX_SAID_CHARS = 200
_MAX_READS = 20
"""So many templates are looked at more closely; a sentence of people's may be one of seven."""
_ANY_ROLE = KINDS["role"].example
_MEMORY = {
    "off": "off_record",
    "on": "on_record",
    "remember": "remember",
    "forget": "forget",
    "forget_all": "forget",
    "ask_forget_all": "forget",
}


_Places = dict[int, set[int]]
"""Places in a sentence, with the marks of what stands before or after each."""


@dataclass(frozen=True)
class Match:
    """What a sentence asks for."""

    intent: str
    slots: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""
    """The sentence without what stands around it (请, 帮我, 好吗)."""
    named: Mapping[str, Any] = field(default_factory=dict)
    """What it names beside the slots: the time or the length of the alarm that is to be cancelled."""
    template: Template | None = None
    """The template of which the sentence is; None for what is said to the memory, which has rules of its own."""
    command: Command | None = None
    """What the memory is told."""

    @property
    def tells_memory(self) -> bool:
        """Whether the memory is told something by it: neither such words nor the answer are to be remembered."""
        action = self.template.action if self.template else None
        return bool(self.command or (action and action.do and action.do.memory))


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
        begins, ends = self._begins(said, lists or {}), self._frames.ends(said)
        return self._of_templates(said, begins, ends, lists or {}) or _of_the_memory(said, begins, ends)

    def refresh(self) -> list[str]:
        """Read the owner's files again where they have changed; return what is wrong in them, a line each. Blocks."""
        return self._own.refresh()

    def warm(self) -> None:
        """Go through a sentence of every template, so that the first real ones take no longer than later ones. Blocks."""
        choose = random.Random(0).choice
        for template in self.templates():
            self.route(example(template.items, choose), {"role": [_ANY_ROLE]})

    def core(self, text: str) -> str:
        """Return a sentence without what may stand around a command, in the form in which templates are compared."""
        said = plain(text)
        begin, end = max(self._begins(said, {})), min(self._frames.ends(said))
        return said.text[begin:end] if begin < end else said.text

    def templates(self) -> Iterator[Template]:
        """Yield all templates, the owner's first."""
        for tables in self._tables():
            yield from tables.templates

    def _tables(self) -> tuple[Tables, ...]:
        own = self._own.tables
        return (own, self._bundled) if own else (self._bundled,)

    def _begins(self, said: Plain, lists: Lists) -> dict[int, set[int]]:
        return self._frames.begins(
            said, [name for one in lists.get("role", ()) if (name := name_in_plain(one))]
        )

    def _of_templates(self, said: Plain, begins: _Places, ends: _Places, lists: Lists) -> Match | None:
        for tables in self._tables():
            found = [
                # Few words in open slots, then a long core, then the earlier template.
                (_open_chars(captured), start - end, number, start, captured)
                for start, end, number in islice(_candidates(tables, said, begins, ends), _MAX_READS)
                if (captured := read(tables.templates[number].items, said, start, end, lists)) is not None
                and end - start <= _longest(captured, said.text)
            ]
            if found:
                _, length, number, start, captured = min(found, key=lambda one: one[:3])
                template = tables.templates[number]
                words = said.words(start, start - length)
                return Match(template.intent, _slots(captured), words, _named(captured), template)
        return None


def _candidates(
    tables: Tables, said: Plain, begins: _Places, ends: _Places
) -> Iterator[tuple[int, int, int]]:
    """Yield where a core begins and ends and the number of a template of which it may be, if its frame is allowed."""
    for start, before in begins.items():
        for end, numbers in tables.automaton.run(said.text, start):
            if end not in ends:
                continue
            for number in numbers:
                template = tables.templates[number]
                if template.allowed is None:
                    is_framed_well = not start and end == len(said.text)
                else:
                    is_framed_well = allows(before, ends[end], template.allowed, template.needed)
                if is_framed_well:
                    yield start, end, number


def _of_the_memory(said: Plain, begins: _Places, ends: _Places) -> Match | None:
    """Ask the memory: without the fillers that a pause sets apart, else without all that may be fillers."""
    if "?" in said.said or "？" in said.said:
        return None
    length = len(said.text)
    ends = {place: marks for place, marks in ends.items() if any(not mark & IS_ASKED for mark in marks)}
    begin = max(place for place in begins if not place or _is_set_apart(said, said.places[place - 1] + 1))
    end = min(place for place in ends if place == length or _is_set_apart(said, said.places[place - 1] + 1))
    for start, stop in dict.fromkeys(((begin, end), (max(begins), end), (max(begins), min(ends)))):
        command = parse_command(said.words(start, stop)) if start < stop else None
        if command is not None:
            slots = {"what": command.what} if command.what else {}
            return Match(_MEMORY[command.kind], slots, said.words(start, stop), command=command)
    return None


def _is_set_apart(said: Plain, place: int) -> bool:
    """Whether there is punctuation at a place of what was said."""
    char = said.said[place : place + 1]
    return not (char.isalnum() or char.isspace())


def _longest(captured: Captured, text: str) -> int:
    if any(slot.kind.is_open for slot, _ in captured):
        return MAX_OPEN_CHARS
    return MAX_CLOSED_CHARS * 3 // 2 if text.isascii() else MAX_CLOSED_CHARS


def _open_chars(captured: Captured) -> int:
    return sum(len(value) for slot, value in captured if slot.kind.is_open)


def _slots(captured: Captured) -> dict[str, Any]:
    slots: dict[str, Any] = {}
    for slot, value in captured:
        if slot.name.startswith("_"):
            continue
        slots.update(value if isinstance(value, dict) else {slot.name: value})
    return slots


def _named(captured: Captured) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for slot, value in captured:
        if slot.name.startswith("_"):
            named.update(value if isinstance(value, dict) else {slot.kind.name: value})
    return named
