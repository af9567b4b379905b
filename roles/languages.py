"""The languages that voices speak: what people write for them, and the codes of GPT-SoVITS.

Source of the codes and of the Chinese names: `dict_language` of GPT-SoVITS's api.py. `zh` is Chinese mixed with English,
`all_zh` reads everything as Chinese; the same holds for ja, yue and ko. Packs, imports, checks and engines read these
spellings and no others.
"""

from __future__ import annotations

import re
import unicodedata

AUTO = "auto"

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
    **dict.fromkeys(
        "汉语 漢語 国语 國語 普通话 普通話 华语 華語 中国话 中国語 中國語 中国语 简体中文 簡體中文 繁体中文 繁體中文 简体 繁体 "
        "chinese mandarin cn zho chi cmn zhs zht zh-hans zh-hant 중국어".split(),
        "zh",
    ),
    **dict.fromkeys("英语 英語 英国语 english eng 영어".split(), "en"),
    **dict.fromkeys("日语 日語 日本語 日本语 日本话 japanese jp jpn 일본어".split(), "ja"),
    **dict.fromkeys("韩语 韓語 韓文 韩国语 韓国語 韓國語 朝鲜语 korean kr kor 한국어 조선어".split(), "ko"),
    **dict.fromkeys("广东话 廣東話 粵語 广州话 白话 cantonese zh-hk zh-yue 広東語".split(), "yue"),
    **dict.fromkeys(
        "中日混合 中日英混合 中英日混合 中韩混合 日韩混合 日中混合 自动 自動 multilingual".split(), AUTO
    ),
    **dict.fromkeys(("多语种混合(粤语)", "多語種混合(粵語)"), "auto_yue"),
    **dict.fromkeys(("粤英", "粤"), "yue"),
    **dict.fromkeys(("中英", "中"), "zh"),
    **dict.fromkeys(("日英", "日"), "ja"),
    **dict.fromkeys(("韩英", "韩"), "ko"),
    "英": "en",
    "多语种": AUTO,
}
_REGION = re.compile(r"(zh|en|ja|ko|yue)(?:-[a-z]{2,4}){1,2}")
_EXPLAINED = re.compile(r"[(/、,].*", re.DOTALL)

_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile("[A-Za-z]")


def language_code(text: str) -> str | None:
    """Return the code (zh, all_zh, en ...) of a code or a name in any case and width, None for what is neither."""
    plain = "".join(unicodedata.normalize("NFKC", text).casefold().split())
    found = _SPELLINGS.get(plain)
    if found is None:
        plain = plain.replace("_", "-")
        region = _REGION.fullmatch(plain)
        found = _SPELLINGS.get(plain) or (region[1] if region else _SPELLINGS.get(_EXPLAINED.sub("", plain)))
    return found


def chinese_name(code: str) -> str:
    """Return the name that every release of api.py knows for a code of language_code()."""
    return _NAMES[code]


def allowed() -> str:
    """Say what may be written, for messages."""
    return "、".join(f"{code}（{name}）" for code, name in _NAMES.items())


def language_of(text: str) -> str:
    """Return the language code that the letters of a text speak for, "" without letters."""
    if _KANA.search(text):
        return "ja"
    if _HANGUL.search(text):
        return "ko"
    if _HAN.search(text):
        return "zh"
    return "en" if _LATIN.search(text) else ""
