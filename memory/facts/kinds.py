"""What kinds of facts there are about a person: one row for each, and the words that they are told by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from xiaozhi_persona.memory.patterns import followed, pattern
from xiaozhi_persona.text.measures import normalized

RULES_VERSION = "5"
"""Changes whenever the rules do: turns that were read by others are read again."""
SELF = "我"
"""The subject of what the owner says about himself, when no speaker is known."""

NAME, CALLED, SURNAME = "名字", "称呼", "姓"
HOME, HOMETOWN = "住处", "家乡"
BIRTHDAY, AGE = "生日", "年龄"
LIKES, DISLIKES, AVOIDS, ALLERGY, DIET = "喜欢", "不喜欢", "不吃", "过敏", "饮食"
FAMILY, PET, MARRIAGE = "家人", "宠物", "婚姻"
JOB, WORKPLACE, SCHOOL = "职业", "工作单位", "学校"
APPOINTMENT, NOTE, PROFILE = "安排", "备忘", "档案"
HOBBY, MAJOR, SIGN, BLOOD, ZODIAC = "爱好", "专业", "星座", "血型", "生肖"
ANY = "*"
"""As an attribute: all that is known of somebody, but for what stays so for ever."""
LASTING = (NAME, SURNAME, HOMETOWN, BIRTHDAY)
"""Whoever has died still has these."""

KIN = (
    "爸爸|妈妈|老爸|老妈|父亲|母亲|爷爷|奶奶|外公|外婆|姥姥|姥爷|公公|婆婆|岳父|岳母|哥哥|姐姐|弟弟|妹妹|表哥|表姐|表弟|表妹|堂哥|堂姐|堂弟|堂妹"
    "|大儿子|小儿子|大女儿|小女儿|儿子|女儿|孩子|宝宝|孙子|孙女|外孙女|外孙|老公|老婆|丈夫|妻子|爱人|爱妻|爱女|爱子|先生|太太|男朋友|女朋友|男友|女友|未婚妻|未婚夫"
    "|舅舅|舅妈|叔叔|婶婶|阿姨|姑姑|姑父|姨妈|侄子|侄女|外甥女|外甥|爸|妈|哥|姐|弟|妹"
)
OTHERS = "好朋友|朋友|闺蜜|同事|同学|同桌|室友|邻居|老板|领导|上司|老师|导师|班主任|教练|师傅|徒弟|医生|房东|搭档|队友|老乡|客户"
PETS = "爱犬|猫咪|小猫|大猫|橘猫|黑猫|白猫|猫|小狗|大狗|狗狗|金毛|柯基|泰迪|哈士奇|拉布拉多|狗|兔子|仓鼠|乌龟|鹦鹉|金鱼|鹅|刺猬|龙猫|豚鼠|荷兰猪|蜥蜴|蛇|宠物"
PLACES = (
    "北京|上海|天津|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
    "|广州|深圳|成都|杭州|武汉|西安|南京|苏州|长沙|郑州|东莞|青岛|沈阳|宁波|昆明|大连|厦门|合肥|佛山|福州|哈尔滨|济南|温州|南宁|长春|泉州|石家庄|贵阳|南昌|金华|常州|无锡|嘉兴"
    "|太原|徐州|珠海|中山|台北|三亚|海口|兰州|拉萨|乌鲁木齐|桂林|洛阳|扬州|绍兴|烟台|威海|东京|纽约|伦敦|巴黎|新加坡|首尔|大阪|柏林"
)
"""Places that are known for certain as such: by them a place is told from a name."""
PROFILE_WORDS = "电话|手机号|手机|邮箱|车牌|血型|星座|生肖|身高|体重|鞋码|专业|爱好|英文名|小名|昵称|外号|绰号|网名|笔名|艺名|微信|学号|座右铭"
"""Attributes that are asked for and told by their own names."""
N = "[\\d零一二三四五六七八九十两几]"
DATE = rf"(?P<v>(?:农历|阴历|阳历|公历)?(?:\d{{2,4}}年)?{N}{{1,3}}月{N}{{1,3}}[日号]?)"
JOBS = (
    "医生|护士|老师|教师|教练|学生|工程师|程序员|设计师|律师|会计|厨师|司机|警察|军人|记者|作家|画家|歌手|演员|导演|编辑|翻译|农民|工人|公务员|经理|老板"
    "|教授|博士|研究员|销售|客服|快递员|店长|秘书|助理|主播|理发师|摄影师|飞行员|消防员|保安|保姆|家庭主妇|药剂师|咨询师|建筑师|架构师|产品经理|[\u4e00-\u9fff]{1,4}[师员]"
)
_SAME = {
    "老爸": "爸爸", "父亲": "爸爸", "爸": "爸爸", "老妈": "妈妈", "母亲": "妈妈", "妈": "妈妈", "哥": "哥哥", "姐": "姐姐", "弟": "弟弟",
    "妹": "妹妹", "丈夫": "老公", "先生": "老公", "妻子": "老婆", "爱妻": "老婆", "太太": "老婆", "爱女": "女儿", "爱子": "儿子", "男友": "男朋友", "女友": "女朋友", "姥姥": "外婆",
    "姥爷": "外公", "猫咪": "猫", "小猫": "猫", "大猫": "猫", "橘猫": "猫", "黑猫": "猫", "白猫": "猫", "爱犬": "狗", "小狗": "狗", "大狗": "狗",
    "狗狗": "狗", "金毛": "狗", "柯基": "狗", "泰迪": "狗", "哈士奇": "狗", "拉布拉多": "狗", "好朋友": "朋友",
}  # fmt: skip
_POINTS = re.compile(r"[\s，。！？、,.!?~～「」『』“”\"']+")
_SEVERAL_KIN = "儿子|女儿|孩子|宝宝|孙子|孙女|外孙女|外孙|哥哥|姐姐|弟弟|妹妹|表哥|表姐|表弟|表妹|堂哥|堂姐|堂弟|堂妹|舅舅|叔叔|阿姨|姑姑|侄子|侄女|外甥女|外甥|兄弟|姐妹"
_SEVERAL_NAMED = frozenset(f"{PETS}|{_SEVERAL_KIN}".split("|"))
_SEVERAL = frozenset(OTHERS.split("|"))
_VERB = re.compile(r"^(?:吃|喝|看|听|玩|去|打|踢|做|读|养|学|to )")


@dataclass(frozen=True)
class Kind:
    """One kind of fact: how it is kept, asked for, and what its values look like. The rules say what tells it."""

    name: str
    several: bool = False
    """Whether it has several values at once. Else a new value ends the old one."""
    asks: str = ""
    """What is searched for in a question, in every language; "" where only its own name asks for it."""
    also: tuple[str, ...] = ()
    """What else helps to answer such a question; * stands for any ending."""
    shape: str = ""
    """What a whole value looks like; "" where nobody knows."""
    is_thing: bool = False
    """Whether its values are things like others."""
    ends: tuple[str, ...] = ()
    """Of which kinds the same value ends."""


KINDS = (
    Kind(
        NAME,
        asks="叫什么|叫啥|名字|是谁|叫我|称呼|记得我$|记得我吗|认识我|名前|my name|who am i|called",
        also=(CALLED,),
    ),
    Kind(CALLED),
    Kind(SURNAME, asks="姓什么|贵姓|姓啥|surname", also=(NAME,)),
    Kind(HOME, asks="住(?!院)|家在|地址|搬|哪个城市|live"),
    Kind(HOMETOWN, asks=f"老家|家乡|籍贯|哪里人|哪儿人|出身|{followed('where', ' from')}"),
    Kind(BIRTHDAY, asks="生日|誕生日|出生|几号生|birthday", shape=DATE),
    Kind(AGE, asks="多大|几岁|年龄|年纪|何歳|how old", also=(BIRTHDAY,), shape=f"{N}{{1,3}}岁半?"),
    # Before what it holds: 不喜欢 is no question of 喜欢.
    Kind(DISLIKES, True, "不喜欢|讨厌|不爱|最烦|嫌い|hate|dislike", (AVOIDS,), is_thing=True, ends=(LIKES,)),
    Kind(
        LIKES,
        True,
        "喜欢|爱吃|爱喝|爱看|爱听|爱玩|爱好|最爱|偏好|口味|好き|favou?rite|like|love",
        ("喜欢的*", HOBBY),
        is_thing=True,
        ends=(DISLIKES, AVOIDS),
    ),
    Kind(
        AVOIDS,
        True,
        "忌口|不吃|不能吃|吃什么|能吃|点菜|做饭|点什么菜|\\beat\\b",
        (ALLERGY, DIET, LIKES, DISLIKES),
        is_thing=True,
        ends=(LIKES,),
    ),
    Kind(ALLERGY, True, "过敏|アレルギー|allerg", is_thing=True),
    Kind(DIET, asks="吃素|素食|饮食|vegetarian|vegan"),
    Kind(FAMILY, True, "家人|家里有|几口人|亲人|孩子|family", shape=KIN),
    Kind(PET, True, "宠物|养了?什么|养的|养过|\\bpets?\\b", shape=rf"[\u4e00-\u9fff]{{0,4}}(?:{PETS})"),
    Kind(MARRIAGE, asks="结婚|单身|离婚|married"),
    Kind(
        JOB,
        asks="工作|上班|职业|公司|做什么的|干什么的|单位|\\bjob\\b|\\bwork\\b",
        also=(WORKPLACE,),
        shape=rf"[\u4e00-\u9fff]{{0,6}}?(?:{JOBS})",
    ),
    Kind(WORKPLACE, is_thing=True),
    Kind(SCHOOL, asks="学校|上学|大学|school", is_thing=True),
    Kind(APPOINTMENT, True, "安排|日程|有什么事|有啥事|什么计划|要做什么|约了|appointment|schedule"),
    Kind(HOBBY, True, is_thing=True),
    Kind(MAJOR, is_thing=True),
    Kind(SIGN, shape="..座"),
    Kind(BLOOD, shape="[ABOabo]{1,2}型?"),
    Kind(ZODIAC, shape="属?[鼠牛虎兔龙蛇马羊猴鸡狗猪]"),
    Kind(NOTE, True),
    Kind(PROFILE, True),
)
"""In the order in which a question is searched for them. Others are asked for and told by their own names."""
BY_NAME = {kind.name: kind for kind in KINDS}
SHAPES = {kind.name: pattern(kind.shape) for kind in KINDS if kind.shape}
"""What a whole value looks like, by kind."""


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


@dataclass(frozen=True)
class Fact:
    """What is or was known about somebody."""

    id: int
    subject: str
    attribute: str
    value: str
    valid_from_ms: int
    """UTC milliseconds; 0 when the beginning is not known."""
    valid_to_ms: int | None
    """None while it holds."""
    source: str
    """The id of the turn that told it, "" when it was set by hand."""
    confidence: float
    pinned: bool
    starts_ms: int | None = None
    """When an appointment begins, by the wall clock: milliseconds since 1970."""
    ends_ms: int | None = None
    said: str = ""
    """The words of the turn that told it, "" when there is none: the fact was set by hand, or the turn is gone."""
    speaker: str = ""
    """Who said them, when that is known."""
    told_ms: int | None = None
    """When they were said: UTC milliseconds."""

    @property
    def match_text(self) -> str:
        """The value as words of a question are looked for in it."""
        return normalized(self.value)


def subject_of(word: str) -> str:
    """Return the one word under which a relative or a pet is kept: 老妈 is 妈妈, 小猫 is 猫."""
    return _SAME.get(word, word)


def spellings_of(subject: str) -> list[str]:
    """Return the other words of which subject_of() makes this one."""
    return [word for word, same in _SAME.items() if same == subject]


def match_key(value: str) -> str:
    """Return what two values are compared by: 吃香菜 and 香菜 are one thing."""
    plain = _POINTS.sub("", normalized(value))
    return _VERB.sub("", plain) or plain


def is_single(subject: str, attribute: str) -> bool:
    """Whether a new value ends the old one. There may be several cats, each with its name, and several colleagues."""
    several = subject in _SEVERAL or (attribute == NAME and subject in _SEVERAL_NAMED)
    kind = BY_NAME.get(attribute)
    return not (kind and kind.several) and not several
