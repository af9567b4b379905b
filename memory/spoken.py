"""What an owner says to the memory itself: remember this, forget that, this is off the record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.facts import reading, writing
from xiaozhi_persona.memory.facts.kinds import KIN, NOTE, PETS, SELF, Finding, match_key
from xiaozhi_persona.memory.facts.questions import facts_asked
from xiaozhi_persona.memory.facts.rules import find_facts
from xiaozhi_persona.memory.forget import Marked, forget_marked, mark_facts, mark_mention, mark_range
from xiaozhi_persona.memory.patterns import Words, pattern
from xiaozhi_persona.memory.store import OwnerStore
from xiaozhi_persona.memory.time_words import find_ranges

MAX_UNASKED = 5
"""More turns than this are forgotten only after asking back."""
_MAX_CHARS = 100
_ASKING = pattern(r"什么|怎么|为什么|吗|[?？]|能不能|有没有|是不是")
_PLEASE = Words("小智|请|帮我|给我|麻烦|你|现在|那")
"""What may stand before a command; the expressions for commands begin after it."""
_OFF = pattern(
    r"(?:接下来|这一?段|下面|后面|这些|刚才|以下|这件事|这个|这句)?(?:的话|的内容|说的|的)?(?:我说的)?(?:都|就|先|你)*(?:不要|别|不用|不许|别再|不要再)"
    r"(?:记|记住|记录|记下来?|录)(?:下来|了|下)?|(?:this is )?off the record|do(?: not|n't) remember this",
    re.IGNORECASE,
)
_ON = pattern(
    r"(?:可以|继续|恢复|重新|接着|又可以|开始)(?:开始)?(?:记|记住|记录|记下来|录)(?:了|吧|下来|录)*|(?:back )?on the record|you can remember again",
    re.IGNORECASE,
)
_REMEMBER = pattern(
    r"要?(?:记住|记一下|记下来|记下|记好|(?<=帮我)记|remember(?: that)?)[了着]?[:：,， ]*(?P<what>[^:：,， ].+)",
    re.IGNORECASE,
)
_FORGET = pattern(
    r"把(?P<a>.+)(?:忘掉|忘了|忘记|删掉|删了|删除|清除|清空|抹掉)"
    r"|(?P<sure>确定|确认)?(?:忘掉|忘记|删掉|删除|清除|清空|抹掉|(?:please )?forget\b)(?: about\b)?(?P<b>.+)",
    re.IGNORECASE,
)
_EVERY = Words("都|全部|全|统统")
_WELL = pattern("(?:吧|好了|好不好)$")
_PAUSES = pattern(r"[，,\s]+")
_NOT_MEANT = pattern("[我他她].{0,4}忘|别忘|不要忘|差点忘")
_ALL = pattern(
    "(?:所有|全部|一切|整个|你的)(?:的)?(?:记忆|事情?|内容|记录|聊天|谈话|东西)?|记忆|everything",
    re.IGNORECASE,
)
_NEVER_MIND = pattern(r"(?:please )?forget (?:about )?it", re.IGNORECASE)
# What a device keeps: to delete it is no business of the memory.
_OF_THE_DEVICE = pattern(
    "(?:闹钟|闹铃|日程|日历|提醒|定时器?|计时器?|倒计时|歌曲?|歌单|音乐|专辑|播放列表|文件夹?|照片|相片|图片|视频|录音|短信|邮件|联系人"
    r"|通话记录|浏览记录|缓存|应用|软件|程序|\b(?:alarm|timer|reminder|calendar|song|music|playlist|file|folder|photo|picture|video|email)s?)$",
    re.IGNORECASE,
)
_YES = pattern(
    r"(?:[嗯哦啊][，,\s]*)*(?:(?:对|对的|对啊|是|是的|是啊|没错|好|好的|好啊|我?(?:很|非常)?确定|确认|yes|yeah|sure|ok)[，,。！!.\s]*)+",
    re.IGNORECASE,
)
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
_THIS = pattern("(?:这件事情?|这事儿?|这个|这句话?|刚才那句话?|this|it|that)", re.IGNORECASE)
_ABOUT = pattern(
    "(?:关于|有关|和)?(?P<name>.{1,20}?)(?:有关)?的?(?:所有|全部|一切)?的?(?:事情?|话|记忆|内容|这件事|记录|聊天|谈话|对话)"
)
_WHOSE = pattern("^(?:我们?(?:家里?)?的?|那[个只条位]?|这[个只条位]?)+(?=.)")
_WHO = pattern(f"{KIN}|{PETS}")
_ABOUT_IT = pattern("关于|有关")
_OF_OURS = pattern("我|my|i ", re.IGNORECASE)
_NOBODY = pattern("[你我他她它的了是在那这事话啥谁人]")


@dataclass(frozen=True)
class Command:
    """What the owner wants of the memory."""

    kind: Literal["off", "on", "remember", "forget", "forget_all", "ask_forget_all"]
    what: str = ""
    """The words that say what to remember or to forget."""
    sure: bool = False
    """Whether to forget it, however much it is."""


class Done(NamedTuple):
    """What a command came to."""

    answer: str
    forgotten: bool = False
    asks: bool = False
    """Whether the answer asks back, and nothing was done yet: a yes is to be followed by the command, `sure`."""


def parse_command(text: str) -> Command | None:
    """Return what a text tells the memory to do, None for anything else."""
    plain = text.strip().rstrip("。！!~～.")
    if not plain or len(plain) > _MAX_CHARS or _ASKING.search(plain):
        return None
    bare = _PAUSES.sub("", plain)
    if _NOT_MEANT.match(bare):
        return None
    begins = ((bare, _PLEASE.lead(bare)), (plain, _PLEASE.lead(plain)))
    if any(_OFF.fullmatch(words, start) for words, start in begins):
        return Command("off")
    if any(_ON.fullmatch(words, start) for words, start in begins):
        return Command("on")
    match = _REMEMBER.fullmatch(*begins[1])
    if match:
        return Command("remember", match["what"].strip())
    words, start = begins[1] if bare.isascii() else begins[0]
    match = _FORGET.fullmatch(_WELL.sub("", words), start)
    if not match or _NEVER_MIND.fullmatch(plain):
        return None
    what = (match["b"] or match["a"][: _EVERY.tail(match["a"], least=1)]).strip()
    sure = bool(match["sure"]) or "确定" in bare
    if _ALL.fullmatch(what):
        return Command("forget_all" if sure else "ask_forget_all")
    if not what or (_OF_THE_DEVICE.search(what) and not _ABOUT_IT.match(what)):
        return None
    return Command("forget", what, sure)


def is_yes(text: str) -> bool:
    """Whether a text plainly agrees."""
    return bool(_YES.fullmatch(text.strip()))


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
    return Done("要忘掉全部记忆吗？要的话请说：确定忘掉全部记忆。")


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
