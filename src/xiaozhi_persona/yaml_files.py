"""YAML files that people write: read as keys and values, and every mistake told with its place and what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.settings_section import own_first


def parse_mapping(text: str, file: Path, *, is_ours: bool = True) -> dict[str, Any]:
    """Read YAML of keys and values; keys left empty are left out.

    In a file of ours no key may stand twice; for other programs the last one counts. Raises SettingsError with `file`
    and the line.
    """
    try:
        data = load_yaml(text, _Loader if is_ours else yaml.SafeLoader)
    except yaml.YAMLError as exc:
        raise not_yaml(exc, file) from exc
    if data is None:
        return {}
    if not isinstance(data, dict):
        lines = text.split("\n") if isinstance(data, str) else []
        hint = next(filter(None, (_colon_hint(line, number) for number, line in enumerate(lines, 1))), "")
        raise SettingsError(
            tr(
                "{file} 的最外层应是“键: 值”，得到的是 {name}。{hint}",
                file=file,
                name=type(data).__name__,
                hint=hint,
            )
        )
    return {str(key): value for key, value in data.items() if value is not None}


def load_yaml(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """Read YAML of any form. Raises yaml.YAMLError, for a date that there is not and a value within itself as well."""
    try:
        data = yaml.load(text, loader)  # noqa: S506 - all of them are safe
        _refuse_loops(data, frozenset(), set())
    except ValueError as exc:
        raise _Told(tr("里有一个值不行（{exc}）。日期要是有的日子；文字加上引号。", exc=exc)) from exc
    except RecursionError as exc:
        raise _Told(tr("一层套一层，没有尽头。检查括号，以及 & 和 * 开头的引用：不能指向自己。")) from exc
    return data


def not_yaml(error: yaml.YAMLError, file: Path) -> SettingsError:
    """Return what people are told about a file that is no YAML, with the place in it."""
    if isinstance(error, _Told):
        return SettingsError(f"{file} {error}")
    mark = getattr(error, "problem_mark", None)
    where = tr("第 {value} 行第 {value2} 列", value=mark.line + 1, value2=mark.column + 1) if mark else ""
    if mark and mark.buffer:
        # A line without a colon is taken for the beginning of the next one.
        lines = mark.buffer.split("\n")
        begun = getattr(error, "context_mark", None) or mark
        for number in dict.fromkeys([begun.line, mark.line - 1, mark.line]):
            if 0 <= number < len(lines) and (hint := _colon_hint(lines[number], number + 1)):
                return SettingsError(tr("{file} 不是有效的 YAML：{hint}", file=file, hint=hint))
    return SettingsError(
        tr(
            "{file} {where}不是有效的 YAML：{value}。"
            "检查缩进（只能用空格）、冒号后的空格和引号；Windows 路径不要放在双引号里。",
            file=file,
            where=where,
            value=getattr(error, "problem", None) or error,
        )
    )


def explain(error: Any, model: type[BaseModel]) -> str:
    """Turn one finding of pydantic about `model` into: which key, what is allowed."""
    path = [str(part) for part in error["loc"]]
    key, kind = ".".join(path), error["type"]
    if kind in ("extra_forbidden", "invalid_key"):
        known = field_at(model, path[:-1])
        inner = (known and _model_in(known.annotation)[0]) or model
        return tr(
            "没有 {key} 这一项{value}这里可用的有：{model_fields}",
            key=key,
            value=_meant(path, model, inner) or tr("。").rstrip(),
            model_fields=tr("、").join(own_first(inner)),
        )
    if path[-1] == "[key]":  # YAML takes 1234 for a number, and 11:22:33 too
        return tr(
            "{listed} 的键 {value!r} 要加引号，如 '11:22:33:44:55:66': …；不加就被当成别的了。",
            listed=".".join(path[:-2]),
            value=error["input"],
        )
    field = field_at(model, path)
    if kind == "missing":
        return tr(
            "少了 {key}（{value}）。请补上。", key=key, value=tr(field.description or "") if field else ""
        )
    if error["input"] is None:
        return tr("{key} 的后面是空的。请写上值，或删去这一行", key=key)
    hint = _colon_hint(error["input"]) if isinstance(error["input"], str) else ""
    expected = _expected(error, path[-1], field)
    return tr(
        "{key} 的值 {value!r} 不行，应为：{expected}", key=key, value=error["input"], expected=expected
    ) + (tr("。{hint}", hint=hint) if hint else "")


def field_at(model: type[BaseModel], path: Sequence[str]) -> FieldInfo | None:
    """Return the field that `path` names or lies in (a key of a free mapping, an item of a list); None without one."""
    field: FieldInfo | None = None
    inner: type[BaseModel] | None = model
    entries = 0  # so many of the next keys name an entry of a mapping, or number an item
    for key in path:
        if inner is None:
            break
        if entries:
            entries -= 1
            continue
        field = inner.model_fields.get(key)
        if field is None:
            return None
        inner, entries = _model_in(field.annotation)
    return field


def allowed_values(name: str, field: FieldInfo) -> str:
    """Say in words what the field `name` takes, with its unit; "" for free text."""
    if get_origin(field.annotation) is Literal:
        return tr("可选 ") + tr("、").join(str(choice) for choice in get_args(field.annotation))
    limits = {
        key: getattr(rule, key) for rule in field.metadata for key in ("ge", "le") if hasattr(rule, key)
    }
    unit = tr(_UNITS.get(name.rpartition("_")[2], ""))
    return (
        tr("{value} 到 {value2} {unit}", value=limits["ge"], value2=limits["le"], unit=unit).strip()
        if limits
        else ""
    )


_UNITS = {
    "ms": later("毫秒"),
    "s": later("秒"),
    "wpm": later("词/分钟"),
    "packets": later("包"),
    "turns": later("轮"),
}

_KINDS: Mapping[str, str] = {
    "string": later("文字（给数字加上引号）"),
    "int": later("整数"),
    "float": later("数字"),
    "bool": later("true 或 false"),
    "list": later("列表，如 [甲, 乙]"),
    "dict": later("“键: 值”"),
    "model": later("“键: 值”（下一级缩进）"),
}


def _expected(error: Any, name: str, field: FieldInfo | None) -> str:
    kind, context = error["type"], error.get("ctx", {})
    allowed = allowed_values(name, field) if field else ""
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_too_short":
        return tr("不能留空")
    if kind == "string_pattern_mismatch" and field:
        return tr(str(field.description))
    if kind.endswith("_type"):
        named = next((tr(text) for start, text in _KINDS.items() if kind.startswith(start + "_")), "")
        return tr("，").join(part for part in (named, allowed) if part) or str(error["msg"])
    if allowed:
        return allowed
    if kind == "literal_error":  # an item of a list
        choices = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return tr("可选 ") + tr("、").join(choices)
    if kind in ("greater_than_equal", "less_than_equal"):  # an entry of a mapping
        return (
            tr("至少 {value}", value=context["ge"])
            if "ge" in context
            else tr("至多 {value}", value=context["le"])
        )
    return str(error["msg"])


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, int]:
    """Return the model that a field holds, if any, and how many lists and mappings are around it."""
    depth = 0
    if get_origin(annotation) in (Union, UnionType):  # one that may be left out
        annotation = get_args(annotation)[0]
    while get_origin(annotation) in (list, dict):
        annotation, depth = get_args(annotation)[-1], depth + 1
    return (annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None), depth


_NO_COLON = re.compile(r"\s*(?:-\s+)?(?:([\w.-]{1,40})\s*：|([A-Za-z_]\w{2,39}):(?=[^\s/:]))\s*(.*)")
"""A key and what follows, where the colon is of full width or no space comes after it."""


def _colon_hint(line: str, number: int = 0) -> str:
    """Say what is wrong with the colon of a line, "" where nothing is; `number` 0 leaves out which line it is."""
    match = _NO_COLON.match(line)
    if match is None:
        return ""
    key, wrong = (match[1], tr("是全角的，要用半角的")) if match[1] else (match[2], tr("后面少了空格"))
    where = tr("第 {number} 行 ", number=number) if number else ""
    return tr(
        "{where}{value} 里的冒号{wrong}，应写成 {key}: {value2}",
        where=where,
        value=line.strip()[:40],
        wrong=wrong,
        key=key,
        value2=match[3].strip()[:40],
    )


def _meant(path: Sequence[str], model: type[BaseModel], inner: type[BaseModel]) -> str:
    """Say which key was probably meant: one that is spelled alike, or the same one in another section; "" for none."""
    near = difflib.get_close_matches(path[-1], inner.model_fields, n=1)
    if near:
        return tr("，是不是 {value}？", value=near[0])
    models = {section: _model_in(field.annotation)[0] for section, field in model.model_fields.items()}
    sections = [section for section, below in models.items() if below and path[-1] in below.model_fields]
    if not sections:
        return ""
    return tr("，是不是 {section} 里的 {value}？", section=tr("、").join(sections), value=path[-1])


class _Told(yaml.YAMLError):
    """Says itself what to do."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would take the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                line = key.start_mark.line + 1
                if key.value in lines:
                    raise _Told(
                        tr(
                            "第 {line} 行的 {value} 在第 {value2} 行已经写过。请把两处合成一处。",
                            line=line,
                            value=key.value,
                            value2=lines[key.value],
                        )
                    )
                lines[key.value] = line
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _refuse_loops(value: Any, around: frozenset[int], seen: set[int]) -> None:
    """Raise RecursionError for a value that holds itself: `a: &a [*a]`. `seen` are those that hold none."""
    if id(value) in around:
        raise RecursionError
    if isinstance(value, (dict, list)) and id(value) not in seen:
        for inner in value.values() if isinstance(value, dict) else value:
            _refuse_loops(inner, around | {id(value)}, seen)
        seen.add(id(value))
