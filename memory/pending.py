"""Turns that wait in a file beside the database while another process holds it.

Whoever writes to the file or takes it in holds its lock; where the system has none (Windows), one process at a time
may use a memory.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from xiaozhi_persona.memory.diary import Entry

PENDING = "pending.jsonl"
_WAIT_S = 0.25
_RETRY_S = 0.005


def put(folder: Path, turns: Sequence[Entry]) -> None:
    """Add turns to those that wait. Raises OSError; a BlockingIOError when another process keeps the file."""
    # It begins with a line of its own: what was there before may have been cut off in the middle of a line.
    lines = "".join("\n" + json.dumps(turn._asdict(), ensure_ascii=False) for turn in turns) + "\n"
    with (folder / PENDING).open("ab") as file:
        _lock(file)
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
    with file:
        _lock(file)
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


def _lock(file: BinaryIO) -> None:
    """Lock a file until it is closed."""
    if sys.platform == "win32":
        return
    import fcntl

    until_s = time.monotonic() + _WAIT_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until_s:
                raise
            time.sleep(_RETRY_S)
