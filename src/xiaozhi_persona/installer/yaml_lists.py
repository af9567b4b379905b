"""Items that are added to a list in a YAML text, and taken out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from xiaozhi_persona.installer.yaml_places import UnsupportedText, after_items, end_of, next_line


@dataclass(frozen=True)
class Items:
    """What a list has to hold. It is put behind what the list holds; where there is no list yet, behind `base`."""

    items: tuple[str, ...]
    base: tuple[str, ...] = ()

    def missing_in(self, there: Any) -> list[str]:
        """Return what a list does not hold yet."""
        held = there if isinstance(there, list) else self.base
        return [item for item in self.items if item not in held]

    def whole(self, there: Any) -> list[Any]:
        """Return a list with the items, None being no list."""
        return [*(there if isinstance(there, list) else self.base), *self.missing_in(there)]


def with_lists(value: Any, there: Any = None) -> Any:
    """Return a value of changes as it is to be read, the lists whole; `there` is what stands in its place."""
    if isinstance(value, Items):
        return value.whole(there)
    if isinstance(value, Mapping):
        below = there if isinstance(there, Mapping) else {}
        return {key: with_lists(inner, below.get(key)) for key, inner in value.items()}
    return value


def with_bases(value: Any) -> Any:
    """Return a value of changes with the lists as they are without the items."""
    if isinstance(value, Items):
        return list(value.base)
    return {key: with_bases(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def items_in(value: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the path of every item of a value that is put where nothing stood: that of its list, and the item."""
    if isinstance(value, Items):
        return [(*path, item) for item in value.missing_in(None)]
    inner = value.items() if isinstance(value, Mapping) else ()
    return [found for key, below in inner for found in items_in(below, (*path, key))]


def place_of_items(text: str, node: yaml.SequenceNode) -> tuple[int, int | None]:
    """Return where items can be added to a list, and the column of its dashes, None for one in brackets."""
    if not node.flow_style and node.value:
        column = node.start_mark.column
        return after_items(text, node, column), column
    if node.value:
        return end_of(text, node.value[-1], node.value[-1]), None
    return text.index("[", node.start_mark.index) + 1, None


def place_of_item(text: str, node: yaml.Node, item: str) -> tuple[int, int, bool]:
    """Return from where to where the text of an item of a list goes, and whether it is the only one.

    Raises UnsupportedText.
    """
    values = node.value if isinstance(node, yaml.SequenceNode) else []
    found = [value for value in values if isinstance(value, yaml.ScalarNode) and value.value == item]
    if not isinstance(node, yaml.SequenceNode) or not found:
        raise UnsupportedText
    value, is_only = found[-1], len(values) == 1
    start, end = value.start_mark.index, value.end_mark.index
    if not node.flow_style:
        return text.rfind("\n", 0, start) + 1, next_line(text, end), is_only
    place = values.index(value)
    if place:
        return values[place - 1].end_mark.index, end, is_only
    return start, end if is_only else values[1].start_mark.index, is_only
