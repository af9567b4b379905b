"""A memory in a folder that cannot be written to, such as a backup: what its log holds is read from a copy.

SQLite can merge the log (diary.db-wal) only where it may write, or where the last writer left its index of the log
(diary.db-shm). Without either it reads the database alone, which lacks the turns written last.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.store import FILE, PENDING, OwnerStore


def lacks_last_turns(store: OwnerStore) -> bool:
    """Whether a memory is open without what its log holds."""
    log_file = Path(f"{store.file}-wal")
    return store.readonly and log_file.exists() and log_file.stat().st_size > 0


@contextlib.contextmanager
def readable_copy(folder: Path, owner_id: str) -> Iterator[OwnerStore]:
    """Open a copy of a memory, with what waits to be written; it is gone afterwards. Raises PersonaError."""
    with contextlib.ExitStack() as stack:
        try:
            copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xiaozhi-persona-")))
            for path in folder.iterdir():
                if path.name in (FILE, f"{FILE}-wal", PENDING):
                    shutil.copyfile(path, copy / path.name)
        except OSError as exc:
            raise PersonaError(
                tr(
                    "{folder} 只能读，最近的话还在日志里没有合并，而临时文件夹里放不下一份副本（{exc}）。"
                    "请腾出空间，或把文件夹改成可写的。",
                    folder=folder,
                    exc=exc,
                )
            ) from exc
        yield stack.enter_context(contextlib.closing(OwnerStore(copy, owner_id)))
