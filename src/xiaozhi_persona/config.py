"""The settings: read from their files and checked, overridden by the environment, and rendered with their comments."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from xiaozhi_persona.device_ids import same_key
from xiaozhi_persona.errors import SettingsError, own_command
from xiaozhi_persona.language import in_language, tr
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.settings_files import DEFAULTS_NAME, OWN_NAME, find_files
from xiaozhi_persona.settings_section import own_first
from xiaozhi_persona.text_files import read_text
from xiaozhi_persona.yaml_files import allowed_values, explain, field_at, load_yaml, parse_mapping

ENV_PREFIX = "XZP_"

_Origins = dict[tuple[str, ...], str]
"""Where the value of each key was read."""


def load_settings(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the files that settings_files.find_files() names, or take the defaults without any.

    `XZP_SECTION__KEY` in the environment wins over the files; `${NAME}` in a text stands for that
    environment variable. Raises SettingsError that names file, key and what is allowed.
    """
    environ = os.environ if environ is None else environ
    files = find_files(config)
    data: dict[str, Any] = {}
    origins: _Origins = {}
    if config is not None and not config.is_file():
        read_file(config)  # says what is wrong with it
    for file in files.present:
        _lay_over(data, read_file(file), str(file), origins)
    origins |= dict(_overrides(data, environ))
    try:
        settings = Settings.model_validate(_expand(data, environ, origins))
    except ValidationError as exc:
        raise SettingsError("\n".join(_explain(error, origins) for error in exc.errors()[:5])) from exc
    return settings.at(files.folder)


def check_value(key: str, text: str) -> Any:
    """Return the value of a setting that a person has written as text, such as `llm.base_url` or `bridge.http_port`.

    Raises SettingsError that names the key and what is allowed.
    """
    path = tuple(key.split("."))
    try:
        value = _value_of(path, text)
    except yaml.YAMLError as exc:
        raise SettingsError(
            tr("{key} 的值读不懂：{value!r}。列表写成 [甲, 乙]。", key=key, value=text)
        ) from exc
    nested: Any = value
    for part in reversed(path):
        nested = {part: nested}
    try:
        Settings.model_validate(nested)
    except ValidationError as exc:
        raise SettingsError("\n".join(explain(error, Settings) for error in exc.errors())) from exc
    return value


def variable_of(key: str) -> str:
    """Return the environment variable that wins over a setting, such as XZP_LLM__MODEL for `llm.model`."""
    return ENV_PREFIX + key.upper().replace(".", "__")


def changed_keys(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a file that differ from the defaults, each with its value; a free mapping counts as one."""
    defaults = Settings().model_dump(mode="json")
    sections = {name for name in defaults if isinstance(getattr(Settings(), name), BaseModel)}
    changed: dict[str, Any] = {}
    for name, value in data.items():
        if name in sections and isinstance(value, dict):
            inner = {key: entry for key, entry in value.items() if entry != defaults[name].get(key)}
            changed |= {f"{name}.{key}": entry for key, entry in inner.items() if entry is not None}
        elif value != defaults.get(name):
            changed[name] = value
    return changed


def render() -> str:
    """Return config.yaml: every setting with its default, its unit or range, and what it is for, in Chinese."""
    with in_language("zh"):
        return _rendered()


def _rendered() -> str:
    lines = [
        "# xiaozhi-persona 的全部设置，每一项的默认值和说明。请不要改这个文件，它会随项目更新；",
        f"# 自己的设置写在旁边的 {OWN_NAME.as_posix()} 里，写法相同，只写要改的，或用命令 set 键 值。",
        f"# 环境变量优先：{ENV_PREFIX}BRIDGE__HTTP_PORT=9003 就是 bridge.http_port；密钥可写成 ${{环境变量名}}。",
    ]
    for name, field in own_first(Settings).items():
        lines += ["", *_entry(name, field)]
    return "\n".join(lines) + "\n"


def render_own() -> str:
    """Return a data/.config.yaml that sets nothing: the settings that people change first, as comments."""
    lines = [
        tr(
            "# 你自己的设置，优先于 {DEFAULTS_NAME}。写法和它相同，只写要改的；每一项的默认值和说明在那里。",
            DEFAULTS_NAME=DEFAULTS_NAME,
        ),
        tr("# 下面的例子去掉行首的“# ”就生效，一节的名字（如 llm:）也要去掉；也可以用命令："),
        f"#   {own_command('set llm.base_url https://api.deepseek.com/v1')}",
    ]
    for name, keys in _CHANGED_FIRST.items():
        field = Settings.model_fields[name]
        section = type(field.get_default(call_default_factory=True))
        block = [] if keys else _entry(name, field)
        if keys:
            block = [f"{name}:  # {tr(str(section.__doc__))}"]
            block += [f"  {line}" for key in keys for line in _entry(key, section.model_fields[key])]
        lines += ["", *(f"# {line}" for line in block)]
    return "\n".join(lines) + "\n"


_CHANGED_FIRST: dict[str, tuple[str, ...]] = {
    "role": (),
    "llm": ("base_url", "api_key", "model"),
    "asr": ("model",),
    "tts": ("engine",),
    "gpt_sovits": ("servers",),
}
"""What people set first, by section."""


def _entry(name: str, field: FieldInfo) -> list[str]:
    default = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        section = own_first(type(default)).items()
        inner = [f"  {line}" for key, entry in section for line in _entry(key, entry)]
        return [f"# {tr(str(type(default).__doc__))}", f"{name}:", *inner]
    allowed = allowed_values(name, field)
    comment = tr(str(field.description)) + (tr("（{allowed}）", allowed=allowed) if allowed else "")
    value = yaml.safe_dump(
        default, allow_unicode=True, default_flow_style=True, width=10_000, sort_keys=False
    )
    return [f"# {comment}", f"{name}: {value.removesuffix('...' + chr(10)).strip()}"]


def read_file(file: Path) -> dict[str, Any]:
    """Return what stands in a settings file, as it is written there. Raises SettingsError."""
    if not file.exists():
        raise SettingsError(
            tr("没有设置文件 {file}。运行 {command} 可写出一份。", file=file, command=own_command("init"))
        )
    return parse_mapping(read_text(file), file)


def _lay_over(
    data: dict[str, Any], above: dict[str, Any], place: str, origins: _Origins, path: tuple[str, ...] = ()
) -> None:
    """Put the values of `above`, which were read at `place`, into `data`; what both have as keys and values is joined."""
    for written, value in above.items():
        key = same_key(data, written)
        inner, here = data.get(key), (*path, key)
        if isinstance(value, dict) and isinstance(inner, dict):
            data[key] = inner = dict(inner)
            _lay_over(inner, value, place, origins, here)
        else:
            data[key] = value
            origins[here] = place


def _overrides(data: dict[str, Any], environ: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Write the values of XZP_ variables into `data`; yield (key path, where it was read) of each."""
    for variable in sorted(environ):
        if not variable.upper().startswith(ENV_PREFIX):
            continue
        path = tuple(variable[len(ENV_PREFIX) :].lower().split("__"))
        target = data
        for key in path[:-1]:
            inner = target.get(key)
            target[key] = inner = dict(inner) if isinstance(inner, dict) else {}
            target = inner
        text = environ[variable]
        try:
            target[path[-1]] = _value_of(path, text)
        except yaml.YAMLError as exc:
            raise SettingsError(
                tr(
                    "环境变量 {variable} 的值读不懂：{value!r}。列表写成 [甲, 乙]。",
                    variable=variable,
                    value=text,
                )
            ) from exc
        yield path, tr("环境变量 {variable}", variable=variable)


def _value_of(path: tuple[str, ...], text: str) -> Any:
    """Return the value that a text means for the setting at `path`. Raises yaml.YAMLError."""
    field = field_at(Settings, path)
    if (
        field is None or field.annotation is str or text in get_args(field.annotation)
    ):  # YAML reads off as false
        return text
    return load_yaml(text)


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _expand(value: Any, environ: Mapping[str, str], origins: _Origins, path: tuple[str, ...] = ()) -> Any:
    """Put environment variables where `${NAME}` stands; `path` is the key of `value`."""
    if isinstance(value, dict):
        return {key: _expand(inner, environ, origins, (*path, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expand(inner, environ, origins, (*path, str(i))) for i, inner in enumerate(value)]
    if not isinstance(value, str):
        return value

    def look_up(match: re.Match[str]) -> str:
        name = match[1]
        if name not in environ:
            raise SettingsError(
                tr(
                    "{place}：{listed} 用到环境变量 ${{{name}}}，但没有设置它。先运行：export {name}=...",
                    place=_place(path, origins),
                    listed=".".join(map(str, path)),
                    name=name,
                )
            )
        return environ[name]

    return _VARIABLE.sub(look_up, value)


def _explain(error: Any, origins: _Origins) -> str:
    """Turn one finding of pydantic into: where, which key, what is allowed."""
    place = _place(tuple(str(part) for part in error["loc"]), origins)
    return tr("{place}：{told}", place=place, told=explain(error, Settings))


def _place(path: tuple[str, ...], origins: _Origins) -> str:
    """Return where the value at `path`, or one in it or around it, was read: of several, the one that wins."""
    return next(
        (place for key, place in reversed(origins.items()) if all(map(operator.eq, path, key))),
        tr("默认设置"),
    )
