"""Which sentences are said to the memory itself: remember this, forget that, this is off the record.

In Chinese, English and Japanese. Every rule takes the whole sentence; what only looks like a command (I forgot my keys,
Forget-me-nots are blue) is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from xiaozhi_persona.memory.patterns import Words, pattern
from xiaozhi_persona.memory.time_words.fold import fold, fold_expression

_MAX_CHARS = 100

Language = Literal["zh", "en", "ja"]


@dataclass(frozen=True)
class Command:
    """What the owner wants of the memory."""

    kind: Literal["off", "on", "remember", "forget", "forget_all", "ask_forget_all"]
    what: str = ""
    """The words that say what to remember or to forget."""
    sure: bool = False
    """Whether to forget it, however much it is."""
    language: Language = "zh"
    """In which it is answered."""


def parse_command(text: str) -> Command | None:
    """Return what a text tells the memory to do, None for anything else."""
    plain = text.strip().rstrip("。！!~～.")
    if not plain or len(plain) > _MAX_CHARS:
        return None
    # The folded form has as many characters, so that what is found in it stands at the same place in `plain`.
    folded = fold(plain)
    if _ASKING.search(folded):
        return None
    bare, bare_folded = _PAUSES.sub("", plain), _PAUSES.sub("", folded)
    if _NOT_MEANT.match(bare_folded):
        return None
    begins = ((bare_folded, _PLEASE.lead(bare_folded)), (folded, _PLEASE.lead(folded)))
    if any(_FORGET_LAST.fullmatch(*begin) for begin in begins):
        return Command("forget", "刚才那句话")
    if any(_OFF.fullmatch(*begin) or _OFF_JA.fullmatch(*begin) for begin in begins):
        return Command("off")
    if any(_ON.fullmatch(*begin) or _ON_JA.fullmatch(*begin) for begin in begins):
        return Command("on")
    whole = begins[1]
    match = (
        _REMEMBER.fullmatch(*whole)
        or _REMEMBER_AFTER.fullmatch(*whole)
        or _REMEMBER_THAT.fullmatch(*whole)
        or _REMEMBER_MY.fullmatch(*whole)
        or _REMEMBER_JA.fullmatch(*whole)
        or _REMEMBER_JA_FIRST.fullmatch(*whole)
    )
    if match:
        return Command("remember", plain[slice(*match.span("what"))].strip(" ，,、"))
    return _forgetting(plain, begins[1]) if bare.isascii() else _forgetting(bare, begins[0])


def is_yes(text: str) -> bool:
    """Whether a text plainly agrees."""
    return bool(_YES.fullmatch(text.strip()))


def _forgetting(said: str, begin: tuple[str, int]) -> Command | None:
    """Return a command to forget; `begin` is what is said in its folded form, and where the command begins."""
    folded, start = begin
    if _NEVER_MIND.fullmatch(folded, start):
        return None
    match = (
        _FORGET_MEMORY.fullmatch(folded, start)
        or _FORGET.fullmatch(folded, start)
        or _FORGET.fullmatch(_WELL.sub("", folded), start)
        or _FORGET_SAID.fullmatch(folded, start)
        or _FORGET_JA.fullmatch(folded)
    )
    if not match:
        return None
    group = match.lastgroup or ""
    begins, ends = match.span(group)
    if group == "a":
        ends = begins + _EVERY.tail(match[group], least=1)
    what, found = said[begins:ends].strip(), folded[begins:ends].strip()
    sure = bool(match.groupdict().get("sure")) or "确定" in folded
    if _ALL.fullmatch(found) and not (found == "我" and folded.endswith("忘了")):  # 你把我忘了 complains
        language: Language = "en" if said.isascii() else "ja" if _KANA.search(said) else "zh"
        return Command("forget_all" if sure else "ask_forget_all", language=language)
    if not what or (_OF_THE_DEVICE.search(found) and not _ABOUT.match(found)):
        return None
    return Command("forget", what, sure)


_ASKING = pattern(
    r"什么|怎么|吗|[?？]|能不能|有没有|是不是|会不会|要不要|如何|多久|哪[些个里儿]|为何|是谁.{1,4}的[呢啊呀吧嘛]?$|(?:诀窍|技巧|方法|办法|窍门|秘诀|好处|坏处)[吧啊呢]?$"
)
_PLEASE = Words("小智|请|帮我|给我|麻烦|你|现在|那")
"""What may stand before a command; the expressions for commands begin after it."""
_WORDS_OF_OURS = r"(?:这|那|接下来|下面|后面|刚才|以下|之后)(?:一?[段些句件]|几[段句]|个)?(?:的|我?要?说的)?(?:话|内容|事情?|对话|聊天|谈话)?|我(?:接下来|下面|后面)?说的话?"
_OFF = pattern(
    r"从(?:现在|这里|此刻|这儿)(?:开始|起)?[，,]?(?:都|就|你|先)*(?:别|不要|不用)(?:再)?(?:记|记录)(?:了|吧)?|我?(?:接下来|(?:下面|后面)?这一?[段句]|这几[段句]|这些|下面|后面|刚才|以下|这件事|这个|这话|我)?(?:的话|的?内容|要?说的话?|的|话)?(?:我说的话?)?(?:都|就|先|你)*"
    rf"(?:不要|不用|不许|别再|不要再|别)(?:记|记住|记录|记下来?|录|往心里记)(?:下来|了|下)?(?:{_WORDS_OF_OURS})?(?:吧|了|啊)?"
    r"|(?:停止|暂停|先停|关闭|关掉)(?:记录|记忆|记)(?:一下|吧|我的话)?"
    r"|(?:please )?(?:let's |lets )?(?:go |keep (?:this|it|that) |this is |that is |that's |what i say next is |the next part is )?off the record(?: please| now)?"
    r"|(?:please )?(?:do not|don't|dont) (?:remember|record|save|store|memorize|write down|take note of|keep a record of) (?:this|that|it|any of this|what i (?:say|said|tell you)(?: next| now)?|what i'm (?:about|going) to say|the next part|anything i say)"
    r"|(?:please )?(?:do not|don't|dont) write (?:this|that|it|anything) down"
    r"|(?:please )?stop (?:recording|remembering)(?: (?:this|now|what i say))?",
    re.IGNORECASE,
)
_ON = pattern(
    r"(?:又?可以(?:继续|恢复|重新|接着|开始|再)?|继续|恢复|重新|接着|开始)(?:开始)?(?:帮我)?(?:记|记住|记录|记下来|录)(?:我说的话?)?(?:了|吧|下来|录)*"
    r"|(?:ok |okay )?(?:we're |we are |you're |go |let's go )?(?:back )?on the record(?: again| now)?"
    r"|you (?:can|may) (?:remember|record|take notes|keep notes)(?: things| this| that)?(?: again| now)"
    r"|(?:please )?(?:start|resume|begin) (?:recording|remembering)(?: again| things| now)?",
    re.IGNORECASE,
)
_REMEMBER = pattern(
    r"要?(?:牢牢记住|记住|记一下(?!午)|记一记|记下来|记下|记好|记牢|记清楚|记着|牢记|(?<=帮我)记)[了着]?[:：,， ]*(?P<what>[^:：,， ].+)"
)
_REMEMBER_AFTER = pattern(
    r"(?=[^,，:]*(?:我|密码|生日|号码|电话))(?P<what>[^:]+)[,，]\s*(?:你|请|帮我|给我|麻烦)*(?:记住|记一下|记下来|记下|记好|记牢)(?:了|吧|啊|哦|哈)?"
)
_REMEMBER_EN_VERB = r"(?:please |can you |could you |will you )?(?:remember|note|memorize|make a note|take a note|keep in mind)(?: down)?"
_REMEMBER_THAT = pattern(
    _REMEMBER_EN_VERB
    + r"(?: this:| that[:,]?(?! (?:time|day|night|one|guy|girl|movie|song|trip|summer|year|place|story)\b)|[:,]) ?(?P<what>[^ :,].+)",
    re.IGNORECASE,
)
_REMEMBER_MY = pattern(
    r"(?:please )?remember (?P<what>(?:i|i'm|i've|i'll|i'd|my|we|we're|our|to|mom|dad|mom's|dad's|tomorrow|the (?:code|password|passcode|pin"
    r"|number|key|keys|car|door|address|wifi|wi-fi|appointment|meeting|date|name|spare|combination|gate|doctor|dentist|dog|cat)"
    r"|[a-z]{1,20}'s [a-z]+)\b.*)",
    re.IGNORECASE,
)
_JA_PLEASE = "(?:ください(?:ね)?|下さい(?:ね)?|ね|よ|くれ|くれる|ほしい|ちょうだい|お願い(?:します)?)?"
_JA_REMEMBER = "(?:覚えておいて|覚えといて|覚えて|おぼえておいて|おぼえといて|おぼえて|記憶しておいて|記憶して|メモしておいて|メモしといて|メモして|メモって)"
_REMEMBER_JA = pattern(
    fold_expression(
        rf"(?P<what>.+?)(?:ということ[をは]|という[のこ]を|ってこと[をは]|ことを|のを|って|と|は|を)?[、,]?(?:ちゃんと|しっかり)?{_JA_REMEMBER}{_JA_PLEASE}"
    )
)
_REMEMBER_JA_FIRST = pattern(fold_expression(rf"{_JA_REMEMBER}{_JA_PLEASE}[、,](?P<what>.+)"))
_JA_THESE = "(?:(?:これ|それ|この話|その話|今の話?|今から話すこと|今から言うこと|これから話すこと|これから言うこと|これからの話|ここから先?|この先|ここからの話|次の話|以下|さっきの話|この会話|私の話|このこと|今日の話)(?:から)?(?:は|を|も)?)?(?:もう)?"
_OFF_JA = pattern(
    fold_expression(
        rf"{_JA_THESE}(?:(?:記録|記憶|メモ|保存|録音)(?:に残さないで|しないで|しなくていい|を止めて|を停止して|を停止|停止|禁止)|覚えないで|覚えなくていい|残さないで)(?:おいて)?{_JA_PLEASE}"
        rf"|{_JA_THESE}オフレコ(?:で|にして|だよ)?{_JA_PLEASE}"
    )
)
_ON_JA = pattern(
    fold_expression(
        rf"(?:また|もう|もう一度)(?:記録|記憶|メモ)(?:して|を始めて|していい|してもいい)(?:いい)?{_JA_PLEASE}"
        rf"|(?:また|もう)覚えて(?:も)?いい{_JA_PLEASE}|(?:記録|記憶)を?再開(?:して)?(?:いい)?{_JA_PLEASE}"
    )
)
_GONE = "忘掉|删掉|删了|删除|清除|清空|抹掉"
_FORGET_MEMORY = pattern(
    rf"(?:重置|格式化|初始化)(?P<k>(?:你|我)?的?(?:全部|所有)?的?记忆)|(?P<l>全部|全都|统统)(?:都|给我)?(?:忘记|{_GONE}|忘了吧)吧?"
    r"|(?:please )?(?:delete|erase|wipe|clear|reset|forget)(?: out| about)? (?P<m>(?:all (?:of )?)?(?:my|our|your|the) (?:entire |whole )?(?:memor(?:y|ies)|data|conversations?)(?: of me)?)",
    re.IGNORECASE,
)
"""Only what there is of an owner as a whole is reset, wiped, or forgotten before it is said what."""
_FORGET = pattern(
    rf"把(?P<a>.+)(?:忘了|忘记|{_GONE})"
    rf"|(?P<sure>确定|确认)?(?:忘记|忘掉|删掉|删除|清除|清空|抹掉)(?P<b>.+)"
    r"|忘了(?P<h>(?:我|你|刚才|刚刚|昨天|今天|之前|那)[^吧]*[说讲聊谈提的事话][^吧]*)吧"
    r"|(?:please )?forget(?: about)?(?: +|(?=[一-鿿]))(?P<c>.+)"
    r"|(?:please )?(?:delete|erase|wipe) (?P<d>(?:what|everything|our|the (?:memory|memories|conversation)|my memories|all (?:my |our )?(?:memories|conversations))\b.*)",
    re.IGNORECASE,
)
_FORGET_LAST = pattern(
    "(?:刚才|刚刚|上面|前面)(?:说?的?)?(?:那|这)(?:一?句|段|个)?(?:话)?(?:都|就|先|你)*(?:别|不要|不用|不许)(?:记|记住|记录|记下来?)(?:了|吧|啊)?"
)
_FORGET_SAID = pattern(
    rf"(?![^忘删清抹]*[我他她它你](?:已经|就|早|也)?(?:全部|全都|都|全)?(?:忘|删))(?P<e>[^忘删清抹]*?(?:[说讲聊谈提]的|话|对话|聊天|记录|内容|记忆))"
    rf"(?:请|帮我|给我)?(?:全部|统统|全都|都|全)?(?:给我|帮我)?(?:(?:{_GONE})(?:吧|好了)?|(?:忘了|忘记)(?:吧|好了))"
)
_FORGET_JA = pattern(
    fold_expression(
        rf"(?P<f>.+?)(?:のことは|のことを|については|について|は|を|も)?(?:全部|ぜんぶ|すべて|もう|全て)?忘れて(?:おいて|しまって)?{_JA_PLEASE}"
        rf"|(?P<g>.*?(?:記憶|会話|話|言ったこと|話したこと))(?:を|は)?(?:全部|ぜんぶ|すべて|全て)?(?:消して|削除して|消去して|リセットして|初期化して){_JA_PLEASE}"
    )
)
_EVERY = Words("都|全部|全|统统")
_WELL = pattern("(?:吧|好了|好不好)$")
_PAUSES = pattern(r"[，,\s]+")
_NOT_MEANT = pattern("[我他她].{0,4}忘|别忘|不要忘|差点忘")
_ALL = pattern(
    "(?:关于|有关)?(?:我|你)?的?(?:所有|全部|一切|整个|你的)的?(?:记忆|事情?|内容|记录|聊天|谈话|东西|信息|资料|数据|(?:聊天|谈话|对话)(?:记录|内容))?"
    "|(?:我|你)?的?(?:记忆|(?:聊天|谈话|对话)记录)|(?:关于|有关)?我|我们?(?:以前|之前)?(?:跟你|和你|对你)?(?:以前|之前)?[说聊讲]过的(?:所有|全部|一切)?(?:话|事情?|东西|内容)|全都|统统"
    r"|everything(?: (?:about me|you (?:know|have|remember)(?: (?:about|of|on) me)?|i(?:'ve| have)? (?:ever )?(?:said|told you)))?|me"
    r"|(?:all )?(?:of )?(?:my|our|the|all|your) (?:entire |whole )?(?:memor(?:y|ies)|data|conversations?)(?: of me)?"
    "|全部|ぜんぶ|すべて|(?:全て|すべて)の记忆|(?:私|僕|俺)(?:のこと)?(?:を?全部)?",
    re.IGNORECASE,
)
_KANA = pattern("[\u3041-\u30ff]")
_NEVER_MIND = pattern(r"(?:please )?forget (?:about )?it\b.*", re.IGNORECASE)
# What a device keeps: to delete it is no business of the memory.
_OF_THE_DEVICE = pattern(
    "(?:闹钟|闹铃|日程|日历|提醒|定时器?|计时器?|倒计时|歌曲?|歌单|音乐|专辑|播放列表|文件夹?|照片|相片|图片|视频|录音|短信|邮件|联系人|微信"
    r"|通话记录|浏览记录|缓存|应用|软件|程序|\b(?:alarm|timer|reminder|calendar|song|music|playlist|file|folder|photo|picture|video|email)s?)$",
    re.IGNORECASE,
)
_ABOUT = pattern("关于|有关")
_YES = pattern(
    r"(?:[嗯哦啊][，,\s]*)*(?:(?:对|对的|对啊|是|是的|是啊|没错|好|好的|好啊|我?(?:很|非常)?确定|确认|(?:yes|sure|ok)(?:,? please|,? do it)?|yeah|go ahead|はい|ええ|うん|お願いします)[，,。！!.\s]*)+",
    re.IGNORECASE,
)
