"""Removes the memories of owners who never said anything, such as a device makes that only connects.

A folder stays when it holds a turn, a fact, a setting, anything unknown, when any process has it open, or when it was
touched a moment ago: somebody may be about to write.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from xiaozhi_persona.memory import schema
from xiaozhi_persona.memory.pending import PENDING
from xiaozhi_persona.memory.store import FILE

log = logging.getLogger(__name__)

_FOLDER = re.compile("[0-9a-f]{32}")
_PARTS = {FILE, f"{FILE}-wal", f"{FILE}-shm", PENDING}
_UNTOUCHED_S = 60.0
_MAX_EMPTY_BYTES = 128 * 1024  # an empty database has 60 KiB; a longer one is not looked into
_OF_AN_EMPTY_ONE = {"owner", "index_version", schema.FACTS_VERSION}  # keys of the table meta


def sweep(root: Path, is_over: Callable[[], bool] = lambda: False) -> int:
    """Remove the folders of empty memories, until `is_over`. Returns how many there were. Never raises."""
    swept = 0
    with contextlib.suppress(OSError):
        for folder in root.iterdir():
            if is_over():
                break
            if _FOLDER.fullmatch(folder.name):
                with contextlib.suppress(OSError, sqlite3.Error):
                    swept += _swept(folder)
    if swept:
        log.info("删除了 %d 份空的记忆：那些设备只连过，什么也没有说过。", swept)
    return swept


def _swept(folder: Path) -> bool:
    stats = {path.name: path.stat() for path in folder.iterdir()}
    if time.time() - max(stat.st_mtime for stat in (folder.stat(), *stats.values())) < _UNTOUCHED_S:
        return False
    sizes = {name: stat.st_size for name, stat in stats.items()}
    if sizes.keys() - _PARTS or sizes.get(PENDING) or sizes.get(FILE, 0) > _MAX_EMPTY_BYTES:
        return False
    if FILE not in sizes:
        if sizes:
            return False
        folder.rmdir()
        return True
    address = f"{(folder / FILE).absolute().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=0, isolation_level=None)) as db:
        # Nobody else can have it open, or an error is raised, and nobody can open it from here to the end.
        db.execute("pragma locking_mode = exclusive")
        if not _is_empty(db):
            return False
        # Without a log or a journal: closing would else remove one that somebody has made at this place by then.
        db.execute("pragma journal_mode = off")
        db.execute("begin exclusive")
        if not _is_empty(db):
            return False
        for name in _PARTS:
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
    return True


def _is_empty(db: sqlite3.Connection) -> bool:
    """Whether nothing was ever written, or the tables are those of this version and hold nothing."""
    if not db.execute("select 1 from sqlite_master").fetchone():
        return True
    if db.execute("pragma user_version").fetchone()[0] != schema.VERSION:
        return False
    keys = {row[0] for row in db.execute("select key from meta")}
    return keys <= _OF_AN_EMPTY_ONE and not any(
        db.execute(f"select 1 from {table} limit 1").fetchone() for table in ("turn", "fact")
    )
