"""English: numbers, units, dates, capitals and signs that GPT-SoVITS's front end reads wrong, in words."""

from __future__ import annotations

import re
from collections.abc import Callable

_DIGITS = "zero one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_MONTHS = "January February March April May June July August September October November December".split()
_DECADES = {
    "2": "twenties",
    "3": "thirties",
    "4": "forties",
    "5": "fifties",
    "6": "sixties",
    "7": "seventies",
    "8": "eighties",
}
_DECADES |= {"9": "nineties"}
_MONEY = {"$": "dollar", "US$": "dollar", "€": "euro", "£": "pound", "¥": "yuan", "₩": "won"}
_UNITS = {
    "km/h": "kilometer per hour",
    "m/s": "meter per second",
    "MB/s": "megabyte per second",
    "Mbps": "megabit per second",
    "kWh": "kilowatt hour",
    "mAh": "milliamp hour",
    "km²": "square kilometer",
    "m²": "square meter",
    "cm²": "square centimeter",
    "m³": "cubic meter",
    "kg": "kilogram",
    "mg": "milligram",
    "km": "kilometer",
    "cm": "centimeter",
    "mm": "millimeter",
    "ml": "milliliter",
    "mL": "milliliter",
    "ms": "millisecond",
    "mph": "mile per hour",
    "lbs": "pound",
    "lb": "pound",
    "oz": "ounce",
    "ft": "foot",
    "kHz": "kilohertz",
    "MHz": "megahertz",
    "GHz": "gigahertz",
    "Hz": "hertz",
    "dB": "decibel",
    "kW": "kilowatt",
    "GB": "gigabyte",
    "TB": "terabyte",
    "MB": "megabyte",
    "KB": "kilobyte",
    "kcal": "kilocalorie",
    "rpm": "turn per minute",
    "px": "pixel",
    "min": "minute",
    "g": "gram",
    "m": "meter",
    "h": "hour",
    "L": "liter",
    "V": "volt",
    "W": "watt",
}
_UNCOUNTED = ("hertz", "kilohertz", "megahertz", "gigahertz", "yuan", "won")
_UNIT = "|".join(map(re.escape, sorted(_UNITS, key=len, reverse=True)))
_OPERATORS = {
    "+": "plus",
    "-": "minus",
    "×": "times",
    "*": "times",
    "÷": "divided by",
    "/": "divided by",
    "=": "equals",
}
_OPERATORS |= {
    "≈": "is about",
    "≠": "is not",
    "<": "is less than",
    ">": "is more than",
    "≤": "is at most",
    "≥": "is at least",
}
_SAID = {
    "e.g.": "for example",
    "i.e.": "that is",
    "etc.": "et cetera",
    "vs.": "versus",
    "C++": "C plus plus",
    "C#": "C sharp",
}
_SAID |= {
    "F#": "F sharp",
    "½": "one half",
    "¼": "one quarter",
    "¾": "three quarters",
    "24/7": "twenty-four seven",
}
_TITLES = {
    "Dr": "Doctor",
    "Mr": "Mister",
    "Mrs": "Missus",
    "Ms": "Miz",
    "Prof": "Professor",
    "St": "Saint",
    "Jr": "Junior",
}
_THOUSANDS = {"k": "thousand", "K": "thousand", "M": "million", "B": "billion", "bn": "billion"}
_SHOUTED = frozenset(
    "SO NO NOT YES ALL YOU YOUR NOW BUT CAN WOW BIG BAD WHY HOW WHO MY ME WE HE SHE HIS HER THE AND ARE WAS FOR HOT OLD TOO ANY OUT OFF NEW ONE TWO FUN".split()
)
_VOWEL = re.compile("[AEIOUY]")
_ACRONYMS = frozenset(
    "HTTP HTTPS HTML JSON YAML UUID AIDS ASAP AWOL CEOS DIY FAQS GUI IEEE ISBN OEM RGBA SARS UEFI UNIX URLS USB".split()
)
_NUMBER = r"\d{1,18}(?:\.\d{1,12})?"
_DOORS = ("room", "apartment", "apt", "apt.", "unit", "suite", "flat", "house", "door", "gate")

_DIGIT_RUN = re.compile("[0-9]{1,20}")
_OPERATOR = re.compile(r"\s?([+×*÷/=≈≠<>≤≥]|(?<=\d)\s?-)\s?")

_Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def readable(text: str) -> str:
    """Return a sentence of Latin letters as it is to be sent."""
    for pattern, rule in _RULES:
        text = pattern.sub(rule, text)
    return text


def spelled(digits: str) -> str:
    """Return digits said one by one."""
    return " ".join(_DIGITS[int(digit)] for digit in digits if digit.isdigit())


def _address(match: re.Match[str]) -> str:
    said = _DIGIT_RUN.sub(lambda digits: f" {spelled(digits[0])} ", match[0])
    for sign, word in (("@", " at "), (".", " dot "), ("_", " underscore "), ("-", " dash ")):
        said = said.replace(sign, word)
    return " ".join(said.split())


def _date(match: re.Match[str]) -> str:
    month, day = int(match["month"]), int(match["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    return f"{_MONTHS[month - 1]} {_ordinal(day)} {match['year']}"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if not 10 < number < 14 else "th"
    return f"{number}{ending}"


def _time(match: re.Match[str]) -> str:
    hour, minute, half = int(match[1]), int(match[2]), (match[4] or "").replace(".", "").strip().lower()
    if hour > 23 or minute > 59:
        return match[0]
    if hour > 12 or hour == 0:
        hour, half = (hour - 12 or 12) if hour else 12, half or ("pm" if hour else "am")
    minutes = f" oh {minute}" if 0 < minute < 10 else f" {minute}" if minute else "" if half else " o'clock"
    seconds = f" and {int(match[3])} seconds" if match[3] and int(match[3]) else ""
    return f"{hour}{minutes}" + (f" {half.upper()}" if half else "") + seconds


def _money(match: re.Match[str]) -> str:
    sign, number, scale = match[1], match[2].replace(",", ""), match[3] or ""
    scale = _THOUSANDS.get(scale, scale)
    if sign in ("$", "£") and not scale:
        return sign + number  # read right without commas
    name = _MONEY[sign]
    plural = "" if name in _UNCOUNTED or (number == "1" and not scale) else "s"
    return " ".join(filter(None, [number, scale, name + plural]))


def _long(match: re.Match[str]) -> str:
    return match[0] if match[0].endswith("000") else spelled(match[0])


def _measure(match: re.Match[str]) -> str:
    number, unit = match[1], _UNITS[match[2]]
    first, *rest = unit.split(" ", 1) if " per " in unit else (unit,)
    plural = first if number == "1" or first in _UNCOUNTED else "feet" if first == "foot" else first + "s"
    return " ".join([number, plural, *rest])


def _range(match: re.Match[str]) -> str:
    first, second = match[1], match[2]
    before = match.string[max(0, match.start() - 12) : match.start()].split()
    if before and before[-1].lower() in _DOORS:
        return f"{first} dash {spelled(second) if len(second) > 2 else second}"
    return f"{first} to {second}"


def _sum(match: re.Match[str]) -> str:
    parts = _OPERATOR.split(match[0])
    return " ".join(
        _OPERATORS.get(part.strip(), part.replace("-", "minus ")) for part in parts if part.strip()
    )


def _glued(match: re.Match[str]) -> str:
    digits = match[1]
    if "." in digits:
        return " " + " point ".join(digits.split("."))
    if len(digits) == 4 and digits[0] != "0" and digits[2] != "0":
        return f" {digits[:2]} {digits[2:]}"
    return " " + (spelled(digits) if len(digits) > 2 or digits[0] == "0" else digits)


def _decade(match: re.Match[str]) -> str:
    century, decade = match[1], match[2]
    return (
        f"{_TEENS[9] if century == '19' else _TEENS[8] if century == '18' else 'twenty'} {_DECADES[decade]}"
    )


def _shout(match: re.Match[str]) -> str:
    """Write a word in capitals small, which would be spelled; an abbreviation is to be."""
    word = match[0]
    if word in _SHOUTED:
        return word.lower()
    is_word = len(word) > 3 and word not in _ACRONYMS and len(_VOWEL.findall(word)) * 5 >= len(word)
    return word.lower() if is_word else word


_RULES: tuple[_Rule, ...] = (
    (re.compile(r"[\w.+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,4}", re.ASCII), _address),
    (
        re.compile(
            r"(?<![\w.])(?:[A-Za-z0-9\-]{1,63}\.){1,4}(?:com|cn|net|org|io|ai|cc|me|tv)(?![\w])", re.ASCII
        ),
        _address,
    ),
    (
        re.compile(
            r"(?<![A-Za-z.])(?:e\.g\.|i\.e\.|etc\.(?!$)|vs\.)|(?<![A-Za-z])(?:C\+\+|[CF]#)|[½¼¾]|(?<!\d)24/7(?!\d)",
            re.ASCII,
        ),
        lambda m: _SAID[m[0]],
    ),
    (
        re.compile(r"(?<![A-Za-z])(Dr|Mr|Mrs|Ms|Prof|St|Jr)\.(?=\s?[A-Z])", re.ASCII),
        lambda match: _TITLES[match[1]],
    ),
    (re.compile(r"(?<=[a-z] )St\.(?=\s[a-z])", re.ASCII), lambda match: "Street"),
    (
        re.compile(r"(?<![A-Za-z.])([A-Z])\.([A-Z])\.(?:([A-Z])\.)?(?=\s[a-z]|$)", re.ASCII),
        lambda m: m[1] + m[2] + (m[3] or ""),
    ),
    (re.compile(r"(?:(?<![A-Za-z])[Nn]o\.\s?|#)(?=\d)", re.ASCII), lambda match: "number "),
    (
        re.compile(
            r"(?<!\d)(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?![\d\-/.]\d|\d)", re.ASCII
        ),
        _date,
    ),
    (
        re.compile(rf"\b({'|'.join(_MONTHS)}) (\d{{1,2}})(?:, ?(\d{{4}}))?(?![\d:,]|st|nd|rd|th)", re.ASCII),
        lambda match: " ".join(filter(None, [match[1], _ordinal(int(match[2])), match[3]])),
    ),
    (re.compile(r"(?<![\d/])(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})(?![\d/])", re.ASCII), _date),
    (
        re.compile(
            r"(?<![\w.\-])\+?(?:\d{1,2}[- ])?(?:\(\d{3}\)\s?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\d\-])", re.ASCII
        ),
        lambda m: spelled(m[0]),
    ),
    (re.compile(r"(?<![\w.,$€£¥])\+?\d{8,18}(?![\w,]|\.\d)", re.ASCII), _long),
    (
        re.compile(
            r"(?<![\d:.])(\d{1,2}):(\d{2})(?::(\d{2}))?(?![\d:])(\s?[apAP](?:\.[mM]\.|[mM](?![A-Za-z])))?(?=\s?[-~–—]\s?\d)",
            re.ASCII,
        ),
        lambda match: _time(match) + " to ",
    ),
    (re.compile(r"(?<=to )\s?[-~–—]\s?(?=\d)", re.ASCII), lambda match: ""),
    (
        re.compile(
            r"(?<![\d:.])(\d{1,2}):(\d{2})(?::(\d{2}))?(?![\d:])(\s?[apAP](?:\.[mM]\.|[mM](?![A-Za-z])))?",
            re.ASCII,
        ),
        _time,
    ),
    (
        re.compile(r"(?<=\d)(\s?)([apAP])\.([mM])\.", re.ASCII),
        lambda match: " " + (match[2] + match[3]).upper(),
    ),
    (
        re.compile(r"(?<![\d:.])(\d{1,3}):(\d{1,3})(?![\d:]|\.\d)", re.ASCII),
        lambda match: f"{match[1]} to {match[2]}",
    ),
    (
        re.compile(
            rf"((?:US)?\$|[€£¥₩])\s?(\d{{1,3}}(?:,\d{{3}}){{1,5}}(?:\.\d{{1,4}})?|{_NUMBER})(?:\s?(thousand|million|billion|bn|[kKMB])(?![A-Za-z]))?",
            re.ASCII,
        ),
        _money,
    ),
    (
        re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3}){1,5}(?![\d,])", re.ASCII),
        lambda match: match[0].replace(",", ""),
    ),
    (re.compile(r"(?<=\d)\s?(?:℃|°\s?[Cc](?![A-Za-z]))", re.ASCII), lambda match: " degrees Celsius"),
    (re.compile(r"(?<=\d)\s?(?:℉|°\s?[Ff](?![A-Za-z]))", re.ASCII), lambda match: " degrees Fahrenheit"),
    (re.compile(r"(?<=\d)\s?°", re.ASCII), lambda match: " degrees"),
    (re.compile(rf"(?<![A-Za-z\d.])({_NUMBER})\s?({_UNIT})(?![A-Za-z0-9²³/])", re.ASCII), _measure),
    (
        re.compile(r"(?<![A-Za-z\d.])(\d{1,4}(?:\.\d)?)([kKM])(?![A-Za-z0-9])", re.ASCII),
        lambda m: f"{m[1]} {_THOUSANDS[m[2]]}",
    ),
    (re.compile(r"(?<!\d)(18|19|20)([2-9])0s(?![A-Za-z])", re.ASCII), _decade),
    (
        re.compile(
            rf"(?<![A-Za-z\d.])-?{_NUMBER}(?:\s?[+\-×*÷/]\s?-?{_NUMBER}){{0,8}}\s?[+×*÷=≈≠<>≤≥]\s?-?{_NUMBER}"
            rf"(?:\s?[+\-×*÷/=≈≠<>≤≥]\s?-?{_NUMBER}){{0,8}}",
            re.ASCII,
        ),
        _sum,
    ),
    (re.compile(rf"(?<![A-Za-z\d.\-])({_NUMBER})\s?[-~–—]\s?({_NUMBER})(?![\d.\-]\d|\d)", re.ASCII), _range),
    (re.compile(r"(?<![\w)\]\-])[-−](?=\d)", re.ASCII), lambda match: "minus "),
    (
        re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){2,3}(?![\d.]\d|\d)", re.ASCII),
        lambda match: " point ".join(match[0].split(".")),
    ),
    (re.compile(r"(?<=[a-z]s)\s?[x×]\s?(?=\d)", re.ASCII), lambda match: " by "),
    (re.compile(r"(?<=[A-Za-z])-?(\d{1,18}(?:\.\d{1,3}){0,4})(?![A-Za-z\d])", re.ASCII), _glued),
    (re.compile(r"\s?&\s?(?=[A-Za-z])", re.ASCII), lambda match: " and "),
    (re.compile(r"(?<=[A-Za-z0-9])_{1,3}(?=[A-Za-z0-9])", re.ASCII), lambda match: " "),
    (re.compile(r"(?<=[A-Za-z0-9])\.(?=[a-z]{2,4}(?![A-Za-z\d]))", re.ASCII), lambda match: " dot "),
    (re.compile(r"(?<![A-Za-z])[A-Z]{2,20}(?![A-Za-z])", re.ASCII), _shout),
)
