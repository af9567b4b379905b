"""Numbers as Chinese and Japanese write them: 23, 二十三, 廿三, 二〇二四, 一百二十, 两, 俩."""

from __future__ import annotations

DIGITS = "〇零一二两三四五六七八九"
"""The Chinese digits; 两 is a two that counts."""

NUMBER = r"(?:\d{1,4}|[〇零一二两三四五六七八九十百廿卅俩仨]{1,6})"
"""A regular expression of what read_number() may understand, bounded so that a search stays linear."""


def read_number(text: str) -> int | None:
    """Return the number that a text of half-width digits or Chinese numerals stands for; None when it is none."""
    number = _SMALL.get(text)
    if number is not None:
        return number
    if text.isascii():
        return int(text) if text.isdigit() and len(text) < 9 else None
    if all(char in _DIGIT for char in text):
        return _digit_string(text)
    total = rest = 0
    for char in text:
        if char in _DIGIT:
            if rest:
                return None
            rest = _DIGIT[char]
        elif char in _UNIT:
            total += (rest or 1) * _UNIT[char]
            rest = 0
        elif char in _TENS:
            total += _TENS[char]
        else:
            return None
    return total + rest


def read_pair(text: str) -> tuple[int, int] | None:
    """Return the two ends of a vague count of two digits, as 两三 (2, 3) or 三五 (3, 5); None when it is none.

    With 十 before or after: 十五六 (15, 16), 二三十 (20, 30).
    """
    if len(text) == 3 and text[0] == "十":
        pair = read_pair(text[1:])
        return (10 + pair[0], 10 + pair[1]) if pair else None
    if len(text) == 3 and text[2] == "十":
        pair = read_pair(text[:2])
        return (10 * pair[0], 10 * pair[1]) if pair else None
    if len(text) != 2 or text[0] not in _DIGIT or text[1] not in _DIGIT:
        return None
    low, high = _DIGIT[text[0]], _DIGIT[text[1]]
    return (low, high) if low and (high == low + 1 or (low, high) == (3, 5)) else None


_DIGIT = {char: value for value, char in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2}
_UNIT = {"十": 10, "百": 100}
_TENS = {"廿": 20, "卅": 30, "俩": 2, "仨": 3}


def _digit_string(text: str) -> int | None:
    return int("".join(str(_DIGIT[char]) for char in text)) if len(text) < 9 else None


def _small() -> dict[str, int]:
    digits = "〇一二三四五六七八九"
    words = {str(number): number for number in range(100)} | {f"0{number}": number for number in range(10)}
    words |= _DIGIT | {"俩": 2, "仨": 3, "十": 10, "廿": 20, "卅": 30}
    for number in range(11, 100):
        tens, ones = divmod(number, 10)
        words[(digits[tens] if tens > 1 else "") + "十" + (digits[ones] if ones else "")] = number
    return words


_SMALL = _small()
