"""What an owner says to the memory itself: remember this, forget that, this is off the record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from xiaozhi_persona.memory import diary, facts
from xiaozhi_persona.memory.fact_questions import facts_asked
from xiaozhi_persona.memory.fact_rules import find_facts
from xiaozhi_persona.memory.fact_types import NOTE, SELF, Finding, match_key
from xiaozhi_persona.memory.forget import Forgotten, forget_facts, forget_mention, forget_range, forget_turns
from xiaozhi_persona.memory.store import OwnerStore
from xiaozhi_persona.memory.time_words import find_ranges

_MAX_CHARS = 100
_ASKING = re.compile(r"什么|怎么|为什么|吗|[?？]|能不能|有没有|是不是")
_PLEASE = r"(?:小智|请|帮我|给我|麻烦|你|现在|那)*"
_OFF = re.compile(
    rf"{_PLEASE}(?:接下来|这一?段|下面|后面|这些|刚才|以下|这件事|这个|这句)?(?:的话|的内容|说的|的)?(?:我说的)?(?:都|就|先|你)*(?:不要|别|不用|不许|别再|不要再)"
    r"(?:记|记住|记录|记下来?|录)(?:下来|了|下)?|(?:this is )?off the record|do(?: not|n't) remember this",
    re.IGNORECASE,
)
_ON = re.compile(
    rf"{_PLEASE}(?:可以|继续|恢复|重新|接着|又可以|开始)(?:开始)?(?:记|记住|记录|记下来|录)(?:了|吧|下来|录)*|(?:back )?on the record|you can remember again",
    re.IGNORECASE,
)
_REMEMBER = re.compile(
    rf"{_PLEASE}要?(?:记住|记一下|记下来|记下|记好|帮我记|remember(?: that)?)[了着]?[:：,， ]*(?P<what>.{{2,}})",
    re.IGNORECASE,
)
_FORGET = re.compile(
    rf"{_PLEASE}把(?P<a>.+?)(?:都|全部|全都|全|统统)*(?:忘掉|忘了|忘记|删掉|删了|删除|清除|清空|抹掉)"
    rf"|{_PLEASE}(?P<sure>确定|确认)?(?:忘掉|忘记|删掉|删除|清除|清空|抹掉|please forget|forget)(?:about )?(?P<b>.+)",
    re.IGNORECASE,
)
_ALL = re.compile(
    "(?:所有|全部|一切|整个|你的)(?:的)?(?:记忆|事情?|内容|记录|聊天|谈话|东西)?|记忆|everything",
    re.IGNORECASE,
)
_THIS = re.compile("(?:这件事情?|这事儿?|这个|这句话?|刚才那句话?|this|it|that)", re.IGNORECASE)
_ABOUT = re.compile(
    "(?:关于|有关|和)?(?P<name>.{1,20}?)(?:有关)?的?(?:所有|全部|一切)?的?(?:事情?|话|记忆|内容|这件事|记录)"
)


@dataclass(frozen=True)
class Command:
    """What the owner wants of the memory."""

    kind: Literal["off", "on", "remember", "forget", "forget_all", "ask_forget_all"]
    what: str = ""
    """The words that say what to remember or to forget."""


def parse_command(text: str) -> Command | None:
    """Return what a text tells the memory to do, None for anything else."""
    plain = re.sub(r"[。！!~～.]+$", "", text.strip())
    if not plain or len(plain) > _MAX_CHARS or _ASKING.search(plain):
        return None
    bare = re.sub(r"[，,\s]+", "", plain)
    if re.match("[我他她].{0,4}忘|别忘|不要忘|差点忘", bare):
        return None
    if _OFF.fullmatch(bare) or _OFF.fullmatch(plain):
        return Command("off")
    if _ON.fullmatch(bare) or _ON.fullmatch(plain):
        return Command("on")
    match = _REMEMBER.fullmatch(plain)
    if match:
        return Command("remember", match["what"].strip())
    match = _FORGET.fullmatch(re.sub("(?:吧|好了|好不好)$", "", bare if not bare.isascii() else plain))
    if not match:
        return None
    what = match["a"] or match["b"]
    if _ALL.fullmatch(what):
        return Command("forget_all" if match["sure"] or "确定" in bare else "ask_forget_all")
    return Command("forget", what)


def carry_out(store: OwnerStore, command: Command, now: datetime) -> tuple[str, bool]:
    """Do what a command says, but for forgetting all. Returns what to answer, and whether anything was forgotten."""
    if command.kind == "off":
        store.set_off_record(True)
        return "好，接下来的话我不记，直到你说可以记了。", False
    if command.kind == "on":
        store.set_off_record(False)
        return "好，我又开始记了。", False
    if command.kind == "remember":
        return _remember(store, command.what, now), False
    if command.kind == "forget":
        gone = _forget(store, command.what, now)
        if not gone.turns and not gone.facts:
            return "我这里没有记着这些。", False
        return "好，已经忘掉了。", True
    return "要忘掉全部记忆吗？要的话请说：确定忘掉全部记忆。", False


def _remember(store: OwnerStore, what: str, now: datetime) -> str:
    at = diary.aware(now)
    what = diary.storable(what)
    if _THIS.fullmatch(what):
        last = _last_said(store)
        if not last:
            return "要我记住什么呢？"
        what = last[0].text
    found = find_facts(what, at.replace(tzinfo=None)) or [Finding(SELF, NOTE, what)]
    with store.transaction() as db:
        for finding in found:
            facts.keep(db, finding, diary.to_ms(at), confidence=facts.CORRECTED, pinned=True)
    return "好，我记住了。"


def _forget(store: OwnerStore, what: str, now: datetime) -> Forgotten:
    """Forget a time, a fact, or whatever mentions the words: the first of these that the words name."""
    at = diary.aware(now)
    if _THIS.fullmatch(what):
        return forget_turns(store, [turn.seq for turn in _last_said(store)])
    ranges = find_ranges(what, at.replace(tzinfo=None))
    if ranges:
        parts = [forget_range(store, part.start, part.end) for part in ranges]
        return Forgotten(sum(part.turns for part in parts), sum(part.facts for part in parts))
    ids = _facts_named(store, what, diary.to_ms(at))
    if ids:
        return forget_facts(store, ids)
    match = _ABOUT.fullmatch(what)
    name = re.sub("^(?:我的?|那个|这个)", "", match["name"] if match else what)
    return forget_mention(store, name) if len(name) > 1 else Forgotten()


def _last_said(store: OwnerStore) -> list[diary.Entry]:
    """Return the last turn of the user with what was answered to it."""
    turns = diary.latest(store.writer, 4)
    users = [place for place, turn in enumerate(turns) if turn.who == "user"]
    return turns[users[-1] :] if users else []


def _facts_named(store: OwnerStore, what: str, now_ms: int) -> list[int]:
    """Return the facts that words such as 我的生日 or 我对花生过敏 name."""
    asked = facts_asked(what)
    if asked is None or not re.match("我|my|i ", what, re.IGNORECASE):
        return []
    found = []
    for subject in asked.subjects or (SELF,):
        found += facts.find(store.writer, subject, asked.attributes, 0, now_ms)
    told = match_key(what)
    named = [fact for fact in found if match_key(fact.value) in told]
    return [fact.id for fact in named or found] if asked.attributes else []
