"""All fixed words in one table, and the scan of a text for them and for numbers with a unit."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from xiaozhi_persona.memory.time_words import words_ja, words_zh
from xiaozhi_persona.memory.time_words.counted import (
    LUNAR_CHARS,
    NUMERAL_CHARS,
    NUMERALS,
    PAST_CHARS,
    PAST_SECOND_CHARS,
    Found,
    read_count,
    read_lunar,
    read_past,
)
from xiaozhi_persona.memory.time_words.fold import fold
from xiaozhi_persona.memory.time_words.masks import (
    GUARDS,
    NAME_AFTER_WEEKDAY,
    SKIP,
    Guard,
)
from xiaozhi_persona.memory.time_words.phrase import Atom

Tree = dict[str, Any]
"""Each character of a word leads to the next; "" to the word that ends here."""


class Token(NamedTuple):
    """One word of time at its place in the text."""

    start: int
    end: int
    atoms: tuple[Atom, ...]
    english: bool = False


MAX_TOKENS = 30
"""Further words of one text are not read; a question names a handful of times."""
MAX_NUMBERS = 150
"""Numbers that are looked at in one text, whether they name a time or not."""


def scan(text: str, now: datetime) -> list[Token]:
    """Find the Chinese and Japanese words of time in a folded text, the longest at each place, from left to right."""
    tokens: list[Token] = []
    reached = numbers = 0
    tree, trigger = _words()
    for match in trigger.finditer(text):
        at = match.start()
        if at < reached:
            continue
        char = text[at]
        if at > reached and char in NUMERALS and text[at - 1] in NUMERALS:
            continue
        end, atoms = _fixed_word(tree, text, at, reached)
        readers = _readers(text, at, char)
        numbers += len(readers)
        if numbers > MAX_NUMBERS:
            break
        for read in readers:
            try:
                found = read(text, at, now, reached)
            except (ValueError, OverflowError):
                # A time before the year 1 or after 9999.
                continue
            if found and found[0] > end:
                end, atoms = found
        if end:
            reached = end
            if atoms:
                tokens.append(Token(at, end, atoms))
                if len(tokens) == MAX_TOKENS:
                    break
    return tokens


_NEEDS_MORE = frozenset("好大小个差")
_MORE = NUMERALS | frozenset("几半把")


def _readers(text: str, at: int, char: str) -> list[Callable[[str, int, datetime, int], Found | None]]:
    """Return what may read a number with its unit here; a look at the next characters spares most of the work."""
    readers: list[Callable[[str, int, datetime, int], Found | None]] = []
    following = text[at + 1 : at + 2]
    if char in NUMERAL_CHARS:
        if char not in _NEEDS_MORE or following in _MORE:
            readers.append(read_count)
        if "月" in text[at + 1 : at + 4]:
            readers.append(read_lunar)
    elif char in LUNAR_CHARS:
        readers.append(read_lunar)
    if char in PAST_CHARS and following in PAST_SECOND_CHARS:
        readers.append(read_past)
    return readers


class _Entry(NamedTuple):
    atoms: tuple[Atom, ...] | None
    guard: Guard | None
    week: bool = False
    """A weekday may follow."""


def _fixed_word(tree: Tree, text: str, at: int, reached: int) -> Found:
    """Walk down the tree of words; return the end and meaning of the longest that stands at this place, (0, ()) if none."""
    found: list[tuple[int, _Entry]] = []
    node = tree
    for place in range(at, len(text)):
        following = node.get(text[place])
        if following is None:
            break
        node = following
        entry = node.get("")
        if entry is not None:
            found.append((place + 1, entry))
    while found:
        end, (atoms, guard, week) = found.pop()
        if week:
            weekday = _weekday(text, at, end, atoms)
            if weekday:
                return weekday
        if atoms is None or (guard and _forbidden(guard, text, at, end, reached, atoms)):
            continue
        return end, atoms
    return 0, ()


def _forbidden(guard: Guard, text: str, at: int, end: int, reached: int, atoms: tuple[Atom, ...]) -> bool:
    """Tell whether the neighbours of a word forbid it; beside another word of time it is more certain."""
    follows = 0 < at == reached
    if not follows and at and text[at - 1] in guard.before:
        return True
    in_company = follows and atoms and atoms[0][0] in ("season", "part")
    if guard.after and not in_company and text.startswith(guard.after, end):
        return True
    return bool(guard.only) and not text.startswith(guard.only, end)


def _weekday(text: str, at: int, end: int, week: tuple[Atom, ...] | None) -> Found | None:
    """Read the weekday or weekend that follows the word of a week."""
    char = text[end : end + 1]
    weekday = words_zh.WEEKDAYS.get(char)
    weekend = (
        next((name for name in words_zh.WEEKEND if text.startswith(name, end)), "")
        if char in "六末" and char
        else ""
    )
    if weekend:
        end += len(weekend)
        atom: Atom = ("weekend", True)
        if text.startswith(GUARDS["周末"].after, end):
            return None
    elif weekday is not None:
        end += 1
        atom = ("weekday", weekday)
        after = text[end : end + 1]
        if (
            text.startswith(NAME_AFTER_WEEKDAY, end)
            or (after and after in "号楼路")
            or (char.isdigit() and after.isdigit())
        ):
            return None
        if end - at == 2 and (
            (at and text[at - 1] in "叫姓")
            or (char == "天" and not text.startswith(GUARDS["周天"].only, end))
        ):
            return None
    else:
        return None
    if week and week[0][0] == "void":
        return end, week
    following = words_zh.WEEKDAYS.get(text[end : end + 1])
    if (
        atom == ("weekday", weekday)
        and following == (weekday or 0) + 1
        and text[end + 1 : end + 2] not in _NUMBERED
    ):
        return end + 1, (*(week or ()), atom, ("days", 2))
    return end, (*(week or ()), atom)


_NUMBERED = frozenset("点號号月个年时十天人次块")


_AFTER_YEAR = {
    "中": ("秋", "午", "考", "国", "期", "旬", "文", "学", "餐", "层"),
    "初": (*"一二三四五六七八九十", "恋", "次", "中"),
    "一": tuple("月点號号日个岁年分小天周时人块元次名楼层路届位条件首只本张部家万千百〇一二三四五六七八九十"),
}
_AFTER_YEAR.update(dict.fromkeys("春夏秋冬", tuple("天季节晚运游假分至笋困卷联日衣装令裤") + ("夏", "秋冬")))
_AFTER_WEEK = (*"围边岁刊杰润", "星驰", "冬雨", "慧敏", "华健", "深的", "迅的", "树人", "恩来")
_MUCH = "伟放扩巨强重最很太变长"


def _guard_of(word: str, atoms: tuple[Atom, ...]) -> Guard | None:
    if not atoms:
        return None
    guard = GUARDS.get(word)
    last = atoms[-1][0]
    if guard:
        return guard
    before = _MUCH if word.startswith("大") else ""
    if last == "week_rel":
        return Guard(before, _AFTER_WEEK)
    if last == "month_rel" or (last == "third" and len(atoms) == 2):
        return Guard(before, _AFTER_YEAR.get(word[-1], ("饼", "亮", "球", "光")))
    if atoms[0][0] == "year_rel":
        return Guard("", _AFTER_YEAR.get(word[-1], ()))
    return None


@functools.cache
def _words() -> tuple[Tree, re.Pattern[str]]:
    """Return the tree of all fixed words, and what finds the characters at which any word of time may begin."""
    root: Tree = {}
    words = [(word, ()) for word in SKIP]
    for name, atoms in (*words, *words_zh.fixed_words(), *words_ja.fixed_words()):
        word = fold(name)
        _plant(root, word)[""] = _Entry(atoms, _guard_of(word, atoms))
    for name, week in words_zh.week_words():
        _plant(root, name)[""] = _Entry(week, _guard_of(name, week or ()), week=True)
    return root, re.compile("[" + "".join(sorted({*root, *NUMERAL_CHARS, *PAST_CHARS, *LUNAR_CHARS})) + "]")


def _plant(root: Tree, word: str) -> Tree:
    node = root
    for char in word:
        node = node.setdefault(char, {})
    return node
