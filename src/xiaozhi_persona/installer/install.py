"""Putting the doors and their settings into a host: first a plan, which can be shown, then all of it or nothing."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.installer import atomic_files
from xiaozhi_persona.installer.door_files import door_text, is_ours
from xiaozhi_persona.installer.manifest import (
    MANIFEST,
    OUR_FOLDER,
    Entry,
    Manifest,
    Tree,
    digest,
    read_manifest,
)
from xiaozhi_persona.installer.merge import PROMPT_FILE, with_changes
from xiaozhi_persona.installer.prompt import template
from xiaozhi_persona.installer.yaml_edit import Edit
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.host.doors import Door

HOST_SETTINGS = PurePosixPath("data/.config.yaml")
BACKUP = PurePosixPath("data/.config.yaml.xiaozhi-persona.bak")
"""The host's settings as they were before the first change."""

OUR_SETTINGS = OUR_FOLDER / "config.yaml"

_OUR_SETTINGS_TEXT = """\
# xiaozhi-persona 在小智服务端里的设置，写法同它自己的 config.yaml（那里有每一项的默认值和说明）。
# data/.config.yaml 里所选的 TTS 一节写了的，以那里为准。
# 在命令行里也可以用它：xiaozhi-persona doctor --config 本文件
paths:
  data: .
"""


@dataclass(frozen=True)
class Write:
    """A file that is to hold something else than it does."""

    path: PurePosixPath
    content: bytes
    before: bytes | None
    """What it holds now, None when there is none."""


@dataclass
class Plan:
    """What install would do."""

    tree: Tree
    manifest: Manifest
    writes: list[Write] = field(default_factory=list)
    """In the order in which they are done: what selects a door comes after the door."""
    edits: list[Edit] = field(default_factory=list)
    """What changes in the host's settings."""
    notes: list[str] = field(default_factory=list)
    """What people should know of, in Chinese."""

    def diff(self) -> str:
        """Return what changes in the host's settings as a unified diff; "" when nothing does."""
        for write in self.writes:
            if write.path == HOST_SETTINGS:
                before, after = (
                    content.decode("utf-8-sig").splitlines()
                    for content in (write.before or b"", write.content)
                )
                name = str(HOST_SETTINGS)
                # Few lines of context: settings hold keys of services, and what is shown may be passed on.
                return "\n".join(difflib.unified_diff(before, after, name, name, n=1, lineterm=""))
        return ""


def plan_install(
    tree: Tree,
    doors: Iterable[Door],
    *,
    changes: Mapping[str, Any] | None = None,
    with_data: bool = True,
    replace: bool = False,
    host: str = "",
) -> Plan:
    """Say what is to be written for `doors`, for `changes` in the host's settings, and (`with_data`) our own files.

    `replace` allows door files that are not ours to be replaced; they are kept. `host` is noted for people. Nothing is
    written. Raises SettingsError.
    """
    manifest = read_manifest(tree) or Manifest()
    manifest.host = host or manifest.host
    plan = Plan(tree, manifest)
    if with_data:
        _plan_own(plan, PROMPT_FILE, template().encode("utf-8"))
        _plan_own(plan, OUR_SETTINGS, _OUR_SETTINGS_TEXT.encode("utf-8"))
    _plan_doors(plan, doors, replace)
    if changes is not None:
        _plan_settings(plan, changes)
    for write in (*plan.writes, Write(MANIFEST, b"", None)):
        for folder in _missing_folders(tree, write.path):
            if folder not in manifest.folders:
                manifest.folders.append(folder)
    return plan


def check(plan: Plan) -> None:
    """Raise SettingsError when a file that is to be written is locked."""
    for write in plan.writes:
        atomic_files.check_writable(plan.tree.path(write.path))
    if plan.writes:
        atomic_files.check_writable(plan.tree.path(MANIFEST))


def apply(plan: Plan) -> None:
    """Do what was planned. Where a write fails, all is put back as it was. Raises SettingsError."""
    check(plan)
    tree = plan.tree
    manifest, before = plan.manifest.to_bytes(), atomic_files.read_file(tree.path(MANIFEST))
    if not plan.writes and manifest == before:
        return
    writes = [Write(MANIFEST, manifest, before), *plan.writes]
    folders = [tree.path(folder) for folder in plan.manifest.folders if not tree.path(folder).exists()]
    done: list[Write] = []
    try:
        for write in writes:
            done.append(write)
            atomic_files.write_file(tree.path(write.path), write.content, _model(tree, write.path))
    except OSError as exc:
        _put_back(tree, done, folders)
        raise SettingsError(
            tr(
                "写不了 {value}（{strerror}），已经放回原样。请检查权限和剩余空间，再运行一次。",
                value=exc.filename or tree.server,
                strerror=exc.strerror,
            )
        ) from exc


def _plan_own(plan: Plan, path: PurePosixPath, content: bytes) -> None:
    """Plan a file of ours that people may edit: what they made of it stays."""
    current, entry = atomic_files.read_file(plan.tree.path(path)), plan.manifest.files.get(path)
    if current is None or current == content or (entry and entry.is_as_written(current)):
        _stage(plan, path, content, current, before=None)
    else:
        plan.notes.append(
            tr("{path} 有你改过的内容，没有动它。要新的一份，先把它移走，再运行一次。", path=path)
        )


def _plan_doors(plan: Plan, doors: Iterable[Door], replace: bool) -> None:
    foreign = []
    for door in doors:
        current, entry = atomic_files.read_file(plan.tree.path(door.path)), plan.manifest.files.get(door.path)
        before = None
        if current is not None and not (entry.is_as_written(current) if entry else is_ours(current)):
            foreign.append(str(door.path))
            before = None if is_ours(current) else current
            if entry and before is not None:
                entry.before = before
        _stage(plan, door.path, door_text(door).encode("utf-8"), current, before)
    if foreign and not replace:
        raise SettingsError(
            tr(
                "{foreign} 不是 xiaozhi-persona 写的，或写好后被改过，没有动它。"
                "要换掉它，加上 --replace 再运行一次（原来的文件会留着，uninstall 时放回去）。",
                foreign=tr("、").join(foreign),
            )
        )
    if foreign:
        plan.notes.append(
            tr("换掉了 {foreign}；原来的文件 uninstall 时放回去。", foreign=tr("、").join(foreign))
        )


def _plan_settings(plan: Plan, changes: Mapping[str, Any]) -> None:
    file = plan.tree.path(HOST_SETTINGS)
    current = atomic_files.read_file(file)
    content, plan.edits = with_changes(current, file, changes)
    entry = plan.manifest.files.get(HOST_SETTINGS)
    if current is None or not plan.edits:
        return
    if entry and current != entry.before and not entry.is_as_written(current):
        entry.is_exact = False
    if entry is None or current == entry.before:
        _stage(plan, BACKUP, current, atomic_files.read_file(plan.tree.path(BACKUP)), before=None)
    _stage(plan, HOST_SETTINGS, content, current, before=current)
    plan.manifest.edits += plan.edits


def _stage(
    plan: Plan, path: PurePosixPath, content: bytes, current: bytes | None, before: bytes | None
) -> None:
    """Note that `path` is to hold `content`; `before` is what to put back where nothing is noted yet."""
    entry = plan.manifest.files.setdefault(path, Entry(before, []))
    if digest(content) not in entry.written:
        entry.written.append(digest(content))
    if current != content:
        plan.writes.append(Write(path, content, current))


def _missing_folders(tree: Tree, path: PurePosixPath) -> Iterator[PurePosixPath]:
    for folder in reversed(path.parents):
        if folder.parts and not tree.path(folder).exists():
            yield folder


def _model(tree: Tree, path: PurePosixPath) -> Path | None:
    """Return the file whose rights a new one takes: copies of the host's settings are as private as those."""
    return tree.path(HOST_SETTINGS) if path in (MANIFEST, BACKUP) else None


def _put_back(tree: Tree, done: Iterable[Write], folders: Iterable[Path]) -> None:
    for write in reversed([*done]):
        with contextlib.suppress(OSError):
            if write.before is None:
                atomic_files.remove_file(tree.path(write.path))
            elif atomic_files.read_file(tree.path(write.path)) != write.before:
                atomic_files.write_file(tree.path(write.path), write.before)
    for folder in reversed([*folders]):
        atomic_files.remove_empty(folder)
