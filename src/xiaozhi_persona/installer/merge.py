"""What install puts into the host's data/.config.yaml: voice, recognizer, memory, intents, tools, the template."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.installer.manifest import OUR_FOLDER
from xiaozhi_persona.installer.survey import parse_settings
from xiaozhi_persona.installer.yaml_edit import Edit, Items, UnsupportedText, put, take_back
from xiaozhi_persona.installer.yaml_lists import with_lists
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.host.doors import DEFAULT_VOICE, INTENT, MEMORY, RECOGNIZER, VOICES
from xiaozhi_persona.providers.host.tool_names import ROLE_TOOL, ROLE_TOOL_FILE, TOOL_FILE, TOOL_NAMES

PROMPT_FILE = OUR_FOLDER / "prompt.txt"
SECTION = "PersonaVoice"
"""Name of the section that is added where the selected one speaks with something else than GPT-SoVITS."""

EARS_SECTION = "PersonaFunAsr"
"""Name of the section that is added where the selected one recognizes with something else than FunASR."""

DEFAULT_FUNCTIONS = ("change_role", "web_search", "get_weather", "get_news_from_newsnow", "play_music")
"""What the host's own config.yaml lists for function_call (0.9.4 to 0.9.6); it leaves out what it does not have."""


@dataclass(frozen=True)
class Wish:
    """What the user asked for; "" leaves the voice and the recognizer as they are, or to the default."""

    role: str = ""
    url: str = ""
    tts: str = ""
    """Type of the TTS door."""
    memory: bool = True
    """Whether the host's memory is to be ours."""
    asr: str = ""
    """Folder or name of the model with which our recognizer is to be the host's."""
    intent: bool = True
    """Whether local intents are to come before the host's chat model."""


def changes_for(settings: Mapping[str, Any], wish: Wish, default_url: str = "") -> dict[str, Any]:
    """Return what data/.config.yaml has to hold, nested as it is; `settings` are the host's, its defaults included.

    `default_url` is where GPT-SoVITS is when nobody says it. Raises SettingsError, also for an address that the voice
    does not take.
    """
    changes = _voice(settings, wish, default_url)
    ears, memory = _ears(settings, wish) if wish.asr else {}, _memory(settings) if wish.memory else {}
    for more in (ears, memory, _intents(settings, wish)):
        for key, value in more.items():
            changes[key] = {**changes[key], **value} if key in changes else value
    return {**changes, "prompt_template": str(PROMPT_FILE)}


def _voice(settings: Mapping[str, Any], wish: Wish, default_url: str) -> dict[str, Any]:
    sections = _mapping(settings, "TTS")
    selected = str(_mapping(settings, "selected_module").get("TTS") or "")
    current = str(_mapping(sections, selected).get("type") or selected.lower())
    door = VOICES.get(wish.tts or current, DEFAULT_VOICE)
    if wish.url and not door.url:
        raise SettingsError(
            tr(
                "--url 是 GPT-SoVITS 的地址，{type} 不用它。请去掉 --url，服务器的地址写在 {file}。",
                type=door.type,
                file=OUR_FOLDER / "config.yaml",
            )
        )
    name, values = selected, dict[str, Any]()
    if current in door.same_keys:
        values["type"] = door.type
    elif current != door.type:
        name, there = SECTION, _mapping(sections, SECTION)
        values["type"] = door.type
        if door.url and (there.get("type") != door.type or not there.get("url")):
            values["url"] = default_url or door.url
        if not there.get("output_dir"):
            values["output_dir"] = "tmp/"
    values |= {key: value for key, value in (("role", wish.role), ("url", wish.url)) if value}
    changes: dict[str, Any] = {} if name == selected else {"selected_module": {"TTS": name}}
    if values:
        changes["TTS"] = {name: values}
    return changes


def uses_our_ears(settings: Mapping[str, Any]) -> bool:
    """Whether the host's settings, its defaults included, select our recognizer."""
    selected = str(_mapping(settings, "selected_module").get("ASR") or "")
    return _mapping(_mapping(settings, "ASR"), selected).get("type") == RECOGNIZER.type


def _ears(settings: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
    """Return what makes our recognizer the host's; a section of its own FunASR keeps its other keys.

    It is given this section only, so the role, whose names it is to expect, stands there too.
    """
    sections = _mapping(settings, "ASR")
    selected = str(_mapping(settings, "selected_module").get("ASR") or "")
    is_funasr = _mapping(sections, selected).get("type") in (RECOGNIZER.type, *RECOGNIZER.same_keys)
    name = selected if is_funasr else EARS_SECTION
    there = _mapping(sections, name)
    wanted = {"type": RECOGNIZER.type, "output_dir": there.get("output_dir") or "tmp/", "model_dir": wish.asr}
    if wish.role:
        wanted["role"] = wish.role
    changes: dict[str, Any] = {} if is_funasr else {"selected_module": {"ASR": name}}
    values = {key: value for key, value in wanted.items() if there.get(key) != value}
    return {**changes, "ASR": {name: values}} if values else changes


def _memory(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes our memory the host's."""
    selected = str(_mapping(settings, "selected_module").get("Memory"))
    if _mapping(_mapping(settings, "Memory"), selected).get("type") == MEMORY.type:
        return {}
    return {"selected_module": {"Memory": MEMORY.type}, "Memory": {MEMORY.type: {"type": MEMORY.type}}}


def _intents(settings: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
    """Return what puts the local intents before the host's chat model, and our tools where that may call some.

    The host replaces a list of its own settings by the user's: what it lists is written along. A section of ours that
    lists nothing leaves the model without tools, as nointent does.
    """
    selected = str(_mapping(settings, "selected_module").get("Intent") or "function_call")
    section = _mapping(_mapping(settings, "Intent"), selected)
    kind = section.get("type") or selected
    becomes_ours = wish.intent and kind in ("function_call", "nointent")
    name = INTENT.type if becomes_ours else selected
    changes: dict[str, Any] = {"type": INTENT.type} if becomes_ours else {}
    if kind == "function_call" or (kind == INTENT.type and "functions" in section):
        listed = section.get("functions", DEFAULT_FUNCTIONS)
        base = tuple(map(str, listed)) if isinstance(listed, (list, tuple)) else ()
        tools = tuple(TOOL_NAMES.values()) if wish.memory and TOOL_FILE not in base else ()
        if (becomes_ours or kind == INTENT.type) and ROLE_TOOL_FILE not in base:
            tools = (*tools, ROLE_TOOL)
        if tools or becomes_ours:
            changes["functions"] = Items(tools, base)
    if not changes:
        return {}
    return {**({"selected_module": {"Intent": name}} if becomes_ours else {}), "Intent": {name: changes}}


def with_changes(content: bytes | None, file: Path, changes: Mapping[str, Any]) -> tuple[bytes, list[Edit]]:
    """Return data/.config.yaml with `changes` in it, and what was done. Raises SettingsError; nothing is written."""
    if content is None:
        raise SettingsError(
            tr("没有 {file}，小智服务端没有它也启动不了。请照小智服务端的教程建好，再运行一次。", file=file)
        )
    data = parse_settings(content, file)
    if not data:
        raise SettingsError(
            tr("{file} 是空的，小智服务端会启动失败。请照小智服务端的教程填好，再运行一次。", file=file)
        )
    for path in _mappings(changes):
        _check_mapping(data, path, file)
    mark, text = _split_mark(content)
    try:
        changed, edits = put(text, changes)
    except UnsupportedText as exc:
        lines = yaml.safe_dump(with_lists(changes), allow_unicode=True, sort_keys=False)
        raise SettingsError(
            tr(
                "{file} 的写法（锚点、别名或标签）这里改不了，没有动它。请自己把下面这些写进去，再运行一次：\n"
                "{lines}",
                file=file,
                lines=lines,
            )
        ) from exc
    return mark + changed.encode("utf-8"), edits


def without_edits(content: bytes, file: Path, edits: Iterable[Edit]) -> tuple[bytes, list[tuple[str, ...]]]:
    """Return data/.config.yaml without our edits, and the keys that were changed since and stay. Raises SettingsError."""
    if not parse_settings(content, file):
        return content, []
    mark, text = _split_mark(content)
    try:
        changed, kept = take_back(text, edits)
    except UnsupportedText as exc:
        keys = tr("、").join(".".join(edit.path) for edit in edits)
        raise SettingsError(
            tr(
                "{file} 后来改成了这里改不了的写法，没有动它。请自己把 {keys} 改回原样，再运行一次。",
                file=file,
                keys=keys,
            )
        ) from exc
    return mark + changed.encode("utf-8"), kept


def merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the host's settings: `own` over `defaults`, mappings merged (config/config_loader.py of the host)."""
    result = dict(defaults)
    for key, value in own.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = merged(below, value) if both else value  # type: ignore[arg-type]
    return result


def _mapping(settings: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = settings.get(key)
    return value if isinstance(value, Mapping) else {}


def _mappings(changes: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterable[tuple[str, ...]]:
    for key, value in changes.items():
        if isinstance(value, Mapping):
            yield (*path, key)
            yield from _mappings(value, (*path, key))


def _check_mapping(data: Any, path: tuple[str, ...], file: Path) -> None:
    for key in path:
        if key not in data:
            return
        data = data[key]
        if not isinstance(data, Mapping):
            what = tr("是空的") if data is None else tr("应是“键: 值”")
            raise SettingsError(
                tr(
                    "{file} 的 {path} {what}，小智服务端也用不了它。请填好或删去它，再运行一次。",
                    file=file,
                    path=".".join(path),
                    what=what,
                )
            )


def _split_mark(content: bytes) -> tuple[bytes, str]:
    """Split the byte order mark that Windows editors write from the text."""
    mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    return mark, content[len(mark) :].decode("utf-8")
