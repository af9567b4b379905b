"""Kaomoji: faces drawn with characters, such as (´；ω；`) and T_T, which no voice can say."""

from __future__ import annotations

import re
import unicodedata

ARMS_BEFORE = frozenset("ヽヾ٩ᕙΣლ໒＼ψom凸ଘ")
"""What may stand before the bracket of a face and belongs to it; lines, as in `╮(╯▽╰)╭`, are left out anywhere."""

ARMS_AFTER = frozenset("ノﾉو۶✧づっง゛ﾞ〃彡╭╯╰╮︵┻━┓┛┗┏♡♥☆★✿♪ゞシｼ゜/／\\＼ψ〜~～ლ¯_σ︴︶੭აᕗ")
"""What may stand behind it."""

HANDS = frozenset("obdmqOnつ")
"""Letters that stand behind it, where no other letter follows that would make it a word."""

_WORDS = re.compile(
    r"[\u3400-\u706b\u706d-\u76be\u76c0-\u9fff\uac00-\ud7a3]|[\u3041-\u309a]{2}|[\u30a1-\u30ee\u30f0-\u30fa]{2}|[A-Za-z]{2}|\d\d"
)
_EYES = re.compile(
    r"([\^TQ;；><oO0uUxX@='\"~*\-。・•￣–≧≦＞＜])\s?([_.oOvVwWｗ^～\-ω﹏3з。,‿▽∀△д]{0,3})\s?([\^TQ;；><oO0uUxX@='\"~*\-。・•￣–≧≦＞＜])"
)
_BARE = re.compile(r"(?:[TQ][_^.]{1,4}[TQ]|>_{1,4}<|\^_{0,4}\^|Q[AwWUu]Q|TAT|T[wv]T)")
_BARE_BEGUN = re.compile(r"[TQ][_^.]{0,4}|>_{0,4}|\^_{0,4}|Q[AwWUu]|TA|T[wv]")
_LETTERS = re.compile(r"([TQUOo])[oOwWvAa_.]\1")
_ALIKE = re.compile(r"([^\x00-\x7f])[_.‿▽ωㅅ皿]{1,3}\1")  # 눈_눈, 艹皿艹
_BOWED = re.compile(r"_{1,2} _{1,2}")
_MIRRORED = {"><", "≧≦", "＞＜", "<>"}
_MIN_SYMBOLS = 2


def is_face(content: str) -> bool:
    """Whether what stands between two round brackets is a face: eyes and a mouth, and no word."""
    content = content.strip(" \u3000")
    if _LETTERS.fullmatch(content) or _ALIKE.fullmatch(content) or _BOWED.fullmatch(content):
        return True
    if not content or has_words(content):
        return False
    if content == "ツ":
        return True
    plain = _EYES.fullmatch(content.strip("*=# ")) or _EYES.fullmatch(content)
    if plain and (plain[1] == plain[3] or plain[1] + plain[3] in _MIRRORED):
        return plain[1] in "^" or (bool(plain[2]) and (plain[1] != "0" or plain[2] == "_"))
    return sum(map(_is_drawn, content)) >= _MIN_SYMBOLS


def has_words(text: str) -> bool:
    """Whether a text holds what no face does: a word, a character of Chinese, a number."""
    return _WORDS.search(text) is not None


def bare_face(text: str, final: bool) -> int | None:
    """Return how many characters of a face without brackets `text` begins with (`T_T`, `QAQ`); None to wait."""
    found = _BARE.match(text)
    if found:
        after = text[found.end() : found.end() + 1]
        if not after and not final:
            return None
        return 0 if after.isascii() and after.isalnum() else found.end()
    return None if _BARE_BEGUN.fullmatch(text) and not final else 0


def _is_drawn(character: str) -> bool:
    """Whether a character outside ASCII is a sign, or a letter that is drawn with more often than it is written."""
    if character.isascii() or character in "，。！？、：…—“”‘’《》%％℃°×÷±→￥€£":
        return character in "^`" or character in "。°"
    return unicodedata.category(character)[0] in "SMPC" or unicodedata.category(character) in (
        "Lm",
        "Lo",
        "Ll",
        "Lu",
        "Nd",
    )
