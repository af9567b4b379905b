"""What the memory commands share: the owner, and his open memory."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.memory.readonly import lacks_last_turns, readable_copy
from xiaozhi_persona.memory.store import DamagedStore, OwnerStore, has_memory, owner_folder, set_aside
from xiaozhi_persona.memory.transfer import parse_time
from xiaozhi_persona.settings import Settings

_BUSY_MS = 5000
_Command = TypeVar("_Command", bound=Callable[..., Any])


def owner_option(function: _Command) -> _Command:
    """Add --owner."""
    return click.option("--owner", required=True, help="谁的记忆：设备的 id，或 memory.owners 里的主人")(
        function
    )


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
            f"时间 {text!r} 读不懂。请写成 2025-08-20T15:30 或 2025-08-20T15:30:00+08:00。"
        ) from exc


def folder_of(settings: Settings, owner: str) -> Path:
    """Return where the memory of an owner, or of a device's owner, lies."""
    return owner_folder(settings.memory_dir, settings.memory.owners.get(owner, owner))


@contextlib.contextmanager
def opened(
    settings: Settings, owner: str, purpose: Literal["read", "change", "make"] = "read"
) -> Iterator[OwnerStore]:
    """Open the memory of an owner, or of a device's owner. A damaged one is set aside and a new one begun.

    Where there is none, only `make` makes one; else an empty one is lent, of which nothing stays. To `read` a
    memory that lacks its last turns, because its folder is read-only, a copy with them is lent.
    """
    name = settings.memory.owners.get(owner, owner)
    folder = folder_of(settings, owner)
    with contextlib.ExitStack() as stack:
        if purpose != "make" and not has_memory(folder):
            click.echo(f"还没有“{owner}”的记忆。看看 --owner 有没有写错。", err=True)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xiaozhi-persona-")))
        store = stack.enter_context(contextlib.closing(_open(folder, name)))
        if purpose == "read" and lacks_last_turns(store):
            click.echo(f"{folder} 写不进去，最近的话还在日志里没有合并，这次读的是临时的副本。", err=True)
            store = stack.enter_context(readable_copy(folder, name))
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
        click.echo(f"{exc}\n坏了的数据库移到了 {aside}，读出了 {turns} 条谈话。", err=True)
        return OwnerStore(folder, name, busy_ms=_BUSY_MS)
