"""Why a sentence is an intent, or is none: the template, or those that it comes nearest to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from xiaozhi_persona.providers.intent.slots import Kind
from xiaozhi_persona.providers.intent.tables import Template
from xiaozhi_persona.providers.intent.template import Either, Parts

_FAR = 10_000
_ANY_WORDS = 5
"""What it costs to take any words for the value of a slot."""


class Near(NamedTuple):
    """A template that a sentence is not of, and how many characters would have to be others."""

    changes: int
    template: Template


def nearest(core: str, templates: Iterable[Template], count: int = 3) -> list[Near]:
    """Return the templates of which a sentence can be had from `core` with the fewest changes, one for each intent.

    A change puts in, takes out or replaces a character.
    """
    best: dict[str, Near] = {}
    for template in templates:
        costs = _through(template.items, [0] + [_FAR] * len(core), core)
        near = Near(costs[-1], template)
        known = best.get(template.intent)
        if known is None or near.changes < known.changes:
            best[template.intent] = near
    close = [near for near in best.values() if near.changes < max(len(core), 2)]
    return sorted(close, key=lambda near: near.changes)[:count]


def _through(items: Parts, costs: list[int], core: str) -> list[int]:
    """Return what it costs to come to each place of the core behind a part of a template, given that before it."""
    for item in items:
        if isinstance(item, str):
            for char in item:
                costs = _past(char, costs, core)
        elif isinstance(item, Either):
            ways = [_through(option, costs, core) for option in item.options]
            costs = [min(column) for column in zip(*ways, strict=True)]
        elif item.kind.words is not None:
            ways = [_through((word,), costs, core) for word in item.kind.words]
            costs = [min(column) for column in zip(*ways, strict=True)]
        else:
            costs = _in_slot(item.kind, costs, core)
    return costs


def _in_slot(kind: Kind, costs: list[int], core: str) -> list[int]:
    after, best = [_FAR], _FAR
    for place, char in enumerate(core, start=1):
        if kind.chars is None:
            best = min(best, costs[place - 1])
            after.append(best + _ANY_WORDS)
        else:
            # Nearly all letters can be in an English number, and what they make is rarely one.
            is_fit = char in kind.chars and not ("a" <= char <= "z")
            after.append(min(after[-1], costs[place - 1]) + (not is_fit))
    return after


def _past(char: str, costs: list[int], core: str) -> list[int]:
    after = [costs[0] + 1]
    for place, other in enumerate(core, start=1):
        after.append(min(costs[place - 1] + (char != other), costs[place] + 1, after[-1] + 1))
    return after
