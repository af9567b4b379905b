"""The file of one owner: opened, checked, written to, and set aside when it is damaged.

`<memory>/<hash of the owner's id>/diary.db`. No query can reach another owner's turns: they are in another file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from xiaozhi_persona.device_ids import normal_id
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory import diary, disk, pending, salvage, schema, text_index
from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.events import store as events
from xiaozhi_persona.memory.facts import rereading, writing
from xiaozhi_persona.memory.pending import PENDING as PENDING

log = logging.getLogger(__name__)

FILE = "diary.db"
FORGOTTEN, TO_SCRUB = "forgotten", "to_scrub"
"""Keys of the table meta: a mark that is another one whenever something was forgotten, by whichever process, and one
that stays until the traces are removed."""
_PARTS = ("", "-wal", "-shm")


class DamagedStore(PersonaError):
    """The database of an owner cannot be read."""


class BusyStore(PersonaError):
    """Another process has been writing to the owner's database for longer than we wait."""


def owner_folder(root: Path, owner_id: str) -> Path:
    """Return where an owner's memory lies. The name tells nothing about the owner."""
    return root / hashlib.sha256(diary.storable(owner_id).encode()).hexdigest()[:32]


def has_memory(folder: Path) -> bool:
    """Whether there is anything in an owner's folder: a memory, turns that wait for it, a damaged one set aside."""
    return (folder / FILE).exists() or (folder / PENDING).exists() or any(folder.glob("damaged-*.db"))


class OwnerStore:
    """An open memory. One thread may write while another reads; each takes its own connection."""

    def __init__(self, folder: Path, owner_id: str, *, busy_ms: int = schema.BUSY_MS) -> None:
        """Open or make the memory. Raises DamagedStore, BusyStore or PersonaError with the next step."""
        self.folder = folder
        self.owner_id = diary.storable(owner_id)
        self.file = folder / FILE
        self.readonly = False
        try:
            self.writer = self._open(busy_ms)
            self.reader = schema.connect(self.file, busy_ms=busy_ms, readonly=True, immutable=self.readonly)
        except (sqlite3.Error, OSError) as exc:
            raise explained(exc, self.file) from exc
        self._inode = self._found_inode()
        self.index_state = self._state()
        """What is wrong with what was made from the turns, "ok" when nothing: then search finds all. "reread" when only
        the facts are those of other rules."""
        try:
            self._take_in_salvage()
        except BaseException:
            self.close()
            raise

    def _open(self, busy_ms: int) -> sqlite3.Connection:
        made = not self.file.exists()
        with contextlib.suppress(OSError):  # a folder that cannot be written to may still be read
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            db = schema.connect(self.file, busy_ms=busy_ms)
        except sqlite3.OperationalError:
            if made:
                raise
            self.readonly = True
            return self._checked(schema.connect(self.file, immutable=True))
        return self._checked(db)

    def _checked(self, db: sqlite3.Connection) -> sqlite3.Connection:
        """Check the tables, the owner, and the last rows; the whole file is checked in the background."""
        try:
            schema.upgrade(db)
            owner = schema.get_meta(db, "owner")
            if not owner and not self.readonly:
                schema.set_meta(db, "owner", self.owner_id)
            elif owner != self.owner_id:
                if normal_id(owner) != self.owner_id:
                    raise PersonaError(
                        tr("{file} 是另一个主人的记忆。请把这个文件夹移到别处。", file=self.file)
                    )
                if not self.readonly:
                    schema.set_meta(db, "owner", self.owner_id)
            db.execute("select * from turn order by seq desc limit 1").fetchone()
            db.execute("select * from day order by day desc limit 1").fetchone()
            db.execute("select * from fact order by id desc limit 1").fetchone()
        except BaseException:
            db.close()
            raise
        return db

    def _state(self) -> str:
        state = text_index.state(self.writer)
        outdated = state == "ok" and not self.readonly and rereading.is_outdated(self.writer)
        return "reread" if outdated else state

    def _take_in_salvage(self) -> None:
        """Write what can be read of set-aside databases; also of one at which the process ended while it did so."""
        for aside in [] if self.readonly else sorted(self.folder.glob("damaged-*.db")):
            copy = aside.with_name(f"{aside.stem.replace('damaged', 'salvaged')}.jsonl")
            if copy.exists():
                continue
            found = salvage.read(aside)
            try:
                with self.transaction() as db:
                    salvage.write(db, found)
            except BusyStore:  # another process may be at it: the next opening looks again
                return
            part = copy.with_suffix(".part")
            with part.open("w", encoding="utf-8") as file:
                for turn in found.turns:
                    file.write(json.dumps(turn._asdict(), ensure_ascii=False) + "\n")
            os.replace(part, copy)

    def close(self) -> None:
        """Close both connections."""
        self.reader.close()
        self.writer.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all of it or nothing. Raises PersonaError with the next step for what the database reports."""
        db = self.writer
        try:
            db.execute("begin immediate")
            try:
                yield db
                db.execute("commit")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("rollback")
                raise
        except sqlite3.Error as exc:
            raise explained(exc, self.file) from exc

    def append(self, turns: Iterable[Entry], *, learn: bool = True) -> int:
        """Write turns and the facts that they tell; ids that are known change nothing. Returns how many were new.

        `learn` False leaves the facts out, for turns whose facts are written otherwise.
        """
        if self.index_state in ("missing", "outdated"):  # what is forgotten must be found in it
            self.rebuild()
        try:
            with pending.taken_in(self.folder) as waiting, self.transaction() as db:
                new = sum(self._append(db, turn, True) for turn in waiting)
                return new + sum(self._append(db, turn, learn) for turn in turns)
        except OSError as exc:
            raise explained(exc, self.folder / PENDING) from exc

    @staticmethod
    def _append(db: sqlite3.Connection, turn: Entry, learn: bool) -> bool:
        if not diary.append(db, turn):
            return False
        if learn:
            writing.learn(db, turn)
        return True

    def put_aside_for_later(self, turns: Sequence[Entry]) -> None:
        """Keep turns in a file beside the database until it can be written to. Raises PersonaError."""
        try:
            pending.put(self.folder, turns)
        except OSError as exc:
            raise explained(exc, self.folder / PENDING) from exc

    def has_pending(self) -> bool:
        """Whether turns wait in the file beside the database."""
        return pending.has_any(self.folder)

    def sync(self) -> None:
        """Bring what was written to the disk itself, so that it survives a power cut as well."""
        with contextlib.suppress(OSError):
            log_file = os.open(f"{self.file}-wal", os.O_RDWR)
            try:
                os.fsync(log_file)
            finally:
                os.close(log_file)

    @property
    def is_replaced(self) -> bool:
        """Whether another file, or none, lies where this one was opened: another process has set it aside."""
        return self._inode != self._found_inode()

    @property
    def is_writable_again(self) -> bool:
        """Whether it is open for reading only, and somebody has changed the permissions or made room since."""
        return self.readonly and os.access(self.file, os.W_OK) and disk.obstacle(self.folder) is None

    def _found_inode(self) -> int:
        with contextlib.suppress(OSError):
            return self.file.stat().st_ino
        return 0

    @property
    def has_traces(self) -> bool:
        """Whether something was forgotten whose traces are still in the files: see forget.scrub()."""
        return schema.get_meta(self.reader, TO_SCRUB) != ""

    @property
    def off_record(self) -> bool:
        """Whether nothing is to be remembered until told otherwise."""
        return schema.get_meta(self.writer, "off_record") == "1"

    def set_off_record(self, off: bool) -> None:
        """Begin or end the time in which nothing is remembered."""
        with self.transaction() as db:
            schema.set_meta(db, "off_record", "1" if off else "")

    def rebuild(self) -> int:
        """Make every index anew from the turns, and read them for facts again. Returns how many turns there are."""
        with self.transaction() as db:
            if self.index_state != "reread":
                text_index.rebuild(db)
                diary.rebuild_days(db)
            rereading.reread(db)
            events.rebuild(db)
            turns = diary.count(db)
        self.index_state = "ok"
        return turns

    def mend(self) -> None:
        """Make every index anew if anything is wrong with them, and say so in the log."""
        if self.index_state == "ok":
            return
        if self.index_state == "reread":
            log.info("认事实的规则变了，把谈话重新读一遍。")
        elif self.index_state == "outdated":
            log.info("查找用的索引换了写法，重新做一次。")
        else:
            log.warning("记忆的索引要重建（%s）。", self.index_state)
        self.rebuild()

    def check(self) -> list[str]:
        """Read the whole file, on a connection of its own. Returns what is wrong with it."""
        try:
            with contextlib.closing(schema.connect(self.file, readonly=True, immutable=self.readonly)) as db:
                found = [str(row[0]) for row in db.execute("pragma quick_check(5)")]
        except sqlite3.DatabaseError as exc:
            return [str(exc)]
        return [] if found == ["ok"] else found

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each file of this memory."""
        return {path.name: path.stat().st_size for path in sorted(self.folder.iterdir()) if path.is_file()}


def delete_owner(folder: Path) -> int:
    """Delete the files of an owner whose memory no process has open. Returns how many there were."""
    files = [path for path in folder.glob("*") if path.is_file()] if folder.exists() else []
    for path in files:
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
    return len(files)


def set_aside(folder: Path, owner_id: str) -> tuple[Path, int]:
    """Move a damaged database out of the way and begin a new one with what can be read of it.

    That is also written to `salvaged-*.jsonl`. Returns the set-aside file and how many turns could be read.
    """
    aside = folder / f"damaged-{datetime.now():%Y%m%d-%H%M%S-%f}.db"
    for part in _PARTS:
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{folder / FILE}{part}", f"{aside}{part}")
    with contextlib.closing(OwnerStore(folder, owner_id)) as store:
        turns = diary.count(store.writer)
    log.error("记忆的数据库坏了，已移到 %s；读出了 %d 条，写进了新的数据库。", aside, turns)
    return aside, turns


def set_aside_files(folder: Path) -> list[Path]:
    """Return the damaged databases that were set aside, and what was read of them."""
    return [*folder.glob("damaged-*"), *folder.glob("salvaged-*")]


def explained(exc: OSError | sqlite3.Error, file: Path) -> PersonaError:
    """Return what a database or the disk reported in words that say what to do."""
    text = str(exc).lower() if isinstance(exc, sqlite3.Error) else ""  # an OSError's may hold any path
    if isinstance(exc, BlockingIOError) or "locked" in text or "busy" in text:
        return BusyStore(tr("另一个程序正在写 {file}。等它写完再试。", file=file))
    if "malformed" in text or "not a database" in text or "corrupt" in text or "no such table" in text:
        return DamagedStore(
            tr("记忆的数据库 {file} 坏了（{exc}）。它会被移到一旁，能读的写进新的。", file=file, exc=exc)
        )
    told = disk.explained(exc, file)
    if text and "disk is full" not in text:
        # On a full disk SQLite cannot open its log, and then calls the database readonly: the disk itself knows.
        return disk.obstacle(file.parent) or told
    return told
