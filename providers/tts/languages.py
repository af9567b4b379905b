"""Names of languages: what users write, and what each API of GPT-SoVITS takes.

Source of the codes and of the Chinese names: `dict_language` of api.py. `zh` is Chinese mixed with English, `all_zh`
reads everything as Chinese; the same holds for ja, yue and ko.
"""

from __future__ import annotations

AUTO = "auto"

_SHORT_SENTENCES = {
    "zh": "今天天气很好。",
    "yue": "今天天气很好。",
    "en": "The weather is fine today.",
    "ja": "今日はいい天気です。",
    "ko": "오늘은 날씨가 좋아요.",
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


def chinese_name(code: str) -> str:
    """Return the name that every release of api.py knows for a code of language_code()."""
    return _NAMES[code]


def short_sentence(language: str) -> str:
    """Return what is said to try a voice that speaks a language, as a code or a name; Chinese for any other."""
    code = (language_code(language) or "zh").removeprefix("all_")
    return _SHORT_SENTENCES.get(code, _SHORT_SENTENCES["zh"])


def allowed() -> str:
    """Say what may be written, for messages."""
    return "、".join(f"{code}（{name}）" for code, name in _NAMES.items())
