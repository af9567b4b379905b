"""Whose memories there are in a folder, looked at without changing them."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from xiaozhi_persona.memory import diary, schema
from xiaozhi_persona.memory.store import FILE


@dataclass(frozen=True)
class StoredMemory:
    """The memory of one owner, as it lies on the disk."""

    owner_id: str
    """"" for one that cannot be read."""
    folder: Path
    turns: int = 0
    facts: int = 0
    """That hold."""
    last: datetime | None = None
    """When the last thing was said."""
    problem: str = ""
    """Why it cannot be read."""


def stored_memories(root: Path) -> list[StoredMemory]:
    """Return the memories in a memory folder, the one spoken to last first; none when there is no such folder.

    A folder that may not be read, the root or one in it, is a memory with that problem.
    """
    try:
        folders = sorted(root.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        return [StoredMemory("", root, problem=exc.strerror or str(exc))]
    found = [one for one in map(_in_folder, folders) if one]
    return sorted(
        found, key=lambda one: (one.last.timestamp() if one.last else 0, one.owner_id), reverse=True
    )


def _in_folder(folder: Path) -> StoredMemory | None:
    file = folder / FILE
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        return StoredMemory("", folder, problem=exc.strerror or str(exc))
    return _looked_at(file)


def _looked_at(file: Path) -> StoredMemory:
    problem = ""
    # Without a log nobody has it open, and nothing is left beside it; a log cannot be read where nothing can be written.
    for immutable in (False, True) if Path(f"{file}-wal").exists() else (True,):
        try:
            with contextlib.closing(schema.connect(file, readonly=True, immutable=immutable)) as db:
                return _counted(db, file)
        except sqlite3.Error as exc:
            problem = problem or str(exc)
    return StoredMemory("", file.parent, problem=problem)


def _counted(db: sqlite3.Connection, file: Path) -> StoredMemory:
    last = db.execute("select at_ms, offset_min from turn order by local_ms desc limit 1").fetchone()
    (known,) = db.execute("select count(*) from fact where valid_to_ms is null").fetchone()
    at = diary.Entry("", "user", "", *last).at if last else None
    return StoredMemory(schema.get_meta(db, "owner"), file.parent, diary.count(db), known, at)
