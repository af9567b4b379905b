"""The feeling of a sentence by its words: a small lexicon, for replies without tags."""

from __future__ import annotations

import re

from xiaozhi_persona.text.emotions import Emotion, built_in_names

# Words that name or show a feeling of the speaker. What is often said coolly (好, 爱, 怕) is left out.
_WORDS = {
    "高兴": "太好了|太棒了|真棒|好开心|真开心|很开心|好高兴|真高兴|很高兴|哈哈|嘻嘻|嘿嘿|恭喜|耶[！!]|好耶|so happy|glad to|haha|yay"
    "|嬉しい|やった",
    "悲伤": "好难过|很难过|真难过|好伤心|伤心|呜呜|太可惜|真可惜|真遗憾|舍不得|心碎|so sad|i miss|sorry to hear|悲しい|残念",
    "愤怒": "气死|太过分|可恶|岂有此理|生气了|真生气|受不了了|how dare|furious|許せない|ふざけるな",
    "惊讶": "天哪|天啊|我的天|居然|竟然|没想到|真的假的|不会吧|哇[，！,!]|oh my|no way|really\\?!|まさか|びっくり",
    "恐惧": "好可怕|太可怕|好害怕|救命|吓死|吓坏|terrified|scary|怖い|助けて",
    "厌恶": "好恶心|真恶心|太恶心|恶心死|嫌死|disgusting|gross|気持ち悪い",
    "害羞": "好害羞|真害羞|不好意思啦|脸红|人家才|讨厌啦|blush|恥ずかしい|照れる",
    "兴奋": "太激动|好激动|好期待|等不及|太刺激|超级期待|can't wait|so excited|ワクワク|楽しみ",
    "舒适": "好舒服|真舒服|好惬意|好放松|慢慢来|别着急|so relaxing|take it easy|のんびり",
    "紧张": "好紧张|真紧张|好担心|真担心|怎么办|来不及了|so nervous|worried|緊張|どうしよう",
    "爱慕": "最喜欢你|好喜欢你|喜欢你|爱你|想你了|抱抱|亲爱的|love you|大好き|愛してる",
    "委屈": "好委屈|太委屈|不公平|冤枉|人家都|都怪我|not fair|悔しい",
    "骄傲": "厉害吧|不愧是我|包在我身上|小菜一碟|真为你骄傲|proud of|さすが",
    "困惑": "搞不懂|想不通|好奇怪|真奇怪|什么意思|不明白|没听懂|confused|i don't get|わからない",
}
_PATTERNS = {label: re.compile(words, re.IGNORECASE) for label, words in _WORDS.items()}
_NEGATED = re.compile(r"(?:不|没|没有|别|不是|并不|不太|don't|not)\s*$", re.IGNORECASE)


def feeling_of(text: str) -> Emotion | None:
    """Return the emotion whose words are most in the sentence; None when there are none, or two have as many."""
    counts = {label: _count(pattern, text) for label, pattern in _PATTERNS.items()}
    best = max(counts.values())
    labels = [label for label, count in counts.items() if count == best]
    return built_in_names().get(labels[0]) if best and len(labels) == 1 else None


def _count(pattern: re.Pattern[str], text: str) -> int:
    return sum(not _NEGATED.search(text[: match.start()]) for match in pattern.finditer(text))
