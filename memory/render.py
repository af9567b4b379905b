"""How memories are shown to the chat model: dated, quoted, and within a budget."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from xiaozhi_persona.memory.diary import DAY_MS, Entry, from_local_ms
from xiaozhi_persona.memory.fact_types import (
    AGE,
    ALLERGY,
    AVOIDS,
    CALLED,
    DISLIKES,
    FAMILY,
    FRIEND,
    HOME,
    HOMETOWN,
    KIN,
    LIKES,
    MARRIAGE,
    NAME,
    NOTE,
    OTHERS,
    PET,
    PETS,
    PROFILE,
    SCHOOL,
    SURNAME,
    WORKPLACE,
    Fact,
)
from xiaozhi_persona.memory.facts import UNKNOWN_MS
from xiaozhi_persona.text.measures import estimated_tokens

MAX_LINE_CHARS = 160
_WEEKDAYS = "一二三四五六日"
_WHO = {"user": "用户", "assistant": "助手"}
_SENTENCES = {
    NAME: "{whose}叫{value}",
    CALLED: "叫{whose}{value}",
    SURNAME: "{whose}姓{value}",
    HOME: "{whose}住在{value}",
    HOMETOWN: "{whose}老家是{value}",
    LIKES: "{whose}喜欢{value}",
    DISLIKES: "{whose}不喜欢{value}",
    AVOIDS: "{whose}不吃{value}",
    ALLERGY: "{whose}对{value}过敏",
    FAMILY: "{whose}家里有{value}",
    FRIEND: "{whose}有个朋友叫{value}",
    PET: "{whose}养了{value}",
    MARRIAGE: "{whose}{value}了",
    AGE: "{whose}{value}",
    WORKPLACE: "{whose}在{value}上班",
    SCHOOL: "{whose}在{value}上学",
    NOTE: "{value}",
    PROFILE: "{value}",
}
_CONTROLS = (
    r"\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff"
)
_KNOWN = frozenset(f"{KIN}|{PETS}|{OTHERS}".split("|"))
_CONTROL = re.compile(f"[{_CONTROLS}]+")
# What could end the quotation or the <memory> block that it stands in, or pass for one of our own headings.
_QUOTES = str.maketrans({"“": "‘", "”": "’", "<": "‹", ">": "›", "【": "〔", "】": "〕"})
_SPECIAL = re.compile(f"[{_CONTROLS}“”<>【】]")


def quoted(text: str, around: str = "", max_chars: int = MAX_LINE_CHARS) -> str:
    """Return a text as one quoted line. A long one is cut to the part around the word `around`."""
    text = text[:100_000]
    start = max(0, text.lower().find(around) - max_chars // 3) if around and len(text) > max_chars else 0
    piece = text[start : start + max_chars].strip()
    if _SPECIAL.search(piece):
        piece = _CONTROL.sub(" ", piece).strip().translate(_QUOTES)
    return f"“{'…' if start else ''}{piece}{'…' if start + max_chars < len(text) else ''}”"


def day_heading(day: datetime) -> str:
    """Return a date with its weekday."""
    return f"{day:%Y-%m-%d} 星期{_WEEKDAYS[day.weekday()]}"


def span(start: datetime, end: datetime) -> str:
    """Return a half-open range in words, as short as it can be."""
    whole_days = start.time() == end.time() == datetime.min.time()
    if whole_days and end - start <= timedelta(days=1):
        return day_heading(start)
    if whole_days:
        return f"{day_heading(start)} 到 {day_heading(end - timedelta(days=1))}"
    if start.date() == end.date() or (end - start <= timedelta(days=1) and end.time() == datetime.min.time()):
        return f"{day_heading(start)} {start:%H:%M} 到 {'24:00' if start.date() != end.date() else f'{end:%H:%M}'}"
    return f"{day_heading(start)} {start:%H:%M} 到 {day_heading(end)} {end:%H:%M}"


def turn_line(turn: Entry, around: str = "") -> str:
    """Return a turn as one line: the time, who, what."""
    is_named = turn.speaker and turn.who == "user"
    name = quoted(turn.speaker, max_chars=20)[1:-1] if is_named else _WHO.get(turn.who, "")
    minutes = turn.local_ms // 60_000 % 1440
    return f"- {minutes // 60:02}:{minutes % 60:02} {name}：{quoted(turn.text, around)}"


def turn_tokens(turn: Entry) -> int:
    """Return about how many tokens the line of a turn has."""
    return 10 + estimated_tokens(turn.text[:MAX_LINE_CHARS]) + len(turn.speaker)


def turn_lines(turns: Sequence[Entry], around: str = "") -> str:
    """Return turns grouped by day, oldest first, under the date with its weekday."""
    lines: list[str] = []
    day = None
    for turn in sorted(turns, key=lambda turn: (turn.local_ms, turn.seq)):
        if turn.local_ms // DAY_MS != day:
            day = turn.local_ms // DAY_MS
            lines.append(day_heading(turn.local))
        lines.append(turn_line(turn, around))
    return "\n".join(lines)


def fact_line(fact: Fact, offset_min: int) -> str:
    """Return a fact as one line: when it was told, and what, as its owner would say it."""
    if fact.starts_ms is not None and fact.ends_ms is not None:
        start, end = from_local_ms(fact.starts_ms), from_local_ms(fact.ends_ms)
        clock = "" if start.time() == end.time() == datetime.min.time() else f" {start:%H:%M}"
        return f"- {day_heading(start)}{clock} {quoted(fact.attribute)[1:-1]}：{quoted(fact.value)}"
    told = "" if fact.valid_from_ms == UNKNOWN_MS else f"{_date(fact.valid_from_ms, offset_min)} "
    until = "" if fact.valid_to_ms is None else f"（到 {_date(fact.valid_to_ms, offset_min)} 为止）"
    return f"- {told}用户：{quoted(_sentence(fact))}{until}"


def _sentence(fact: Fact) -> str:
    named = fact.subject in _KNOWN
    whose = f"我的{fact.subject}" if named else fact.subject
    sentence = _SENTENCES.get(fact.attribute, "{whose}的{attribute}是{value}")
    return sentence.format(whose=whose, attribute=fact.attribute, value=fact.value)


def _date(utc_ms: int, offset_min: int) -> str:
    return f"{from_local_ms(utc_ms + offset_min * 60_000):%Y-%m-%d}"
