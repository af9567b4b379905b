"""What the memory tests share: an open memory, turns, questions."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import pytest

from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.draft import Draft
from xiaozhi_persona.memory.recall import recall
from xiaozhi_persona.memory.store import BusyStore, OwnerStore, owner_folder  # noqa: F401 (BusyStore: for the children)
from xiaozhi_persona.spine import Turn

ZONE = timezone(timedelta(hours=8))
NOW = datetime(2025, 8, 20, 15, 30, tzinfo=ZONE)
"""A Wednesday."""


def at(text: str, zone: timezone = ZONE) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def turn(
    text: str, when: datetime | str = NOW, who: Literal["user", "assistant"] = "user", **more: str
) -> diary.Entry:
    return diary.entry(Turn(who, text, at(when) if isinstance(when, str) else when), **more)


def obey_permissions() -> None:
    """Make this process heed file permissions though it is root's, as in a container, who may write everywhere."""
    if os.getuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable of the first 32, then of the others
    assert libc.capget(header, sets) == 0
    sets[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0


def held_back(monkeypatch: pytest.MonkeyPatch, mind: object, method: str) -> asyncio.Event:
    """Have a method of a memory, or of all of them, wait for an event."""
    go_on = asyncio.Event()
    done = getattr(mind, method)

    async def slow(*args: Any) -> Any:
        await go_on.wait()
        return await done(*args)

    monkeypatch.setattr(mind, method, slow)
    return go_on


@contextlib.contextmanager
def memory(root: Path, owner: str = "甲") -> Iterator[OwnerStore]:
    store = OwnerStore(owner_folder(root, owner), owner)
    try:
        yield store
    finally:
        store.close()


def ask(store: OwnerStore, question: str, now: datetime = NOW, **more: Any) -> Draft:
    draft = Draft()
    recall(store.reader, question, now, draft, **{"max_tokens": 800, **more})
    return draft


def conversation(store: OwnerStore, *lines: tuple[str, str, str]) -> None:
    """Write (time, said, answered)."""
    turns = []
    for when, said, answered in lines:
        turns.append(turn(said, when))
        if answered:
            turns.append(turn(answered, at(when) + timedelta(seconds=3), "assistant"))
    store.append(turns)
