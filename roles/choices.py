"""What was chosen by voice for each device, kept across restarts in one small file of the data folder.

Every call blocks for as long as the disk takes, and may come from any thread; several processes may use the file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

log = logging.getLogger(__name__)

FILE = "casting.db"
MAX_CHOICES = 20_000
"""Beyond this the oldest go: with `admit: open` anybody may make up ids."""

_BUSY_S = 1.0
_FRESH_S = 0.1
"""A file that was first seen so shortly ago may have been changed again without a new time of change."""

_TABLE = """
create table if not exists choice (
    device text not null,
    about text not null,
    value text not null,
    primary key (device, about)
);
"""
_Key = tuple[str, str]
_Stamp = tuple[int, int, int]


class DeviceChoices:
    """What was chosen, by device and by what it is about. It is made on disk when something is chosen."""

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / FILE
        self._lock = threading.Lock()
        self._stamp: _Stamp | None = None
        self._seen_at_s = 0.0  # when the file was found to be that
        self._is_settled = False  # whether it was read late enough after that
        self._read: dict[_Key, str] = {}
        self._unwritten: dict[_Key, str] = {}  # until the end of the process
        self._is_told = False

    def get(self, device_id: str, about: str) -> str:
        """Return what was chosen, "" for nothing. Costs a look at the file's date where nothing has changed."""
        with self._lock:
            self._look()
            key = (device_id, about)
            return self._unwritten.get(key, self._read.get(key, ""))

    def values(self, about: Collection[str]) -> set[str]:
        """Return all that was chosen, for whichever device."""
        with self._lock:
            self._look()
            return {value for (_, key), value in {**self._read, **self._unwritten}.items() if key in about}

    def put(self, device_id: str, about: str, value: str) -> None:
        """Keep a choice; "" takes it back. What cannot be written holds until the end of the process."""
        key = (device_id, about)
        with self._lock:
            try:
                self._write(key, value)
                self._unwritten.pop(key, None)
            except (OSError, sqlite3.Error) as exc:
                self._unwritten[key] = value
                log.error(
                    "%s 写不了（%s），刚换的只用到退出为止。请检查文件夹的权限和磁盘空间。", self._file, exc
                )
            self._stamp = None

    def _look(self) -> None:
        """Read the file where it has changed."""
        try:
            about = os.stat(self._file)
        except OSError:
            self._stamp, self._read = None, {}
            return
        stamp = (about.st_mtime_ns, about.st_size, about.st_ino)
        if stamp == self._stamp and self._is_settled:
            return
        now_s = time.monotonic()
        if stamp != self._stamp:
            self._stamp, self._seen_at_s = stamp, now_s
        self._is_settled = now_s - self._seen_at_s >= _FRESH_S
        try:
            with self._opened() as db:
                self._read = {
                    (device, key): value
                    for device, key, value in db.execute("select device, about, value from choice")
                }
            self._is_told = False
        except sqlite3.Error as exc:  # what was read before holds
            self._is_settled = False
            if not self._is_told:
                self._is_told = True
                log.error("%s 读不了（%s），换过的角色和语速可能不对。", self._file, exc)

    def _write(self, key: _Key, value: str) -> None:
        try:
            self._change(key, value)
        except sqlite3.DatabaseError as exc:
            if isinstance(exc, sqlite3.OperationalError):
                raise
            aside = self._file.with_name(f"{FILE}.damaged")
            os.replace(self._file, aside)
            log.error("%s 坏了（%s），移到了 %s，从头开始记。", self._file, exc, aside.name)
            self._change(key, value)

    def _change(self, key: _Key, value: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600))
        with self._opened() as db:
            db.execute("begin immediate")
            db.execute(_TABLE)
            db.execute("delete from choice where device = ? and about = ?", key)
            if value:
                db.execute("insert into choice values (?, ?, ?)", (*key, value))
            db.execute(
                "delete from choice where rowid in"
                " (select rowid from choice order by rowid desc limit -1 offset ?)",
                (MAX_CHOICES,),
            )
            db.execute("commit")

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        address = f"{self._file.absolute().as_uri()}?mode=rw"
        with contextlib.closing(
            sqlite3.connect(address, uri=True, timeout=_BUSY_S, isolation_level=None)
        ) as db:
            yield db
