"""Files of other programs: JSON and YAML, with the mistakes that their guides make mended, and never more than they may hold."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.text.measures import whole_characters
from xiaozhi_persona.text_files import read_text
from xiaozhi_persona.yaml_files import parse_mapping

MAX_FILE_BYTES = 16 << 20
"""The largest text file that is read."""

_MAX_YAML_BYTES = 2 << 20  # it is read at 200 KB a second

MAX_TEXT = 200_000
"""Characters of one text of a role."""

_LONGEST_LIST = 2000

_COMMENT = re.compile(r'("(?:[^"\\\n]|\\.)*")|//[^\n]*|/\*[^*]{0,2000}\*/')
# A value ends on one line and a key begins on the next, with no comma between; a comma with nothing after it.
_COMMA_MISSING = re.compile(r'(["\d\]}el])([ \t]*\r?\n\s*)(?="(?:[^"\\\n]|\\.)*"\s*:)')
_COMMA_TOO_MANY = re.compile(r",(\s*[}\]])")
_LONE_BACKSLASH = re.compile(r'(\\(?:["\\/]|u[0-9a-fA-F]{4}))|\\')
_TAB = re.compile(r"\t")
_LEADING_TABS = re.compile(r"(?m)^\t+")
_WINDOWS_PATH = re.compile(r'(?<=[:\[,{\-])\s*"([A-Za-z]:(?:\\(?!\\)[^"\\\n]*)+\.\w{2,5})"')
"""A path in double quotes with single backslashes, which stand for something else there: D:\\new is a line's end."""


def read_json(file: Path) -> tuple[Any, list[str]]:
    """Read JSON; where it is none, mend what guides get wrong. Returns the data and what was mended.

    Raises SettingsError when that does not help.
    """
    return parse_json(bounded_text(file), str(file))


def parse_json(source: str, name: str) -> tuple[Any, list[str]]:
    """Read the JSON of the file `name`, as read_json() does."""
    source, done = _with_paths_whole(source)
    try:
        return json.loads(source), done
    except RecursionError as exc:
        raise SettingsError(tr("{file} 一层套一层，太深了，不像角色。", file=name)) from exc
    except ValueError as exc:
        error = exc
    mended = source
    for pattern, put, told in (
        (_COMMENT, lambda match: match[1] or "", tr("去掉了 // 后面的说明")),
        (_COMMA_MISSING, r"\1,\2", tr("补上了两项之间缺的逗号")),
        (_COMMA_TOO_MANY, r"\1", tr("去掉了最后多余的逗号")),
        (_LONE_BACKSLASH, lambda match: match[1] or r"\\", tr("路径里的 \\ 写成了 \\\\")),
    ):
        before, mended = mended, pattern.sub(put, mended)
        done += [told] if mended != before else []
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(mended), done
    raise SettingsError(
        tr(
            "{file} 第 {line} 行不是有效的 JSON（{error}）。检查引号和逗号。",
            file=name,
            line=getattr(error, "lineno", "?"),
            error=error,
        )
    ) from error


def read_yaml(file: Path) -> tuple[dict[str, Any], list[str]]:
    """Read YAML of keys and values; where it is none, mend tabs and Windows paths in quotes.

    Returns the data and what was mended. Raises SettingsError when that does not help.
    """
    source, done = _with_paths_whole(bounded_text(file, _MAX_YAML_BYTES))
    try:
        return parse_mapping(source, file, is_ours=False), done
    except SettingsError as exc:
        error = exc
    for pattern, put, told in (
        (_LEADING_TABS, lambda match: "  " * len(match[0]), tr("行首的 Tab 改成了空格")),
        (_TAB, " ", tr("Tab 改成了空格")),
    ):
        before, source = source, pattern.sub(put, source)
        if source != before:
            done.append(told)
            with contextlib.suppress(SettingsError):
                return parse_mapping(source, file, is_ours=False), done
    raise error


def _with_paths_whole(source: str) -> tuple[str, list[str]]:
    """Return a text with the backslashes of Windows paths in double quotes doubled, and what was done."""
    mended, count = _WINDOWS_PATH.subn(lambda match: match[0].replace("\\", "\\\\"), source)
    return mended, [tr("路径里的 \\ 写成了 \\\\")] if count else []


def bounded_text(file: Path, most_bytes: int = MAX_FILE_BYTES) -> str:
    """Read a text file that is not too large for a role. Raises SettingsError."""
    try:
        size = file.stat().st_size
    except OSError:
        size = 0  # read_text() says what is wrong
    if size > most_bytes:
        raise SettingsError(tr("{file} 有 {value} MB，不像角色。", file=file, value=size >> 20))
    return read_text(file)


def text(value: Any) -> str:
    """Return a value of a foreign file as text, "" for none and for what is no text; of a list, its texts as lines."""
    if isinstance(value, bool | int | float | str):
        return whole_characters(str(value)).strip()[:MAX_TEXT]
    if isinstance(value, list):
        lines = [text(item) for item in value[:_LONGEST_LIST] if not isinstance(item, list)]
        return "\n".join(line for line in lines if line)[:MAX_TEXT]
    return ""


def listed(value: Any) -> list[str]:
    """Return the texts of a list, or of one text separated by semicolons; blanks left out."""
    items = value.replace("；", ";").split(";") if isinstance(value, str) else value
    if not isinstance(items, list):
        return []
    return [found for item in items[:_LONGEST_LIST] if (found := text(item))]


def section(data: Any, key: str, file: Path) -> dict[str, Any]:
    """Return the keys and values under a key, {} for none. Raises SettingsError for anything else there."""
    value = data.get(key) or {}
    if not isinstance(value, dict):
        raise SettingsError(
            tr(
                "{file}：{key} 应是“键: 值”，得到的是 {name}。请检查缩进。",
                file=file,
                key=key,
                name=type(value).__name__,
            )
        )
    return value
