"""Greetings and commands to the device: talk for which nothing is remembered back."""

from __future__ import annotations

import re

_MAX_CHARS = 60

_POINTS = re.compile(r"[，。！？、,.!?~～…]+")
_SMALL_TALK = re.compile(
    r"(?:小智|哎|嘿|喂|嗨|哈喽|你|您|大家)*(?:你好|您好|好|早上好|早安|早|上午好|中午好|下午好|晚上好|晚安|再见|拜拜|回头见|在吗|在不在|谢谢你?|多谢|不客气"
    r"|对不起|没关系|好的|好吧|嗯+|哦|是的|对|不是|不用了?|行|可以|没事|哈哈+|hello|hi|hey|bye|goodbye|thanks|thank you|ok|okay"
    r"|good (?:morning|night|evening|afternoon))[呀啊吧呢哦啦了嘛]*",
    re.IGNORECASE,
)
_COMMAND = re.compile(
    r"(?:小智|请|帮我|给我|麻烦|你)*(?:(?:把)?(?:音量|声音|亮度).{0,10}|(?:打开|关掉|关闭|关上|开一下|关一下|开(?![心学会业始])).{1,12}|(?:播放|放|来)(?:一?首|点|一下)?.{0,12}(?:歌|音乐|曲)"
    r"|暂停|继续播放|停止|停|别说了|闭嘴|下一首|上一首|大声一?点|小声一?点|(?:设|定)(?:一?个|置)?.{0,14}(?:闹钟|提醒|计时).{0,10}|(?:现在|今天)几点[了钟]?|今天几号|今天星期几|退出|重启|再说一遍)"
)

_IS_ASKED = re.compile("什么|谁|哪|多少|怎么|为什么|有没有|[我咱]们?[说讲问聊]|那天|时候")
"""A command holds none of these, whatever it begins with: 开会的时候我答应了谁."""


def is_small_talk(question: str) -> bool:
    """Whether a text is a greeting or a command, for which nothing is recalled."""
    if len(question) >= _MAX_CHARS:
        return False
    words = _POINTS.sub(" ", question).strip()
    plain = "".join(words.split())
    if not plain or _SMALL_TALK.fullmatch(plain) or _SMALL_TALK.fullmatch(words):
        return True
    return bool(_COMMAND.fullmatch(plain)) and not _IS_ASKED.search(plain)
