"""The part of `doctor HOST` that looks at the memory: what the host's settings choose, its tools, what is on the disk."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from xiaozhi_persona.checks import Check, failed
from xiaozhi_persona.commands.memory.common import devices_of
from xiaozhi_persona.device_ids import normal_id
from xiaozhi_persona.errors import PersonaError, SettingsError, own_command
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory import diary, schema
from xiaozhi_persona.memory.store import FILE, OwnerStore, owner_folder
from xiaozhi_persona.providers.host.doors import INTENT, MEMORY
from xiaozhi_persona.providers.host.sections import DATA, base_settings
from xiaozhi_persona.providers.host.tool_names import TOOL_FILE, TOOL_NAMES
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.text_files import read_text
from xiaozhi_persona.yaml_files import load_yaml

_OLD = Path("data") / ".memory.yaml"
"""Where the host's own mem_local_short keeps what it remembers, by device."""
_MAX_NAMED = 8


def check_choice(config: Mapping[str, Any], again: str) -> Iterator[Check]:
    """Check which memory the host's settings choose, and whether its model may call our tools."""
    problem = _without_type(config, "Memory", again) or _without_type(config, "Intent", again)
    if problem:
        yield problem
        return
    name, section = selected_section(config, "Memory")
    if section.get("type") != MEMORY.type:
        found = tr("用的是 {name}（type: {get}），不是本程序的", name=name, get=section.get("type"))
        yield Check("warning", tr("记忆"), found, tr("要换成本程序的，{again}；不换就不用管。", again=again))
        return
    yield Check("ok", tr("记忆"), tr("用 {name}（type: {TYPE}）", name=name, TYPE=MEMORY.type))
    intent, section = selected_section(config, "Intent")
    calls_tools = section.get("type") == "function_call" or (
        section.get("type") == INTENT.type and "functions" in section
    )
    if not calls_tools:
        yield Check(
            "ok",
            tr("记忆的工具"),
            tr("Intent 是 {intent}，不用工具；“记住”“忘掉”这些话记忆自己听", intent=intent),
        )
        return
    functions = section.get("functions")
    listed = functions if isinstance(functions, list) else []
    missing = [name for name in TOOL_NAMES.values() if name not in listed]
    if TOOL_FILE in listed or not missing:
        yield Check("ok", tr("记忆的工具"), tr("Intent.{intent}.functions 里都有", intent=intent))
    elif len(missing) == len(TOOL_NAMES):
        found = tr("Intent.{intent}.functions 里没有，对话模型不能自己翻查记忆", intent=intent)
        yield Check("warning", tr("记忆的工具"), found, again)
    else:
        found = tr(
            "Intent.{intent}.functions 里少了 {missing}", intent=intent, missing=tr("、").join(missing)
        )
        yield Check(
            "warning", tr("记忆的工具"), found, tr("{again}；少了的就没有办法用话做到。", again=again)
        )


def check_stored(server_dir: Path) -> Iterator[Check]:
    """Check what is on the disk: whose memories, whether they can be read, what the host remembered before."""
    try:
        settings = base_settings(server_dir)
    except PersonaError as exc:
        yield failed(tr("记忆的设置"), exc)
        return
    found: list[str] = []
    for file in sorted(settings.memory_dir.glob(f"*/{FILE}")):
        try:
            owner, turns = _looked_at(file)
        except (PersonaError, sqlite3.Error, OSError) as exc:
            step = tr("重启小智服务端，它会把坏的移到一旁，能读的写进新的。")
            yield Check(
                "error",
                tr("记忆 {name}", name=file.parent.name),
                tr("读不了：{listed}", listed=" ".join(str(exc).split())),
                step,
            )
            continue
        devices = devices_of(settings, owner)
        found.append(
            tr(
                "{owner}{value} {turns} 条",
                owner=owner,
                value=tr("（设备 {some}）", some=_some(devices)) if devices else "",
                turns=turns,
            )
        )
        if normal_id(owner) in settings.memory.owners:
            step = tr(
                "要留着它，在 {DATA}/config.yaml 的 memory.owners 里去掉 {owner}；不要了就不用管。",
                DATA=DATA,
                owner=owner,
            )
            yield Check(
                "warning",
                tr("记忆 {owner}", owner=owner),
                tr("这台设备已经算作 {owner_of}，它自己的用不上了", owner_of=settings.memory.owner_of(owner)),
                step,
            )
    yield Check("ok", tr("已有的记忆"), _some(found) if found else tr("还没有，设备说过话就有"))
    yield from _old_memory(settings, server_dir)


def selected_section(config: Mapping[str, Any], kind: str) -> tuple[str, Mapping[str, Any]]:
    """Return the name and the section that the host's settings select for a kind; "" and {} for none."""
    selected, sections = config.get("selected_module"), config.get(kind)
    name = str(selected.get(kind) or "") if isinstance(selected, Mapping) else ""
    section = sections.get(name) if isinstance(sections, Mapping) else None
    return name, section if isinstance(section, Mapping) else {}


def _without_type(config: Mapping[str, Any], kind: str, again: str) -> Check | None:
    """The host reads `type` of these sections without asking whether it is there (core/connection.py)."""
    name, section = selected_section(config, kind)
    if section.get("type"):
        return None
    found = tr(
        "selected_module.{kind} 是 {name!r}，{kind} 下面没有它，或它没有 type，设备连上后多半没有反应",
        kind=kind,
        name=name,
    )
    return Check("error", tr("设置"), found, tr("改 data/.config.yaml，或{again}", again=again))


def _looked_at(file: Path) -> tuple[str, int]:
    """Return whose memory a file is and how many turns it holds. Raises what is wrong with it."""
    with contextlib.closing(schema.connect(file, readonly=True)) as db:
        owner = schema.get_meta(db, "owner")
    with contextlib.closing(OwnerStore(file.parent, owner)) as store:
        problems = store.check()
        if problems:
            raise PersonaError(problems[0])
        return owner, diary.count(store.reader)


def _old_memory(settings: Settings, server_dir: Path) -> Iterator[Check]:
    file = server_dir / _OLD
    if not file.is_file():
        return
    try:
        content = load_yaml(read_text(file))
    except (SettingsError, yaml.YAMLError) as exc:
        yield Check(
            "warning",
            tr("原来的记忆 {OLD}", OLD=_OLD),
            tr("读不了：{listed}", listed=" ".join(str(exc).split())),
            tr("不要它就不用管。"),
        )
        return
    devices = [str(device) for device, text in content.items() if text] if isinstance(content, dict) else []
    for device in devices:
        what = tr("原来的记忆 {device}", device=device)
        if _is_imported(settings, device):
            yield Check("ok", what, tr("已经导入"))
            continue
        step = tr(
            "要导入，运行 {command} --config {value}",
            command=own_command(f"memory import {file} --owner {device}"),
            value=server_dir / DATA / "config.yaml",
        )
        yield Check("warning", what, tr("{OLD} 里有小智服务端以前记的，还没有导入", OLD=_OLD), step)


def _is_imported(settings: Settings, device: str) -> bool:
    file = owner_folder(settings.memory_dir, settings.memory.owner_of(device)) / FILE
    source = f"host-{device}-"  # as memory/importers.py names what it takes from there
    with contextlib.suppress(sqlite3.Error):
        if file.is_file():
            with contextlib.closing(schema.connect(file, readonly=True)) as db:
                found = db.execute(
                    "select 1 from fact where substr(source, 1, ?) = ?", (len(source), source)
                ).fetchone()
                return found is not None
    return False


def _some(names: list[str]) -> str:
    more = tr(" 等 {count} 份", count=len(names)) if len(names) > _MAX_NAMED else ""
    return tr("、").join(names[:_MAX_NAMED]) + more
