"""The language of one sentence, for GPT-SoVITS and XTTS.

XTTS has a language for each sentence: `supported_languages` of xtts-api-server.
"""

from __future__ import annotations

import re

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.languages import AUTO, language_code, language_of

_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]{2}")

_MIXED = ("zh", "yue", "ja", "ko")
"""Those that people mix with English."""

_SHORT_SENTENCES = {
    "zh": "今天天气很好。",
    "yue": "今天天气很好。",
    "en": "The weather is fine today.",
    "ja": "今日はいい天気です。",
    "ko": "오늘은 날씨가 좋아요.",
}

_XTTS = {
    **{code: code for code in "ar pt cs nl en fr de it pl ru es tr ja ko hu hi".split()},
    **dict.fromkeys(("zh", "zh-cn", "yue"), "zh-cn"),
}


def language_of_sentence(text: str, language: str) -> str:
    """Return the code in which a sentence is read by a voice that speaks `language`: that of its script.

    GPT-SoVITS deletes what its language is not written with: kana in zh, Chinese characters in en.
    """
    if language in (AUTO, "auto_yue"):
        return language
    spoken = language.removeprefix("all_")
    if len(_KANA.findall(text)) > 1:
        return language if spoken == "ja" else "ja"
    if _HANGUL.search(text):
        return language if spoken == "ko" else "ko"
    if _HAN.search(text):
        return "zh" if spoken in ("en", "ko") else language
    return "en" if language in _MIXED and _LATIN.search(text) else language


def xtts_language(named: str, text: str) -> str:
    """Return XTTS's code for a sentence: `named` is a role's language, "" for none, whose place the letters take.

    A sentence in another script is spoken in that one's language. Raises SettingsError for a language that XTTS does
    not speak.
    """
    code = language_code(named) or named.strip().lower() or AUTO
    code = language_of(text) or "zh" if code in (AUTO, "auto_yue") else language_of_sentence(text, code)
    found = _XTTS.get(code.removeprefix("all_"))
    if found is None:
        raise SettingsError(
            tr(
                "角色的语言 {named!r} XTTS 不会说。会的是 {languages}，留空为看文字。",
                named=named,
                languages=tr("、").join(sorted(set(_XTTS.values()))),
            )
        )
    return found


def short_sentence(language: str) -> str:
    """Return what is said to try a voice that speaks a language, as a code or a name; Chinese for any other."""
    code = (language_code(language) or "zh").removeprefix("all_")
    return _SHORT_SENTENCES.get(code, _SHORT_SENTENCES["zh"])
