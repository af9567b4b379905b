"""Timers and alarms, which survive a restart: what is to ring when, at which device.

Nothing rings by itself: who has the devices asks `due` for what is to ring at those that are connected, says it, and
tells so with `rung`. What nobody was there for waits, and `Entry.due` tells how late it is. Every call blocks for as
long as the disk takes, and may come from any thread.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.schema import connect

log = logging.getLogger(__name__)

FILE = "alarms.db"
MAX_PER_OWNER = 50
MAX_LABEL_CHARS = 100
_BUSY_MS = 1000
_KNOWN_S = 400 * 86400
"""What was brought up is known for so long: a birthday comes again after a year."""

_TABLE = """
create table if not exists entry (
    id integer primary key,
    owner text not null,
    device text not null,
    kind text not null,
    label text not null,
    due_s real not null,
    again text not null default ''
);
create index if not exists entry_due on entry (due_s);
create table if not exists brought_up (
    owner text not null,
    key text not null,
    at_s real not null,
    primary key (owner, key)
);
"""
_LATER_COLUMNS = {"length_s": "integer not null default 0", "language": "text not null default 'zh'"}
"""Columns of `entry` that files of earlier versions may lack."""


@dataclass(frozen=True)
class Entry:
    """Something that is to ring."""

    id: int
    owner: str
    device: str
    kind: Literal["timer", "alarm"]
    label: str
    due: datetime
    """When, in the zone of the clock."""
    again: Mapping[str, Any]
    """When it rings again: the slots of an alarm with `repeat`; {} for once."""
    length_s: int = 0
    """For how long a timer was set."""
    language: str = "zh"
    """In which it was asked for, and is told."""


class Scheduler:
    """The open file. Methods raise PersonaError with the next step when it cannot be read or written."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        """Open the file in `folder`, or make it with mode 0600; `now` is the clock, with a zone."""
        self._now = now
        self._lock = threading.Lock()
        self._file = folder / FILE
        with self._told():
            folder.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600))
            self._db = connect(self._file, busy_ms=_BUSY_MS)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def set_timer(
        self, owner: str, device: str, seconds: int, label: str = "", language: str = "zh"
    ) -> Entry:
        """Let something ring in so many seconds."""
        due = self._now() + timedelta(seconds=seconds)
        return self._put(owner, device, "timer", label, due, {}, seconds, language)

    def set_alarm(
        self, owner: str, device: str, when: Mapping[str, Any], label: str = "", language: str = "zh"
    ) -> Entry | None:
        """Let something ring at a time of day, which `when` gives as the intent alarm_set does.

        None for a time that is over, as today at seven is at eight.
        """
        due = next_time(when, self._now())
        if due is None:
            return None
        again = when if "repeat" in when else {}
        return self._put(owner, device, "alarm", label, due, again, 0, language)

    def pending(self, owner: str) -> list[Entry]:
        """Return what an owner has set, the next one first."""
        return self._entries("where owner = ?", (owner,))

    def cancel(self, entries: Collection[Entry]) -> int:
        """Forget what is to ring; return how many there were."""
        with self._told(), self._lock:
            return sum(
                self._db.execute("delete from entry where id = ?", (entry.id,)).rowcount for entry in entries
            )

    def next_due(self, devices: Collection[str]) -> datetime | None:
        """Return when the next one is to ring at one of these devices; None for never."""
        return next((entry.due for entry in self._entries() if entry.device in devices), None)

    def due(self, devices: Collection[str]) -> list[Entry]:
        """Return what is to ring at these devices by now, the first one first. It stays so until `rung`."""
        over = self._entries("where due_s <= ?", (self._now().timestamp(),))
        return [entry for entry in over if entry.device in devices]

    def rung(self, entry: Entry) -> None:
        """Tell that an entry has rung: it is gone, or rings again the next time."""
        after = next_time(entry.again, self._now()) if entry.again else None
        with self._told(), self._lock:
            if after is None:
                self._db.execute("delete from entry where id = ?", (entry.id,))
            else:
                self._db.execute("update entry set due_s = ? where id = ?", (after.timestamp(), entry.id))

    def brought_up(self, owner: str, key: str) -> None:
        """Note that something was brought up without being asked."""
        now_s = self._now().timestamp()
        with self._told(), self._lock:
            self._db.execute("delete from brought_up where at_s < ?", (now_s - _KNOWN_S,))
            self._db.execute("insert or replace into brought_up values (?, ?, ?)", (owner, key, now_s))

    def brought_up_lately(self, owner: str) -> Mapping[str, datetime]:
        """Return what was brought up to an owner, and when."""
        zone = self._now().tzinfo
        with self._told(), self._lock:
            rows = self._db.execute("select key, at_s from brought_up where owner = ?", (owner,)).fetchall()
        return {key: datetime.fromtimestamp(at_s, zone) for key, at_s in rows}

    def _prepare(self) -> None:
        self._db.executescript(_TABLE)
        self._db.execute("begin immediate")  # another process may be opening the same file
        there = {row[1] for row in self._db.execute("pragma table_info(entry)")}
        for name, kind in _LATER_COLUMNS.items():
            if name not in there:
                self._db.execute(f"alter table entry add column {name} {kind}")
        self._db.execute("commit")

    def _put(
        self,
        owner: str,
        device: str,
        kind: Literal["timer", "alarm"],
        label: str,
        due: datetime,
        again: Mapping[str, Any],
        length_s: int,
        language: str,
    ) -> Entry:
        label = label[:MAX_LABEL_CHARS]
        with self._told(), self._lock:
            count = self._db.execute("select count(*) from entry where owner = ?", (owner,)).fetchone()[0]
            if count >= MAX_PER_OWNER:
                raise PersonaError(tr("闹钟和计时器已经有 {count} 个了。先取消几个。", count=count))
            told = json.dumps(dict(again)) if again else ""
            row = (owner, device, kind, label, due.timestamp(), length_s, language, told)
            cursor = self._db.execute(
                "insert into entry (owner, device, kind, label, due_s, length_s, language, again)"
                " values (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        return Entry(int(cursor.lastrowid or 0), owner, device, kind, label, due, again, length_s, language)

    def _entries(self, where: str = "", values: tuple[Any, ...] = ()) -> list[Entry]:
        zone = self._now().tzinfo or timezone.utc
        with self._told(), self._lock:
            rows = self._db.execute(
                f"select id, owner, device, kind, label, due_s, length_s, language, again from entry {where} order by due_s, id",
                values,
            ).fetchall()
        return [
            Entry(
                number,
                owner,
                device,
                kind,
                label,
                datetime.fromtimestamp(due_s, zone),
                json.loads(again or "{}"),
                length_s,
                language,
            )
            for number, owner, device, kind, label, due_s, length_s, language, again in rows
        ]

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as exc:
            raise PersonaError(
                tr("闹钟的文件 {file} 用不了（{exc}）。检查文件夹的权限和磁盘。", file=self._file, exc=exc)
            ) from exc


def opened(folder: Path, now: Callable[[], datetime]) -> Scheduler | None:
    """Return the open file, None where it cannot be used, which is logged. Blocks."""
    try:
        return Scheduler(folder, now)
    except PersonaError as exc:
        log.error("%s（现在不能定闹钟和计时）", exc)
        return None


def wall_clock() -> datetime:
    """Return the time, with its zone."""
    return datetime.now().astimezone()


def next_time(when: Mapping[str, Any], now: datetime) -> datetime | None:
    """Return the next time that the slots of an alarm name, in the zone of `now`; None where it is over.

    Without a day it is the next time that the clock shows it.
    """
    at = time(when["hour"], when["minute"])
    today = now.date()

    def on(days: int) -> datetime:
        return datetime.combine(today + timedelta(days=days), at, now.tzinfo)

    if when.get("repeat") == "workdays":
        return next(on(days) for days in range(8) if on(days).weekday() < 5 and on(days) > now)
    if "weekday" in when:
        ahead = when["weekday"] - 1 - now.weekday()
        if when.get("week"):
            return on(ahead + 7)
        return next(on(days) for days in (ahead % 7, ahead % 7 + 7) if on(days) > now)
    if "day" in when and "repeat" not in when:
        return on(when["day"]) if on(when["day"]) > now else None
    return next(on(days) for days in (0, 1) if on(days) > now)
