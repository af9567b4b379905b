"""What an import in a wrong encoding left in a memory, and its replacement by the same turns and facts from a good file.

A text counts as damaged where it holds U+FFFD, or is what a wrong encoding makes of the right text.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from typing import Any

from xiaozhi_persona.memory import schema, text_index
from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.events import store as events
from xiaozhi_persona.memory.facts import writing
from xiaozhi_persona.memory.store import FORGOTTEN

_READ_AS = ("gb18030", "cp1252", "latin-1", "big5")
"""What UTF-8 is taken for by programs that do not ask."""
_WRITTEN_AS = ("ascii", "cp1252", "gbk", "big5")
"""Where a ? stands for what the encoding lacks."""
_LOST = "\ufffd"


def is_damaged(stored: str, right: str) -> bool:
    """Whether a text is what a wrong encoding left of the right one."""
    if stored == right or _LOST in right:
        return False
    if _LOST in stored:
        return True
    data = right.encode("utf-8")
    return any(stored == data.decode(encoding, "ignore") for encoding in _READ_AS) or any(
        stored == right.encode(encoding, "replace").decode(encoding) for encoding in _WRITTEN_AS
    )


def repair_turn(db: sqlite3.Connection, turn: Entry, *, learn: bool) -> bool:
    """Replace the damaged turn of the same id, in the transaction that is open. Returns whether there was one.

    `learn` has the facts found anew that it tells.
    """
    row = db.execute("select seq, text, speaker, role from turn where id = ?", (turn.id,)).fetchone()
    if row is None:
        return False
    seq, *stored = row
    right = (turn.text, turn.speaker, turn.role)
    if not any(map(is_damaged, stored, right)):
        return False
    text_index.remove(db, seq, stored[0], stored[1])
    db.execute("update turn set text = ?, speaker = ?, role = ? where seq = ?", (*right, seq))
    text_index.add(db, seq, turn.text, turn.speaker)
    events.forget(db, seq)
    db.execute("delete from vector where seq = ?", (seq,))
    if turn.who == "user":
        events.learn(db, seq, turn.text, turn.local)
    if learn:
        told = db.execute("select id from fact where source = ? and instr(value, ?)", (turn.id, _LOST))
        writing.delete(db, [fact_id for (fact_id,) in told.fetchall()])
        writing.learn(db, turn)
    schema.set_meta(db, FORGOTTEN, os.urandom(8).hex())  # a running bridge reads its last turns anew
    return True


def repair_fact(db: sqlite3.Connection, right: Mapping[str, Any], known: int) -> int:
    """Give the damaged fact of the same turn and time the right texts, in the transaction that is open.

    `right` are its columns. `known` is the number of the right one where it is there as well: then the damaged one
    goes. Returns the number of the one that was damaged, 0 where there was none.
    """
    keys = ("subject", "attribute", "value")
    rows = db.execute(
        "select id, subject, attribute, value from fact where source = ? and valid_from_ms = ?",
        (right["source"], right["valid_from_ms"]),
    ).fetchall()
    for fact_id, *stored in rows:
        pairs = [(text, str(right[key])) for key, text in zip(keys, stored, strict=True)]
        if any(is_damaged(*pair) for pair in pairs) and all(
            text == wanted or is_damaged(text, wanted) for text, wanted in pairs
        ):
            if known:
                writing.delete(db, [fact_id])
                return int(fact_id)
            db.execute(
                "update fact set subject = ?, attribute = ?, value = ?, match_key = ? where id = ?",
                (*(wanted for _, wanted in pairs), right["match_key"], fact_id),
            )
            return int(fact_id)
    return 0
