"""config.yaml: read and checked, overridden by the environment, and rendered with its comments."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.text_files import read_text
from xiaozhi_persona.yaml_files import allowed_values, explain, field_at, load_yaml, parse_mapping

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
    allowed = allowed_values(name, field)
    comment = f"{field.description}（{allowed}）" if allowed else str(field.description)
    default = field.get_default(call_default_factory=True)
    value = yaml.safe_dump(
        default, allow_unicode=True, default_flow_style=True, width=10_000, sort_keys=False
    )
    return [f"# {comment}", f"{name}: {value.removesuffix('...' + chr(10)).strip()}"]


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        raise SettingsError(f"没有设置文件 {file}。运行 xiaozhi-persona init 可写出一份。")
    return parse_mapping(read_text(file), file)


def _overrides(data: dict[str, Any], environ: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Write the values of XZP_ variables into `data`; yield (key path, variable) of each."""
    for variable in sorted(environ):
        if not variable.upper().startswith(ENV_PREFIX):
            continue
        path = tuple(variable[len(ENV_PREFIX) :].lower().split("__"))
        field, target = field_at(Settings, path), data
        for key in path[:-1]:
            inner = target.get(key)
            target[key] = inner = dict(inner) if isinstance(inner, dict) else {}
            target = inner
        text = environ[variable]
        try:
            target[path[-1]] = text if field is None or field.annotation is str else load_yaml(text)
        except yaml.YAMLError as exc:
            raise SettingsError(f"环境变量 {variable} 的值读不懂：{text!r}。列表写成 [甲, 乙]。") from exc
        yield path, variable


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


def _explain(error: Any, origin: Mapping[tuple[str, ...], str], file: Path | None) -> str:
    """Turn one finding of pydantic into: where, which key, what is allowed."""
    path = tuple(str(part) for part in error["loc"])
    place = next(
        (f"环境变量 {name}" for key, name in origin.items() if all(map(operator.eq, path, key))),
        str(file or "默认设置"),
    )
    return f"{place}：{explain(error, Settings)}"
