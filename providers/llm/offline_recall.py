"""What the user said before, read from a conversation and a memory, and found again. Rules only, no model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from xiaozhi_persona.memory.patterns import followed
from xiaozhi_persona.spine import Message

LONGEST_CHARACTERS = 500
"""Of a longer text only the beginning is looked at."""

Days = tuple[date, date]
"""The first and the last day of a range."""


@dataclass(frozen=True)
class Statement:
    """Something that the user said. `said` is None where the memory gives no date."""

    text: str
    said: datetime | None = None

    def days(self, today: date) -> Days | None:
        """Return the days that it is about, as far as that is known."""
        day = self.said.date() if self.said else None
        own = days_in(self.text, day or today)
        return own or ((day, day) if day else None)


def statements(messages: Sequence[Message], now: datetime) -> list[Statement]:
    """Return what the user stated, newest first: in the conversation, then in the memory; questions are left out.

    The memory is the lines between <memory> and </memory> in a system message. A line may have a date and a time,
    then who said it; lines under a date of their own belong to it. Undated lines count as what holds now.
    """
    heard = [Statement(m.content[:LONGEST_CHARACTERS], now) for m in messages[:-1] if m.role == "user"]
    remembered = [s for m in messages if m.role == "system" for s in _memory_lines(m.content)]
    undated = [s for s in remembered if not s.said]
    dated = sorted((s for s in remembered if s.said), key=lambda s: s.said or now)
    return [s for s in [*reversed(heard), *undated, *reversed(dated)] if not is_question(s.text)]


def times_without_record(messages: Sequence[Message], today: date, english: bool = False) -> list[str]:
    """Return the times of which the memory says that there is no record, as one names them: 昨天, 8月16日到8月17日."""
    lines = [
        line
        for m in messages
        if m.role == "system"
        for line in "\n".join(_MEMORY.findall(m.content)).splitlines()
    ]
    return [
        _time_name(match, today, english) for line in lines if (match := _NO_RECORD.fullmatch(line.strip()))
    ]


def is_question(text: str) -> bool:
    """Whether a text asks; recognizers leave the question mark out."""
    return bool(_QUESTION.search(text))


def days_in(text: str, today: date) -> Days | None:
    """Return the days that a text names, as seen from `today`: 昨天, 上周, 上周三, 三天前, 5月1日 ..."""
    for pattern, days in _DAYS:
        if match := pattern.search(text):
            try:
                return days(match, today)
            except (ValueError, OverflowError):
                return None
    return None


def of_days(said: Sequence[Statement], days: Days, today: date) -> list[Statement]:
    """Return the statements that are about these days; undated ones only if there are no dates at all."""
    any_dates = any(s.said and s.said.date() != today for s in said)

    def fits(statement: Statement) -> bool:
        own = statement.days(today)
        return (own[0] <= days[1] and days[0] <= own[1]) if own else not any_dates

    return [s for s in said if fits(s)]


def said_on(said: Sequence[Statement], days: Days) -> list[Statement]:
    """Return the statements that were made on these days."""
    return [s for s in said if s.said and days[0] <= s.said.date() <= days[1]]


def best_matches(question: str, said: Sequence[Statement], at_least: float = 0.3) -> list[Statement]:
    """Return the statements that share the most of the question's characters and their pairs, best and newest first."""
    wanted = _features(_NOT_THE_MATTER.sub("", _TIME_WORD.sub("", question)))
    whole = sum(wanted.values())
    scores = [
        sum(wanted[f] for f in _features(s.text) if f in wanted) / whole if whole else 0.0 for s in said
    ]
    ranked = sorted(range(len(said)), key=lambda i: (-scores[i], i))
    return [said[i] for i in ranked if scores[i] >= at_least]


def second_person(text: str) -> str:
    """Return a statement as one says it back: 我的猫叫咪咪。 -> 你的猫叫咪咪"""
    return _PERSON.sub(lambda match: _SWAPPED.get(match[0].lower(), match[0]), text).strip(_PUNCTUATION)


def quoted(said: Sequence[Statement], today: date) -> str:
    """Return statements as quotations in the second person with the days on which they were made; "" for none."""
    quotes: list[str] = []
    previous = None
    # "昨天" before a quotation that has its own "昨天" would mislead.
    by_date = {s.said.date() for s in said if s.said and days_in(s.text, today)}
    for statement in said:
        day = statement.said.date() if statement.said else today
        lead = ("" if day == today else _day_name(day, today, day in by_date)) + "你说过："
        quotes.append(("" if lead == previous else lead) + second_person(statement.text))
        previous = lead
    return "；".join(quotes)


def _day_name(day: date, today: date, by_date: bool) -> str:
    near = None if by_date else {1: "昨天", 2: "前天"}.get((today - day).days)
    return near or (f"{day.year}年" if day.year != today.year else "") + f"{day.month}月{day.day}日"


def _time_name(match: re.Match[str], today: date, english: bool) -> str:
    try:
        first, last = (date.fromisoformat(match[name] or match["first"]) for name in ("first", "last"))
    except ValueError:
        return "that time" if english else "那时候"
    if english:
        return " to ".join(f"{day:%B} {day.day}" for day in dict.fromkeys((first, last)))
    name = "到".join(_day_name(day, today, first != last) for day in dict.fromkeys((first, last)))
    clocks = "到".join(_clock(match[end]) for end in ("from", "to") if match[end])
    return name + clocks


def _clock(text: str) -> str:
    hour, minute = map(int, text.split(":"))
    return f"{hour}点{minute}分" if minute else f"{hour}点"


_PUNCTUATION = " \t，。！？、；：,.!?;:~…"
_MEMORY = re.compile(r"^<memory>\s*\n(.*?)(?:^</memory>|\Z)", re.S | re.M)
_NO_RECORD = re.compile(
    r"(?P<first>\d{4}-\d\d-\d\d) 星期.(?: (?P<from>\d\d:\d\d))?(?: 到(?: (?P<last>\d{4}-\d\d-\d\d) 星期.)?(?: (?P<to>\d\d:\d\d))?)?"
    r" 没有说过什么，没有谈话记录。"
)
_BULLET = re.compile(r"^\s*(?:[-*•·]|\d+[.、)])\s+")
_STAMP = re.compile(
    r"^[\[(（【]?(?:(?P<year>\d{4})[-/年.](?P<month>\d{1,2})[-/月.](?P<day>\d{1,2})日?)?[，, T]*"
    r"(?:[（(]?(?:周|星期|礼拜)[一二三四五六日天][)）]?)?[，, ]*(?:(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::\d{2})?)?"
    r"[\])）】]?[ \t:：，,]*"
)
_SPEAKER = re.compile(r"^(?P<who>[^\s：:，。]{1,12})\s*[：:]\s*(?P<text>.+)$")
# What our own memory says behind a sentence: that it is over, or which part of it.
_NOTE = re.compile(r"（(?P<over>(?:是以前的事|说错了|用户改口说|其中)[^（）]{0,200})）$")
_OVER = re.compile("其中“([^”]{1,40})”")
_OF_USER = re.compile("^(?:用户|主人|对方)")
_USER = ("用户", "我", "主人", "user", "human")
_NOT_USER = ("助手", "你", "小智", "assistant", "ai", "bot", "system")
# Labels of core facts, as the sentence that the user would have said.
_FACT_LABELS = tuple(
    (re.compile(label, re.I), sentence)
    for label, sentence in (
        (r"名字|姓名|称呼|name", "我叫{}"),
        (r"住址|住处|住所|居住地|家|home", "我住在{}"),
        (r"过敏|过敏源|过敏原|allergy", "我对{}过敏"),
        (r"喜欢|喜好|爱好|likes?", "我喜欢{}"),
        (r"不喜欢|讨厌|dislikes?", "我不喜欢{}"),
        (r"生日|birthday", "我的生日是{}"),
        (r"年龄|age", "我{}"),
    )
)


def _memory_lines(system: str) -> list[Statement]:
    found: list[Statement] = []
    role = role_name(system)
    heading: datetime | None = None
    for line in "\n".join(_MEMORY.findall(system)).splitlines():
        if _NO_RECORD.fullmatch(line.strip()):
            continue
        line = _BULLET.sub("", line).strip().lstrip("#").strip()
        stamp = _STAMP.match(line)
        assert stamp  # every part is optional
        rest, said = line[stamp.end() :], _time_of(stamp, heading)
        if not rest:
            heading = said or heading
            continue
        note = _NOTE.search(rest)
        if note:
            rest = rest[: note.start()]
            if note["over"].startswith(("是以前的事", "说错了")):
                continue
            for over in _OVER.findall(note["over"]):
                rest = rest.replace(over, "…")
        speaker = _SPEAKER.match(rest)
        if not speaker:
            text = _OF_USER.sub("我", rest)
        elif speaker["who"].lower() in _NOT_USER or speaker["who"] == role:
            continue
        elif speaker["who"].lower() in _USER or (said and not _OF_USER.match(speaker["who"])):
            text = speaker["text"]
        else:
            who = _OF_USER.sub("", speaker["who"]).removeprefix("的")
            sentence = next((s for p, s in _FACT_LABELS if p.fullmatch(who)), "我的" + who + "叫{}")
            text = sentence.format(speaker["text"])
        found.append(Statement(text[:LONGEST_CHARACTERS].strip('“”" '), said))
    return found


def role_name(system: str) -> str:
    """Return the name that a system message gives the assistant, "" when it gives none."""
    match = _ROLE_NAME.search(system)
    return match[1] if match else ""


_ROLE_NAME = re.compile(
    r"你(?:是|叫做?|的名字(?:是|叫))(?:(?:语音|智能)*助手)?[“\"「]?(?!一[个位只名]|谁|什么)([^\s，。,.！!“”\"「」：:（(]{1,10})"
)


def _time_of(stamp: re.Match[str], heading: datetime | None) -> datetime | None:
    hour, minute = int(stamp["hour"] or 0), int(stamp["minute"] or 0)
    try:
        if stamp["year"]:
            return datetime(int(stamp["year"]), int(stamp["month"]), int(stamp["day"]), hour, minute)
        return heading.replace(hour=hour, minute=minute) if heading else None
    except ValueError:
        return heading


_QUESTION = re.compile(
    rf"什么|啥|哪(?![怕吒])|谁|多[少大久长高远重快宽深]|几[点岁号个只月次]|几$|怎么|怎样|为什么|是不是|有没有|记不记得|{followed('记得|认识', '[不没么]$')}|吗$|吗[？?]|呢$|[？?]"
    r"|\b(?:what|where|who|when|why|how)\b|^(?:do|did|does|can|could|am|is|are)\b",
    re.I,
)
_NUMBERS = {c: n for n, c in enumerate("一二三四五六七八九十", 1)} | {"两": 2, "日": 7, "天": 7}


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else _NUMBERS[text]


def _day(day: date) -> Days:
    return day, day


def _week(match: re.Match[str], today: date, weeks: int) -> Days:
    monday = today - timedelta(days=today.weekday() + 7 * weeks)
    if match["d"] == "末":
        return monday + timedelta(days=5), monday + timedelta(days=6)
    if match["d"]:
        return _day(monday + timedelta(days=_number(match["d"]) - 1))
    return monday, monday + timedelta(days=6)


def _month(first: date) -> Days:
    return first, (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _calendar_day(match: re.Match[str], today: date) -> Days:
    day = date(int(match["y"] or today.year), _number(match["m"]), _number(match["d"]))
    return _day(day.replace(year=day.year - 1) if day > today and not match["y"] else day)


_WEEKDAY = r"个?(?:周|星期|礼拜)(?P<d>[一二三四五六日天末])?"
_NUMBER = r"(?:(?<!\d)\d+|[一二两三四五六七八九十])"
_DAYS = tuple(
    (re.compile(pattern, re.I), days)
    for pattern, days in (
        (r"大前天", lambda m, today: _day(today - timedelta(days=3))),
        (r"前天|前晚", lambda m, today: _day(today - timedelta(days=2))),
        (r"昨[天日晚夜早]|\byesterday\b", lambda m, today: _day(today - timedelta(days=1))),
        (r"今[天日晚早]|刚才|刚刚|\btoday\b", lambda m, today: _day(today)),
        (r"明[天日晚早]|\btomorrow\b", lambda m, today: _day(today + timedelta(days=1))),
        (r"后天", lambda m, today: _day(today + timedelta(days=2))),
        (rf"(?P<n>{_NUMBER})天[以之]?前", lambda m, today: _day(today - timedelta(days=_number(m["n"])))),
        (rf"上上{_WEEKDAY}", lambda m, today: _week(m, today, 2)),
        (rf"(?:上{_WEEKDAY}|\blast week\b)", lambda m, today: _week(m, today, 1)),
        (rf"[这本]{_WEEKDAY}", lambda m, today: _week(m, today, 0)),
        (
            r"上个?月|\blast month\b",
            lambda m, today: _month((today.replace(day=1) - timedelta(days=1)).replace(day=1)),
        ),
        (r"这个月|本月", lambda m, today: _month(today.replace(day=1))),
        (r"去年", lambda m, today: (date(today.year - 1, 1, 1), date(today.year - 1, 12, 31))),
        (rf"(?:(?P<y>\d{{4}})年)?(?P<m>{_NUMBER})月(?P<d>{_NUMBER})[日号]", _calendar_day),
    )
)
_TIME_WORD = re.compile(
    "|".join(re.sub(r"\?P<\w+>", "?:", p.pattern) for p, _ in _DAYS) + r"|早上|上午|中午|下午|晚上", re.I
)

# What a question is made of besides its matter.
_NOT_THE_MATTER = re.compile(
    r"你?还?(?:记不)?记得|你?知不?知道|告诉我|请问|什么(?:时候|地方|东西)?|名字|啥|哪[里儿个些天位种]?|谁|怎么样?|多少|为什么|是不是|有没有"
    r"|来着|[吗呢吧啊呀？?！!。，,]|\b(?:what|where|who|when|why|how|do|did|does|you|remember|is|are|was|the|a)\b",
    re.I,
)
_LATIN_WORD = re.compile("[a-z]{2,}")
_OTHER_RUN = re.compile(r"[^\W_a-z]+")
_FUNCTION_CHARACTERS = frozenset("我你他她它们的了是在有也都就不很和跟一个这那")


def _features(text: str) -> dict[str, int]:
    """Return the characters (1) and pairs of characters (2) that carry meaning, Latin words (2) as a whole."""
    text = text.lower()
    features = dict.fromkeys(_LATIN_WORD.findall(text), 2)
    for run in _OTHER_RUN.findall(text):
        features |= {c: 1 for c in run if c not in _FUNCTION_CHARACTERS}
        features |= {a + b: 2 for a, b in zip(run, run[1:], strict=False) if {a, b} - _FUNCTION_CHARACTERS}
    return features


# 我们 and 自我 are matched so that they stay as they are.
_PERSON = re.compile(r"我们|你们|自我|我|你|您|\b(?:I am|I'm|I was|I|me|my|mine|myself|you|your)\b", re.I)
_SWAPPED = {"我": "你", "你": "我", "您": "我"}
_SWAPPED |= {"i am": "you are", "i'm": "you're", "i was": "you were", "i": "you", "me": "you", "my": "your"}
_SWAPPED |= {"mine": "yours", "myself": "yourself", "you": "me", "your": "my"}
