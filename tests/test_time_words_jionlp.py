"""jionlp, another time parser, as an oracle: a reviewed list of where both agree, and why not elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
from time_words_tables import TABLES, read_ranges

from xiaozhi_persona.memory.time_words import find_ranges

Ranges = list[tuple[datetime, datetime]]


class Case(NamedTuple):
    now: datetime
    question: str
    ours: Ranges
    theirs: Ranges
    verdict: str


def _cases() -> Iterator[Case]:
    now = datetime.min
    for line in (TABLES / "jionlp.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("now = "):
            now = datetime.fromisoformat(line[6:])
        elif line and not line.startswith("#"):
            question, ours, theirs, verdict = (part.strip() for part in line.split("|"))
            yield Case(now, question, read_ranges(ours, now), read_ranges(theirs, now), verdict)


CASES = list(_cases())


def test_the_list_is_long_and_its_verdicts_are_those_of_its_ranges() -> None:
    assert len(CASES) >= 170
    assert len({(case.now, case.question) for case in CASES}) == len(CASES)
    assert sum(case.verdict == "same" for case in CASES) >= 50
    for case in CASES:
        assert case.verdict, case.question
        assert (case.ours == case.theirs) == (case.verdict == "same"), case.question


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.now:%m%d%H}-{case.question}")
def test_ours_is_what_was_reviewed(case: Case) -> None:
    assert [(one.start, one.end) for one in find_ranges(case.question, case.now)] == case.ours


def test_jionlp_is_what_was_reviewed() -> None:
    """Only where it is installed: it takes 170 MB, so that it is not part of the test extra."""
    jionlp = pytest.importorskip("jionlp")
    assert {
        case.question: _theirs(jionlp, case) for case in CASES if _theirs(jionlp, case) != case.theirs
    } == {}


def _theirs(jionlp: object, case: Case) -> Ranges:
    parts = ("year", "month", "day", "hour", "minute", "second")
    base = {part: getattr(case.now, part) for part in parts}
    try:
        found = jionlp.parse_time(case.question, time_base=base)  # type: ignore[attr-defined]
        start, last = (datetime.fromisoformat(one) for one in found["time"])
    except Exception:  # it raises many kinds for what it does not know
        return []
    return [(start, last + timedelta(seconds=1))]
