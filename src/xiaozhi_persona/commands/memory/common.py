"""What the memory commands share: the owner, and his open memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from xiaozhi_persona.commands.common import DEMO_DEVICE
from xiaozhi_persona.errors import PersonaError, SettingsError, own_command
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.memory.readonly import lacks_last_turns, readable_copy
from xiaozhi_persona.memory.roster import StoredMemory, stored_memories
from xiaozhi_persona.memory.spellings import adopted_folder
from xiaozhi_persona.memory.store import DamagedStore, OwnerStore, set_aside
from xiaozhi_persona.memory.transfer import parse_time
from xiaozhi_persona.settings import Settings

NONE_YET = later(
    "{folder} 里还没有谁的记忆。设备说过话就有；在项目文件夹里运行，或用 --config 指明设置文件。"
)
Purpose = Literal["read", "change", "make"]
"""What a memory is opened for. Only `make` makes one where there is none."""

_BUSY_MS = 5000
_MAX_LISTED = 8
_Command = TypeVar("_Command", bound=Callable[..., Any])


def owner_option(function: _Command) -> _Command:
    """Add --owner, which owner_of() reads."""
    return click.option(
        "--owner", help="谁的记忆：设备的 id，或 memory.owners 里的主人；只有一份记忆时可以不写"
    )(function)


def now_option(function: _Command) -> _Command:
    """Add --now: a datetime, this moment when it is left out."""
    return click.option(
        "--now", callback=lambda ctx, param, value: read_time(value), help="当作现在的时间（ISO），默认为此刻"
    )(function)


def read_time(text: str | None) -> datetime:
    """Return a time of the command line, now when there is none. Raises SettingsError."""
    if text is None:
        return datetime.now().astimezone()
    try:
        return parse_time(text)
    except (ValueError, OverflowError) as exc:
        raise SettingsError(
            tr("时间 {value!r} 读不懂。请写成 2025-08-20T15:30 或 2025-08-20T15:30:00+08:00。", value=text)
        ) from exc


def owner_of(settings: Settings, given: str | None, purpose: Purpose = "read") -> str:
    """Return the id of the owner that --owner names, by itself or by a device; of the only memory without it.

    That of the simulated device and empty ones, left behind by forgetting everything or by an import that failed,
    do not count beside others.

    Raises PersonaError that lists whose memories there are, for one that has none (unless to `make` it), and
    SettingsError without --owner where there is not just one.
    """
    if given is not None:
        owner = settings.memory.owner_of(given)
        if purpose == "make" or any(adopted_folder(settings.memory_dir, owner).glob("*")):
            return owner
    stored = stored_memories(settings.memory_dir)
    there = [one for one in stored if one.owner_id]
    real = [one for one in there if one.owner_id != DEMO_DEVICE and (one.turns or one.facts)]
    there = real or there
    if given is None and len(there) == 1:
        return there[0].owner_id
    if stored and not there:
        one = stored[0]
        told = tr("{folder} 读不了（{problem}）", folder=one.folder, problem=one.problem)
        raise PersonaError(tr("{told}。运行 {command} 看怎么办。", told=told, command=own_command("doctor")))
    if given is None and purpose == "make" and not there:
        raise SettingsError(
            tr("还没有谁的记忆。用 --owner 说明记给谁：设备的 id，或 memory.owners 里的主人。")
        )
    if not there:
        raise PersonaError(tr(NONE_YET, folder=settings.memory_dir))
    listed = tr("、").join(_shown(one, settings) for one in there[:_MAX_LISTED])
    if len(there) > _MAX_LISTED:
        listed += tr(" 等 {count} 份，用 memory owners 看全部", count=len(there))
    if given is None:
        raise SettingsError(tr("有几份记忆，用 --owner 说明是谁的：{listed}", listed=listed))
    raise PersonaError(tr("还没有“{given}”的记忆。有的是：{listed}", given=given, listed=listed))


def devices_of(settings: Settings, owner: str) -> list[str]:
    """Return the devices that the settings give to an owner."""
    return [device for device, name in settings.memory.owners.items() if name == owner]


def _shown(one: StoredMemory, settings: Settings) -> str:
    devices = devices_of(settings, one.owner_id)
    return one.owner_id + (tr("（设备 {devices}）", devices=tr("、").join(devices)) if devices else "")


@contextlib.contextmanager
def opened(settings: Settings, given: str | None, purpose: Purpose = "read") -> Iterator[OwnerStore]:
    """Open the memory that --owner names. A damaged one is set aside and a new one begun. Raises as owner_of().

    To `read` a memory that lacks its last turns, because its folder is read-only, a copy with them is lent.
    """
    owner = owner_of(settings, given, purpose)
    folder = adopted_folder(settings.memory_dir, owner)
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(contextlib.closing(_open(folder, owner)))
        if purpose == "read" and lacks_last_turns(store):
            click.echo(
                tr("{folder} 写不进去，最近的话还在日志里没有合并，这次读的是临时的副本。", folder=folder),
                err=True,
            )
            store = stack.enter_context(readable_copy(folder, owner))
        if not store.readonly and (store.index_state != "ok" or store.has_pending()):
            if store.index_state != "ok":
                store.rebuild()
            store.append([])
        yield store
        store.sync()


def _open(folder: Path, name: str) -> OwnerStore:
    try:
        return OwnerStore(folder, name, busy_ms=_BUSY_MS)
    except DamagedStore as exc:
        aside, turns = set_aside(folder, name)
        click.echo(
            tr(
                "{exc}\n坏了的数据库移到了 {aside}，读出了 {turns} 条谈话。",
                exc=exc,
                aside=aside,
                turns=turns,
            ),
            err=True,
        )
        return OwnerStore(folder, name, busy_ms=_BUSY_MS)
