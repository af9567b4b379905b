"""Numbers in Chinese."""

from __future__ import annotations

DIGITS = "零一二三四五六七八九"
_TENS = ("", "十", "百", "千")
_GROUPS = ("", "万", "亿", "万亿")
_MOST_DIGITS = 16


def cardinal(number: str) -> str:
    """Return how a number without a sign is said: 1050.5, 一千零五十点五; one too long or with zeros before it, digit by digit."""
    whole, _, decimals = number.partition(".")
    if len(whole) > _MOST_DIGITS or (len(whole) > 1 and whole[0] == "0"):
        said = spelled(whole)
    else:
        said = _whole(whole)
    return said + ("点" + "".join(DIGITS[int(digit)] for digit in decimals) if decimals else "")


def spelled(digits: str) -> str:
    """Return digits said one by one, 幺 for 一 in numbers of three digits and more, as for telephones."""
    said = "".join(DIGITS[int(digit)] for digit in digits if digit.isdigit())
    return said.replace("一", "幺") if len(said) > 2 else said


def _whole(digits: str) -> str:
    digits = digits.lstrip("0") or "0"
    if digits == "0":
        return "零"
    groups = [digits[max(0, end - 4) : end] for end in range(len(digits), 0, -4)]
    said = ""
    for place in range(len(groups) - 1, -1, -1):
        group = _four(groups[place])
        if group:
            gap = said and (groups[place].startswith("0") or said.endswith("零"))
            said = said.rstrip("零") + ("零" if gap else "") + group + _GROUPS[place]
        elif said and not said.endswith("零"):
            said += "零"
    said = said.rstrip("零")
    return said[1:] if said.startswith("一十") else said


def _four(digits: str) -> str:
    said = ""
    for place, digit in enumerate(digits):
        if digit == "0":
            said += "零" if said and not said.endswith("零") else ""
        else:
            said += DIGITS[int(digit)] + _TENS[len(digits) - 1 - place]
    return said.rstrip("零")
