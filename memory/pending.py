"""Turns that wait in a file beside the database while another process holds it.

Whoever writes to the file or takes it in holds its lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from xiaozhi_persona.memory.diary import Entry

PENDING = "pending.jsonl"
_WAIT_S = 0.25
_RETRY_S = 0.005
_LOCKED_BYTE = 1 << 30
"""Past every end of the file, and within the 31 bits that Windows takes."""


def put(folder: Path, turns: Sequence[Entry]) -> None:
    """Add turns to those that wait. Raises OSError; a BlockingIOError when another process keeps the file."""
    # It begins with a line of its own: what was there before may have been cut off in the middle of a line.
    lines = "".join("\n" + json.dumps(turn._asdict(), ensure_ascii=False) for turn in turns) + "\n"
    with (folder / PENDING).open("ab") as file, _locked(file):
        file.write(lines.encode())


@contextlib.contextmanager
def taken_in(folder: Path) -> Iterator[list[Entry]]:
    """Lend the turns that wait; they wait no longer once the block has ended without an error. Raises OSError.

    What was half written when the process ended was never acknowledged, and is left out.
    """
    try:
        file = (folder / PENDING).open("r+b")
    except FileNotFoundError:
        yield []
        return
    with file, _locked(file):
        turns = []
        for line in file.read().split(b"\n"):
            with contextlib.suppress(ValueError, TypeError):
                turns.append(Entry(**json.loads(line)))
        yield turns
        with contextlib.suppress(OSError):  # they are written; read once more, they change nothing
            file.truncate(0)


def has_any(folder: Path) -> bool:
    """Whether turns wait."""
    try:
        return (folder / PENDING).stat().st_size > 0
    except OSError:
        return False


@contextlib.contextmanager
def _locked(file: BinaryIO) -> Iterator[None]:
    """Keep other processes out of a file while the block runs. Raises BlockingIOError when another one stays in it."""
    until_s = time.monotonic() + _WAIT_S
    while not _lock(file.fileno()):
        if time.monotonic() > until_s:
            raise BlockingIOError(f"{file.name} is locked by another process")
        time.sleep(_RETRY_S)
    try:
        yield
        file.flush()
    finally:
        _unlock(file.fileno())


def _lock(descriptor: int) -> bool:
    """Try to lock an open file; return whether it is ours. Raises OSError where there are no locks."""
    if sys.platform == "win32":
        import msvcrt

        with _at_locked_byte(descriptor):
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except PermissionError:
                return False
    else:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _unlock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        with _at_locked_byte(descriptor):
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextlib.contextmanager
def _at_locked_byte(descriptor: int) -> Iterator[None]:
    """Stand where Windows locks: it locks bytes, from where the file stands, and nobody can read those that are locked."""
    before = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
    try:
        yield
    finally:
        os.lseek(descriptor, before, os.SEEK_SET)
