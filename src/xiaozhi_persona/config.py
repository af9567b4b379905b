"""config.yaml: read and checked, overridden by the environment, and rendered with its comments."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.settings import Settings

DEFAULT_FILE = Path("config.yaml")
ENV_PREFIX = "XZP_"


def load_settings(file: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `file`, else from ./config.yaml where there is one, else take the defaults.

    `XZP_SECTION__KEY` in the environment wins over the file; `${NAME}` in a text stands for that
    environment variable. Raises SettingsError that names file, key and what is allowed.
    """
    environ = os.environ if environ is None else environ
    if file is None and DEFAULT_FILE.is_file():
        file = DEFAULT_FILE
    data = {} if file is None else _read(file)
    origin = dict(_overrides(data, environ))
    try:
        settings = Settings.model_validate(_expand(data, environ, str(file or "环境变量")))
    except ValidationError as exc:
        raise SettingsError("\n".join(_explain(error, origin, file) for error in exc.errors()[:5])) from exc
    return settings.at(file.resolve().parent if file else Path.cwd())


def render() -> str:
    """Return config.yaml: every setting with its default, its unit or range, and what it is for."""
    lines = [
        "# xiaozhi-persona 的设置。每一项都可以删去，删去即为这里写的默认值。",
        f"# 环境变量优先于本文件：{ENV_PREFIX}BRIDGE__HTTP_PORT=9003 就是 bridge.http_port；密钥可写成 ${{环境变量名}}。",
    ]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        lines.append("")
        if isinstance(default, BaseModel):
            lines += [f"# {type(default).__doc__}", f"{name}:"]
            for key, inner in type(default).model_fields.items():
                lines += [f"  {line}" for line in _entry(key, inner)]
        else:
            lines += _entry(name, field)
    return "\n".join(lines) + "\n"


def _entry(name: str, field: FieldInfo) -> list[str]:
    allowed = _allowed(name, field)
    comment = f"{field.description}（{allowed}）" if allowed else str(field.description)
    default = field.get_default(call_default_factory=True)
    value = yaml.safe_dump(
        default, allow_unicode=True, default_flow_style=True, width=10_000, sort_keys=False
    )
    return [f"# {comment}", f"{name}: {value.removesuffix('...' + chr(10)).strip()}"]


_UNITS = {"ms": "毫秒", "s": "秒", "wpm": "词/分钟", "packets": "包", "turns": "轮"}


def _allowed(name: str, field: FieldInfo) -> str:
    """Say in words what a field takes, with its unit; "" for free text."""
    if get_origin(field.annotation) is Literal:
        return "可选 " + "、".join(str(choice) for choice in get_args(field.annotation))
    limits = {
        key: getattr(rule, key) for rule in field.metadata for key in ("ge", "le") if hasattr(rule, key)
    }
    unit = _UNITS.get(name.rpartition("_")[2], "")
    return f"{limits['ge']} 到 {limits['le']} {unit}".strip() if limits else ""


def _read(file: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as exc:
        raise SettingsError(f"没有设置文件 {file}。运行 xiaozhi-persona init 可写出一份。") from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{file} 不是 UTF-8 编码（{exc}）。请另存为 UTF-8。") from exc
    except OSError as exc:
        raise SettingsError(f"读不了 {file}（{exc.strerror}）。请检查路径和权限。") from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f"第 {mark.line + 1} 行第 {mark.column + 1} 列" if mark else ""
        raise SettingsError(
            f"{file} {where}不是有效的 YAML：{getattr(exc, 'problem', exc)}。检查缩进、冒号后的空格和引号。"
        ) from exc
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise SettingsError(f"{file} 的最外层应是“键: 值”，得到的是 {type(data).__name__}。")
    return {key: value for key, value in data.items() if value is not None}  # a section left without keys


def _overrides(data: dict[str, Any], environ: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Write the values of XZP_ variables into `data`; yield (key path, variable) of each."""
    for variable in sorted(environ):
        if not variable.upper().startswith(ENV_PREFIX):
            continue
        path = tuple(variable[len(ENV_PREFIX) :].lower().split("__"))
        field, target = _field(path), data
        for key in path[:-1]:
            inner = target.get(key)
            target[key] = inner = dict(inner) if isinstance(inner, dict) else {}
            target = inner
        text = environ[variable]
        try:
            target[path[-1]] = text if field is None or field.annotation is str else yaml.safe_load(text)
        except yaml.YAMLError as exc:
            raise SettingsError(f"环境变量 {variable} 的值读不懂：{text!r}。列表写成 [甲, 乙]。") from exc
        yield path, variable


def _field(path: tuple[str, ...]) -> FieldInfo | None:
    """Return the setting that `path` names or lies in, None when there is none."""
    model: Any = Settings
    field: FieldInfo | None = None
    for key in path:
        fields = getattr(model, "model_fields", None)
        if fields is None:
            return field  # a key of a free mapping, an item of a list
        if key not in fields:
            return None
        field = fields[key]
        model = field.annotation
    return field


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _expand(value: Any, environ: Mapping[str, str], place: str, path: str = "") -> Any:
    """Put environment variables where `${NAME}` stands; `path` is the key of `value`, `place` where it was read."""
    if isinstance(value, dict):
        return {key: _expand(inner, environ, place, f"{path}.{key}") for key, inner in value.items()}
    if isinstance(value, list):
        return [_expand(inner, environ, place, f"{path}.{i}") for i, inner in enumerate(value)]
    if not isinstance(value, str):
        return value

    def look_up(match: re.Match[str]) -> str:
        name = match[1]
        if name not in environ:
            raise SettingsError(
                f"{place}：{path[1:]} 用到环境变量 ${{{name}}}，但没有设置它。先运行：export {name}=..."
            )
        return environ[name]

    return _VARIABLE.sub(look_up, value)


_KINDS = {
    "string": "文字（给数字加上引号）",
    "int": "整数",
    "float": "数字",
    "bool": "true 或 false",
    "list": "列表，如 [甲, 乙]",
    "dict": "“键: 值”",
    "model": "“键: 值”（下一级缩进）",
}


def _explain(error: Any, origin: Mapping[tuple[str, ...], str], file: Path | None) -> str:
    """Turn one finding of pydantic into: where, which key, what is allowed."""
    path = tuple(str(part) for part in error["loc"])
    place = next(
        (f"环境变量 {name}" for key, name in origin.items() if all(map(operator.eq, path, key))),
        str(file or "默认设置"),
    )
    key = ".".join(path)
    kind = error["type"]
    if kind in ("extra_forbidden", "invalid_key"):
        known = _field(path[:-1])
        model: Any = known.annotation if known else Settings
        keys = "、".join(getattr(model, "model_fields", Settings.model_fields))
        return f"{place}：没有 {key} 这一项。这里可用的有：{keys}"
    field = _field(path)
    allowed = _allowed(path[-1], field) if field else ""
    if kind == "string_pattern_mismatch" and field:
        allowed = str(field.description)
    elif kind == "string_too_short":
        allowed = "不能留空"
    elif kind.endswith("_type"):
        named = next((text for name, text in _KINDS.items() if kind.startswith(name + "_")), "")
        allowed = "，".join(part for part in (named, allowed) if part)
    return f"{place}：{key} 的值 {error['input']!r} 不行，应为：{allowed or error['msg']}"
