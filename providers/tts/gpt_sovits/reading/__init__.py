"""How a sentence is written for GPT-SoVITS to read it right: what its own front end reads goes as it is written.

The front end is GPT_SoVITS/text of RVC-Boss/GPT-SoVITS (48b1a01): the text is cut at every comma and full stop, parted
by language, which takes numbers beside Latin letters for English and loses signs, and then normalized. What is
known to be read wrong there is put in words here, sentence by sentence; the subtitle stays as it was.
`bench/reading.py` shows what a checkout makes of it.
"""

from __future__ import annotations

import re

from xiaozhi_persona.providers.tts.gpt_sovits.reading import chinese, english, japanese

_HAN = re.compile(r"[\u3400-\u9fff]")
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
_WORD = re.compile("[A-Za-z]{2}")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_NEEDS_NOTHING = re.compile(r"[^\d@&#_°℃½¼¾Ⅰ-Ⅻ²³~～\-–—a-zA-Z]*")
_WIDE = {ord(wide): narrow for wide, narrow in zip("％＄￥＠＃＆＋＝", "%$¥@#&+=", strict=True)}
_WIDE |= {
    wide: chr(wide - 0xFEE0)
    for ends in ("０９", "ＡＺ", "ａｚ")
    for wide in range(ord(ends[0]), ord(ends[1]) + 1)
}
_BETWEEN_DIGITS = re.compile(r"(?<=\d)([－：／．〜～−])(?=\d)")
_NARROW = dict(zip("－：／．〜～−", "-:/.~~-", strict=True))


def readable(text: str, language: str) -> str:
    """Return a sentence as it is to be sent in a language (zh, all_zh, ja, auto ...); most come back as they are."""
    if _NEEDS_NOTHING.fullmatch(text) or _HANGUL.search(text):
        return text
    text = text.translate(_WIDE)
    text = _BETWEEN_DIGITS.sub(lambda match: _NARROW[match[1]], text)
    spoken = language.removeprefix("all_").removeprefix("auto_")
    if _KANA.search(text) or (spoken == "ja" and _HAN.search(text)):
        return japanese.readable(text)
    if _HAN.search(text) or spoken in ("zh", "yue", "auto") and not _WORD.search(text):
        return chinese.readable(text)
    return english.readable(text)
