"""Where the keys and values of a YAML text stand in it. Positions are PyYAML's, which the host reads its settings with."""

from __future__ import annotations

from typing import Any

import yaml

from xiaozhi_persona.yaml_files import load_yaml

Path = tuple[str, ...]
"""Where a value stands: the keys that lead to it from the root."""


class UnsupportedText(ValueError):
    """The text uses anchors, tags or a form that is not understood here."""


def read_text(text: str) -> tuple[dict[str, Any], yaml.MappingNode]:
    """Return the values of a text and the node of its root. Raises UnsupportedText unless it holds keys and values."""
    try:
        data, root = load_yaml(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as exc:
        raise UnsupportedText from exc
    if not isinstance(data, dict) or not isinstance(root, yaml.MappingNode):
        raise UnsupportedText
    return data, root


def entries_of(node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """Return the nodes of each key; of a key that stands twice the last, which is the one that counts."""
    return {key.value: (key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def find(root: yaml.Node, path: Path) -> tuple[yaml.MappingNode, yaml.Node, yaml.Node]:
    """Return the mapping that holds the key at `path`, the key and its value. Raises UnsupportedText."""
    node: yaml.Node = root
    for key in path[:-1]:
        node = find(node, (key,))[2]
    entries = entries_of(node) if isinstance(node, yaml.MappingNode) else {}
    if not isinstance(node, yaml.MappingNode) or path[-1] not in entries:
        raise UnsupportedText  # the key comes from a merge (<<)
    return node, *entries[path[-1]]


def look_up(data: Any, path: Path) -> tuple[bool, Any]:
    """Return whether there is a value at `path`, and the value."""
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return False, None
        data = data[key]
    return True, data


def end_of(text: str, key: yaml.Node, value: yaml.Node) -> int:
    """Return where an entry ends, without the comments and empty lines that follow it."""
    if value.start_mark.index < key.start_mark.index:  # an alias, which stands behind its key
        end = next_line(text, key.end_mark.index)
        return end - 1 if text[end - 1 : end] == "\n" else end
    if isinstance(value, yaml.CollectionNode) and not value.flow_style and value.value:
        last = value.value[-1]
        pair = last if isinstance(last, tuple) else (value, last)
        return end_of(text, *pair)
    return int(value.end_mark.index)


def after_block(text: str, node: yaml.MappingNode, column: int) -> int:
    """Return where lines can be added to a block: behind its last value and the comments that belong to it."""
    last_key, last_value = node.value[-1]
    position = end_of(text, last_key, last_value)
    if position == len(text) and text[-1] != "\n" and _last_leaf(node).style in ("|", ">"):
        return text.rfind("\n", 0, last_key.start_mark.index) + 1  # a line end would become part of that text
    return _behind_comments(text, position, column)


def after_items(text: str, node: yaml.SequenceNode, column: int) -> int:
    """Return where items can be added to a list of lines, as after_block() does for keys."""
    return _behind_comments(text, end_of(text, node.value[-1], node.value[-1]), column)


def _behind_comments(text: str, position: int, column: int) -> int:
    if position and text[position - 1] != "\n":
        position = next_line(text, position)
    end = position
    while position < len(text):
        line_end = next_line(text, position)
        line = text[position:line_end]
        position = line_end
        if line.lstrip().startswith("#") and len(line) - len(line.lstrip(" ")) >= column:
            end = position
        elif line.strip():
            break
    return end


def next_line(text: str, position: int) -> int:
    """Return where the line after that of `position` begins."""
    return text.find("\n", position) + 1 or len(text)


def _last_leaf(node: yaml.Node) -> yaml.ScalarNode:
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node if isinstance(node, yaml.ScalarNode) else yaml.ScalarNode("", "")
