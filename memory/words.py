"""Words for the full-text index: Chinese, Japanese and Korean in pairs of characters, other scripts in words, those of
English as their stems.

No dictionary is needed, so there is no word that it does not know, and a two-character word is found like a
long one. Single characters are kept as well, except those that stand in nearly every sentence.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xiaozhi_persona.text.measures import normalized

INDEX_VERSION = "2"
"""Changes whenever `index_terms` does: an index made by another version is made again."""
_MAX_WORD_CHARS = 40
_MAX_QUERY_TERMS = 24

_CJK = "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUNS = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_LETTERS = re.compile(rf"[^\W_{_CJK}]+")
_IS_CJK = re.compile(rf"[{_CJK}]")
_COMMON_CHARS = frozenset("的了是我你他她它们在不就也都很吗呢吧啊呀哦嗯和有这那个一么什怎哪")

# Words of a question that say nothing about what it asks for. The longest come first.
_FUNCTION_WORDS = """什么时候 为什么 怎么样 怎样 怎么 什么 哪里 哪儿 哪个 哪些 哪天 哪 谁 多少 几个 几次 是不是 有没有 能不能 记不记得 记得 还记得
    知道 告诉 告诉过 说过 说了 聊过 聊了 聊天 谈过 谈了 讲过 讲了 提到 提过 提起 问过 问了 回答 一下 一些 有些 我们 咱们 你们 他们 她们
    自己 我 你 您 他 她 它 咱 的话 的 了 吗 呢 吧 啊 呀 哦 嗯 哎 喂 么 是 在 可以 应该 没有 那个 这个 那些 这些 时候 之前 以前 之后 以后
    后来 曾经 上次 那次 那天 那时 当时 做了 做过 干了 干嘛 干什么 发生 事情 事儿 什么事 东西 内容 一个 一起 到底 究竟 现在 目前 其实 比较
    如何 叫什么 叫啥 啥 为啥 为何 咋 咋样 咋办 啥样 啥时候 干啥 来着 怎么回事 回事 回事儿 问你 问个 个事 事啊 具体 反正 哪儿来 哪回 那会儿 那会
    有啥 有什么 有哪些 哪一 几回"""
_FUNCTION = re.compile("|".join(sorted(_FUNCTION_WORDS.split(), key=len, reverse=True)))
# Characters that mean little when they are left alone between function words, though they are parts of words.
_WEAK_ALONE = frozenset(
    "对要想会能给和跟与同及就都也还又再才很太把被向从到让使得着过地个里这那说聊谈讲问叫上下时没不有最更帮请做干事次"
)
# Words of English that say nothing about what is asked for, and what an apostrophe leaves of them: they are in no index.
_ENGLISH_WORDS = """a an the i me my myself we us our ours you your yours yourself he him his himself she her hers herself
    it its itself they them their theirs themselves what which who whom whose this that these those am is are was were be
    been being have has had having do does did doing done and but if or because as until while of at by for with about
    against between into through during before after above below to from up down in out on off over under again then once
    here there when where why how any both each few more most other some such no nor not only own same so than too very
    can will just should could would may might must also ever ago last s t d ll m o re ve y ain aren couldn didn doesn
    hadn hasn haven isn mustn needn shan shouldn wasn weren won wouldn
    tell tells told say says said talk talks talked talking mention mentions mentioned remember know"""
_ENGLISH_FUNCTION = frozenset(_ENGLISH_WORDS.split())
_CACHED_STEMS = 20_000
_stemming = threading.Lock()  # a stemmer keeps the word that it works on


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
        elif run not in _ENGLISH_FUNCTION:
            terms[_stem(run[:_MAX_WORD_CHARS])] = None
    return " ".join(terms)


def query_terms(text: str) -> list[Term]:
    """Return what to look for in the index: the words of a question without its function words.

    A pair of characters counts fully; its single characters count a little, so that 养猫 also finds 那只猫.
    """
    terms: dict[str, float] = {}
    for run in _RUNS.findall(_FUNCTION.sub(" ", normalized(text))):
        if not _IS_CJK.match(run):
            if run not in _ENGLISH_FUNCTION:
                terms[_stem(run[:_MAX_WORD_CHARS])] = 1.5
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


def places(term: str, texts: Sequence[str]) -> list[int]:
    """Return which of the normalized texts have a word of the index."""
    if _IS_CJK.match(term):
        return [place for place, text in enumerate(texts) if term in text]
    begin = term[
        : max(1, len(term) - 2)
    ]  # which a stem shares with its words: happi with happy, die with dying
    return [
        place
        for place, text in enumerate(texts)
        if begin in text
        and any(
            word.startswith(begin) and _stem(word[:_MAX_WORD_CHARS]) == term
            for word in _LETTERS.findall(text)
        )
    ]


@functools.lru_cache(_CACHED_STEMS)
def _stem(word: str) -> str:
    """Return what the forms of an English word have in common: paint for painting. Others are left as they are."""
    if len(word) < 3 or not (word.isascii() and word.isalpha()):
        return word
    with _stemming:
        return str(_english_stemmer().stemWord(word))


@functools.cache
def _english_stemmer() -> Any:
    import snowballstemmer  # takes longer to import than all of the memory: most have no English in theirs

    return snowballstemmer.stemmer("english")
