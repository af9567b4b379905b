"""Corrections in conversation: 不是北京，是上海, or 不对，是上海 right after the statement.

What they say of themselves is only a value; which fact it belongs to is known from what was said before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.facts.clauses import BAD_NAME, BAD_PLACE, CONDITION, QUESTION, TAIL, things
from xiaozhi_persona.memory.facts.kinds import (
    BY_NAME,
    CALLED,
    DATE,
    HOME,
    HOMETOWN,
    JOBS,
    KIN,
    NAME,
    PETS,
    PLACES,
    SHAPES,
    Fact,
    Finding,
    N,
    match_key,
)
from xiaozhi_persona.memory.facts.rules import find_facts
from xiaozhi_persona.memory.future_words import FutureRange, find_future
from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.wall_clock import from_local_ms

TURNS_LOOKED_BACK = 8
CONVERSATION_MS = 600_000
_MAX_CHARS = 60
_WRONG = "(?:不+对|不不+(?![不对])|错了|(?:我|刚才|刚刚)*(?:说|讲|记|弄|搞)错了?|不是(?=[，,。 ]))"
_OPENING = rf"(?:(?:{_WRONG}|哦|噢|啊|哎呀?|等等|等一下|抱歉|对不起|其实)[，,。！!\s]*)*"
_CLOSING = "(?:[，,。]?(?:我|刚才|刚刚)*(?:说|讲|记|弄|搞)错了|才对)?"
_NOT_TWICE = pattern("^不对(?:[，,。！!]*不对)+")
_NOT_BUT = pattern(
    rf"{_OPENING}我?(?:不是|不叫)(?P<wrong>[^，,。]{{1,20}}?)[，,。\s]*(?:而?我?(?:是|叫)|应该是)(?P<right>[^，,。]{{1,20}}?){_CLOSING}"
)
_WRONG_BUT = pattern(
    rf"{_OPENING}{_WRONG}[，,。！!\s]*(?:而?我?(?:是|叫)|应该是|应该)?(?P<right>[^，,。]{{1,20}}?){_CLOSING}"
)
_ANEW = pattern(rf"{_OPENING}{_WRONG}(?:[，,。！!\s]|(?=我))")
_OF_ITSELF = pattern(rf"[，,。！!]\s*(?=(?:哦|啊|哎呀?)?{_WRONG}[，,。！!])")
_IS_IT = pattern("[,，]?(?:对吗|是吗|对吧|是吧|对不对|是不是|吗|吧)?[?？]")
_SAID_BACK = pattern("(?<![^，。])[^，。]*说过?[：:]")
_NO_VALUE = pattern(
    "^[你我他她它这那谁不没别另都也还就真说刚先再因所想要会可怎]|^(?:一样|对的|错的|是)|[说讲记弄搞]错|时候$"
)
_WEEKDAY = pattern("(?:周|星期|礼拜)[一二三四五六日天]")
_DATED = pattern(
    rf"{DATE.replace('?P<v>', '?:')}|{N}{{1,3}}岁.*|\d+[日号点]?|.*[年月日号点]$|.*(?:周|星期|礼拜)[一二三四五六日天]"
)
_OF = pattern("(?<=.)的$")
_KNOWN_PLACE = pattern(PLACES)
_KNOWN_BEING = pattern(f"{PETS}|{KIN}|{JOBS}")
_DATE_WORDS = pattern("[年月日号岁点]")
_NUMERAL = pattern(N)
_PLACE_ENDS = pattern("[市省区县镇乡村州岛湾港城路街巷里园国]$|[A-Za-z]$")
_NAMES = pattern(r"[\u4e00-\u9fff·]{2,5}|[A-Za-z][A-Za-z .'-]{0,30}")


@dataclass(frozen=True)
class Correction:
    """What is wrong, "" when that is not said, and what is right."""

    wrong: str
    right: str
    told: Finding | None = None
    """What is right as a statement of its own: 不对，我住在上海."""


def cut_at_correction(text: str) -> tuple[str, str]:
    """Cut 我住在北京，不对，是上海 before 不对; the second part is "" for what holds no correction of itself."""
    match = _OF_ITSELF.search(text)
    return (text[: match.start()], text[match.end() :]) if match else (text, "")


def find_correction(text: str, found: Sequence[Finding] = ()) -> Correction | None:
    """Return the correction that a whole text is, None for anything else. `found` are the facts that it tells."""
    plain = _NOT_TWICE.sub("不对", text.strip()[:200].rstrip("。！!.").rstrip(TAIL))
    if found:
        is_one = len(found) == 1 and found[0].tense == "is" and _ANEW.match(plain)
        return Correction("", found[0].value, found[0]) if is_one else None
    if (
        len(plain) > _MAX_CHARS
        or QUESTION.search(plain)
        or CONDITION.search(plain)
        or not {"?", "？"}.isdisjoint(plain)
    ):
        return None
    match = _NOT_BUT.fullmatch(plain) or _WRONG_BUT.fullmatch(plain)
    if match is None:
        return None
    wrong = match.groupdict().get("wrong") or ""
    right = _OF.sub("", match["right"].strip())
    if _NO_VALUE.search(right) or (wrong and _NO_VALUE.search(wrong)):
        return None
    return Correction(wrong, right)


def stated_last(
    correction: Correction, turn: Entry, before: Sequence[Entry], known: Sequence[Fact]
) -> tuple[int, Finding] | None:
    """Return the id of the fact that a turn corrects, and what is right; None when it corrects none.

    `before` is what was said before the turn, oldest first, and `known` what holds. When the wrong
    value is named, the user has just told it, or has just been told it: 你住在北京. When it is not, exactly one fact of
    the user's last two turns has to fit.
    """
    before = [entry for entry in before if 0 <= turn.at_ms - entry.at_ms <= CONVERSATION_MS]
    stated = [entry for entry in before if entry.who == "user" and entry.speaker == turn.speaker][-2:]
    newest_first = sorted(known, key=lambda fact: (fact.valid_from_ms, fact.id), reverse=True)
    fitting = [
        (fact, finding)
        for fact in newest_first
        if (finding := _corrected(fact, correction, turn.local)) is not None
    ]
    if correction.wrong:
        answers = [_as_the_owner(entry) for entry in before if entry.who == "assistant"][-1:]
        fitting = [pair for pair in fitting if any(_tells(entry, pair[0]) for entry in [*stated, *answers])][
            :1
        ]
    else:
        by_turn = ([pair for pair in fitting if _tells(entry, pair[0])] for entry in reversed(stated))
        fitting = next((pairs for pairs in by_turn if pairs), [])
    return (fitting[0][0].id, fitting[0][1]) if len(fitting) == 1 else None


def _as_the_owner(answer: Entry) -> Entry:
    """Return what an assistant said of the owner as the owner would say it: 你住在北京，对吗？ as 我住在北京。"""
    text = _SAID_BACK.sub("，", _IS_IT.sub("。", answer.text)).replace("您", "你").replace("你", "我")
    return Entry(answer.id, "user", text, answer.at_ms, answer.offset_min)


def _tells(entry: Entry, fact: Fact) -> bool:
    """Whether a turn told a fact, be it for the first time or again."""
    return fact.source == entry.id or any(
        (found.subject, found.attribute, match_key(found.value))
        == (fact.subject, fact.attribute, match_key(fact.value))
        for found in find_facts(entry.text, entry.local, entry.speaker)
    )


def _corrected(fact: Fact, correction: Correction, now: datetime) -> Finding | None:
    """Return what a fact is after a correction, None when the correction cannot be of this fact.

    `now` is local and naive: days ahead are counted from it.
    """
    wrong, right, told = correction.wrong, correction.right, correction.told
    if told:
        same_kind = (told.subject, told.attribute) == (fact.subject, fact.attribute)
        return told if same_kind and (told.starts or match_key(right) != match_key(fact.value)) else None
    if fact.starts_ms is not None and fact.ends_ms is not None:
        return _appointment(fact, wrong, right, now)
    if wrong and match_key(wrong) != match_key(fact.value) or match_key(right) == match_key(fact.value):
        return None
    if not _may_be(fact.attribute, fact.value, right, bool(wrong)):
        return None
    return Finding(fact.subject, fact.attribute, right)


def _may_be(attribute: str, old: str, right: str, sure: bool) -> bool:
    """Whether a value can stand in the place of another; `sure` when the other was named."""
    shape = SHAPES.get(attribute)
    if shape:
        return bool(shape.fullmatch(right))
    if any(char.isdigit() for char in old):
        return any(char.isdigit() for char in right) and not _DATE_WORDS.search(right)
    if _DATED.fullmatch(right):
        return False
    is_place = bool(_KNOWN_PLACE.fullmatch(right))
    if attribute in (HOME, HOMETOWN):
        return (is_place or sure or bool(_PLACE_ENDS.search(right))) and not BAD_PLACE.search(right)
    if is_place and not _KNOWN_PLACE.fullmatch(old):
        return False
    if attribute in (NAME, CALLED):
        other = _KNOWN_BEING.fullmatch(right)
        return bool(_NAMES.fullmatch(right)) and not other and not BAD_NAME.search(right)
    kind = BY_NAME.get(attribute)
    is_thing = kind.is_thing if kind else attribute.startswith("喜欢的")
    return is_thing and list(things(right)) == [right]


def _appointment(fact: Fact, wrong: str, right: str, now: datetime) -> Finding | None:
    """Return an appointment on its right day, at its right hour, or of the right thing."""
    start, end = from_local_ms(fact.starts_ms or 0), from_local_ms(fact.ends_ms or 0)
    day, clock = _whole(right, now), _whole(f"明天{right}", now)
    if day:
        named = _whole(wrong, now)
        if wrong and not (named and named.start.weekday() == start.weekday()):
            return None
        begins = day.start
        if _WEEKDAY.fullmatch(right):  # of the same week as the wrong day
            monday = start - timedelta(days=start.weekday())
            same_week = (monday + timedelta(days=begins.weekday())).date()
            begins = datetime.combine(max(same_week, now.date()), begins.time())
        if day.end - day.start == timedelta(days=1) and end - start < timedelta(days=1):
            begins = datetime.combine(begins.date(), start.time())
            return _at(fact, begins, begins + (end - start))
        return _at(fact, begins, begins + (day.end - day.start))
    if clock:
        named = _whole(f"明天{wrong}", now)
        if wrong and not (named and named.start.hour % 12 == start.hour % 12):
            return None
        begins = datetime.combine(start.date(), clock.start.time())
        if _NUMERAL.match(right) and begins.hour < 12 <= start.hour:
            begins += timedelta(hours=12)
        return _at(fact, begins, begins + (clock.end - clock.start))
    if wrong and wrong in fact.value:
        return Finding(fact.subject, fact.attribute, fact.value.replace(wrong, right), starts=start, ends=end)
    return None


def _whole(text: str, now: datetime) -> FutureRange | None:
    """Return the time that a whole text names."""
    return next((found for found in find_future(text, now) if found.text == text), None)


def _at(fact: Fact, start: datetime, end: datetime) -> Finding:
    return Finding(fact.subject, fact.attribute, fact.value, starts=start, ends=end)
