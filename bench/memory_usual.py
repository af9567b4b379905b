"""The usual way to remember by time, made again in its plainest form, to compare with.

A general time parser (jionlp, Apache-2.0, `pip install jionlp`, 170 MB; only this benchmark and one test use it),
then a scan of the days' rows: a file a day, a line of JSON a turn, ranked by the characters that it shares with the
question. No embedding, no model: what such systems add on top of this comes on top of these figures.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from xiaozhi_persona.memory import diary

_SHOWN = 40


def load_jionlp() -> Callable[[str, datetime], tuple[datetime, datetime] | None] | None:
    """Return jionlp's parser as a function of text and now, None when it is not installed."""
    with contextlib.redirect_stdout(io.StringIO()):  # it greets
        try:
            import jionlp
        except ImportError:
            return None

    def parse(text: str, now: datetime) -> tuple[datetime, datetime] | None:
        parts = ("year", "month", "day", "hour", "minute", "second")
        base: dict[str, Any] = {part: getattr(now, part) for part in parts}
        try:
            found = jionlp.parse_time(text, time_base=base)
            start, end = (datetime.fromisoformat(one) for one in found["time"])
        except Exception:  # it raises many kinds for what it does not know
            return None
        return start, end + timedelta(seconds=1)  # it gives the last second

    return parse


def write_days(folder: Path, entries: Iterable[diary.Entry]) -> None:
    days: dict[str, list[str]] = {}
    for entry in entries:
        line = {"at": entry.local.isoformat(), "who": entry.who, "text": entry.text}
        days.setdefault(f"{entry.local:%Y-%m-%d}", []).append(json.dumps(line, ensure_ascii=False))
    folder.mkdir()
    for day, lines in days.items():
        (folder / f"{day}.jsonl").write_text("\n".join(lines), encoding="utf-8")


def scan_days(folder: Path, question: str, start: datetime, end: datetime) -> str:
    """Return what was said in [start, end), that which shares most characters with the question first."""
    asked = set(question)
    found = []
    day = start
    while day.date() <= end.date():
        file = folder / f"{day:%Y-%m-%d}.jsonl"
        day += timedelta(days=1)
        if not file.exists():
            continue
        for line in file.read_text(encoding="utf-8").splitlines():
            turn = json.loads(line)
            if start <= datetime.fromisoformat(turn["at"]) < end:
                found.append((-len(asked & set(turn["text"])), turn["at"], turn["text"]))
    best = sorted(sorted(found)[:_SHOWN], key=lambda turn: turn[1])
    return "\n".join(f"{at} {text}" for _, at, text in best)
