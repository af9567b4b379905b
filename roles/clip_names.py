"""What the name of a recording, or of a folder of recordings, tells: the feeling, and the words that are said.

People write `happy_你好.wav`, `【悲伤】我等了好久.wav`, `01_高兴/`, `高兴(1)/`, `小雨_平静_今天真好.wav`; a name that is no
sentence, such as 001, 参考音频 or what a slicer makes, tells no words.
"""

from __future__ import annotations

import re
import unicodedata

from xiaozhi_persona.text.emotions import EmotionNames

DEFAULT_NAMES = ("default", "默认", "預設", "默認", "其他", "デフォルト", "기본")
"""Names in the place of an emotion that stand for the voice's own neutral way."""

_OPEN, _CLOSE = "【\\[(（「『{<〈《〔［｛＜", "】\\])）」』}>〉》〕］｝＞"
_BRACKET = re.compile(rf"[{_OPEN}]([^{_OPEN}{_CLOSE}]{{1,24}})[{_CLOSE}]")
_LAST_BRACKET = re.compile(rf"[{_OPEN}]([^{_OPEN}{_CLOSE}]{{1,24}})[{_CLOSE}]$")
_EDGES = " \t_-—–－＿·.．,，、:：|｜#+~～=&@"
_STRONG = re.compile(r"[_＿—–－:：|｜#@=]+")
_WEAK = re.compile(r"[_＿—–－:：|｜#@=\-+&~～·.．、]+")
_BLANK = re.compile(r"[_＿—–－:：|｜#@=\-+&~～·.．、，,;；\s]+")
_BETWEEN_PARTS = re.compile(r"[/／\\]|" + _BLANK.pattern)
_NUMBER = re.compile(
    r"(?:^|(?<=[\s_\-.]))[\d零一二三四五六七八九十]{1,5}(?:$|(?=[\s_\-.、]))|\d+[号条段句版遍]?"
)
_INDEX = re.compile(r"^\d{1,5}[\s_\-.、:：]+|[\s_\-]\d{1,5}$")
_SPEAKER = re.compile(r"^[^\W\d_]{1,12}_\d{1,6}_")
_COPY = re.compile(
    r"(?:[-_ ] ?(?:副本|复件|copy|コピー)(?: ?[(（]\d{1,3}[)）])?|[(（]\d{1,3}[)）])$", re.IGNORECASE
)
_MADE_BY_A_TOOL = re.compile(
    r"\.(?:wav|mp3|flac|m4a|ogg|aac|mp4|mkv|reformatted)\b|_\d{4,}_\d{4,}|\d{4}-\d{2}-\d{2}|\d{8}_?\d{4,}|[0-9a-f]{16,}",
    re.IGNORECASE,
)
_PLACE = re.compile(
    "参考|參考|音频|音頻|录音|錄音|语音包?|語音|干声|乾聲|干音|样本|樣本|素材|音色|人声|人聲|配音|切片|训练集?|文字|文本|字幕|"
    "台词|旁白|片段|未命名|新建|副本|测试|示例|例子|默认|語り|音声|サンプル|参照|文件|格式|情感|情绪|感情|语气|声音|聲音|中文|日文|英文|日语|英语"
)
_PLACE_WORD = re.compile(
    r"\b(?:references?|ref|audios?|samples?|voices?|clips?|vocals?|records?|recording|untitled|default|test|tracks?|take|"
    r"wav|prompts?|speakers?|output|segments?|sliced?|new|file|main|emotions?|normal|raw|line|text)\b",
    re.IGNORECASE,
)
_SENTENCE_MARK = re.compile(r"[，。！？!?,；;…]")
_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_LETTERS = re.compile(f"[{_CJK}]")
_LATIN_WORD = re.compile("[A-Za-z']{2,}")
_LONGEST_LABEL = 12  # characters of a speaker or a number that stands before the feeling


def emotion_word(expression: str, names: EmotionNames) -> str:
    """Return the name of the feeling that a folder, a key or a tag stands for, "" where there is none.

    `01_高兴`, `高兴(1)`, `happy1`, `【高兴】`, `开心/高兴`, `emotion: happy`; the first known name decides. One of
    DEFAULT_NAMES is a name too.
    """
    bare = _bare(expression)
    for whole in (expression.strip(), bare, _bare(_NUMBER.sub("", bare)), _bare(_PLACE.sub("", bare))):
        if word := _known(whole, names):
            return word
    parts = [part for part in _BETWEEN_PARTS.split(_BRACKET.sub(r" \1 ", expression)) if part]
    for part in parts:
        if word := _known(_bare(_NUMBER.sub("", part)) or part, names):
            return word
    return _read(bare, names)


def read_name(stem: str, names: EmotionNames) -> tuple[str, str]:
    """Return what a file without its suffix is named after: the feeling's name and the words said, "" for each."""
    stem = _COPY.sub("", unicodedata.normalize("NFC", stem).strip()).strip()
    if _MADE_BY_A_TOOL.search(stem):
        head = _MADE_BY_A_TOOL.split(stem)[0]
        return emotion_word(head, names) if len(head) <= _LONGEST_LABEL else "", ""
    found = ""
    while (tag := _BRACKET.match(stem)) and len(stem) > tag.end():
        found = found or _tag_word(tag[1], names)
        stem = stem[tag.end() :].lstrip(_EDGES)
    end = None if found else _LAST_BRACKET.search(stem.rstrip())
    if end and (word := _tag_word(end[1], names)):
        found, stem = word, stem[: end.start()].rstrip(_EDGES)
    if found:
        return found, sentence(stem, least_letters=2)
    if word := _known_whole(stem, names):
        return word, ""
    for separator in (_STRONG, _WEAK, _BLANK):
        if told := _split(stem, separator, names):
            return told
    return "", sentence(stem)


def sentence(text: str, least_letters: int = 4) -> str:
    """Return the words in a name, "" for a name that is none, such as 001, happy_2 or 参考音频.

    A name in Chinese, Japanese or Korean needs `least_letters` letters, another one three words (two, where
    `least_letters` is less than four).
    """
    text = text.strip(_EDGES)
    text = _INDEX.sub("", _SPEAKER.sub("", text)).strip(_EDGES)
    if " " not in text and not _LETTERS.search(text):
        text = text.replace("_", " ")
    if not text or _MADE_BY_A_TOOL.search(text):
        return ""
    letters, words = len(_LETTERS.findall(text)), _LATIN_WORD.findall(text) if " " in text else []
    left = len(_LETTERS.findall(_PLACE.sub("", text)))
    if left < letters and left < 4 and not _SENTENCE_MARK.search(text):
        return ""
    if not letters and (plain := _PLACE_WORD.sub("", text)) != text and len(_LATIN_WORD.findall(plain)) < 3:
        return ""
    return text if letters >= least_letters or len(words) >= (3 if least_letters >= 4 else 2) else ""


def without_tag(text: str, names: EmotionNames) -> tuple[str, str]:
    """Return the feeling's name that a text begins with in brackets, "" for none, and the text without its tags."""
    found, text = "", text.strip()
    while (tag := _BRACKET.match(text)) and text[tag.end() :].strip():
        found = found or _tag_word(tag[1], names)
        text = text[tag.end() :].strip()
    return found, text


def is_default(name: str) -> bool:
    """Whether a name stands for the voice's own neutral way."""
    return name.strip().casefold() in DEFAULT_NAMES


def _split(stem: str, separator: re.Pattern[str], names: EmotionNames) -> tuple[str, str] | None:
    """Find the feeling among the parts of a name: after numbers and a speaker, or at the end."""
    parts = [part.strip() for part in separator.split(stem)]
    if len(parts) < 2:
        return None
    cuts = [match.span() for match in separator.finditer(stem)]
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if not last and any(len(before) > _LONGEST_LABEL for before in parts[:number]):
            continue
        word = _known_whole(part, names)
        if not word or (separator is _BLANK and not _LETTERS.search(stem) and not _is_label(parts, number)):
            continue
        after = "" if last else stem[cuts[number][1] :]
        before = stem[: cuts[number - 1][0]] if number else ""
        return word, sentence(after, least_letters=2) or (sentence(before) if last else "")
    return None


def _is_label(parts: list[str], number: int) -> bool:
    """Whether a name of Latin words is a feeling with numbers around it, not a sentence that begins with one."""
    return all(part.isdigit() or len(part) < 2 for index, part in enumerate(parts) if index != number)


def _tag_word(tag: str, names: EmotionNames) -> str:
    return "" if tag.isdigit() else emotion_word(tag, names)


def _known_whole(text: str, names: EmotionNames) -> str:
    bare = _bare(text)
    short = bare if len(bare) <= _LONGEST_LABEL and not _WEAK.search(bare) else ""
    return _known(bare, names) or _known(_bare(_NUMBER.sub("", bare)), names) or _read(short, names)


def _read(text: str, names: EmotionNames) -> str:
    """Return the name of a feeling with its adverbs: 高兴 for 非常开心."""
    found = names.read(text) if text else None
    return found.label if found and names.get(found.label) else text if found else ""


def _known(text: str, names: EmotionNames) -> str:
    return text if text and (is_default(text) or names.get(text)) else ""


def _bare(text: str) -> str:
    """Return a name without brackets around it and marks at its ends."""
    text = unicodedata.normalize("NFC", text).strip()
    while (whole := _BRACKET.fullmatch(text)) is not None:
        text = whole[1]
    return text.strip(_EDGES + "！!？?…。()（）[]【】「」『』{}<>《》〔〕")
