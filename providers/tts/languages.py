"""Names of languages: what users write, and what GPT-SoVITS and XTTS take.

Source of the codes and of the Chinese names: `dict_language` of GPT-SoVITS's api.py. `zh` is Chinese mixed with English,
`all_zh` reads everything as Chinese; the same holds for ja, yue and ko. XTTS has a language for each sentence:
`supported_languages` of xtts-api-server.
"""

from __future__ import annotations

import re

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.references import language_of

AUTO = "auto"

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

_NAMES = {
    "all_zh": "中文",
    "all_yue": "粤语",
    "en": "英文",
    "all_ja": "日文",
    "all_ko": "韩文",
    "zh": "中英混合",
    "yue": "粤英混合",
    "ja": "日英混合",
    "ko": "韩英混合",
    AUTO: "多语种混合",
    "auto_yue": "多语种混合(粤语)",
}

_SPELLINGS = {
    **{code: code for code in _NAMES},
    **{name: code for code, name in _NAMES.items()},
    **dict.fromkeys(("汉语", "国语", "普通话", "chinese", "cn", "zh-cn", "zh_cn"), "zh"),
    **dict.fromkeys(("英语", "english", "en-us", "en_us"), "en"),
    **dict.fromkeys(("日语", "日本語", "japanese", "jp", "ja-jp"), "ja"),
    **dict.fromkeys(("韩语", "韓文", "korean", "kr", "ko-kr"), "ko"),
    **dict.fromkeys(("广东话", "粵語", "cantonese", "zh-hk"), "yue"),
    "多语种混合（粤语）": "auto_yue",
}


def language_code(text: str) -> str | None:
    """Return the code (zh, all_zh, en ...) of a code or a name in any case, None for what is neither."""
    return _SPELLINGS.get(text.strip().lower())


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


def chinese_name(code: str) -> str:
    """Return the name that every release of api.py knows for a code of language_code()."""
    return _NAMES[code]


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


def allowed() -> str:
    """Say what may be written, for messages."""
    return "、".join(f"{code}（{name}）" for code, name in _NAMES.items())
