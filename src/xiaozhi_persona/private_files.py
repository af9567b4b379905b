"""Small files that only this user may read, made once and then kept."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr

log = logging.getLogger(__name__)

_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)


def read_or_make(file: Path, make: Callable[[], bytes]) -> bytes:
    """Return what a file holds; where there is none, it is made whole or not at all, with mode 0600.

    Of several processes that make it at once, all get the same. What cannot be kept, since nothing can be written
    there, is returned all the same. Raises PersonaError with the next step.
    """
    content = make()
    try:
        if not file.exists():
            _make(file, content)
        return file.read_bytes()
    except OSError as exc:
        if is_unwritable(exc) and not os.path.exists(file):  # Path.exists may raise
            log.error("%s 写不了（%s），只用到退出为止。请检查文件夹的权限和磁盘空间。", file, exc.strerror)
            return content
        raise PersonaError(
            tr(
                "读不了或写不了 {file}（{value}）。请检查文件夹的权限和磁盘。",
                file=file,
                value=exc.strerror or exc,
            )
        ) from exc


def is_unwritable(error: Exception) -> bool:
    """Whether what the disk or a database reports means that nothing can be written there: read-only, or full."""
    if isinstance(error, OSError):
        return error.errno in _UNWRITABLE
    text = str(error).lower()  # of a full disk, SQLite may say that it cannot make the index of its log
    return any(words in text for words in ("readonly", "disk is full", "disk i/o error"))


def _make(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
            output.write(content)
            output.flush()
            os.fsync(output.fileno())
        try:
            os.link(part, file)
        except FileExistsError:  # another process was first: its content counts
            pass
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
            if not file.exists():  # FAT, as on a memory card, has no links
                os.replace(part, file)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
