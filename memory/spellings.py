"""Memories that were kept under another spelling of a device's id: they go on under the one form of it."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from xiaozhi_persona.device_ids import spellings
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory.facts import writing
from xiaozhi_persona.memory.store import OwnerStore, delete_owner, has_memory, owner_folder
from xiaozhi_persona.memory.transfer import export_lines, import_lines

log = logging.getLogger(__name__)


def adopted_folder(root: Path, owner_id: str) -> Path:
    """Return where an owner's memory lies, after what lay under other spellings of the id was brought there.

    What cannot be moved stays where it is: it is returned when there is no other. Blocks; the memory must not be open.
    """
    home = owner_folder(root, owner_id)
    for spelling in spellings(owner_id):
        other = owner_folder(root, spelling)
        if not other.exists():
            continue
        try:
            if home.exists() and any(home.iterdir()):
                _move_in(other, spelling, home, owner_id)
            else:
                with contextlib.suppress(OSError):
                    home.rmdir()
                os.replace(other, home)
            log.info("以另一种写法 %s 记的，归到了 %s。", spelling, owner_id)
        except (OSError, PersonaError) as exc:
            log.error("以另一种写法 %s 记的，没能归到 %s：%s", spelling, owner_id, exc)
            if not home.exists():
                return other
    return home


def is_remembered(root: Path, owner_id: str) -> bool:
    """Whether there is a memory of an owner, under whichever spelling of the id."""
    return any(has_memory(owner_folder(root, name)) for name in (owner_id, *spellings(owner_id)))


def _move_in(other: Path, spelling: str, home: Path, owner_id: str) -> None:
    """Add a memory to another one. It is deleted when all of it is written."""
    with (
        contextlib.closing(OwnerStore(other, spelling)) as old,
        contextlib.closing(OwnerStore(home, owner_id)) as new,
    ):
        old.append([])  # takes in what waits in the pending file
        for _ in import_lines(new, export_lines(old.writer), str(other)):
            pass
        with new.transaction() as db:
            writing.end_former(db)
        if old.off_record:
            new.set_off_record(True)
        new.sync()
    delete_owner(other)
