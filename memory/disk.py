"""What the disk says when nothing can be written, in words that tell the next step."""

from __future__ import annotations

import errno
import sqlite3
import tempfile
from pathlib import Path

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr

_PROBE_BYTES = 128 * 1024
"""What SQLite needs to open a database and write a turn: 32 KiB for the index of its log, and some pages."""
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class UnwritableStore(PersonaError):
    """Nothing can be written to a memory until a person does something about the disk."""

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.cause = cause
        """In a few words, as the owner is told."""


def obstacle(folder: Path) -> PersonaError | None:
    """Return why nothing can be written to a folder, or made where there is none; None when it can.

    Found out by writing a file that has no name, or is gone at once.
    """
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
    except OSError as exc:
        return explained(exc, folder)
    return None


def explained(exc: OSError | sqlite3.Error, path: Path) -> PersonaError:
    """Return what the disk, or SQLite, reported of a file or a folder."""
    text = str(exc).lower() if isinstance(exc, sqlite3.Error) else ""  # an OSError's may hold any path
    code = exc.errno if isinstance(exc, OSError) else None
    if code in _FULL or "database or disk is full" in text:
        return UnwritableStore(tr("磁盘满了，{path} 写不进去。请腾出空间。", path=path), "磁盘满了")
    if code in _READ_ONLY or "readonly" in text:
        return UnwritableStore(
            tr("{path} 只能读，不能写。请检查文件夹的权限，或磁盘是不是以只读方式挂载的。", path=path),
            "存记忆的文件夹只能读，不能写",
        )
    return PersonaError(tr("记忆的文件 {path} 出错：{exc}。请检查磁盘和权限。", path=path, exc=exc))
