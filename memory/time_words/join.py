"""From phrases to ranges: 从 A 到 B, lists that share a day (上周一和周三), and what follows a phrase (以来, 左右, 前一天)."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from xiaozhi_persona.memory.time_words.festivals import holiday
from xiaozhi_persona.memory.time_words.nth import part_after
from xiaozhi_persona.memory.time_words.numbers import NUMBER, read_number
from xiaozhi_persona.memory.time_words.phrase import Phrase, Window
from xiaozhi_persona.memory.time_words.resolve import festival_beginning, festival_window, resolve
from xiaozhi_persona.memory.time_words.words_zh import WEEKDAYS


class Named(NamedTuple):
    """A place of the text and the ranges that it names; none when they lie in the future."""

    start: int
    end: int
    windows: list[Window]
    recurs: bool
    """No certain day was named (周末, 早上)."""


def join(text: str, phrases: list[Phrase], now: datetime) -> Iterator[Named]:
    """Yield what the phrases of a folded text name, in order."""
    index = 0
    while index < len(phrases):
        phrase = phrases[index]
        after = phrases[index + 1] if index + 1 < len(phrases) else None
        gap = text[phrase.end : after.start] if after is not None else ""
        is_range = after is not None and len(gap) < 12 and _is_range(text, phrase, gap)
        index += 2 if is_range else 1
        if after is not None and not is_range:
            _share(text, phrase, after, gap)
        if phrase.kind in ("void", "now"):
            continue
        try:
            if after is not None and is_range:
                windows = _range(phrase, after, now)
                end = after.end if windows else phrase.end
            else:
                end, windows = _single(text, phrase, now)
        except (ValueError, OverflowError):
            # A time before the year 1 or after 9999.
            continue
        while index < len(phrases) and phrases[index].start < end:
            index += 1
        yield Named(phrase.start, end, windows, _recurs(phrase))


def _single(text: str, phrase: Phrase, now: datetime) -> tuple[int, list[Window]]:
    """Return the ranges of one phrase with the words before and after it, and where its words end."""
    end, windows = phrase.end, resolve(phrase, now)
    if not windows:
        return end, windows
    part = part_after(text, end, windows[0], now)
    if part:
        return part
    if text[end : end + 1] in _SUFFIX_BEGINS:
        end, windows = _with_suffix(text, phrase, windows, now)
    if phrase.start and windows:
        if _SINCE.search(text, max(0, phrase.start - 12), phrase.start):
            return end, _since(windows, now)
        side = _SIDE.search(text, max(0, phrase.start - 12), phrase.start)
        if side:
            return end, _beside(side[1], phrase, windows, now)
    return end, windows


_RANGE = re.compile(
    r"\s*(?:(?:一直|直|持续)?(?:到|至|~|-{1,2}|->|から|until|till|through|thru|to)(?:\s+the)?)\s*"
)
_BETWEEN = re.compile(r"\s+and\s+(?:the\s+)?")
_LIST = re.compile(
    r"\s*(?:和|跟|与|及|以及|还有|还是|或者?|、|,|/|and|or|や|と)\s*(?:the\s+|on\s+|in\s+|at\s+)?"
)
_SENTENCE_END = re.compile("[。?!;]")
_SINCE = re.compile(r"(?:自从|自|since)\s*(?:the\s+|last\s+)?$")
_SIDE = re.compile(r"\b(before|after)\s+(?:the\s+|last\s+)?$")
_SUFFIX_BEGINS = frozenset("以之前后起开左至到第期假长放过から頃ごの小当那的第最 上黄")
_SUFFIX = re.compile(
    rf"""\s?(?:
      (?P<since>以来|至今|起(?![床来身飞立居码名诉得])|开始(?!的)|到现在|到今天为止|到目前为止|から(?!\S*まで))
    | (?P<after>以后|之后|过后)
    | (?P<before>以前|之前)
    | (?P<about>左右|前后|上下|ごろ|頃)
    | (?P<holiday>假期|小长假|长假|放假期间|放假(?=的时候|那)|三天假)
    | (?P<during>期间|的时候|前夕(?!$)|黄金周)
    | (?P<eve>前一天|前一晚|前夕|前夜)
    | (?P<next_day>后(?:一天|的?第一天))
    | 前(?P<weeks_before>{NUMBER})个?(?:周|星期|礼拜)(?![一二三四五六日天])
    | 后(?P<weeks_after>{NUMBER})个?(?:周|星期|礼拜)(?![一二三四五六日天])
    | 前(?P<days_before>{NUMBER}|几)天
    | 后(?P<days_after>{NUMBER}|几)天
    | 的?(?:第(?P<nth_day>{NUMBER})|最后一)个(?:周|星期|礼拜)(?P<of_weekday>[一二三四五六日天])
    | 的?第(?P<nth>{NUMBER})(?P<nth_of>天|周(?!年)|个?(?:星期|礼拜)(?![一二三四五六日天]))
    | 的?最后一(?P<last_of>天|周(?!年)|个?(?:星期|礼拜))
    | (?P<bare_before>前(?![面天日年夜晚任方]))
    | (?P<bare_after>后(?![面天日年来台悔续]))
    )""",
    re.VERBOSE,
)
_DAY = timedelta(days=1)
_FAR = datetime(9000, 1, 1, 12)
_LONG_AGO = datetime(1970, 1, 1)
_PERIODS = {
    "weekday": timedelta(days=7),
    "weekend": timedelta(days=7),
    "day": timedelta(days=31),
    "third": timedelta(days=31),
}
_DAY_FIELDS = (
    "date",
    "monday",
    "weekday",
    "weekend",
    "festival",
    "season",
    "lunar",
    "year",
    "month",
    "day",
    "first_day",
    "today",
    "window",
)


def _is_range(text: str, phrase: Phrase, gap: str) -> bool:
    if _RANGE.fullmatch(gap):
        return True
    before = text[max(0, phrase.start - 14) : phrase.start]
    return "between" in before and _BETWEEN.fullmatch(gap) is not None


def _recurs(phrase: Phrase) -> bool:
    """Tell whether the phrase names no certain day."""
    return not (
        phrase.date or phrase.window or phrase.monday or phrase.year is not None or phrase.day is not None
    )


def _share(text: str, phrase: Phrase, after: Phrase, gap: str) -> None:
    """Let the next phrase have the day, month or year of this one where it names only the finer part."""
    in_list = len(gap) < 12 and _LIST.fullmatch(gap) is not None
    if not after.day_kind and after.kind in ("part", "clock"):
        if phrase.kind == "void":
            if in_list or (len(gap) <= 6 and not _SENTENCE_END.search(gap)):
                after.kind = "void"
        elif phrase.day_kind and phrase.kind != "window" and not _SENTENCE_END.search(gap):
            _inherit(phrase, after)
    elif in_list:
        _inherit(phrase, after)


def _inherit(phrase: Phrase, after: Phrase) -> None:
    if not after.day_kind:
        for field in _DAY_FIELDS:
            if field in phrase.__dict__:
                setattr(after, field, phrase.__dict__[field])
        after.day_kind = phrase.day_kind
        if not after.part and phrase.part and after.clock:
            after.part = phrase.part
    elif after.kind == "void" or phrase.kind == "void":
        return
    elif after.weekday is not None and after.monday is None:
        after.monday = phrase.monday
    elif after.day is not None and after.month is None and after.date is None:
        after.month, after.year = phrase.month, phrase.year
    elif after.year is None and (
        after.month or after.festival or after.season or after.half or after.quarter
    ):
        after.year = phrase.year


def _range(phrase: Phrase, after: Phrase, now: datetime) -> list[Window]:
    """Return the one range from a phrase to the next: A is the latest that began, B the first from there on."""
    if not phrase.day_kind and after.day_kind and after.clock:
        # Between 3 and 5 pm yesterday: the day comes last.
        dated = copy.copy(phrase)
        _inherit(after, dated)
        ends = resolve(after, now)
        if ends and (begins := resolve(dated, now)) and begins[0][0] < ends[0][0]:
            return [(begins[0][0], ends[0][0], "range")]
    first = resolve(phrase, now)
    if not first:
        return []
    start = first[0][0]
    if after.kind == "void":
        return first
    if after.kind == "now":
        return [(start, now, "range")]
    last = copy.copy(after)
    free = not last.day_kind
    if free:
        last.date, last.day_kind = start.replace(hour=0, minute=0, second=0, microsecond=0), "day"
        if phrase.part in ("evening", "night") and start.hour < 6:
            last.date -= _DAY
        last.part = last.part or (phrase.part if last.clock else "")
    floats = _recurs(last) or (last.day is not None and (last.month is None or last.year is None))
    period = _PERIODS.get(last.day_kind if last.month is None else "", timedelta(days=365))
    windows = resolve(last, start + period - timedelta(microseconds=1) if floats else _FAR)
    if not windows:
        return first
    begin, end, _ = windows[-1]
    if last.clock:
        end = begin
    elif phrase.clock and last.part == "noon":
        end = end.replace(hour=12)
    if free and end <= start:
        end += (
            timedelta(hours=12)
            if last.clock and end + timedelta(hours=12) > start and last.clock.hour < 12
            else _DAY
        )
    if end <= start:
        start, end = windows[0][0], first[-1][1]
    return [(start, end, "range")] if start <= now else []


def _since(windows: list[Window], now: datetime) -> list[Window]:
    return [(windows[0][0], max(now, windows[0][0]), "range")]


def _beside(side: str, phrase: Phrase, windows: list[Window], now: datetime) -> list[Window]:
    """Return the time before or after a range: as long as memory goes, a week or two where it is a festival."""
    start, end, _ = windows[0]
    if side == "before":
        return [(start - 7 * _DAY if phrase.festival else _LONG_AGO, start, "range")]
    return [(end, min(now, end + 14 * _DAY) if phrase.festival else now, "range")] if end < now else []


def _with_suffix(text: str, phrase: Phrase, windows: list[Window], now: datetime) -> tuple[int, list[Window]]:
    match = _SUFFIX.match(text, phrase.end)
    if match is None or not windows:
        return phrase.end, windows
    start, end, granularity = windows[0]
    exact = phrase.kind in ("clock", "festival")
    if match["since"]:
        return match.end(), _since(windows, now)
    if phrase.kind == "festival" and (match["holiday"] or match["during"]):
        if match["holiday"]:
            named = festival_beginning(phrase.festival, start)
            windows = [festival_window(holiday(named), False)] if named else windows
        return match.end(), windows
    shifted = _shift(match, phrase, start, end, granularity, now)
    if shifted is None or ((match["bare_before"] or match["bare_after"]) and not exact):
        return phrase.end, windows
    begin, until, name = shifted
    return match.end(), [(begin, until, name)] if begin <= now and begin < until else []


def _shift(
    match: re.Match[str], phrase: Phrase, start: datetime, end: datetime, granularity: str, now: datetime
) -> Window | None:
    """Return the range that a suffix makes of a range; None when the suffix says nothing about this kind of phrase."""
    if phrase.kind == "festival":
        named = festival_beginning(phrase.festival, start)
        main = start + timedelta(days=named.main if named else 0)
        if match["eve"] or match["days_before"] == "一":
            return start - _DAY, start, "day"
        if match["next_day"] or match["days_after"] == "一":
            return end, end + _DAY, "day"
        if match["nth"] and match["nth_of"] == "天":
            day = main + timedelta(days=(read_number(match["nth"]) or 1) - 1)
            return day, day + _DAY, "day"
        if match["weeks_before"]:
            return start - 7 * _DAY * (read_number(match["weeks_before"]) or 1), start, "range"
        if match["weeks_after"]:
            return end, end + 7 * _DAY * (read_number(match["weeks_after"]) or 1), "range"
        if match["last_of"] == "天":
            return end - _DAY, end, "day"
        if match["days_before"]:
            return start - timedelta(days=_some(match["days_before"])), start, "range"
        if match["days_after"]:
            return end, end + timedelta(days=_some(match["days_after"])), "range"
        if match["about"]:
            return start - 3 * _DAY, end + 3 * _DAY, "range"
        if match["before"] or match["bare_before"]:
            return start - 7 * _DAY, start, "range"
        if match["after"] or match["bare_after"]:
            return end, min(now, end + 14 * _DAY), "range"
    if match["of_weekday"]:
        if granularity != "month":
            return None
        days = (WEEKDAYS[match["of_weekday"]] - start.weekday()) % 7
        if match["nth_day"]:
            day = start + timedelta(days=days + 7 * ((read_number(match["nth_day"]) or 1) - 1))
        else:
            day = end - 7 * _DAY
            day += timedelta(days=(WEEKDAYS[match["of_weekday"]] - day.weekday()) % 7)
        return (day, day + _DAY, "day") if start <= day < end else None
    if match["nth"] or match["last_of"]:
        if granularity not in ("week", "month", "year"):
            return None
        length = _DAY if "天" in (match["nth_of"], match["last_of"]) else 7 * _DAY
        if match["last_of"]:
            return end - length, end, "day" if length == _DAY else "range"
        begin = start + length * ((read_number(match["nth"]) or 1) - 1)
        return (begin, begin + length, "day" if length == _DAY else "range") if begin < end else None
    if match["about"]:
        if phrase.clock:
            half = timedelta(minutes=30)
            return start - half, start + half, granularity
        return (start - _DAY, end + _DAY, "range") if granularity == "day" else None
    if match["before"] or match["bare_before"]:
        day = start.replace(hour=0, minute=0, second=0, microsecond=0)
        return (day if phrase.clock or phrase.part else _LONG_AGO), start, "range"
    if match["after"] or match["bare_after"]:
        if phrase.clock or phrase.part:
            begin = start if phrase.clock else end
            return begin, min(now, start.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY), "range"
        return end, now, "range"
    return None


def _some(text: str) -> int:
    return 7 if text == "几" else read_number(text) or 1
