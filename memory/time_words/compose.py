"""From words to phrases: which neighbours belong together, as 昨天 + 下午 + 三点 or 3 pm + last Tuesday."""

from __future__ import annotations

import re
from datetime import datetime

from xiaozhi_persona.memory.time_words.lexicon import Token
from xiaozhi_persona.memory.time_words.phrase import Phrase
from xiaozhi_persona.memory.time_words.windows import vague


def compose(text: str, tokens: list[Token], now: datetime) -> list[Phrase]:
    """Return the phrases of a folded text in order; those of kind "void" name no time but keep words from others."""
    phrases: list[Phrase] = []
    phrase: Phrase | None = None
    for token in tokens:
        slot = token.atoms[0][0]
        if phrase is not None and _goes_on(text, phrase, token, slot) and _fits(text, token, slot, phrase):
            phrase.end = token.end
            if not _add(phrase, token, now):
                phrase.kind = phrase.day_kind = "void"
            continue
        phrase = _begin(text, token, slot, phrase, now)
        if phrase is not None:
            phrases.append(phrase)
    return phrases


_LINKS = frozenset(("到", "至", "-", "~", "和", "and", "or", "to", "、", "与", "跟"))
_GLUE = frozenset(("", " ", "的", "嘅", "の", "t", "里的", "里"))
_GLUE_BEFORE_TIME = frozenset(
    "我 你 他 她 它 我们 你们 他们 她们 咱 咱们 大概 大约 差不多 约 是 在 我在 你在 的大概 , ,我 ,你 快 将近 我是 是在 は に 的时候 那会儿".split()
)
_TIME_SLOTS = frozenset(("part", "strict_part", "clock", "weak_clock"))
_ENGLISH_GLUE = re.compile(
    r"[\s,]*(?:(?:of|on|at|in|from|the|around|about|just|right|this|that|back|during|early|late|by)\b\s*)*(?:'s\s*)?"
)
_NOT_HOUR_AFTER = re.compile(
    "建议|意见|要求|原因|理由|内容|问题|收获|体会|感想|东西|都[没不]|也[没不]|儿|点|不|没有?[^,]{0,4}|进步|小|水|吃的|心|希望|想法"
)
_WHEN = re.compile(
    r"[到至~-][\d一二三四五六七八九十两]{1,3}点|的时候|那会儿|我|你|他|她|咱|大家|聊|说|吃|干|做|起床|睡|去|回|开会|出门|到家|下班|上班|放学|上课|,|叫|提醒"
)
_NOT_HOUR_BEFORE = frozenset("有这那第几前后下面早晚快慢差多少大小高低近远轻重了好再")


def _goes_on(text: str, phrase: Phrase, token: Token, slot: str) -> bool:
    if slot == "now":
        return False
    gap = text[phrase.end : token.start]
    if token.english:
        if len(gap) > 30 or not (phrase.takes_in_any_order(slot) or phrase.takes(slot)):
            return False
        return _ENGLISH_GLUE.fullmatch(gap) is not None
    if not phrase.takes(slot):
        return slot in ("part", "clock") and gap == " " and phrase.takes_in_any_order(slot)
    if gap in _GLUE:
        return True
    return slot in _TIME_SLOTS and gap in _GLUE_BEFORE_TIME


def _fits(text: str, token: Token, slot: str, phrase: Phrase | None) -> bool:
    """Tell whether a word that is weak by itself names a time here."""
    if slot == "weak_clock":
        if _NOT_HOUR_AFTER.match(text, token.end):
            return False
        if phrase is not None:
            return True
        hour = token.atoms[0][1].hour
        before = text[token.start - 1] if token.start else ""
        return (
            hour != 1
            and before not in _NOT_HOUR_BEFORE
            and (token.end == len(text) or _WHEN.match(text, token.end) is not None)
        )
    if slot.startswith("strict_"):
        return phrase is not None
    return True


def _begin(text: str, token: Token, slot: str, previous: Phrase | None, now: datetime) -> Phrase | None:
    # 十一点到一点: the second hour needs no more proof than the first.
    linked = previous is not None and text[previous.end : token.start].strip() in _LINKS
    proven = linked and previous is not None and (previous.clock or (slot != "weak_clock" and previous.part))
    if slot == "same_time" or not (proven or _fits(text, token, slot, None)):
        return None
    phrase = Phrase(token.start, token.end)
    if slot in ("festival", "season") and text.endswith(("上个", "上一个"), 0, token.start):
        phrase.ended = True
    if slot == "that_day":
        phrase.kind = phrase.day_kind = "void"
        return phrase
    return phrase if _add(phrase, token, now) else None


def _add(phrase: Phrase, token: Token, now: datetime) -> bool:
    """Put a word's meaning into the phrase; False for a time outside of the calendar."""
    try:
        for slot, value in token.atoms:
            if slot == "vague":
                phrase.add("window", vague(value, now), now)
            else:
                phrase.add(slot, value, now)
    except (ValueError, OverflowError):
        return False
    return True
