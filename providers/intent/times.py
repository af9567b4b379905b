"""Lengths of time and times of day, as people say them to a timer and an alarm, in Chinese, Japanese and English."""

from __future__ import annotations

import re

from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.time_words.fold import fold, fold_expression
from xiaozhi_persona.providers.intent.numbers import ENGLISH, LETTERS, NUMERALS, read_count
from xiaozhi_persona.providers.intent.slots import of_text

MAX_SECONDS = 7 * 86400
"""Nobody sets a timer for longer."""


def read_duration(text: str) -> int | None:
    """Return the seconds of 十分钟, 一个半小时, 一時間半, halfanhour, oneandahalfhours, 90秒; None for none."""
    seconds = _DURATIONS.get(text)
    if seconds is None:
        match = _LONG.fullmatch(text) or _LONG_ENGLISH.fullmatch(text)
        seconds = _sum(match) if match else None
    return seconds if seconds and 0 < seconds <= MAX_SECONDS else None


def read_clock(text: str) -> dict[str, int | str] | None:
    """Return hour and minute, with the day (1 is tomorrow), weekday (1 is Monday) or what repeats, where they are said.

    明早六点半 is {"day": 1, "hour": 6, "minute": 30}. None for none; an hour is needed.
    """
    match = _CLOCK.fullmatch(text) or _CLOCK_JA.fullmatch(text)
    return _asian(match) if match else None


def read_english_clock(text: str) -> dict[str, int | str] | None:
    """Return the same of atseventomorrow, 730pm and tomorrowmorningathalfpastsix, where a bare number is an hour."""
    match = _CLOCK_EN.fullmatch(text)
    return _english(match) if match else None


_N = r"(?:[\d.〇零一二两三四五六七八九十百]{1,6}|[\d一二两三四五六七八九十]点[五\d])"
_LONG = pattern(
    fold_expression(
        rf"(?:(?P<h>{_N})个?(?P<hh>半)?(?:小时|钟头|時間)(?P<ha>半)?)?零?"
        rf"(?:(?P<m>{_N})分钟?(?P<mh>半)?钟?)?零?(?:(?P<s>{_N})秒钟?)?(?:間)?"
    )
)
_E = r"(?:an?|\d{1,4}(?:\.\d)?|" + "|".join(sorted(ENGLISH, key=len, reverse=True)) + ")"
_LONG_ENGLISH = pattern(
    rf"(?:(?P<h>{_E})(?P<hh>andahalf)?(?:hours?|hrs?|h)(?P<ha>andahalf)?)?(?:and)?"
    rf"(?:(?P<m>{_E})(?P<mh>andahalf)?(?:minutes?|mins?)(?:andahalf)?)?(?:and)?(?:(?P<s>{_E})(?:seconds?|secs?))?"
)
_DURATIONS = {
    **dict.fromkeys(("半小时", "半个小时", "半个钟头", "半个钟", "半时间", "半钟头"), 1800),
    **dict.fromkeys(("halfanhour", "ahalfhour", "halfhour", "ahalfanhour"), 1800),
    **dict.fromkeys(("一刻钟", "aquarterofanhour", "quarterofanhour", "aquarterhour"), 900),
    **dict.fromkeys(("三刻钟", "threequartersofanhour"), 2700),
    **dict.fromkeys(("半分钟", "halfaminute", "ahalfminute"), 30),
    **dict.fromkeys(("两刻钟",), 1800),
}


def _sum(match: re.Match[str]) -> int | None:
    total = 0.0
    for group, unit, halves in (("h", 3600, ("hh", "ha")), ("m", 60, ("mh",)), ("s", 1, ())):
        words = match[group]
        if words is None:
            continue
        number = 1 if words in ("a", "an") else read_count(words)
        if number is None:
            return None
        half = any(match[name] for name in halves)
        total += (number + 0.5 * half) * unit
    return round(total)


_H = r"\d{1,2}|[零一二两三四五六七八九十]{1,3}"
_M = r"\d{1,2}|[零一二三四五六七八九十]{1,3}"
_DAYS = {
    "今天": 0,
    "今日": 0,
    "今儿": 0,
    "今": 0,
    "明天": 1,
    "明日": 1,
    "明儿": 1,
    "明": 1,
    "后天": 2,
    "大后天": 3,
}
_WEEKDAY = "一二三四五六日天"
_CLOCK = pattern(
    fold_expression(
        r"(?P<every>每天|每日|天天|工作日|每个工作日|每[周週][一二三四五六日天])?"
        r"(?P<day>今天|今日|今儿|明天|明日|明儿|大后天|后天|[今明](?=[早晚]))?(?:的)?"
        r"(?:(?P<next>下|这|本)?个?(?:周|週|星期|礼拜)(?P<weekday>[一二三四五六日天]))?(?:的)?"
        r"(?P<part>早上|早晨|清晨|清早|大清早|一早|早|凌晨|上午|中午|正午|下午|午后|傍晚|晚上|晚间|晚|夜里|夜间|半夜|深夜)?(?:的)?"
        rf"(?:(?P<to>差一刻|差五分|差十分)?(?P<hour>{_H})(?:点钟?|时)(?P<to2>差一刻|差五分|差十分)?(?:(?P<half>半|一刻|三刻|整|过五分|过十分)|过?(?P<minute>{_M})分?)?"
        r"|(?P<colon>\d{1,2}:\d{2}))"
    )
)
_CLOCK_JA = pattern(
    fold_expression(
        r"(?P<every>毎日|毎朝|毎晩|平日)?(?:の)?(?P<day>今日|きょう|明日|あした|あす|明後日|あさって|今(?=[朝夜晩]))?(?:の)?"
        r"(?P<next>来週|今週)?(?:の)?(?:(?P<weekday>[月火水木金土日])曜日?)?(?:の)?"
        r"(?P<part>朝|早朝|午前|昼|お昼|午後|夕方|夜|晩|深夜)?(?:の)?"
        rf"(?:(?P<hour>{_H})時(?:(?P<half>半|ちょうど)|(?P<minute>{_M})分)?|(?P<colon>\d{{1,2}}:\d{{2}}))"
    )
)
_DAYS_JA = {"今日": 0, "きょう": 0, "今": 0, "明日": 1, "あした": 1, "あす": 1, "明后日": 2, "あさって": 2}
_AFTER_NOON = frozenset(
    fold(word) for word in "下午 午后 傍晚 晚上 晚间 晚 夜里 夜间 深夜 夕方 夜 晩 午後".split()
)
_NIGHT = frozenset(fold(word) for word in "晚上 晚间 晚 夜里 夜间 半夜 深夜 夜 晩".split())
_SMALL_HOURS = frozenset("夜里 夜间 半夜 深夜".split())
_HALVES = {"半": 30, "一刻": 15, "三刻": 45, "过五分": 5, "过十分": 10}
_BEFORE = {"差一刻": 15, "差五分": 5, "差十分": 10}


def _asian(match: re.Match[str]) -> dict[str, int | str] | None:
    found = match.groupdict()
    if found["colon"]:
        hour, minute = map(int, found["colon"].split(":"))
    else:
        numbers = read_count(found["hour"]), read_count(found["minute"] or "0")
        if numbers[0] is None or numbers[1] is None:
            return None
        hour, minute = int(numbers[0]), int(numbers[1]) + _HALVES.get(found["half"] or "", 0)
    day: int | None = {**_DAYS, **_DAYS_JA}.get(found["day"] or "")
    part = found["part"] or ""
    if part in _NIGHT and hour == 12:
        hour, day = 0, (day or 0) + 1
    elif (
        part in _AFTER_NOON
        and 0 < hour < 12
        and not (part in _SMALL_HOURS and hour < 6)
        or part in ("中午", "正午", "昼", "お昼")
        and hour < 6
    ):
        hour += 12
    elif part in ("凌晨", "半夜", "早朝", "午前") and hour == 12:
        hour = 0
    before = _BEFORE.get(found.get("to") or found.get("to2") or "", 0)
    if before:
        hour, minute = hour - 1, 60 - before
    slots: dict[str, int | str] = {}
    every = found["every"] or ""
    if every:
        slots["repeat"] = "workdays" if every in ("工作日", "每个工作日", "平日") else "daily"
        if every[1] in "周週":
            slots = {"repeat": "weekly", "weekday": min(_WEEKDAY.index(every[-1]) + 1, 7)}
    if found["weekday"]:
        days = _WEEKDAY if found["weekday"] in _WEEKDAY[:6] + "天" else "月火水木金土日"
        slots["weekday"] = min(days.index(found["weekday"]) + 1, 7)
        if (found["next"] or "") in ("下", fold("来週")):
            slots["week"] = 1
    return _checked(slots, day, hour, minute)


def _checked(
    slots: dict[str, int | str], day: int | None, hour: int, minute: int
) -> dict[str, int | str] | None:
    if hour == 24 and minute == 0:
        hour, day = 0, (day or 0) + 1
    if not (0 <= hour < 24 and 0 <= minute < 60):
        return None
    if day is not None:
        slots["day"] = day
    return {**slots, "hour": hour, "minute": minute}


_WEEKDAYS_EN = "monday tuesday wednesday thursday friday saturday sunday".split()
_DAY_EN = (
    r"tomorrow|today|tonight|everyday|everymorning|everyweekday|(?:next|on|this)?(?:"
    + "|".join(_WEEKDAYS_EN)
    + ")"
)
_PART_EN = r"(?:inthe|this)?(?:morning|afternoon|evening)|atnight"


def _numbers(low: int, high: int) -> str:
    return "|".join(sorted((word for word, n in ENGLISH.items() if low <= n <= high), key=len, reverse=True))


_HOUR_EN = r"\d{1,2}|" + _numbers(0, 12)
_MINUTE_EN = r"\d{2}|" + _numbers(10, 59)
_CLOCK_EN = pattern(
    rf"(?:(?P<day>{_DAY_EN})(?P<part>morning|afternoon|evening|night)?)?(?:at)?"
    rf"(?:(?P<noon>noon|midnight|midday)|(?P<rel>halfpast|(?:a)?quarterpast|(?:a)?quarterto|tenpast|tento|fivepast|fiveto|twentypast|twentyto)?"
    rf"(?P<hour>{_HOUR_EN}):?(?:oh?)?(?P<minute>{_MINUTE_EN}|(?<=oh)(?:five)|0\d)?(?:oclock)?(?P<half>am|pm|a\.?m|p\.?m)?)"
    rf"(?P<part2>{_PART_EN})?(?P<day2>{_DAY_EN})?(?P<part3>morning|afternoon|evening|night)?"
)
_REL = {
    "halfpast": 30,
    "quarterpast": 15,
    "aquarterpast": 15,
    "quarterto": -15,
    "aquarterto": -15,
    "tenpast": 10,
}
_REL |= {"tento": -10, "fivepast": 5, "fiveto": -5, "twentypast": 20, "twentyto": -20}


def _english(match: re.Match[str]) -> dict[str, int | str] | None:
    found = match.groupdict()
    said = found["day"] or found["day2"] or ""
    parts = "".join(found[name] or "" for name in ("part", "part2", "part3"))
    slots: dict[str, int | str] = {}
    day = {"tomorrow": 1, "today": 0, "tonight": 0}.get(said)
    if said.startswith("every"):
        slots["repeat"] = "workdays" if said == "everyweekday" else "daily"
    for number, name in enumerate(_WEEKDAYS_EN, start=1):
        if said.endswith(name):
            slots["weekday"] = number
            if said.startswith("next"):
                slots["week"] = 1
    if found["noon"]:
        is_night = found["noon"] == "midnight"
        return _checked(slots, (day or 0) + 1 if is_night else day, 0 if is_night else 12, 0)
    hour = read_count(found["hour"])
    minute = read_count(found["minute"] or "0")
    if hour is None or minute is None:
        return None
    offset = _REL.get(found["rel"] or "", 0)
    total = int(hour) * 60 + int(minute) + offset
    is_late = (found["half"] or "").startswith("p") or any(
        word in parts + said for word in ("afternoon", "evening", "night")
    )
    if is_late and total < 720:
        total += 720
    elif (found["half"] or "").startswith("a") and 720 <= total < 780:
        total -= 720
    return _checked(slots, day, total // 60, total % 60)


_UNITS = fold("个小时钟头分刻秒時間和零")
_OF_DAYS = fold(
    "今天日儿明大后下这本个周週星期礼拜每天工作早上晨清一凌午中正傍晚间夜里半深的点钟时刻差过整分:"
    "毎朝晩平きょう明あした後さって来週月火水木金土曜昼お夕方ちょうど午前後の時分"
)
DURATION = of_text("duration", read_duration, NUMERALS + LETTERS + _UNITS, "10分")
CLOCK = of_text("clock", read_clock, NUMERALS + _OF_DAYS, "7:30", max_chars=30)
ENGLISH_CLOCK = of_text("english_clock", read_english_clock, "0123456789:." + LETTERS, "7am", max_chars=40)
