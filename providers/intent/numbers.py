"""Numbers as people say them to a device: 三十, 二十八度五, 百分之五十, 一半, 三成, thirty, half, 半分, 最大."""

from __future__ import annotations

import re

from xiaozhi_persona.memory.time_words.fold import fold, fold_expression
from xiaozhi_persona.memory.time_words.numbers import read_number
from xiaozhi_persona.providers.intent.plain import plain
from xiaozhi_persona.providers.intent.slots import of_text

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
NUMERALS = "0123456789.〇零一二两三四五六七八九十百点半负"
"""What numbers are written with."""


def _english() -> dict[str, int]:
    words = {word: number for number, word in enumerate(_ONES)}
    for tens, word in enumerate(_TENS, start=2):
        words |= {word + (_ONES[ones] if ones else ""): 10 * tens + ones for ones in range(10)}
    return words | {"hundred": 100, "ahundred": 100, "onehundred": 100}


ENGLISH = _english()
"""The English numbers up to a hundred, written without spaces and hyphens."""


def read_count(text: str) -> float | None:
    """Return a number that is 0 or more, which may have a decimal part; None when it is none."""
    if text in ENGLISH:
        return ENGLISH[text]
    whole, point, part = text.replace("点", ".").partition(".")
    number = read_number(whole) if whole else None
    if number is None or not point:
        return number
    digits = "".join(str(digit) for digit in map(read_number, part) if digit is not None and digit < 10)
    return float(f"{number}.{digits}") if digits and len(digits) == len(part) else None


def read_signed(text: str) -> float | None:
    """Return a number with its sign and with degrees: 零下五度, 二十八度五, 26.5度, minusfive."""
    match = _SIGNED.fullmatch(text)
    if not match:
        return None
    number = read_count(match["number"])
    if number is None:
        return None
    if match["half"]:
        half = 5 if match["half"] == "半" else read_number(match["half"])
        if half is None or half > 9 or number != int(number):
            return None
        number += half / 10
    return -number if match["sign"] else number


def read_level(text: str) -> int | None:
    """Return a level from 0 to 100: 三十, 80%, 百分之五十, 三成, 一半, 最大, fiftypercent, half, 半分."""
    level = _LEVELS.get(text)
    if level is not None:
        return level
    match = _LEVEL.fullmatch(text)
    if not match:
        return None
    number = read_count(match["of100"] or match["percent"] or match["tenths"] or match["plain"])
    if number is None:
        return None
    number = 10 * number if match["tenths"] else number
    return round(number) if 0 <= number <= 100 else None


_SIGNED = re.compile(
    r"(?P<sign>零下|负|マイナス|minus)?(?P<number>[^度]{1,16})(?:度(?P<half>[半\d一二三四五六七八九])?)?"
)
_LEVEL = re.compile(
    fold_expression(
        r"百分之(?P<of100>[^%]{1,6})|(?P<percent>.{1,12})(?:%|パーセント|percent)|(?P<tenths>.)[成割]|(?P<plain>.{1,12})"
    )
)
_LEVELS = {
    plain(word).text: level
    for level, words in {
        100: "最大 最高 最亮 最响 最大声 最大音量 最大值 最大值 满 满格 顶格 最大限 max maximum full themax themaximum 全开 マックス",
        0: "最小 最低 最暗 最小声 最小音量 最小值 min minimum themin theminimum",
        50: "一半 半 half halfway 半分 中间 中等",
        33: "三分之一",
        67: "三分之二",
        25: "四分之一 aquarter",
        75: "四分之三",
    }.items()
    for word in words.split()
}
_OF_LEVELS = "百分之成割%" + "".join(_LEVELS) + fold("パーセント")

NUMBER = of_text("number", read_signed, NUMERALS + LETTERS + fold("零下度マイナス"), "20")
LEVEL = of_text("level", read_level, NUMERALS + LETTERS + _OF_LEVELS, "30")
