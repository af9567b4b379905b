"""How memories are shown to the chat model: dated, quoted, and within a budget."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.facts.kinds import KIN, NOTE, OTHERS, PETS, PROFILE, SELF, Fact
from xiaozhi_persona.memory.facts.writing import CORRECTED, UNKNOWN_MS
from xiaozhi_persona.memory.wall_clock import DAY_MS, from_local_ms
from xiaozhi_persona.text.measures import estimated_tokens

MAX_LINE_CHARS = 160
_NOTHING: Mapping[str, Sequence[Fact]] = {}
_WEEKDAYS = "一二三四五六日"
_WHO = {"user": "用户", "assistant": "助手"}
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


def turn_line(turn: Entry, around: str = "", over: Sequence[Fact] = ()) -> str:
    """Return a turn as one line: the time, who, what; `over` is what it told and holds no longer."""
    is_named = turn.speaker and turn.who == "user"
    name = quoted(turn.speaker, max_chars=20)[1:-1] if is_named else _WHO.get(turn.who, "")
    minutes = turn.local_ms // 60_000 % 1440
    said = quoted(turn.text, around)
    return (
        f"- {minutes // 60:02}:{minutes % 60:02} {name}：{said}{_in_brackets(_over(over, turn.offset_min))}"
    )


def turn_tokens(turn: Entry) -> int:
    """Return about how many tokens the line of a turn has."""
    return 10 + estimated_tokens(turn.text[:MAX_LINE_CHARS]) + len(turn.speaker)


def turn_lines(
    turns: Sequence[Entry], around: str = "", over: Mapping[str, Sequence[Fact]] = _NOTHING
) -> str:
    """Return turns grouped by day, oldest first, under the date with its weekday; `over` is, by the id of a turn, what
    it told and holds no longer.
    """
    lines: list[str] = []
    day = None
    for turn in sorted(turns, key=lambda turn: (turn.local_ms, turn.seq)):
        if turn.local_ms // DAY_MS != day:
            day = turn.local_ms // DAY_MS
            lines.append(day_heading(turn.local))
        lines.append(turn_line(turn, around, over.get(turn.id, ())))
    return "\n".join(lines)


def fact_line(fact: Fact, offset_min: int, over: Sequence[Fact] = ()) -> str:
    """Return a fact as one line: the words that told it, as they were said, with day and speaker.

    What was set by hand, or told by words that do not say it alone (不对，是上海), is named before them. `over` is what
    the same words told and holds no longer.
    """
    told_ms = fact.valid_from_ms if fact.told_ms is None else fact.told_ms
    told = "" if told_ms == UNKNOWN_MS else f"{_date(told_ms, offset_min)} "
    until = _until(fact, offset_min)
    if fact.starts_ms is not None and fact.ends_ms is not None:
        start, end = from_local_ms(fact.starts_ms), from_local_ms(fact.ends_ms)
        clock = "" if start.time() == end.time() == datetime.min.time() else f" {start:%H:%M}"
        sentence = [f"{told}{_speaker(fact)}：{quoted(fact.said, fact.value)}"] if fact.said else []
        thing = f"- {day_heading(start)}{clock} {quoted(fact.attribute)[1:-1]}：{quoted(fact.value)}"
        return thing + _in_brackets(sentence)
    if fact.said and (fact.confidence < CORRECTED or fact.pinned):
        notes = [until] if until else []
        notes += _over([old for old in over if old.value != fact.value], offset_min)
        return f"- {told}{_speaker(fact)}：{quoted(fact.said, fact.value)}{_in_brackets(notes)}"
    if fact.attribute == NOTE:
        return f"- {told}用户：{quoted(fact.value)}{_in_brackets([until] if until else [])}"
    words = [f"{_speaker(fact)}改口说：{quoted(fact.said)}"] if fact.said else []
    value = quoted(fact.value)[1:-1]
    return f"- {told}{_whose(fact)}{quoted(fact.attribute)[1:-1]}：{value}{_in_brackets([*words, *([until] if until else [])])}"


def _over(facts: Sequence[Fact], offset_min: int) -> list[str]:
    return [f"其中{_name(fact)}{_until(fact, offset_min)}" for fact in facts]


def _until(fact: Fact, offset_min: int) -> str:
    if fact.valid_to_ms is None:
        return ""
    if fact.starts_ms is not None:
        return "取消或改期了"
    if fact.valid_to_ms <= fact.valid_from_ms:
        return "说错了"
    if fact.valid_from_ms == UNKNOWN_MS:
        return "是以前的事"
    return f"是以前的事，到 {_date(fact.valid_to_ms, offset_min)} 为止"


def _in_brackets(notes: Sequence[str]) -> str:
    return f"（{'；'.join(notes)}）" if notes else ""


def _speaker(fact: Fact) -> str:
    return quoted(fact.speaker, max_chars=20)[1:-1] if fact.speaker else _WHO["user"]


def _name(fact: Fact) -> str:
    return quoted(fact.value) if fact.value and fact.value in fact.said else quoted(fact.attribute)[1:-1]


def _whose(fact: Fact) -> str:
    if fact.attribute == PROFILE:
        return "用户的"
    subject = "" if fact.subject == SELF else quoted(fact.subject)[1:-1]
    if not subject:
        return "用户的"
    return f"用户的{subject}的" if fact.subject in _KNOWN else f"{subject}的"


def _date(utc_ms: int, offset_min: int) -> str:
    return f"{from_local_ms(utc_ms + offset_min * 60_000):%Y-%m-%d}"
