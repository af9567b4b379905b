"""Turns that wait beside a database that is held, or in RAM while it cannot be written: none that was acknowledged is lost."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from memory_kit import NOW, memory, turn

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory import diary, forget, pending
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.store import PENDING, BusyStore, OwnerStore
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Owner, Turn

A = Owner("aa:bb")


def texts(root: Path, owner: str = "甲") -> list[str]:
    with memory(root, owner) as store:
        return [entry.text for entry in diary.everything(store.writer)]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085", "\r\n", "\x1c", "\x00"])
def test_a_turn_with_any_line_separator_comes_in(tmp_path: Path, mark: str) -> None:
    with memory(tmp_path) as store:
        store.put_aside_for_later([turn(f"一{mark}二")])
        assert store.append([]) == 1
        assert not store.has_pending()
    assert texts(tmp_path) == [f"一{mark}二"]


def test_what_follows_a_half_written_line_is_kept(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        (store.folder / PENDING).write_bytes(b'{"id": "half wri')
        store.put_aside_for_later([turn("等着的话")])
        assert store.append([]) == 1
    assert texts(tmp_path) == ["等着的话"]


def test_a_turn_put_aside_while_another_process_takes_the_file_in_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of steps that happens by chance with two processes: opened, taken in, written."""
    with memory(tmp_path) as one, memory(tmp_path) as two:
        one.put_aside_for_later([turn("第一句")])
        really_open = Path.open

        def opened(path: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
            file = really_open(path, mode, *more, **named)
            if mode == "ab":
                monkeypatch.setattr(Path, "open", really_open)
                two.append([])
            return file

        monkeypatch.setattr(Path, "open", opened)
        one.put_aside_for_later([turn("第二句")])
        one.append([])
    assert texts(tmp_path) == ["第一句", "第二句"]


def test_a_file_that_another_process_keeps_is_told_as_busy(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        store.put_aside_for_later([turn("等着的话")])
        with pending.taken_in(store.folder):
            with pytest.raises(BusyStore):
                store.append([turn("另一句")])
            with pytest.raises(BusyStore):
                store.put_aside_for_later([turn("另一句")])
        store.append([turn("另一句")])
    assert "另一句" in texts(tmp_path)


class WindowsLocks:
    """Stands for the module msvcrt: locks a byte where the file stands, for one opening of the file at a time."""

    LK_NBLCK, LK_UNLCK = 2, 0

    def __init__(self) -> None:
        self.held: dict[tuple[int, int], int] = {}

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        byte = (os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR))
        assert count == 1 and byte[1] > os.fstat(descriptor).st_size
        if mode == self.LK_UNLCK:
            assert self.held.pop(byte) == descriptor
        elif byte in self.held:
            raise PermissionError(13, "Permission denied")
        else:
            self.held[byte] = descriptor


@pytest.fixture
def windows_locks(monkeypatch: pytest.MonkeyPatch) -> WindowsLocks:
    locks = WindowsLocks()
    monkeypatch.setitem(sys.modules, "msvcrt", locks)  # type: ignore[arg-type]
    monkeypatch.setattr(pending, "sys", SimpleNamespace(platform="win32"))
    return locks


def test_on_windows_a_file_that_is_kept_is_told_as_busy_and_nothing_is_lost(
    tmp_path: Path, windows_locks: WindowsLocks
) -> None:
    with memory(tmp_path) as store:
        store.put_aside_for_later([turn("第一句")])
        store.put_aside_for_later([turn("第二句")])
        with pending.taken_in(store.folder) as waiting:
            assert [entry.text for entry in waiting] == ["第一句", "第二句"]
            with pytest.raises(BusyStore):
                store.put_aside_for_later([turn("另一句")])
        assert not store.has_pending()
        store.put_aside_for_later([turn("另一句")])
        with pytest.raises(ZeroDivisionError), pending.taken_in(store.folder):
            raise ZeroDivisionError
        assert store.append([]) == 1
    assert not windows_locks.held


def test_turns_from_many_threads_are_taken_in_once_each(tmp_path: Path) -> None:
    with memory(tmp_path):
        pass

    def put(name: str) -> None:
        with memory(tmp_path) as store:
            waiting = [turn(f"{name}{number}", NOW + timedelta(seconds=number)) for number in range(40)]
            while waiting:
                with contextlib.suppress(BusyStore):
                    store.put_aside_for_later(waiting[:1])
                    del waiting[0]

    def take() -> None:
        with memory(tmp_path) as store:
            for _ in range(60):
                with contextlib.suppress(BusyStore):
                    store.append([])

    threads = [threading.Thread(target=put, args=(name,)) for name in "ab"]
    threads += [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with memory(tmp_path) as store:
        store.append([])
    assert sorted(texts(tmp_path)) == sorted(f"{name}{number}" for name in "ab" for number in range(40))


def test_forgetting_takes_in_what_waits(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        store.append([turn("樱桃一", NOW)])
        store.put_aside_for_later([turn("樱桃二", NOW + timedelta(seconds=1))])
        assert forget.forget_turns(store, [1, 2]).turns == 2
        store.put_aside_for_later([turn("樱桃三", NOW + timedelta(seconds=2))])
        assert forget.forget_all(store).turns == 1
        store.append([])
    assert texts(tmp_path) == []


def _full(*_: Any, **__: Any) -> int:
    raise PersonaError("磁盘满了")


async def test_what_could_not_be_written_is_written_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mind = PersonaMemory(MemorySettings(), tmp_path)
    await mind.remember(A, [Turn("user", "一", NOW)])
    with monkeypatch.context() as patch:
        patch.setattr(OwnerStore, "append", _full)
        await mind.remember(A, [Turn("user", "二", NOW)])
    await mind.aclose()
    assert texts(tmp_path, A.id) == ["一", "二"]


async def test_what_could_not_be_written_is_not_lost_when_the_record_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mind, now = PersonaMemory(MemorySettings(), tmp_path), datetime.now().astimezone()
    await mind.remember(A, [Turn("user", "一", NOW)])
    with monkeypatch.context() as patch:
        patch.setattr(OwnerStore, "append", _full)
        await mind.remember(A, [Turn("user", "二", NOW)])
        await mind.obey(A, "这段不要记", now)
        await mind.remember(A, [Turn("user", "不记的", NOW)])
    await mind.remember(A, [Turn("user", "也不记的", NOW)])
    await mind.obey(A, "可以记了", now)
    await mind.remember(A, [Turn("user", "三", NOW)])
    await mind.aclose()
    assert texts(tmp_path, A.id) == ["一", "二", "三"]
