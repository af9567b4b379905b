"""Japanese: numbers, units, dates and signs that GPT-SoVITS's front end (pyopenjtalk between marks) reads wrong."""

from __future__ import annotations

import re
from collections.abc import Callable

_DIGITS = "ゼロ イチ ニー サン ヨン ゴー ロク ナナ ハチ キュー".split()
_MONEY = {"$": "ドル", "US$": "ドル", "€": "ユーロ", "£": "ポンド", "¥": "円", "₩": "ウォン"}
_UNITS = {
    "km/h": "時速{}キロ",
    "m/s": "秒速{}メートル",
    "MB/s": "毎秒{}メガバイト",
    "km²": "平方キロメートル",
    "m²": "平方メートル",
    "㎡": "平方メートル",
    "m³": "立方メートル",
    "kg": "キログラム",
    "mg": "ミリグラム",
    "km": "キロメートル",
    "cm": "センチ",
    "mm": "ミリ",
    "ml": "ミリリットル",
    "mL": "ミリリットル",
    "GHz": "ギガヘルツ",
    "MHz": "メガヘルツ",
    "kHz": "キロヘルツ",
    "Hz": "ヘルツ",
    "GB": "ギガバイト",
    "TB": "テラバイト",
    "MB": "メガバイト",
    "KB": "キロバイト",
    "dB": "デシベル",
    "kW": "キロワット",
    "g": "グラム",
    "m": "メートル",
    "L": "リットル",
    "V": "ボルト",
    "W": "ワット",
}
_UNIT = "|".join(map(re.escape, sorted(_UNITS, key=len, reverse=True)))
_OPERATORS = {"+": "たす", "-": "ひく", "×": "かける", "*": "かける", "÷": "わる", "/": "わる", "=": "は"}
_SAID = {"C++": "Cプラスプラス", "C#": "Cシャープ", "½": "2分の1", "¼": "4分の1", "¾": "4分の3"}
_NUMBER = r"\d{1,16}(?:\.\d{1,12})?"

_DIGIT = re.compile("[0-9]")
_BETWEEN = re.compile("[^0-9]+")
_SIGN = re.compile(r"(?<==)\s?-")

_Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def readable(text: str) -> str:
    """Return a sentence with kana as it is to be sent."""
    for pattern, rule in _RULES:
        text = pattern.sub(rule, text)
    return text


def _spelled(match: re.Match[str]) -> str:
    groups = [group for group in _BETWEEN.split(match[0]) if group]
    return "の".join("".join(_DIGITS[int(digit)] for digit in group) for group in groups)


def _address(match: re.Match[str]) -> str:
    said = _DIGIT.sub(lambda digit: _DIGITS[int(digit[0])], match[0])
    for sign, word in (("@", "アットマーク"), (".", "ドット"), ("_", "アンダーバー"), ("-", "ハイフン")):
        said = said.replace(sign, word)
    return said


def _date(match: re.Match[str]) -> str:
    month, day = int(match[3]), int(match[4])
    return f"{match[1]}年{month}月{day}日" if 1 <= month <= 12 and 1 <= day <= 31 else match[0]


def _colon(match: re.Match[str]) -> str:
    first, second, seconds = match[1], match[2], match[3]
    if int(first) > 24 or len(second) != 2 or int(second) > 59:
        return match[0] if seconds else f"{first}対{second}"
    minutes = f"{int(second)}分" if int(second) or seconds else ""
    return f"{int(first)}時{minutes}" + (f"{int(seconds)}秒" if seconds else "")


def _measure(match: re.Match[str]) -> str:
    number, name = _point(match[1]), _UNITS[match[2]]
    return name.format(number) if "{}" in name else number + name


def _sum(match: re.Match[str]) -> str:
    said = _SIGN.sub("マイナス", match[0])
    return "".join(_OPERATORS.get(character, character) for character in said if character != " ")


def _point(number: str) -> str:
    """Return a number whose point is not taken for the end of a sentence."""
    return number.replace(".", "点")


_RULES: tuple[_Rule, ...] = (
    (re.compile(r"[\w.+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,4}", re.ASCII), _address),
    (re.compile(r"C\+\+|C#|[½¼¾]", re.ASCII), lambda match: _SAID[match[0]]),
    (re.compile(r"(?<!\d)(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?![\d\-/.]\d|\d)", re.ASCII), _date),
    (
        re.compile(
            r"(?<![\d\-])(?:\+?81[- ])?\d{2,5}-\d{1,4}-\d{3,4}(?![\d\-])|(?<!\d)0\d{9,10}(?!\d)", re.ASCII
        ),
        _spelled,
    ),
    (re.compile(r"(?<![\d:.])(\d{1,3}):(\d{1,3})(?::([0-5]\d))?(?![\d:]|\.\d)", re.ASCII), _colon),
    (re.compile(r"(?<=[時分])\s?[-~〜～]\s?(?=\d)", re.ASCII), lambda match: "から"),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))", re.ASCII), lambda match: ""),
    (
        re.compile(rf"((?:US)?\$|[€£¥₩￥])\s?({_NUMBER})([万億千]?)", re.ASCII),
        lambda m: _point(m[2]) + m[3] + _MONEY[m[1].replace("￥", "¥")],
    ),
    (
        re.compile(rf"(?<![A-Za-z\d.])-({_NUMBER})(?=\s?(?:℃|°))", re.ASCII),
        lambda match: "マイナス" + match[1],
    ),
    (re.compile(rf"({_NUMBER})\s?(?:℃|°\s?[Cc]?)", re.ASCII), lambda match: _point(match[1]) + "度"),
    (re.compile(rf"(?<![A-Za-z\d.])({_NUMBER})\s?({_UNIT})(?![A-Za-z0-9²³/])", re.ASCII), _measure),
    (re.compile(rf"({_NUMBER})%", re.ASCII), lambda match: _point(match[1]) + "パーセント"),
    (
        re.compile(
            rf"(?<![A-Za-z\d.])-?{_NUMBER}(?:\s?[+\-×*÷/]\s?-?{_NUMBER}){{0,8}}\s?[+×*÷=]\s?-?{_NUMBER}(?:\s?[+\-×*÷/=]\s?-?{_NUMBER}){{0,8}}",
            re.ASCII,
        ),
        _sum,
    ),
    (
        re.compile(r"(?<![\d/])(\d{1,3})/(\d{1,3})(?![\d/])", re.ASCII),
        lambda match: f"{match[2]}分の{match[1]}",
    ),
    (
        re.compile(r"(?<![A-Za-z\d\-])(\d{1,4})-(\d{2,4})(?=号室|室|です|に|で|へ|、|。|$)", re.ASCII),
        lambda match: f"{match[1]}の{match[2]}",
    ),
    (
        re.compile(rf"(?<![A-Za-z\d.\-])({_NUMBER})\s?[-~〜～–]\s?(?={_NUMBER})", re.ASCII),
        lambda match: match[1] + "から",
    ),
    (
        re.compile(r"(?<![\d.])\d{1,4}(?:\.\d{1,4}){1,3}(?![\d.]\d|\d)", re.ASCII),
        lambda match: _point(match[0]),
    ),
    (re.compile(r"(?<=[A-Za-z])-?(?=\d)", re.ASCII), lambda match: " "),
    (re.compile(r"(?<=[A-Za-z0-9])_{1,3}(?=[A-Za-z0-9])", re.ASCII), lambda match: " "),
    (re.compile(r"\s?&\s?", re.ASCII), lambda match: "アンド"),
)
