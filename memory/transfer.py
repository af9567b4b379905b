"""Moving a memory: JSON lines out, and in again.

Turns are `{"id", "at", "who", "text", "speaker"?, "role"?}`. An export begins with the facts, `{"fact": {...}}`, so
that an import takes them as they are instead of finding them anew; where there are none, the first turn says so with
`"facts": []`. A memory that is exported, imported into an
empty one and exported again gives the same bytes.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.facts.kinds import match_key
from xiaozhi_persona.memory.repair import repair_fact, repair_turn
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
_FACT_TEXTS = ("subject", "attribute", "value", "match_key", "source")
_FACT_NUMBERS = ("id", "valid_from_ms", "valid_to_ms", "closed_by", "pinned", "starts_ms", "ends_ms")
_FACT_NEEDS = frozenset({"subject", "attribute", "value", "valid_from_ms"})
_MAX_NUMBER = 2**63 - 1


def export_lines(db: sqlite3.Connection) -> Iterator[str]:
    """Yield a memory as JSON lines."""
    mark: dict[str, Any] = {"facts": []}
    for row in db.execute(f"select {', '.join(_FACT_KEYS)} from fact order by id"):
        yield _json({"fact": dict(zip(_FACT_KEYS, row, strict=True))})
        mark = {}
    for turn in diary.everything(db):
        yield _json(turn_json(turn) | mark)
        mark = {}


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


class Imported(NamedTuple):
    """What came of the lines that were read: turns and facts."""

    read: int
    new: int
    repaired: int
    """Were there, damaged by an import in a wrong encoding."""
    damaged: int
    """Are damaged in the file itself: they hold U+FFFD."""


def import_lines(store: OwnerStore, lines: Iterable[str], name: str) -> Iterator[Imported]:
    """Read JSON lines into a memory; ids and facts that are known change nothing, except for damaged ones.

    Yields the sum after each batch. Raises PersonaError that names the line; the batches before it are written.
    """
    batch: list[Entry] = []
    told: list[dict[str, Any]] = []
    learns = True
    read = new = repaired = damaged = 0
    for number, line in enumerate(lines, 1):
        read = number
        if not line.strip():
            continue
        damaged += "\ufffd" in line
        with _named(name, number):
            data = json.loads(line)
            if isinstance(data, dict) and isinstance(data.get("fact"), dict):
                learns = False
                told.append(_fact_values(data["fact"]))
            else:
                batch.append(turn_of(data))
                learns = learns and data.get("facts") != []
        if len(batch) == _BATCH:
            more = _write(store, told, batch, learns)
            new, repaired = new + more[0], repaired + more[1]
            told, batch = [], []
            yield Imported(read, new, repaired, damaged)
    more = _write(store, told, batch, learns)
    yield Imported(read, new + more[0], repaired + more[1], damaged)


def _write(
    store: OwnerStore, told: Sequence[dict[str, Any]], batch: Sequence[Entry], learn: bool
) -> tuple[int, int]:
    """Write facts and turns. Returns how many were new, and how many took the place of damaged ones."""
    with store.transaction() as db:
        new, repaired = _import_facts(db, told)
        repaired += sum(repair_turn(db, turn, learn=learn) for turn in batch)
    return new + store.append(batch, learn=learn), repaired


@contextlib.contextmanager
def _named(name: str, number: int) -> Iterator[None]:
    """Say of which line an error is."""
    try:
        yield
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as exc:
        why = tr("缺少 {exc}", exc=exc) if isinstance(exc, KeyError) else str(exc)
        raise PersonaError(
            tr(
                "{name} 第 {number} 行读不懂（{why}）。"
                '每一行应为 {{"id": "1", "at": "2025-08-20T15:30:00+08:00", "who": "user", "text": "…"}}，请改好再试。',
                name=name,
                number=number,
                why=why,
            )
        ) from exc


def turn_of(data: Any) -> Entry:
    """Return the turn of a line. Raises KeyError, TypeError or ValueError for what is not one."""
    if not isinstance(data, dict):
        raise TypeError(tr("应为一个 JSON 对象"))
    if data["who"] not in ("user", "assistant"):
        raise ValueError(tr("who 应为 user 或 assistant"))
    if not isinstance(data["text"], str):
        raise TypeError(tr("text 应为文字"))
    if not isinstance(data["at"], str):
        raise TypeError(tr("at 应为 ISO 形式的时间"))
    if not isinstance(data.get("id") or "", (str, int)):
        raise TypeError(tr("id 应为文字或整数"))
    turn = Turn(data["who"], data["text"], parse_time(data["at"]))
    return diary.entry(
        turn,
        id="" if data.get("id") is None else str(data["id"]),
        speaker=str(data.get("speaker") or ""),
        role=str(data.get("role") or ""),
    )


def parse_time(text: str) -> datetime:
    """Return a time in ISO form, also with a Z or a space, in this machine's zone when it names none."""
    return diary.aware(datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace("/", "-")))


def _fact_values(data: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of an exported fact. Raises KeyError, TypeError or ValueError for what is none."""
    values = {key: data.get(key) for key in _FACT_KEYS}
    for key in _FACT_TEXTS:
        text = data[key] if key in _FACT_NEEDS else data.get(key) or ""
        if not isinstance(text, str):
            raise TypeError(tr("{key} 应为文字", key=key))
        values[key] = diary.storable(text)
    values["match_key"] = values["match_key"] or match_key(str(values["value"]))
    for key in _FACT_NUMBERS:
        number = data[key] if key in _FACT_NEEDS else data.get(key)
        if number is None and key not in _FACT_NEEDS:
            continue
        if not isinstance(number, int) or abs(number) > _MAX_NUMBER:
            raise TypeError(tr("{key} 应为整数", key=key))
        values[key] = number
    confidence = values["confidence"] or 0
    if not isinstance(confidence, (int, float)) or not 0 <= confidence <= 1:
        raise TypeError(tr("confidence 应为 0 到 1 的数"))
    if (values["starts_ms"] is None) != (values["ends_ms"] is None):
        raise ValueError(tr("starts_ms 和 ends_ms 应同时有或同时没有"))
    return values | {"confidence": float(confidence), "pinned": int(values["pinned"] or 0)}


def _import_facts(db: sqlite3.Connection, told: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Write the facts that are not known yet, in the transaction that is open.

    They keep their numbers where these are free; by what number a fact was ended follows. Returns how many were new,
    and how many damaged ones were put right.
    """
    numbers: dict[int, int] = {}
    ended: list[tuple[int, int]] = []
    repaired = 0
    before = set(db.execute("select source, valid_from_ms from fact"))  # no index has them
    for values in told:
        old = values["id"]
        row = db.execute(
            "select id from fact where subject = ? and attribute = ? and match_key = ? and valid_from_ms = ?",
            tuple(values[key] for key in ("subject", "attribute", "match_key", "valid_from_ms")),
        ).fetchone()
        known = row[0] if row else 0
        mended = 0
        if (values["source"], values["valid_from_ms"]) in before:
            mended = repair_fact(db, values, known)
        repaired += mended > 0
        if known or mended:
            numbers[old] = known or mended
            continue
        taken = db.execute("select 1 from fact where id = ?", (old,)).fetchone()
        row = {**values, "id": None if taken else old, "closed_by": None}
        marks = ", ".join("?" * len(_FACT_KEYS))
        numbers[old] = int(
            db.execute(f"insert into fact values ({marks})", list(row.values())).lastrowid or 0
        )
        ended.append((numbers[old], values["closed_by"]))
    for fact_id, by in ended:
        if by is not None:
            db.execute("update fact set closed_by = ? where id = ?", (numbers.get(by), fact_id))
    return len(ended), repaired


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
