"""The emotions: the 15 labels of voices, the 21 faces of devices, and the names by which models call them.

emotions.json holds them all: the faces with their emoji, then for each feeling its label, its face, and its names and
emoji by language, separated by spaces. Tags, clip folders, imports and checks know what stands there and nothing else.
Faces and their emoji: 78/xiaozhi-fonts, font_emoji.py, and xiaozhi-esp32-server, core/utils/textUtils.py.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xiaozhi_persona.text.traditional import simplified

_TABLE = json.loads(Path(__file__).with_name("emotions.json").read_text(encoding="utf-8"))
_LANGUAGES = ("zh", "zh-Hant", "ja", "en", "ko")

FACES: Mapping[str, str] = _TABLE["faces"]
"""The 21 faces a device can show, each with its emoji."""

LABELS: tuple[str, ...] = tuple(dict.fromkeys(row["label"] for row in _TABLE["emotions"]))
"""The 15 labels of voices, as emotion classifiers for Chinese roles use them."""

FEELING_KEYS = frozenset(
    re.findall(
        r"\S+",
        "emotion emotions emote mood feeling feelings tone expression face sentiment emo 情绪 情緒 心情 表情 情感 感情 语气 語氣 "
        "神情 神态 感情 気分 감정 기분 표정",
    )
)
"""What stands before a name in `emotion: happy`."""

_MAX_EXPRESSION = 60  # characters of what stands for a feeling
_SEPARATOR = re.compile(r"[、，,;；/／|｜&＆+＋~～·・]| and | or ")
_AMOUNT = re.compile(r"[\s:：=(（*×x]{0,3}\d[\d.]{0,5}%?[)）]?$")
_DEGREE = re.compile(
    "非常|十分|特别|特別|超级|超級|极其|极度|極度|有点儿?|有點|有些|略带|略帶|略微|略显|稍微|稍显|微微|带着|帶著|带点|满脸|滿臉|一脸|一臉|满怀|轻微|比较"
    "|相当|强烈|越发|更加|真的|无比|很|好|超|太|更|最|真|又|とても|すごく|少し|ちょっと|かなり|매우|아주|조금|너무|정말"
)
_MANNER = re.compile(
    r"(?:的?(?:语气|語氣|口吻|声音|聲音|样子|表情|神情|笑容|心情|情绪|感觉)|地说|地說|着说|地|的|着|著|了|中|状|脸|貌|极了|一点|一些|巴巴|兮兮|洋洋|冲冲|满满|そうに|そう|な|に|げに|さ|게|하게|하다|한|해|함|다"
    r"|[!！~～…。.])$"
)
_DEGREES = frozenset(
    re.findall(
        r"\S+",
        "very so really slightly a an the bit little extremely super quite too pretty somewhat mildly deeply feeling feels sounding "
        "looking being is with in of and more most kind kinda softly gently quietly loud deep voice tone expression mood",
    )
)
_WAYS = ("tone", "voice", "mood", "expression")
"""What may stand behind a name, as in `sarcastic tone`."""
_KEY = re.compile(r"\s{0,3}([^\W\d]{1,20})\s{0,3}[:：=]\s{0,3}")
_LATIN_WORDS = re.compile(r"[A-Za-z]+")
_SPACES = re.compile(r"[\s_\-]+")
_NOT = "不没沒别別無无未"


@dataclass(frozen=True)
class Emotion:
    """A feeling as the voice knows it (`label`) and as the device shows it (`face`, one of FACES)."""

    label: str
    face: str


class EmotionNames:
    """Which words are names of emotions: the built-in table, and a role's own."""

    def __init__(self, names: Mapping[str, Emotion], skips_directions: bool = True) -> None:
        """`skips_directions`: whether stage directions, such as `*叹气*`, are left out of what is spoken."""
        self._names = {_key(name): emotion for name, emotion in names.items()}
        self._starts = {name[:length] for name in self._names for length in range(1, len(name) + 1)}
        self._longest = max(map(len, self._names), default=0)
        self.skips_directions = skips_directions

    def get(self, name: str) -> Emotion | None:
        """Return the emotion of that name, in any letter case and width, with spaces, `_` and `-` anywhere."""
        return self._names.get(_key(name))

    def extended(self, own: Mapping[str, Emotion], skips_directions: bool = True) -> EmotionNames:
        """Return these names and those of `own`, which win."""
        names = {**self._names, **{_key(name): emotion for name, emotion in own.items()}}
        return EmotionNames(names, skips_directions and self.skips_directions)

    def read(self, expression: str) -> Emotion | None:
        """Return the feeling that a tag speaks of: `开心`, `非常开心地`, `happily`, `emotion: happy 0.8`, `Happy, excited`.

        The first known name decides.
        """
        if found := self.get(expression):
            return found
        key, words = split_key(expression[:_MAX_EXPRESSION])
        parts = _SEPARATOR.split(words if key.casefold() in FEELING_KEYS else expression[:_MAX_EXPRESSION])
        return next((found for part in parts if (found := self._named(part))), None)

    def within(self, text: str) -> Emotion | None:
        """Return the feeling that a phrase names anywhere: `用非常开心的语气说`, but not `不开心`."""
        key = _key(text[:_MAX_EXPRESSION])
        for start in range(len(key)):
            if key[start].isascii() or (start and key[start - 1] in _NOT):
                continue
            for length in range(min(self._longest, len(key) - start), 0, -1):
                if found := self._names.get(key[start : start + length]):
                    return found
        words = _LATIN_WORDS.findall(text[:_MAX_EXPRESSION])
        return next((found for word in words if (found := self._named(word))), None)

    def may_go_on(self, text: str, least: int = 3) -> bool:
        """Whether `text` can only be the beginning of what stands for a feeling: `emotion: ha`, `Happy, exci`.

        Of a name that is not whole, `least` letters tell it.
        """
        key, words = split_key(text)
        if key:
            return key.casefold() in FEELING_KEYS
        *whole, last = _SEPARATOR.split(text)
        *adverbs, last = last.split(" ") if last.strip() else [last]
        if len(adverbs) == 1 and self._named(adverbs[0]) and last:
            return any(way.startswith(last.casefold()) for way in _WAYS)
        if not all(word.casefold() in _DEGREES for word in adverbs if word):
            return False
        if not all(self._named(part) for part in whole):
            return False
        begun = _DEGREE.sub("", _key(last))
        if adverbs and begun in _DEGREES:
            return True
        enough = len(begun) >= (min(least, 2) if adverbs else least)
        is_manner = begun.endswith(("l", "ly")) and begun.rstrip("y")[:-1] in self._names  # mischievousl
        return (enough and (begun in self._starts or is_manner)) or (not begun and bool(whole))

    def could_begin(self, text: str) -> bool:
        """Whether `text` begins with a name, or is itself the beginning of one."""
        key = _key(text)
        return not key or key in self._starts or any(key[:n] in self._names for n in range(1, len(key)))

    def at_start(self, text: str) -> tuple[Emotion, int] | None:
        """Return the longest name of two letters or more that `text` begins with and how many characters it takes."""
        found = None
        for length in range(2, len(text) + 1):
            emotion = self.get(text[:length])
            if emotion and len(_key(text[:length])) > 1 and not _inside_word(text, length):
                found = emotion, length
        return found

    def _named(self, part: str) -> Emotion | None:
        """Return the feeling of one name with its adverbs and its amount."""
        name = _AMOUNT.sub("", part.strip())
        if found := self.get(name):
            return found
        if name.isascii():
            words = [word for word in name.casefold().split() if word not in _DEGREES]
            if len(words) == 1:
                return next((found for word in _stems(words[0]) if (found := self.get(word))), None)
            return None
        name = _key(name)
        for _ in range(3):
            degree = _DEGREE.match(name)
            name = name[degree.end() :] if degree and len(name) > degree.end() + 1 else _MANNER.sub("", name)
            if found := self._names.get(name) or self._names.get(name + "い"):
                return found
        return None


@functools.cache
def built_in_names() -> EmotionNames:
    """Return the names that hold for every role."""
    names: dict[str, Emotion] = {}
    for row in _TABLE["emotions"]:
        emotion = Emotion(row["label"], row["face"])
        words = " ".join(row.get(language, "") for language in _LANGUAGES).split()
        names.update(dict.fromkeys([row["name"], *words], emotion))
        names.setdefault(row["face"], emotion)
    return EmotionNames(names)


@functools.cache
def _by_emoji() -> Mapping[str, Emotion]:
    return {
        emoji: Emotion(row["label"], row["face"])
        for row in _TABLE["emotions"]
        for emoji in row.get("emoji", "")
    }


def emotion_of_emoji(character: str) -> Emotion | None:
    """Return the emotion that an emoji shows, None where that is not plain."""
    return _by_emoji().get(character)


def split_key(expression: str) -> tuple[str, str]:
    """Return the key and the value of `key: value`, with an empty key where there is none."""
    key = _KEY.match(expression)
    return (key[1], expression[key.end() :]) if key else ("", expression)


def _key(name: str) -> str:
    return simplified(_SPACES.sub("", unicodedata.normalize("NFKC", name).casefold()))


def _stems(word: str) -> tuple[str, ...]:
    """Return a word and those it may come from: happily, happy."""
    if not word.endswith("ly"):
        return (word,)
    return word, word[:-2], word[:-3] + "y", word[:-2] + "le", word[:-4]


def _inside_word(text: str, end: int) -> bool:
    """Whether cutting at `end` would cut a Latin word: `sad` in `sadly`, but not in `sadHello`."""
    before, after = text[end - 1 : end], text[end : end + 1]
    return before.isascii() and before.isalpha() and after.isascii() and after.islower()
