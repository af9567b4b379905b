"""Changes to a YAML text that leave every other character of it alone: comments, order, quotes, line ends.

A parser says where each key and value stands, and the text is changed there and nowhere else. What comes out is read
again and compared with what was meant, so a form of YAML that is not understood here ends in an error, not in a
damaged file.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from xiaozhi_persona.installer.yaml_lists import (
    Items,
    items_in,
    place_of_item,
    place_of_items,
    with_bases,
    with_lists,
)
from xiaozhi_persona.installer.yaml_places import (
    Path,
    UnsupportedText,
    after_block,
    end_of,
    entries_of,
    find,
    look_up,
    next_line,
    read_text,
)

__all__ = ["Edit", "Items", "Path", "UnsupportedText", "put", "take_back"]


@dataclass(frozen=True)
class Edit:
    """One value that was put in."""

    path: Path
    old: str | None
    """What stood there, as it was written; None when the key was not there."""
    new: Any
    """The value now, as a parser reads it. An item that was put into a list has a path that ends with itself."""


def put(text: str, changes: Mapping[str, Any]) -> tuple[str, list[Edit]]:
    """Return `text` with the values of `changes` (nested like the text) put in, and what was done.

    Values that are there already are left alone, and so are those of a list that is to hold Items. A plain list that
    takes the place of another is written on one line, and the other is not sure to come back as it was written.
    Raises UnsupportedText.
    """
    data, root = read_text(text)
    work = _Work(text, _newline(text), [], [])
    _put(work, root, data, changes, ())
    if not work.patches:
        return text, []
    return work.result(_merged(data, changes)), work.edits


def take_back(text: str, edits: Iterable[Edit]) -> tuple[str, list[Path]]:
    """Return `text` without `edits`, last one first, and the paths that were changed since and thus stay.

    Raises UnsupportedText.
    """
    kept: list[Path] = []
    for edit in reversed(list(edits)):
        data, _ = read_text(text)
        is_list, items = look_up(data, edit.path[:-1])
        if is_list and isinstance(items, list):
            text = _remove_item(text, edit.path) if edit.new in items else text
            continue
        found, value = look_up(data, edit.path)
        if edit.old is not None:
            if found and value == edit.new:
                text = _restore(text, edit.path, edit.old)
            elif not found or value != yaml.safe_load(edit.old):
                kept.append(edit.path)
            continue
        if found:
            removed, left = _ours(value, edit.new, edit.path)
            kept += left
            for path in removed:
                text = _remove(text, path)
    return text, list(dict.fromkeys(kept))


class _Work:
    """Patches of a text, as (start, end, replacement, order among those at one place)."""

    def __init__(
        self, text: str, newline: str, patches: list[tuple[int, int, str, int]], edits: list[Edit]
    ) -> None:
        self.text = text
        self.newline = newline
        self.patches = patches
        self.edits = edits

    def patch(self, start: int, end: int, replacement: str, order: int = 0) -> None:
        self.patches.append((start, end, replacement, order))

    def insert_lines(self, position: int, block: str, column: int) -> None:
        """Put lines in at the start of a line, or at the end of a text whose last line has no end."""
        lines = "".join(" " * column + line + self.newline for line in block.splitlines())
        self.patch(position, position, lines, -column)  # the inner of two blocks that end here comes first

    def result(self, expected: Any) -> str:
        """Return the patched text; raises UnsupportedText unless it reads as `expected`."""
        text, pieces, position = self.text, [], 0
        for start, end, replacement, _ in sorted(self.patches, key=lambda patch: (patch[0], patch[3])):
            piece = text[position:start]
            if start == end == len(text) and replacement.endswith(self.newline):
                piece += self.newline if (piece or "\n")[-1] != "\n" else ""
            pieces += [piece, replacement]
            position = end
        changed = "".join([*pieces, text[position:]])
        try:
            if yaml.safe_load(changed) == expected:
                return changed
        except yaml.YAMLError:
            pass
        raise UnsupportedText


def _put(
    work: _Work, node: yaml.MappingNode, data: Mapping[str, Any], changes: Mapping[str, Any], path: Path
) -> None:
    missing: dict[str, Any] = {}
    entries = entries_of(node)
    for key, value in changes.items():
        if data.get(key, _ABSENT) == with_lists(value, data.get(key)):
            continue
        if key not in entries:
            missing[key] = with_lists(value)
            work.edits.append(Edit((*path, key), None, with_bases(value)))
            work.edits += [Edit(item, None, item[-1]) for item in items_in(value, (*path, key))]
            continue
        key_node, old = entries[key]
        if old.start_mark.index < key_node.start_mark.index:  # an alias: the value stands elsewhere
            raise UnsupportedText
        if isinstance(value, Mapping):
            if not isinstance(old, yaml.MappingNode):
                raise UnsupportedText
            _put(work, old, data[key], value, (*path, key))
        elif isinstance(value, Items) and isinstance(old, yaml.SequenceNode):
            _put_items(work, old, value.missing_in(data[key]), (*path, key))
        elif isinstance(value, Items) and data[key] is not None:
            raise UnsupportedText
        elif isinstance(old, yaml.ScalarNode) and old.style in (None, "'", '"'):
            start, end = old.start_mark.index, old.end_mark.index
            source = work.text[start:end]
            work.edits.append(Edit((*path, key), source, with_bases(value)))
            work.edits += [Edit(item, None, item[-1]) for item in items_in(value, (*path, key))]
            written = _scalar(value, old.style) if not isinstance(value, Items) else _list(value.whole(None))
            work.patch(start, end, ("" if source else " ") + written)
        elif isinstance(old, yaml.SequenceNode) and isinstance(value, list):
            start, end = old.start_mark.index, end_of(work.text, key_node, old)
            work.edits.append(Edit((*path, key), work.text[start:end], value))
            between = work.text[key_node.end_mark.index : start]
            if not between.strip(": \r\n"):  # no comment, so that the new list can stand behind its key
                start = work.text.index(":", key_node.end_mark.index) + 1
            work.patch(start, end, " " + _list(value))
        else:
            raise UnsupportedText
    if missing:
        _put_missing(work, node, missing)


def _put_missing(work: _Work, node: yaml.MappingNode, missing: Mapping[str, Any]) -> None:
    entries = node.value
    if not node.flow_style:
        column = entries[0][0].start_mark.column
        position = after_block(work.text, node, column)
        work.insert_lines(position, _block(missing, column or _step(work.text)), column)
    elif entries:
        position = end_of(work.text, *entries[-1])
        work.patch(position, position, ", " + _flow(missing))
    elif node.start_mark.column == 0:  # a whole file of {}
        work.patch(node.start_mark.index, node.end_mark.index, _block(missing, 2).rstrip("\n"))
    else:
        position = work.text.index("{", node.start_mark.index) + 1
        work.patch(position, position, _flow(missing))


def _put_items(work: _Work, node: yaml.SequenceNode, items: list[str], path: Path) -> None:
    work.edits += [Edit((*path, item), None, item) for item in items]
    position, column = place_of_items(work.text, node)
    if column is not None:
        lines = yaml.safe_dump(items, allow_unicode=True, width=_WIDTH)
        work.insert_lines(position, lines, column)
    else:
        work.patch(position, position, (", " if node.value else "") + _list(items)[1:-1])


def _restore(text: str, path: Path, source: str) -> str:
    """Write the value at `path` as it was written before."""
    data, root = read_text(text)
    _, _, value = find(root, path)
    if not isinstance(value, yaml.ScalarNode) and not value.flow_style:  # type: ignore[attr-defined]
        raise UnsupportedText
    start, end = value.start_mark.index, value.end_mark.index
    if not source and text[start - 1 : start] == " ":
        start -= 1
    work = _Work(text, _newline(text), [(start, end, source, 0)], [])
    return work.result(_with(data, path, lambda inner: inner.update({path[-1]: yaml.safe_load(source)})))


def _remove(text: str, path: Path) -> str:
    """Take out the key at `path`; a mapping that loses its last key is written as {}."""
    data, root = read_text(text)
    parent, key, value = find(root, path)
    work = _Work(text, _newline(text), [], [])
    start, end = key.start_mark.index, end_of(text, key, value)
    if parent.flow_style:
        comma = _COMMA.match(text, end)
        before = text[:start].rstrip()
        if before.endswith(","):
            start = len(before) - 1
        elif comma:
            end = comma.end()
        work.patch(start, end, "")
    else:
        start = text.rfind("\n", 0, start) + 1
        if text[end - 1] != "\n":
            end = next_line(text, end)
        emptied = len(parent.value) == 1
        if emptied and len(path) > 1:
            _, parent_key, _ = find(root, path[:-1])
            colon = text.index(":", parent_key.end_mark.index) + 1
            work.patch(colon, colon, " {}")
        work.patch(start, end, "{}" + work.newline if emptied and len(path) == 1 else "")
    return work.result(_with(data, path, lambda inner: inner.pop(path[-1])))


def _remove_item(text: str, path: Path) -> str:
    """Take the item with which `path` ends out of its list; a list that loses its last one is written as []."""
    data, root = read_text(text)
    _, key, node = find(root, path[:-1])
    start, end, is_only = place_of_item(text, node, path[-1])
    work = _Work(text, _newline(text), [(start, end, "", 0)], [])
    if is_only and not node.flow_style:  # type: ignore[attr-defined]
        colon = text.index(":", key.end_mark.index) + 1
        work.patch(colon, colon, " []")

    def change(inner: dict[str, Any]) -> None:
        items = inner[path[-2]]
        del items[len(items) - 1 - items[::-1].index(path[-1])]

    return work.result(_with(data, path[:-1], change))


def _ours(value: Any, new: Any, path: Path) -> tuple[list[Path], list[Path]]:
    """Return what to remove of a value that was added as `new`, and what in it is not ours any more."""
    if value == new:
        return [path], []
    if not isinstance(value, dict) or not isinstance(new, Mapping):
        return [], [path]
    removed: list[Path] = []
    left: list[Path] = []
    for key, inner in value.items():
        if key in new:
            more, still = _ours(inner, new[key], (*path, key))
            removed += more
            left += still
        else:
            left.append((*path, str(key)))
    return (removed, left) if left else ([path], [])


_COMMA = re.compile(r"\s*,\s*")
_ABSENT = object()


def _merged(data: Any, changes: Any) -> Any:
    if not isinstance(data, dict) or not isinstance(changes, Mapping):
        return with_lists(changes, data)
    return {**data, **{key: _merged(data.get(key), value) for key, value in changes.items()}}


def _with(data: dict[str, Any], path: Path, change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Return a copy of `data` with a change made to the mapping that holds the key at `path`."""
    changed = inner = copy.deepcopy(data)
    for key in path[:-1]:
        inner = inner[key]
    change(inner)
    return changed


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _step(text: str) -> int:
    """Return by how many spaces the first section of the text is indented."""
    is_section = False
    for line in text.splitlines():
        words = line.split("#", 1)[0].rstrip()
        if not words:
            continue
        if is_section and line[0] == " ":
            rest = line.lstrip(" ")
            if rest[0] not in "\t-":
                return len(line) - len(rest)
        is_section = line[0] not in " \t-" and words.endswith(":")
    return 2


_WIDTH = 1_000_000


def _block(values: Mapping[str, Any], step: int) -> str:
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=_WIDTH, indent=step)


def _flow(values: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(
        values, allow_unicode=True, sort_keys=False, width=_WIDTH, default_flow_style=True
    ).strip()
    return text[1:-1]


def _list(items: list[Any]) -> str:
    return yaml.safe_dump(items, allow_unicode=True, width=_WIDTH, default_flow_style=True).strip()


def _scalar(value: Any, style: str | None) -> str:
    text = yaml.safe_dump(value, allow_unicode=True, width=_WIDTH, default_style=style)
    return text.removesuffix("\n").removesuffix("\n...")
