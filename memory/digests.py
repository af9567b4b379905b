"""The diary proper: a chat model writes an entry of each day's talk, and one of each month's entries.

An entry is derived from turns: it goes when any of them is forgotten, and is written anew. Works on an open database.
"""

from __future__ import annotations

import functools
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from typing import Literal

import yaml

from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.wall_clock import DAY_MS, from_local_ms, to_local_ms
from xiaozhi_persona.text.measures import estimated_tokens

MAX_CHARS = 500
MIN_TURNS = 6
"""Of a day with fewer turns there is no entry: they are shown as they are."""
MIN_DAYS = 3
"""Of a month with fewer entries there is none."""
_WIDE, _MONTHS = timedelta(days=7), timedelta(days=62)
"""Of a range from so long on the entries are shown; of a longer one those of months."""
_DAYS_BACK = 62
"""Older days are not written up when a chat model is set for the first time."""
_MAX_TALK_CHARS = 8000
_MIN_WRITTEN, _MAX_WRITTEN = 10, 2 * MAX_CHARS


@dataclass(frozen=True)
class Entry:
    """What was written of a day or a month."""

    kind: Literal["day", "month"]
    start: datetime
    """When it begins: local, naive."""
    text: str


@dataclass(frozen=True)
class Wanted:
    """What is to be written: with what it is made of, as the chat model is told."""

    kind: Literal["day", "month"]
    start: datetime
    instructions: str
    material: str


def next_wanted(db: sqlite3.Connection, now: datetime) -> Wanted | None:
    """Return what is to be written next, None for nothing. `now` is local and naive; today is not over yet."""
    today = to_local_ms(now) // DAY_MS
    row = db.execute(
        "select day from day where day < ? and day >= ? and turns >= ?"
        " and not exists (select 1 from digest where kind = 'day' and digest.day = day.day) order by day desc limit 1",
        (today, today - _DAYS_BACK, MIN_TURNS),
    ).fetchone()
    if row:
        return _of_day(db, int(row[0]))
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(2):
        end, first = first, (first - timedelta(days=1)).replace(day=1)
        wanted = _of_month(db, first, end)
        if wanted:
            return wanted
    return None


def keep(db: sqlite3.Connection, wanted: Wanted, written: str) -> bool:
    """Keep what the chat model wrote, in the transaction that is open. Returns whether it can be used.

    It is left out when any of its turns was forgotten meanwhile; what is no entry is not asked for again.
    """
    text = " ".join(written.rpartition("</think>")[2].split())
    if _again(db, wanted) != wanted:
        return False
    fits = _MIN_WRITTEN <= len(text) <= _MAX_WRITTEN
    db.execute(
        "insert or replace into digest values (?, ?, ?)",
        (wanted.kind, to_local_ms(wanted.start) // DAY_MS, diary.storable(text) if fits else ""),
    )
    return fits


def between(
    db: sqlite3.Connection, kind: Literal["day", "month"], start: datetime, end: datetime
) -> list[Entry]:
    """Return the entries that begin in a local range, oldest first."""
    rows = db.execute(
        "select day, text from digest where kind = ? and day >= ? and day < ? and text != '' order by day",
        (kind, to_local_ms(start) // DAY_MS, -(-to_local_ms(end) // DAY_MS)),
    )
    return [Entry(kind, from_local_ms(day * DAY_MS), text) for day, text in rows]


def for_range(db: sqlite3.Connection, start: datetime, end: datetime, max_tokens: int) -> str:
    """Return what the diary has of a wide local range, as many entries as fit, spread over it; "" of a short one."""
    if end - start < _WIDE:
        return ""
    entries = between(db, "day" if end - start <= _MONTHS else "month", start, end)
    fit: list[Entry] = []
    for entry in diary.evenly(entries):
        cost = estimated_tokens(entry.text) + 10
        if cost <= max_tokens:
            max_tokens -= cost
            fit.append(entry)
    return f"日记里写的：\n{shown(sorted(fit, key=lambda entry: entry.start))}" if fit else ""


def shown(entries: Sequence[Entry]) -> str:
    """Return entries for people and for chat models, a line each."""
    forms = {"day": "%Y-%m-%d", "month": "%Y-%m"}
    return "\n".join(f"- {entry.start.strftime(forms[entry.kind])}：{entry.text}" for entry in entries)


def _again(db: sqlite3.Connection, wanted: Wanted) -> Wanted | None:
    """Return what is to be written of the same day or month as it is by now."""
    if wanted.kind == "day":
        return _of_day(db, to_local_ms(wanted.start) // DAY_MS)
    return _of_month(db, wanted.start, (wanted.start + timedelta(days=32)).replace(day=1))


def _of_day(db: sqlite3.Connection, day: int) -> Wanted | None:
    start = from_local_ms(day * DAY_MS)
    turns = diary.in_range(db, start, start + timedelta(days=1))
    if not turns:
        return None
    each = max(40, _MAX_TALK_CHARS // len(turns))
    lines = [
        f"{'用户' if turn.who == 'user' else '我'}：{' '.join(turn.text.split())[:each]}" for turn in turns
    ]
    roles = Counter(turn.role for turn in turns if turn.role)
    role = roles.most_common(1)[0][0] if roles else "小智"
    said = "".join(turn.text for turn in turns if turn.who == "user")
    instructions = _told("day", said, role, f"{start:%Y-%m-%d}")
    return Wanted("day", start, instructions, "\n".join(lines)[:_MAX_TALK_CHARS])


def _of_month(db: sqlite3.Connection, start: datetime, end: datetime) -> Wanted | None:
    entries = between(db, "day", start, end)
    known = db.execute(
        "select 1 from digest where kind = 'month' and day = ?", (to_local_ms(start) // DAY_MS,)
    ).fetchone()
    if known or len(entries) < MIN_DAYS:
        return None
    material = "\n".join(f"{entry.start:%m-%d}：{entry.text}" for entry in entries)
    instructions = _told("month", material, "小智", f"{start:%Y-%m}")
    return Wanted("month", start, instructions, material[: 2 * _MAX_TALK_CHARS])


def _told(kind: str, said: str, role: str, when: str) -> str:
    return _prompts()["en" if said.isascii() else "zh"][kind].format(role=role, when=when, limit=MAX_CHARS)


@functools.cache
def _prompts() -> dict[str, dict[str, str]]:
    text = (resources.files("xiaozhi_persona.memory") / "digests.yaml").read_text(encoding="utf-8")
    prompts: dict[str, dict[str, str]] = yaml.safe_load(text)
    return prompts
