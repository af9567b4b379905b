"""Moving a memory: JSON lines out, and in again.

Turns are `{"id", "at", "who", "text", "speaker"?, "role"?}`. An export begins with the facts, `{"fact": {...}}`, so
that an import takes them as they are instead of finding them anew. A memory that is exported, imported into an
empty one and exported again gives the same bytes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.fact_types import match_key
from xiaozhi_persona.memory.store import OwnerStore
from xiaozhi_persona.spine import Turn

_BATCH = 1000
_FACT_KEYS = (
    "id",
    "subject",
    "attribute",
    "value",
    "match_key",
    "valid_from_ms",
    "valid_to_ms",
    "closed_by",
    "source",
    "confidence",
    "pinned",
    "starts_ms",
    "ends_ms",
)


def export_lines(db: sqlite3.Connection) -> Iterator[str]:
    """Yield a memory as JSON lines."""
    for row in db.execute(f"select {', '.join(_FACT_KEYS)} from fact order by id"):
        yield _json({"fact": dict(zip(_FACT_KEYS, row, strict=True))})
    for turn in diary.everything(db):
        yield _json(turn_json(turn))


def turn_json(turn: Entry) -> dict[str, Any]:
    """Return a turn as it is exported: the time with its offset, milliseconds only where there are any."""
    at = turn.at
    data = {
        "id": turn.id,
        "at": at.isoformat(timespec="milliseconds" if at.microsecond else "seconds"),
        "who": turn.who,
        "text": turn.text,
    }
    return data | {key: value for key, value in (("speaker", turn.speaker), ("role", turn.role)) if value}


def import_lines(store: OwnerStore, lines: Iterable[str], name: str) -> Iterator[tuple[int, int]]:
    """Read JSON lines into a memory; ids that are known change nothing.

    Yields after each batch how many lines were read and how many turns were new. Raises PersonaError that names
    the line; the batches before it are written.
    """
    batch: list[Entry] = []
    learns = True
    read = new = 0
    renumbered: dict[int, int] = {}
    for number, line in enumerate(lines, 1):
        read = number
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            if isinstance(data, dict) and isinstance(data.get("fact"), dict):
                learns = False
                _import_fact(store, data["fact"], renumbered)
                continue
            batch.append(turn_of(data))
        except (ValueError, KeyError, TypeError, OverflowError, sqlite3.Error) as exc:
            raise PersonaError(
                f"{name} 第 {number} 行读不懂（{type(exc).__name__}: {exc}）。每一行应为"
                ' {"id": "1", "at": "2025-08-20T15:30:00+08:00", "who": "user", "text": "…"}，请改好再试。'
            ) from exc
        if len(batch) == _BATCH:
            new += store.append(batch, learn=learns)
            batch = []
            yield read, new
    new += store.append(batch, learn=learns)
    yield read, new


def turn_of(data: Any) -> Entry:
    """Return the turn of a line. Raises KeyError, TypeError or ValueError for what is not one."""
    if data["who"] not in ("user", "assistant"):
        raise ValueError("who 应为 user 或 assistant")
    if not isinstance(data["text"], str):
        raise TypeError("text 应为文字")
    turn = Turn(data["who"], data["text"], parse_time(data["at"]))
    return diary.entry(
        turn,
        id=str(data.get("id") or ""),
        speaker=str(data.get("speaker") or ""),
        role=str(data.get("role") or ""),
    )


def parse_time(text: str) -> datetime:
    """Return a time in ISO form, also with a Z or a space, in this machine's zone when it names none."""
    return diary.aware(datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace("/", "-")))


def _import_fact(store: OwnerStore, data: dict[str, Any], renumbered: dict[int, int]) -> None:
    """Write a fact that is not known yet; the number of the fact that ended it follows when numbers change."""
    values = {key: data.get(key) for key in _FACT_KEYS}
    for key in ("subject", "attribute", "value", "source"):
        values[key] = diary.storable(str(values[key] or ""))
    values["match_key"] = values["match_key"] or match_key(str(values["value"]))
    with store.transaction() as db:
        known = db.execute(
            "select id from fact where subject = ? and attribute = ? and match_key = ? and valid_from_ms = ?",
            (values["subject"], values["attribute"], values["match_key"], values["valid_from_ms"]),
        ).fetchone()
        old = int(values["id"] or 0)
        if known:
            renumbered[old] = known[0]
            return
        taken = db.execute("select 1 from fact where id = ?", (old,)).fetchone()
        if taken or not old:
            values["id"] = None
        marks = ", ".join("?" * len(_FACT_KEYS))
        cursor = db.execute(f"insert into fact values ({marks})", list(values.values()))
        new = int(cursor.lastrowid or 0)
        renumbered[old] = new
        if new != old:
            db.execute("update fact set closed_by = ? where closed_by = ? and id != ?", (new, old, new))


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
