"""The intents that the project brings: the files of data/ beside this module, made into tables once."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.intent import numbers, open_slots, times
from xiaozhi_persona.providers.intent.automaton import Automaton
from xiaozhi_persona.providers.intent.frames import ASKS, IS_ASKED, REASON, Frames
from xiaozhi_persona.providers.intent.plain import plain
from xiaozhi_persona.providers.intent.slots import Kind, of_the_moment, of_words
from xiaozhi_persona.providers.intent.template import Parser, Parts, TemplateError

DATA = Path(__file__).parent / "data"

KINDS: dict[str, Kind] = {
    "level": numbers.LEVEL,
    "number": numbers.NUMBER,
    "duration": times.DURATION,
    "clock": times.CLOCK,
    "english_clock": times.ENGLISH_CLOCK,
    "role": of_the_moment("role", "小智"),
    **{kind.name: kind for kind in open_slots.KINDS},
}
"""The kinds of slots that every file can use."""


@dataclass(frozen=True)
class Template:
    """A template with its intent and its place."""

    intent: str
    text: str
    items: Parts
    file: str
    line: int
    allowed: int | None = ASKS | IS_ASKED
    """The marks that a frame may have; None where there may be no frame at all."""
    needed: int = 0
    """The marks that it must have."""
    action: Any = None
    """What an owner's file says that is to be done and said."""


@dataclass(frozen=True)
class Tables:
    """Templates, and what finds them."""

    templates: tuple[Template, ...]
    automaton: Automaton

    @classmethod
    def of(cls, templates: list[Template]) -> Tables:
        """Make the tables of templates."""
        return cls(tuple(templates), Automaton([template.items for template in templates]))


def kind_named(name: str, lists: Mapping[str, Kind]) -> Kind:
    """Return a kind of a file's own lists, or of KINDS. Raises TemplateError."""
    kind = lists.get(name) or KINDS.get(name)
    if kind is None:
        known = tr("、").join([*lists, *KINDS])
        raise TemplateError(tr("没有名叫 {{{name}}} 的槽。可用的有：{known}", name=name, known=known))
    return kind


@functools.cache
def bundled() -> tuple[Tables, Frames]:
    """Return the project's own tables, and the frames, which are for owners' intents too."""
    templates: list[Template] = []
    lead: dict[str, int] = {}
    tail: dict[str, int] = {}
    reasons: list[Parts] = []
    for file in sorted(DATA.glob("*.yaml")):
        _read(file, templates, lead, tail, reasons)
    return Tables.of(templates), Frames(lead, tail, reasons)


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _read(
    file: Path,
    templates: list[Template],
    lead: dict[str, int],
    tail: dict[str, int],
    reasons: list[Parts],
) -> None:
    root = yaml.compose(file.read_text(encoding="utf-8"), _LOADER)
    parts = _parts(root)
    lists: dict[str, Kind] = {}
    parser = Parser(lambda name: kind_named(name, lists))
    for name, node in _parts(parts.get("lists")).items():
        words = {
            plain(word.value).text: value for value, listed in _parts(node).items() for word in listed.value
        }
        lists[name] = of_words(name, words)
    for name, node in _parts(parts.get("rules")).items():
        parser.add_rule(name, node.value)
    for name, node in _parts(parts["frames"]).items():
        if name == "reasons":
            reasons += [parser.parse(line.value) for line in node.value]
        else:
            side, mark = _FRAMES[name]
            for word in node.value.split():
                (lead if side == "lead" else tail).setdefault(plain(word).text, mark)
    for intent, node in _parts(parts["intents"]).items():
        groups = _parts(node)
        more = REASON if "reasons" in groups else 0
        for group, (allowed, needed) in _GROUPS.items():
            for line in groups[group].value if group in groups else ():
                marks = None if allowed is None else allowed | more
                place = line.start_mark.line + 1
                items = parser.parse(line.value)
                templates.append(Template(intent, line.value, items, file.name, place, marks, needed))


_FRAMES = {
    "lead": ("lead", 0),
    "tail": ("tail", 0),
    "asks": ("lead", ASKS),
    "is_asked": ("tail", IS_ASKED),
}
_GROUPS: dict[str, tuple[int | None, int]] = {
    "sentences": (ASKS | IS_ASKED, 0),
    "unasked": (0, 0),
    "with_reason": (ASKS | IS_ASKED | REASON, REASON),
    "whole": (None, 0),
}
"""The groups of an intent's sentences, and which marks the frames of each may have, and must have."""


def _parts(node: Any) -> dict[str, Any]:
    return {key.value: value for key, value in node.value} if node else {}
