"""What an owner says to the memory itself is done: remember this, forget that, this is off the record."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.commands import Command, is_yes, parse_command
from xiaozhi_persona.memory.facts import reading, writing
from xiaozhi_persona.memory.facts.kinds import KIN, NOTE, PETS, SELF, Finding, match_key
from xiaozhi_persona.memory.facts.questions import facts_asked
from xiaozhi_persona.memory.facts.rules import find_facts
from xiaozhi_persona.memory.forget import Marked, forget_marked, mark_facts, mark_mention, mark_range
from xiaozhi_persona.memory.patterns import Words, pattern
from xiaozhi_persona.memory.store import OwnerStore
from xiaozhi_persona.memory.time_words import find_ranges

__all__ = [
    "ALL_FORGOTTEN",
    "MAX_UNASKED",
    "Command",
    "Done",
    "carry_out",
    "is_yes",
    "last_said",
    "mark",
    "note",
    "parse_command",
]

MAX_UNASKED = 5
"""More turns than this are forgotten only after asking back."""
_MAX_CHARS = 100
_OF_TIME = Words(
    "，|,|、|和|跟|与|及|到|的|我|我们|咱|咱们|你|都|那|这|段|些|所有|一切|全部|整个|时候|时间|里|所|说|讲|聊|谈|提|记|做|发生|过|了|话"
    "|事|事情|事儿|东西|记忆|内容|聊天|谈话|对话|记录"
)
_OF_TIME_IN_ENGLISH = pattern(
    r"\s+|\b(?:everything|all|things?|what|that|we|i|you|said|talked|told|about|from|in|on|of|the|our|conversations?)\b",
    re.IGNORECASE,
)
_SAID_OF = pattern(
    "^(?:我们?|咱们?|你)*(?:(?:说|讲|聊|谈|提)[过到起了的]+|(?:关于|有关|和|跟|与|about ))+(?=.{2})"
)
_THIS = pattern(
    "(?:これ|それ|あれ|今の話?|さっきの(?:話|こと)?|这件事情?|这事儿?|这个|这句话?|刚才那句话?|this|it|that)",
    re.IGNORECASE,
)
_ABOUT = pattern(
    "(?:关于|有关|和)?(?P<name>.{1,20}?)(?:有关)?的?(?:所有|全部|一切)?的?(?:事情?|话|记忆|内容|这件事|记录|聊天|谈话|对话)"
)
_WHOSE = pattern("^(?:我们?(?:家里?)?的?|那[个只条位]?|这[个只条位]?)+(?=.)")
_WHO = pattern(f"{KIN}|{PETS}")
_ABOUT_IT = pattern("关于|有关")
_OF_OURS = pattern("我|私|僕|俺|my|i ", re.IGNORECASE)
_NOBODY = pattern("[你我他她它的了是在那这事话啥谁人]")


_FORGET_ALL = {
    "zh": "我这里有 {turns} 句谈话、{facts} 件记下的事。全部忘掉就找不回来了。要忘的话，请说“确定”。",
    "en": "I keep {turns} turns of talk and {facts} facts. Once forgotten, they are gone for good. Say yes to forget them all.",
    "ja": "{turns}件の会話と{facts}件の事柄を覚えています。忘れると元に戻せません。よければ「はい」と言ってください。",
}
_NOTHING_KEPT = {
    "zh": "我这里什么都没有记着。",
    "en": "There is nothing that I remember.",
    "ja": "何も覚えていません。",
}
ALL_FORGOTTEN = {
    "zh": "好，我全都忘掉了。",
    "en": "Done, I have forgotten everything.",
    "ja": "はい、全部忘れました。",
}
"""What is answered once all is forgotten."""


class Done(NamedTuple):
    """What a command came to."""

    answer: str
    forgotten: bool = False
    asks: bool = False
    """Whether the answer asks back, and nothing was done yet: a yes is to be followed by the command, `sure`."""


def carry_out(store: OwnerStore, command: Command, now: datetime) -> Done:
    """Do what a command says, but for forgetting all."""
    if command.kind == "off":
        store.set_off_record(True)
        return Done("好，接下来的话我不记，直到你说可以记了。")
    if command.kind == "on":
        store.set_off_record(False)
        return Done("好，我又开始记了。")
    if command.kind == "remember":
        return Done("好，我记住了。" if note(store, command.what, now) else "要我记住什么呢？")
    if command.kind == "forget":
        marked = mark(store, command.what, now)
        turns = len(set(marked.seqs))
        if turns > MAX_UNASKED and not command.sure:
            return Done(f"这会忘掉 {turns} 条谈话，忘掉就找不回来了。要忘的话，请说“确定”。", asks=True)
        gone = forget_marked(store, marked)
        if not gone.turns and not gone.facts:
            return Done("我这里没有记着这些。")
        return Done("好，已经忘掉了。", forgotten=True)
    store.append([])  # takes in what waits in the pending file
    turns, facts = diary.count(store.writer), len(reading.current(store.writer, diary.to_ms(now)))
    if not turns and not facts:
        return Done(_NOTHING_KEPT[command.language])
    return Done(_FORGET_ALL[command.language].format(turns=turns, facts=facts), asks=True)


def note(store: OwnerStore, what: str, now: datetime, *, before: str = "") -> bool:
    """Keep for good what the owner wants remembered. Returns whether there was anything.

    `before` is the id of the turn that says it: 这件事 is what was said before.
    """
    at = diary.aware(now)
    what = diary.storable(what)
    source = ""
    if _THIS.fullmatch(what):
        last = last_said(store, before)
        if not last:
            return False
        what, source = last[0].text, last[0].id
    found = find_facts(what, at.replace(tzinfo=None))
    if all(finding.tense == "not" for finding in found):
        found = [*found, Finding(SELF, NOTE, what)]
    with store.transaction() as db:
        for finding in found:
            writing.keep(db, finding, diary.to_ms(at), source, confidence=writing.CORRECTED, pinned=True)
    return True


def mark(store: OwnerStore, what: str, now: datetime, *, before: str = "") -> Marked:
    """Return what words mean to forget: a time, what was said of something then, a fact, or whatever mentions them,
    the first of these that they name.

    `before` is the id of the turn that says it: 刚才那句话 is what was said before.
    """
    store.append([])  # takes in what waits in the pending file
    db = store.writer
    at = diary.aware(now)
    if _THIS.fullmatch(what):
        return Marked(tuple(turn.seq for turn in last_said(store, before)))
    ranges = find_ranges(what, at.replace(tzinfo=None))
    if ranges:
        marked, rest = Marked(), what
        for part in ranges:
            marked += mark_range(db, part.start.replace(tzinfo=at.tzinfo), part.end.replace(tzinfo=at.tzinfo))
            rest = rest.replace(part.text, "")
        if not _OF_TIME.make_up(_OF_TIME_IN_ENGLISH.sub("", rest)):
            for word in filter(None, _name(rest).split("的")):
                marked &= mark_mention(db, word)
        return marked
    ids = _facts_named(store, what, diary.to_ms(at))
    if ids:
        return mark_facts(db, ids)
    name = _WHOSE.sub("", _name(what))
    # A single letter is a name when it is a relative's or a pet's, or when it is said to be what it is about.
    is_name = len(name) > 1 or _WHO.fullmatch(name) or (_ABOUT_IT.match(what) and not _NOBODY.fullmatch(name))
    return mark_mention(db, name) if is_name else Marked()


def _name(words: str) -> str:
    """Return what words such as 关于小红的事 name."""
    words = words.strip(" ，,、的")
    match = _ABOUT.fullmatch(words)
    return _SAID_OF.sub("", match["name"] if match else words)


def last_said(store: OwnerStore, before: str = "") -> list[diary.Entry]:
    """Return the last turn of the user, or the last before the one with the id `before`, with what was answered."""
    turns = diary.latest(store.writer, 6)
    asking = next((place for place, turn in enumerate(turns) if turn.id == before), len(turns))
    turns = turns[:asking]
    users = [place for place, turn in enumerate(turns) if turn.who == "user"]
    return turns[users[-1] :] if users else []


def _facts_named(store: OwnerStore, what: str, now_ms: int) -> list[int]:
    """Return the facts that words such as 我的生日 or 我对花生过敏 name."""
    asked = facts_asked(what)
    if asked is None or not _OF_OURS.match(what):
        return []
    found = []
    for subject in asked.subjects or (SELF,):
        found += reading.find(store.writer, subject, asked.attributes, 0, now_ms)
    told = match_key(what)
    named = [fact for fact in found if match_key(fact.value) in told]
    return [fact.id for fact in named or found] if asked.attributes else []
