"""Years of Chinese turns of one owner, made up with a fixed seed.

Talk of every day; in it a few hundred things that were said once, each with a question of other words for it; and
facts that change every few weeks.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from xiaozhi_persona.memory import diary
from xiaozhi_persona.spine import Turn

ZONE = timezone(timedelta(hours=8))
END = datetime(2025, 8, 20, 23, 0, tzinfo=ZONE)
TURNS_A_DAY = 274
_PLANTED = 300
_CHANGES = 120


def _words(text: str) -> list[str]:
    return text.split()


WHO = _words("小王 小李 妈妈 爸爸 老张 同事 邻居 表姐 室友 教练")
WHAT = _words(
    "吃火锅 看电影 去公园 打羽毛球 写报告 开会 做饭 逛街 修自行车 读小说 学吉他 跑步 收拾房间 买菜 看展览 剪头发 喝奶茶 下棋"
)
_WHERE = _words("家里 公司 学校 楼下 商场 河边 咖啡馆 图书馆 车站 医院")
FEEL = _words("挺开心的 有点累 很有意思 不太顺利 比想的要久 还不错 以后再去 花了不少钱")
_ASK = _words(
    "今天天气怎么样 帮我讲个笑话 给我推荐一首歌 明天几点日出 这道题怎么做 你觉得我该怎么办 晚饭吃什么好 现在几点了"
)
_ANSWER = _words(
    "听起来不错呀 原来是这样 那你要注意休息 我也觉得挺好的 要不要我帮你记下来 哈哈真有意思 慢慢来不着急 下次可以换个地方"
)
_SURNAMES = _words(
    "欧阳 上官 司徒 诸葛 慕容 东方 令狐 独孤 皇甫 尉迟 公孙 夏侯 端木 百里 南宫 西门 呼延 轩辕"
)
_GIVEN = _words("承 朔 霁 骁 翊 蘅 珩 铎 洵 泓 峤 岱 黛 绮 芷 蕴 钰 瑾")
# Things said once: what was said, what was answered, and what is asked for it later.
_OBJECTS = _words(
    "怀表 航海图 陶罐 铜铃 竹笛 油画 砚台 风筝 八音盒 望远镜 打字机 留声机 檀木梳 琥珀 地球仪 蓑衣 算盘 邮票册 皮影 马灯"
)
_PLACES = _words("阁楼 地窖 旧仓库 祠堂 花房 码头 钟楼 磨坊 灯塔 茶馆 染坊 戏台 书院 渡口 果园")
_CITIES = _words("北京 上海 广州 成都 西安 南京 杭州 武汉 长沙 青岛 厦门 昆明 沈阳 合肥 兰州 福州")
# How a fact is told, which attribute it is, and how it is asked for; each has one value at a time.
_FACTS = (
    ("我搬到{}了", "住处", "我住在哪里", _CITIES),
    ("我的手机号是{}", "手机号", "我的手机号是多少", [f"13{n:09}" for n in range(7919, 10**9, 7_919_000)]),
    ("我的座右铭是{}", "座右铭", "我的座右铭是什么", _words("天道酬勤 厚德载物 知行合一 宁静致远 自强不息")),
)


class Question(NamedTuple):
    """A question about something that was said once."""

    text: str
    said: set[str]
    """Ids of the turn that said it and of its answer."""
    answer: str
    """Id of the one of them that holds what is asked for."""


class Change(NamedTuple):
    """A fact that was told."""

    at: datetime
    question: str
    value: str


@dataclass
class Years:
    """What was said, oldest first, and what is known about it."""

    entries: list[diary.Entry] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


def generate(turns: int, chance: random.Random) -> Years:
    years = Years()
    pairs = turns // 2
    places = chance.sample(range(pairs), min(_PLANTED, pairs // 10) + min(_CHANGES, pairs // 20))
    planted = set(places[: min(_PLANTED, pairs // 10)])
    changing = set(places) - planted
    last: dict[str, str] = {}
    start = END - timedelta(days=turns / TURNS_A_DAY)
    for pair in range(pairs):
        when = start + pair * timedelta(days=2) / TURNS_A_DAY
        if pair in planted:
            said, answered, text, in_reply = _planted(len(years.questions), chance)
            ids = {f"{pair}u", f"{pair}a"}
            years.questions.append(Question(text, ids, f"{pair}a" if in_reply else f"{pair}u"))
        elif pair in changing:
            told, attribute, question, values = chance.choice(_FACTS)
            value = chance.choice([value for value in values if value != last.get(attribute)])
            last[attribute] = value
            said, answered = told.format(value), chance.choice(_ANSWER)
            years.changes.append(Change(when, question, value))
        elif chance.random() < 0.3:
            said, answered = chance.choice(_ASK), chance.choice(_ANSWER)
        else:
            when_said = chance.choice(["今天", "刚才", "早上", "下班以后", ""])
            said = f"{when_said}我和{chance.choice(WHO)}在{chance.choice(_WHERE)}{chance.choice(WHAT)}，{chance.choice(FEEL)}"
            answered = chance.choice(_ANSWER) + "，" + chance.choice(_ANSWER)
        reply_at = when + timedelta(seconds=4)
        years.entries.append(diary.entry(Turn("user", said, when), id=f"{pair}u"))
        years.entries.append(diary.entry(Turn("assistant", answered, reply_at), id=f"{pair}a"))
    return years


def common_words(chance: random.Random) -> str:
    """Return a question all of whose words were said thousands of times."""
    return f"{chance.choice(WHO)}{chance.choice(WHAT)}{chance.choice(FEEL)}"


def _planted(number: int, chance: random.Random) -> tuple[str, str, str, bool]:
    """Return (said, answered, question, whether the answer stands in the reply). Each is about somebody else."""
    name = _SURNAMES[number % len(_SURNAMES)] + _GIVEN[number // len(_SURNAMES) % len(_GIVEN)]
    thing, place = chance.choice(_OBJECTS), chance.choice(_PLACES)
    if number % 2:
        said = f"我在{place}遇到了{name}，他送给我一个{thing}"
        return said, chance.choice(_ANSWER), f"{name}那次送了我什么", False
    return (
        f"{name}的那个{thing}应该怎么保养才好呢",
        "用软布蘸一点核桃油慢慢擦",
        f"{name}的{thing}要怎么擦来着",
        True,
    )
