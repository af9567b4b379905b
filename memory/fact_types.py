"""What kinds of facts there are about a person: their names, and which of them have one value at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from xiaozhi_persona.memory.words import normalized

SELF = "我"
"""The subject of what the owner says about himself, when no speaker is known."""

NAME, CALLED, SURNAME = "名字", "称呼", "姓"
HOME, HOMETOWN = "住处", "家乡"
BIRTHDAY, AGE = "生日", "年龄"
LIKES, DISLIKES, AVOIDS, ALLERGY = "喜欢", "不喜欢", "不吃", "过敏"
FAMILY, FRIEND, PET, MARRIAGE = "家人", "朋友", "宠物", "婚姻"
JOB, WORKPLACE, SCHOOL = "职业", "工作单位", "学校"
APPOINTMENT, NOTE, PROFILE = "安排", "备忘", "档案"
MULTI = frozenset({LIKES, DISLIKES, AVOIDS, ALLERGY, FAMILY, FRIEND, PET, APPOINTMENT, NOTE, PROFILE, "爱好"})
"""Attributes that have several values at once. All others have one: a new value ends the old one."""
OPPOSITES = {LIKES: (DISLIKES, AVOIDS), DISLIKES: (LIKES,), AVOIDS: (LIKES,)}
"""What something newly said ends elsewhere."""

KIN = (
    "爸爸|妈妈|老爸|老妈|父亲|母亲|爷爷|奶奶|外公|外婆|姥姥|姥爷|公公|婆婆|岳父|岳母|哥哥|姐姐|弟弟|妹妹|表哥|表姐|表弟|表妹|堂哥|堂姐|堂弟|堂妹"
    "|大儿子|小儿子|大女儿|小女儿|儿子|女儿|孩子|宝宝|孙子|孙女|外孙女|外孙|老公|老婆|丈夫|妻子|爱人|先生|太太|男朋友|女朋友|男友|女友|未婚妻|未婚夫"
    "|舅舅|舅妈|叔叔|婶婶|阿姨|姑姑|姑父|姨妈|侄子|侄女|外甥女|外甥|爸|妈|哥|姐|弟|妹"
)
OTHERS = "好朋友|朋友|闺蜜|同事|同学|同桌|室友|邻居|老板|领导|老师|师傅|医生"
PETS = "猫咪|小猫|大猫|橘猫|黑猫|白猫|猫|小狗|大狗|狗狗|金毛|柯基|泰迪|哈士奇|拉布拉多|狗|兔子|仓鼠|乌龟|鹦鹉|金鱼|鹅|刺猬|龙猫|豚鼠|荷兰猪|蜥蜴|蛇|宠物"
_SAME = {
    "老爸": "爸爸", "父亲": "爸爸", "爸": "爸爸", "老妈": "妈妈", "母亲": "妈妈", "妈": "妈妈", "哥": "哥哥", "姐": "姐姐", "弟": "弟弟",
    "妹": "妹妹", "丈夫": "老公", "先生": "老公", "妻子": "老婆", "太太": "老婆", "男友": "男朋友", "女友": "女朋友", "姥姥": "外婆",
    "姥爷": "外公", "猫咪": "猫", "小猫": "猫", "大猫": "猫", "橘猫": "猫", "黑猫": "猫", "白猫": "猫", "小狗": "狗", "大狗": "狗",
    "狗狗": "狗", "金毛": "狗", "柯基": "狗", "泰迪": "狗", "哈士奇": "狗", "拉布拉多": "狗", "好朋友": "朋友",
}  # fmt: skip
_VERB = re.compile(r"^(?:吃|喝|看|听|玩|去|打|踢|做|读|养|学|to )")


@dataclass(frozen=True)
class Finding:
    """A fact as it was said: that it is so, was so, or is not so (any more)."""

    subject: str
    attribute: str
    value: str
    tense: Literal["is", "was", "not"] = "is"
    starts: datetime | None = None
    """When an appointment begins: local, naive."""
    ends: datetime | None = None


def subject_of(word: str) -> str:
    """Return the one word under which a relative or a pet is kept: 老妈 is 妈妈, 小猫 is 猫."""
    return _SAME.get(word, word)


def match_key(value: str) -> str:
    """Return what two values are compared by: 吃香菜 and 香菜 are one thing."""
    plain = re.sub(r"[\s，。！？、,.!?~～「」『』“”\"']+", "", normalized(value))
    return _VERB.sub("", plain) or plain


def is_single(subject: str, attribute: str) -> bool:
    """Whether a new value ends the old one. There may be several cats, each with its name."""
    return attribute not in MULTI and not (attribute == NAME and re.fullmatch(f"{PETS}|{OTHERS}", subject))
