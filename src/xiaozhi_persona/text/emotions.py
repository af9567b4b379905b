"""The emotions: the 15 labels of voices, the 21 faces of devices, and the names by which models call them.

Faces and their emoji: 78/xiaozhi-fonts, font_emoji.py, and xiaozhi-esp32-server, core/utils/textUtils.py.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

FACES: Mapping[str, str] = {
    "neutral": "😶",
    "happy": "🙂",
    "laughing": "😆",
    "funny": "😂",
    "sad": "😔",
    "angry": "😠",
    "crying": "😭",
    "loving": "😍",
    "embarrassed": "😳",
    "surprised": "😲",
    "shocked": "😱",
    "thinking": "🤔",
    "winking": "😉",
    "cool": "😎",
    "relaxed": "😌",
    "delicious": "🤤",
    "kissy": "😘",
    "confident": "😏",
    "sleepy": "😴",
    "silly": "😜",
    "confused": "🙄",
}
"""The 21 faces a device can show, each with its emoji."""


@dataclass(frozen=True)
class Emotion:
    """A feeling as the voice knows it (`label`) and as the device shows it (`face`, one of FACES)."""

    label: str
    face: str


# label: its face, then its names; a name with its own face is written name=face.
_TABLE: Mapping[str, tuple[str, str]] = {
    "高兴": (
        "happy",
        "开心 快乐 喜悦 愉快 欢快 愉悦 欢喜 幸福 高興 開心 快樂 喜悅 joy joyful glad cheerful happiness 喜び 嬉しい 楽しい "
        "大笑=laughing laughing laugh=laughing 笑い=laughing 搞笑=funny 好笑=funny 滑稽=funny funny amused=funny "
        "调皮=silly 俏皮=silly 顽皮=silly 調皮=silly silly playful=silly 眨眼=winking winking wink=winking",
    ),
    "悲伤": (
        "sad",
        "难过 伤心 哀伤 忧伤 悲痛 悲哀 失落 沮丧 失望 悲傷 難過 傷心 sadness sorrow sorrowful unhappy depressed "
        "disappointed 悲しい 悲しみ 大哭=crying 哭泣=crying 痛哭=crying 流泪=crying crying cry=crying 泣き=crying",
    ),
    "愤怒": ("angry", "生气 恼怒 发怒 发火 气愤 恼火 憤怒 生氣 anger mad furious annoyed 怒り 怒る"),
    "惊讶": (
        "surprised",
        "吃惊 惊奇 诧异 惊喜 驚訝 吃驚 surprise astonished amazed 驚き 震惊=shocked 震驚=shocked shocked",
    ),
    "恐惧": ("shocked", "害怕 惊恐 恐慌 惧怕 恐懼 fear fearful scared afraid terrified 恐怖 恐れ 怖い"),
    "厌恶": ("angry", "讨厌 嫌弃 反感 恶心 厭惡 討厭 disgust disgusted 嫌悪 嫌い"),
    "中性": (
        "neutral",
        "普通 平静 平淡 平和 冷静 平靜 冷靜 calm normal ニュートラル "
        "困倦=sleepy 疲倦=sleepy 疲惫=sleepy sleepy tired=sleepy 眠い=sleepy",
    ),
    "害羞": (
        "embarrassed",
        "羞涩 腼腆 尴尬 羞怯 害臊 不好意思 羞澀 shy shyness bashful embarrassment 照れ 恥ずかしい",
    ),
    "兴奋": ("laughing", "激动 亢奋 興奮 激動 excited excitement thrilled ワクワク"),
    "舒适": (
        "relaxed",
        "放松 轻松 惬意 舒服 满足 安心 舒適 輕鬆 comfortable 落ち着き 美味=delicious delicious",
    ),
    "紧张": ("embarrassed", "焦虑 不安 担心 忐忑 緊張 焦慮 擔心 nervous anxious anxiety worried"),
    "爱慕": (
        "loving",
        "喜爱 爱意 深情 温柔 宠溺 愛慕 喜愛 溫柔 love affection affectionate 愛情 優しい 亲亲=kissy kissy kiss=kissy",
    ),
    "委屈": ("sad", "委曲 aggrieved wronged grievance 悔しい"),
    "骄傲": (
        "confident",
        "自豪 得意 自信 驕傲 proud pride confidence 誇り 自信満々 耍酷=cool 酷酷=cool cool",
    ),
    "困惑": (
        "confused",
        "疑惑 迷惑 疑问 迷茫 不解 puzzled confusion curious=thinking 思考=thinking 沉思=thinking thinking 戸惑い",
    ),
}

LABELS = tuple(_TABLE)
"""The 15 labels of voices, as emotion classifiers for Chinese roles use them."""


class EmotionNames:
    """Which words are names of emotions: the built-in table, and a role's own."""

    def __init__(self, names: Mapping[str, Emotion]) -> None:
        self._names = {_key(name): emotion for name, emotion in names.items()}
        self._starts = {name[:length] for name in self._names for length in range(1, len(name) + 1)}

    def get(self, name: str) -> Emotion | None:
        """Return the emotion of that name, in any letter case and width, with spaces anywhere."""
        return self._names.get(_key(name))

    def extended(self, own: Mapping[str, Emotion]) -> EmotionNames:
        """Return these names and those of `own`, which win."""
        return EmotionNames({**self._names, **{_key(name): emotion for name, emotion in own.items()}})

    def could_begin(self, text: str) -> bool:
        """Whether `text` begins with a name, or is itself the beginning of one."""
        key = _key(text)
        return not key or key in self._starts or any(key[:n] in self._names for n in range(1, len(key)))

    def at_start(self, text: str) -> tuple[Emotion, int] | None:
        """Return the longest name that `text` begins with and how many characters it takes."""
        found = None
        for length in range(1, len(text) + 1):
            emotion = self.get(text[:length])
            if emotion and not _inside_word(text, length):
                found = emotion, length
        return found


@functools.cache
def built_in_names() -> EmotionNames:
    """Return the names that hold for every role."""
    names = {face: Emotion(_label_of(face), face) for face in FACES}
    for label, (face, words) in _TABLE.items():
        names[label] = Emotion(label, face)
        for word in words.split():
            name, _, own_face = word.partition("=")
            names[name] = Emotion(label, own_face or (name if name in FACES else face))
    return EmotionNames(names)


def emotion_of_emoji(character: str) -> Emotion | None:
    """Return the emotion whose face an emoji is."""
    face = next((name for name, emoji in FACES.items() if emoji == character), None)
    return Emotion(_label_of(face), face) if face else None


def _label_of(face: str) -> str:
    """Return the label whose face or whose names hold `face`."""
    for label, (own, words) in _TABLE.items():
        if face == own:
            return label
        if any(word == face or word.endswith("=" + face) for word in words.split()):
            return label
    raise KeyError(face)


def _key(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _inside_word(text: str, end: int) -> bool:
    """Whether cutting at `end` would cut a Latin word: `sad` in `sadly`, but not in `sadHello`."""
    before, after = text[end - 1 : end], text[end : end + 1]
    return before.isascii() and before.isalpha() and after.isascii() and after.islower()
