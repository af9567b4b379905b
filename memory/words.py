"""Words for the full-text index: Chinese, Japanese and Korean in pairs of characters, other scripts in words.

No dictionary is needed, so there is no word that it does not know, and a two-character word is found like a
long one. Single characters are kept as well, except those that stand in nearly every sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from xiaozhi_persona.text.measures import normalized

INDEX_VERSION = "1"
"""Changes whenever `index_terms` does: an index made by another version is made again."""
_MAX_WORD_CHARS = 40
_MAX_QUERY_TERMS = 24

_CJK = "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUNS = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_IS_CJK = re.compile(rf"[{_CJK}]")
_COMMON_CHARS = frozenset("的了是我你他她它们在不就也都很吗呢吧啊呀哦嗯和有这那个一么什怎哪")

# Words of a question that say nothing about what it asks for. The longest come first.
_FUNCTION_WORDS = """什么时候 为什么 怎么样 怎样 怎么 什么 哪里 哪儿 哪个 哪些 哪天 哪 谁 多少 几个 几次 是不是 有没有 能不能 记不记得 记得 还记得
    知道 告诉 告诉过 说过 说了 聊过 聊了 聊天 谈过 谈了 讲过 讲了 提到 提过 提起 问过 问了 回答 一下 一些 有些 我们 咱们 你们 他们 她们
    自己 我 你 您 他 她 它 咱 的话 的 了 吗 呢 吧 啊 呀 哦 嗯 哎 喂 么 是 在 可以 应该 没有 那个 这个 那些 这些 时候 之前 以前 之后 以后
    后来 曾经 上次 那次 那天 那时 当时 做了 做过 干了 干嘛 干什么 发生 事情 事儿 什么事 东西 内容 一个 一起 到底 究竟 现在 目前 其实 比较
    如何 叫什么 叫啥 啥"""
_FUNCTION = re.compile("|".join(sorted(_FUNCTION_WORDS.split(), key=len, reverse=True)))
# Characters that mean little when they are left alone between function words, though they are parts of words.
_WEAK_ALONE = frozenset(
    "对要想会能给和跟与同及就都也还又再才很太把被向从到让使得着过地个里这那说聊谈讲问叫上下时没不有最更帮请做干事次"
)
_ENGLISH_WORDS = """a an the i me my we our you your he she it they them is am are was were be been do does did have has had
    what when where who whom which why how that this these those to of in on at for from with about and or not
    can could will would should tell said say talk talked talking remember know last ago"""
_ENGLISH_FUNCTION = frozenset(_ENGLISH_WORDS.split())


@dataclass(frozen=True)
class Term:
    """A word that is looked for, and how much it counts."""

    text: str
    weight: float


def index_terms(text: str) -> str:
    """Return the different words of a text, separated by spaces, as the index takes them."""
    terms: dict[str, None] = {}
    for run in _RUNS.findall(normalized(text)):
        if _IS_CJK.match(run):
            terms.update(dict.fromkeys(map(str.__add__, run, run[1:])))
            terms.update(dict.fromkeys(char for char in run if char not in _COMMON_CHARS))
        else:
            terms[run[:_MAX_WORD_CHARS]] = None
    return " ".join(terms)


def query_terms(text: str) -> list[Term]:
    """Return what to look for in the index: the words of a question without its function words.

    A pair of characters counts fully; its single characters count a little, so that 养猫 also finds 那只猫.
    """
    terms: dict[str, float] = {}
    for run in _RUNS.findall(_FUNCTION.sub(" ", normalized(text))):
        if not _IS_CJK.match(run):
            if run not in _ENGLISH_FUNCTION:
                terms[run[:_MAX_WORD_CHARS]] = 1.5
            continue
        if len(run) == 1 and run in _WEAK_ALONE:
            continue
        single = 1.0 if len(run) == 1 else 0.25
        for char in run:
            if char not in _COMMON_CHARS:
                terms[char] = max(single, terms.get(char, 0.0))
        for pair in map(str.__add__, run, run[1:]):
            terms[pair] = 1.0
    best = sorted(terms.items(), key=lambda item: -item[1])[:_MAX_QUERY_TERMS]
    return [Term(text, weight) for text, weight in best]


def finder(term: str) -> Callable[[str], bool]:
    """Return a function that says whether a normalized text has a word of the index."""
    if _IS_CJK.match(term):
        return lambda text: term in text

    def holds(text: str) -> bool:
        at = text.find(term)
        while at >= 0:
            end = at + len(term)
            if not _in_a_word(text[at - 1 : at]) and not _in_a_word(text[end : end + 1]):
                return True
            at = text.find(term, at + 1)
        return False

    return holds


def _in_a_word(char: str) -> bool:
    """Whether a character goes on with a word of letters or digits."""
    return char.isalnum() and not _IS_CJK.match(char)
