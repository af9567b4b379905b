"""Small files that only this user may read, made once and then kept."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from xiaozhi_persona.errors import PersonaError


def read_or_make(file: Path, make: Callable[[], bytes]) -> bytes:
    """Return what a file holds; where there is none, it is made whole or not at all, with mode 0600.

    Of several processes that make it at once, all get the same. Raises PersonaError with the next step.
    """
    try:
        if not file.exists():
            _make(file, make())
        return file.read_bytes()
    except OSError as exc:
        raise PersonaError(
            f"读不了或写不了 {file}（{exc.strerror or exc}）。请检查文件夹的权限和磁盘。"
        ) from exc


def _make(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
            output.write(content)
            output.flush()
            os.fsync(output.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: its content counts
            os.link(part, file)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
