"""English time words, for people who mix languages or speak English to the device."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.time_words.english_rules import (
    FESTIVALS,
    FIRST_WORDS,
    MONTHS,
    NUMBERS,
    ORDINALS,
    PARTS,
    RULES,
    SEASONS,
    TRIGGER,
    WEEKDAYS,
    WORD,
)
from xiaozhi_persona.memory.time_words.lexicon import MAX_TOKENS, Token
from xiaozhi_persona.memory.time_words.nth import nth_of_month
from xiaozhi_persona.memory.time_words.phrase import Atom, Clock, midnight
from xiaozhi_persona.memory.time_words.windows import ago, past

Atoms = tuple[Atom, ...]
_RULES = pattern(
    rf"(?<![a-z\d'])(?:{'|'.join(f'(?P<{name}>{rule})' for name, rule in RULES.items())})(?![a-z\d])",
    re.VERBOSE,
)
MAX_TRIES = 150
"""Further words of one text are not looked at."""


def scan_english(text: str, now: datetime) -> list[Token]:
    """Find the English words of time in a folded text."""
    if not TRIGGER.search(text):
        return []
    tokens: list[Token] = []
    reached = tried = 0
    for word in WORD.finditer(text):
        if word.start() < reached or not (word[0] in FIRST_WORDS or word[0][0].isdigit()):
            continue
        tried += 1
        if tried > MAX_TRIES:
            break
        match = _RULES.match(text, word.start())
        if match is None:
            continue
        reached = match.end()
        name = match.lastgroup or ""
        try:
            atoms = _READERS[name](match, now)
        except (ValueError, OverflowError):
            # A time before the year 1 or after 9999.
            continue
        if atoms:
            start = max(
                match.start(group) for group in ("at_weekday", "at_month", "at_year", "at_season", name)
            )
            tokens.append(Token(start, match.end(), atoms, english=True))
            if len(tokens) == MAX_TOKENS:
                break
    return tokens


def _number(text: str) -> int | None:
    text = text.strip()
    if text.isdigit():
        return int(text)
    if text in NUMBERS:
        return NUMBERS.index(text)
    return {
        "a": 1,
        "an": 1,
        "thirty": 30,
        "forty": 40,
        "fifty": 50,
        "forty-five": 45,
        "twenty-five": 25,
        "twenty-four": 24,
    }.get(text)


def _amount(text: str) -> tuple[float, float] | None:
    text = text.strip()
    if text.startswith("half"):
        return 0.5, 0.5
    if "couple" in text:
        return 2, 2
    if text.endswith("few") or text == "several":
        return 0, 0
    number = _number(text)
    return None if number is None else (number, number)


def _unit(text: str) -> str:
    name = text.rstrip("s")
    return {"sec": "second", "min": "minute", "hr": "hour", "night": "day"}.get(name, name)


def _month(text: str) -> int:
    return next(number for number, name in enumerate(MONTHS, start=1) if name.startswith(text[:3]))


def _weekday(text: str) -> int:
    return next(number for number, name in enumerate(WEEKDAYS) if name.startswith(text[:3]))


def _year(text: str | None) -> Atoms:
    return (("year", int(text)),) if text else ()


def _ordinal(text: str) -> int:
    if text in ORDINALS:
        return ORDINALS.index(text) + 1
    return 30 if text == "thirtieth" else 21 + ORDINALS.index(text.partition("-")[2])


def _read_ago(match: re.Match[str], now: datetime) -> Atoms | None:
    amount, unit = _amount(match["a_n"]), _unit(match["a_unit"])
    if amount is None:
        return None
    if match["a_half"] or "and a half" in match[0]:
        amount = (amount[0] + 0.5, amount[1] + 0.5)
    if unit == "fortnight":
        unit, amount = "week", (amount[0] * 2, amount[1] * 2)
    if unit == "decade":
        unit, amount = "year", (amount[0] * 10, amount[1] * 10)
    return ago(unit, amount, False, 0, now)


def _read_past(match: re.Match[str], now: datetime) -> Atoms | None:
    amount = _amount(match["p_n"] or "a")
    unit = _unit(match["p_unit"] or match["p_one"] or match["p_past"])
    if amount is None or unit in ("fortnight", "decade"):
        return None
    return (("window", past("last", unit, amount, now)),)


def _read_portion(match: re.Match[str], now: datetime) -> Atoms | None:
    word, what, rel = match["po_which"], match["po_what"], match["po_rel"]
    third = 0 if "early" in word or "beginning" in word or "start" in word else 1 if "mid" in word else 2
    back = -1 if rel == "last" else 0
    if what == "week":
        return (("week_rel", back),) if rel else None
    if what == "year":
        return (("year_rel", back), ("edge", third)) if rel else None
    if what == "month":
        return (("month_rel", back), ("third", third)) if rel else None
    return (*_year(match["po_year"]), ("month", _month(what)), ("third", third))


def _read_relative_day(match: re.Match[str], now: datetime) -> Atoms | None:
    if match["rd_part"]:
        if match["rd_day"] == "last" and match["rd_part"] not in ("night", "evening"):
            return None
        return ("day_rel", -1), ("part", PARTS[match["rd_part"]])
    if match["rd_this"]:
        return ("day_rel", 0), ("part", PARTS[match["rd_this"]])
    word = match["relative_day"]
    if word == "tonight":
        return ("day_rel", 0), ("part", "evening")
    return (("day_rel", -1 if word == "yesterday" else 0),)


def _read_relative(match: re.Match[str], now: datetime) -> Atoms | None:
    word, what = match["re_word"], match["re_what"]
    back = 0 if word == "this" else -1
    ended: Atoms = (("ended", True),) if back else ()
    if what in ("week", "month", "year", "quarter"):
        return ((f"{what}_rel", back),)
    if what == "weekend":
        return (("weekend", True), *ended) if "past" in word else (("week_rel", back), ("weekend", True))
    if what in FESTIVALS:
        return (
            (("festival", FESTIVALS[what]), *ended)
            if back
            else (("year_rel", 0), ("festival", FESTIVALS[what]))
        )
    if what in SEASONS:
        season: Atom = ("season", (SEASONS[what], 3))
        return (season, *ended) if back else (("year_rel", 0), season)
    if what[:3] in [name[:3] for name in WEEKDAYS]:
        weekday: Atom = ("weekday", _weekday(what))
        return (weekday, *ended) if "past" in word else (("week_rel", back), weekday)
    month: Atom = ("month", _month(what))
    return (month, *ended) if back else (("year_rel", 0), month)


def _read_month_day(match: re.Match[str], now: datetime) -> Atoms | None:
    day = int(match["md_day"]) if match["md_day"] else _ordinal(match["md_word"])
    return (
        (*_year(match["md_year"]), ("month", _month(match["md_month"])), ("day", day))
        if 1 <= day <= 31
        else None
    )


def _read_day_month(match: re.Match[str], now: datetime) -> Atoms | None:
    day = int(match["dm_day"]) if match["dm_day"] else _ordinal(match["dm_word"])
    return (
        (*_year(match["dm_year"]), ("month", _month(match["dm_month"])), ("day", day))
        if 1 <= day <= 31
        else None
    )


def _read_before_last(match: re.Match[str], now: datetime) -> Atoms | None:
    unit = match["bl_unit"] or match["bl_not"]
    if unit in WEEKDAYS:
        return ("week_rel", -2), ("weekday", _weekday(unit))
    if unit in ("night", "evening"):
        return ("day_rel", -2), ("part", "evening")
    if unit == "weekend":
        return ("week_rel", -2), ("weekend", True)
    if unit in SEASONS:
        return ("year_rel", -2 if now.month < 9 else -1), ("season", (SEASONS[unit], 3))
    return ((f"{unit}_rel", -2),)


def _read_earlier(match: re.Match[str], now: datetime) -> Atoms | None:
    unit = match["er_unit"]
    if unit is None:
        return (("vague", "earlier_today"),)
    return (("window", past("these", unit, (1, 1), now)),)


def _read_nth_of(match: re.Match[str], now: datetime) -> Atoms | None:
    number = -1 if match["nt_n"] == "last" else ORDINALS.index(match["nt_n"]) + 1
    what = match["nt_what"]
    weekday = 5 if what == "weekend" else _weekday(match["nt_weekday"]) if match["nt_weekday"] else None
    days = {"week": 7, "weekend": 2}.get(what, 1)
    year = int(match["nt_year"]) if match["nt_year"] else None
    part = nth_of_month(year, _month(match["nt_month"]), number, weekday, days, now)
    return (("window", part),) if part else (("void", True),)


def _read_days_ago(match: re.Match[str], now: datetime) -> Atoms | None:
    amount = _amount(match["da_n"])
    if amount is None or not 1 <= amount[0] <= 60:
        return None
    weeks = int(amount[0])
    if not match["da_weekday"]:
        return ("week_rel", -weeks), ("weekend", True)
    weekday = _weekday(match["da_weekday"])
    return ("week_rel", -weeks if weekday >= now.weekday() else 1 - weeks), ("weekday", weekday)


def _read_same_day(match: re.Match[str], now: datetime) -> Atoms | None:
    if match["sd_unit"] == "month":
        return ("month_rel", -1), ("day", now.day)
    # On 29 February, the 28th of the year before.
    return ("year_rel", -1), ("month", now.month), ("day", min(now.day, 28) if now.month == 2 else now.day)


def _read_quarter(match: re.Match[str], now: datetime) -> Atoms | None:
    if match["qu_word"] == "last":
        return None if match["qu_year"] else (("quarter_rel", -1),)
    return (*_year(match["qu_year"]), ("quarter", ORDINALS.index(match["qu_word"]) + 1))


def _days(first: str, last: str) -> Atoms | None:
    """Return the days of a month from the first to the last."""
    return (
        (("day", int(first)), ("days", int(last) - int(first) + 1))
        if 1 <= int(first) < int(last) <= 31
        else None
    )


def _read_month_days(match: re.Match[str], now: datetime) -> Atoms | None:
    days = _days(match["mds_day"], match["mds_last"])
    return (*_year(match["mds_year"]), ("month", _month(match["mds_month"])), *days) if days else None


def _read_season(match: re.Match[str], now: datetime) -> Atoms | None:
    name = match["at_season"] or match["s_bare"] or match["s_name"]
    if match["at_season"] == "fall" and match[0].startswith("the "):
        return None
    return (*_year(match["s_year"] or match["s_year2"]), ("season", (SEASONS[name], 3)))


def _read_clock(match: re.Match[str], now: datetime) -> Atoms | None:
    if match["c_past"]:
        hour = int(match["c_hour2"]) if match["c_hour2"] else NUMBERS.index(match["c_word2"])
        minute = 30 if match["c_past"] == "half" else 15
        if match["c_to"] == "to":
            hour, minute = hour - 1 or 12, 60 - minute
        return (("clock", Clock(hour, minute, False)),)
    if match["c_first"]:
        half = match["c_first_ap"] + "m"
        return (
            (("clock", Clock(int(match["c_first"]), 0, True, half)),) if int(match["c_first"]) <= 12 else None
        )
    if match["c_hour3"]:
        return (("clock", Clock(int(match["c_hour3"]), int(match["c_minute3"]), False)),)
    hour = int(match["c_hour"]) if match["c_hour"] else NUMBERS.index(match["c_word"])
    minutes = match["c_minute"] or ("30" if match["c_half"] else None)
    half = {"a": "am", "p": "pm"}.get(match["c_ap"] or "", "")
    if match["c_part"]:
        half = "am" if match["c_part"] == "morning" else "pm"
    if hour > (12 if half else 24):
        return None
    return (("clock", Clock(hour, int(minutes or 0), minutes is None, half)),)


def _read_weak_clock(match: re.Match[str], now: datetime) -> Atoms | None:
    hour = int(match["k_hour"]) if match["k_hour"] else NUMBERS.index(match["k_word"])
    return (("strict_clock", Clock(hour, 0, True)),) if hour <= 24 else None


def _read_part(match: re.Match[str], now: datetime) -> Atoms | None:
    return (("part", PARTS[" ".join((match["at_part"] or match["part_of"]).split())]),)


_READERS: dict[str, Callable[[re.Match[str], datetime], Atoms | None]] = {
    "void": lambda match, now: (("void", True),),
    "before_yesterday": lambda match, now: (
        ("day_rel", -2),
        *((("part", PARTS[match["by_part"]]),) if match["by_part"] else ()),
    ),
    "before_last": _read_before_last,
    "earlier": _read_earlier,
    "nth_of": _read_nth_of,
    "week_before": lambda match, now: (("date", midnight(now) - timedelta(days=8)),),
    "days_ago": _read_days_ago,
    "same_day": _read_same_day,
    "quarter": _read_quarter,
    "days_of_month": lambda match, now: _days(match["ds_day"], match["ds_last"]),
    "month_days": _read_month_days,
    "part_yesterday": lambda match, now: (("day_rel", -1), ("part", PARTS[match["py_part"]])),
    "just_now": lambda match, now: (("vague", "just_now"),),
    "other_day": lambda match, now: (("vague", "the_other_day"),),
    "while_ago": lambda match, now: (("vague", "a_while_ago"),),
    "lately": lambda match, now: (("vague", "lately"),),
    "ago": _read_ago,
    "past": _read_past,
    "portion": _read_portion,
    "relative_day": _read_relative_day,
    "relative": _read_relative,
    "month_day": _read_month_day,
    "day_month": _read_day_month,
    "month_year": lambda match, now: (*_year(match["my_year"]), ("month", _month(match["my_month"]))),
    "month": lambda match, now: (
        *_year(match["m_year"]),
        ("month", _month(match["at_month"] or match["m_sure"])),
    ),
    "season": _read_season,
    "day_of_month": lambda match, now: (
        (("day", int(match["d_day"])),) if 1 <= int(match["d_day"]) <= 31 else None
    ),
    "festival": lambda match, now: (*_year(match["f_year"]), ("festival", FESTIVALS[match["f_name"]])),
    "weekend": lambda match, now: (("weekend", True),),
    "year": lambda match, now: _year(match["at_year"]),
    "weekday": lambda match, now: (("weekday", _weekday(match["w_name"] or match["at_weekday"])),),
    "clock": _read_clock,
    "weak_clock": _read_weak_clock,
    "part": _read_part,
    "strict_part": lambda match, now: (("strict_part", PARTS[" ".join(match["strict_part"].split())]),),
    "now": lambda match, now: (("now", True),),
}
