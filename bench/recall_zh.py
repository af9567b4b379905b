"""A Chinese set for recall: days of talk of made-up people, with questions that use other words than what was said.

Each episode is told once: turns of the user and the assistant in turn, then its questions as kind, question, what
must stand in the recalled text. Names in braces are drawn for each person. Between the episodes lies talk of every day.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from xiaozhi_persona.memory import diary
from xiaozhi_persona.spine import Turn

ZONE = timezone(timedelta(hours=8))
NOW = datetime(2025, 8, 20, 15, 30, tzinfo=ZONE)
DAYS = 10


class Asked(NamedTuple):
    """A question, and what must stand in the text that is recalled for it."""

    kind: str
    text: str
    answers: tuple[str, ...]


class Episode(NamedTuple):
    turns: tuple[str, ...]
    """What the user says first, then both in turn."""
    questions: tuple[tuple[str, str, str], ...]
    """Kind, question, the answers with | between."""
    hour: int = 0
    """When it is told; 0 for any time of the day."""
    day: int = 0
    """How many days ago; 0 for any day."""


_DRAWN = {
    "who": "阿岚 小齐 老郭 大勇 晓彤 阿杰",
    "food": "荠菜馄饨 鳗鱼饭 羊肉粉 菠萝包 酸笋鱼 糯米藕",
    "place": "云台山 千岛湖 崇明岛 雁荡山 青海湖 武夷山",
    "thing": "陶笛 拼图 航模 钢笔 多肉 望远镜",
    "sick": "芒果 虾 花粉 青霉素 猫毛 牛奶",
    "work": "修电梯 画插画 开货车 做面点 教地理 养蜜蜂",
    "number": "37 52 64 81 19 46",
    "film": "《长风》 《雪线》 《潮声》 《旧站台》 《山雀》 《夜渡》",
    "pet": "刺猬 乌龟 鹦鹉 仓鼠 兔子 柴犬",
    "name": "团子 奶盖 黑豆 芝麻 元宝 豆包",
}
_ALSO = ("你还记得{}吗", "我跟你说过{}吧，具体是怎么回事来着", "问你个事儿啊，{}")
_EPISODES = (
    Episode(("我对{sick}过敏，上次碰了一点，脖子上全是红疹子", "那可得小心，身边备着药吧"),
            (("fact", "我有什么东西是不能碰的", "{sick}"), ("fact", "我上次过敏是什么反应", "红疹"))),
    Episode(("我家养了一只{pet}，是从我表妹那儿抱来的", "真可爱，它叫什么", "叫{name}，因为它圆滚滚的"),
            (("fact", "我的{pet}是哪儿来的", "表妹"), ("answer", "我家那只{pet}叫啥名儿来着", "{name}"),
             ("answer", "为啥给宠物起那个名字", "圆滚滚"))),
    Episode(("我换工作了，现在在{work}", "哇，跟以前差别大吗", "差远了，以前坐办公室对着表格，眼睛都花了"),
            (("fact", "我现在靠什么吃饭", "{work}"), ("answer", "我从前上班是干嘛的", "表格"))),
    Episode(("我想学点新东西，有什么建议", "可以试试{thing}，入门不难", "好呀，那我周末买一个回来"),
            (("list", "你给我推荐过哪些爱好", "{thing}"),)),
    Episode(("最近晚上老睡不着", "要不睡前泡泡脚，或者听听雨声", "泡脚管用，听雨声反而更精神"),
            (("said", "你教过我哪些助眠的办法", "泡泡脚"), ("answer", "哪种办法对我失眠没用", "雨声反而"))),
    Episode(("中午在单位楼下吃的{food}，咸得我灌了两瓶水", "下次让老板少放点盐"),
            (("meal", "{dayword}午饭我吃的什么", "{food}"), ("fact", "哪顿饭把我齁着了", "咸得")), hour=20),
    Episode(("早上起来跑了五公里，膝盖有点不得劲", "跑前记得热身"),
            (("meal", "{dayword}早上我运动了吗", "五公里"),), hour=21),
    Episode(("晚上和{who}去看了{film}，结尾我哭得稀里哗啦", "听着很感人"),
            (("fact", "哪部片子让我掉眼泪了", "{film}"), ("fact", "我是跟谁一块儿看{film}的", "{who}"))),
    Episode(("我妈下个月要做膝盖手术，我有点慌", "是微创的还是换关节", "换关节，大夫说恢复得三个月"),
            (("answer", "我妈那个手术是哪一种", "换关节"), ("answer", "大夫讲老人家要多久才能恢复", "三个月"))),
    Episode(("我跟{who}闹翻了，她把我借她的相机弄丢了还不认账", "你打算怎么办", "先冷她几天，实在不行就让她赔一半"),
            (("fact", "我为啥生{who}的气", "相机"), ("answer", "相机那事儿我后来打算怎么处理", "赔一半"))),
    Episode(("小时候我在外婆家的晒谷场上学会了骑车，摔掉半颗门牙", "那牙后来补了吗", "补了，花了外婆一头猪的钱"),
            (("fact", "我骑自行车是在哪儿学的", "晒谷场"), ("answer", "补牙花了多少", "一头猪"))),
    Episode(("我们家门锁密码改成{number}开头了", "记得也告诉家里人"),
            (("fact", "开门那串数字前两位是几", "{number}"),)),
    Episode(("国庆想出去走走，去哪儿好", "{place}这时候景色最好，人也不算多", "行，那就先看看车票"),
            (("list", "你给我推荐过哪些可以玩的地方", "{place}"), ("said", "你建议我放假去哪儿来着", "{place}"))),
    Episode(("暑假想带孩子出门，近一点的有吗", "城北的植物园不错，还有萤火虫", "那得晚上去"),
            (("list", "你给我推荐过哪些可以玩的地方", "植物园"),)),
    Episode(("有没有适合两个人周末去的地方", "可以去老码头喝咖啡看船", "听着就惬意"),
            (("list", "你给我推荐过哪些可以玩的地方", "老码头"),)),
    Episode(("我爸特别喜欢听评书，每天雷打不动两回", "是单田芳的吗", "不是，他最迷袁阔成的三国"),
            (("fact", "我爸爱好啥", "评书"), ("answer", "我父亲最爱听谁讲的", "袁阔成"))),
    Episode(("我报了个驾校，科目二挂了两回", "主要卡在哪一项", "倒车入库，老压线"),
            (("fact", "我考驾照顺利不", "科目二"), ("answer", "我学车哪个项目总过不去", "压线"))),
    Episode(("房东说要涨三百块房租，我想搬走", "找好新地方了吗", "看中了河西那边一个带阳台的"),
            (("fact", "我怎么想换房子了", "三百"), ("answer", "我相中的新房子在哪一片", "河西"))),
    Episode(("给我讲讲为什么天是蓝的吧", "因为空气把蓝光散射得最厉害", "原来如此，我一直以为是海水映的"),
            (("answer", "关于天空的颜色，我从前是怎么以为的", "海水"),)),
    Episode(("我同事老陆退休了，大家凑钱送了他一套钓竿", "他一定很高兴"),
            (("fact", "老陆离开单位的时候收到了啥礼物", "钓竿"),)),
    Episode(("我女儿在幼儿园演了一棵会走路的蘑菇", "好有意思，她紧张吗", "一点不怕，还冲台下挤眼睛"),
            (("fact", "我闺女上台扮的是什么角色", "蘑菇"), ("answer", "孩子表演的时候怯场没有", "挤眼睛"))),
    Episode(("帮我想个生日礼物，送给{who}的", "手工皮具怎么样，可以刻名字", "她不爱皮的，我还是买条围巾吧"),
            (("answer", "给{who}的礼物我最后定了啥", "围巾"), ("said", "送{who}的东西你出过什么主意", "手工皮具"))),
    Episode(("我左边的智齿又肿了，疼得半张脸发麻", "去看牙医了吗", "约了和平路那家诊所的唐大夫"),
            (("fact", "我哪颗牙不舒服", "智齿"), ("answer", "我找的哪个大夫看牙", "唐大夫"))),
    Episode(("我在阳台种的番茄结果了，红了六个", "可以做沙拉", "已经被鸟啄了两个，气死我了"),
            (("fact", "我自己种了什么菜", "番茄"), ("answer", "是谁祸害了我的番茄", "鸟啄"))),
    Episode(("我喜欢下雨天窝在家里拼模型", "很安静的爱好呢"), (("fact", "碰上下雨我爱干点啥", "拼模型"),)),
    Episode(("我决定戒烟了，这是第四次", "之前为什么没成", "一喝酒就破功"),
            (("fact", "我戒烟戒了几回", "第四次"), ("answer", "我戒烟老失败是什么缘故", "喝酒"))),
    Episode(("最近迷上了包粽子，一口气包了五十个", "送人了吗", "都塞给对门的奶奶了"),
            (("recent", "我最近迷上什么了", "粽子"), ("answer", "我包的那些粽子给谁了", "对门")), day=6),
    Episode(("最近在练倒立，能撑十秒了", "小心脖子"), (("recent", "我最近在练什么本事", "倒立"),), day=3),
)  # fmt: skip
_FIRST = (
    "你好，我叫{who}，从{place}那边过来的",
    "你好{who}，很高兴认识你",
    "我妹妹把你送给我的，说能陪我解闷",
    "那我一定好好陪你",
)
_FIRST_QUESTIONS = (
    ("first", "我们第一次聊天的时候我说了什么", "解闷"), ("first", "刚认识那会儿我跟你讲过谁把你送给我的吗", "妹妹"),
    ("last", "上次聊天我们说到哪儿了", "窗帘"), ("last", "上回聊的什么", "窗帘"),
)  # fmt: skip
_LAST = ("我在挑窗帘，米色和灰蓝色拿不定主意", "灰蓝色更耐看", "那就灰蓝色，明天去量尺寸")
_TALK = (
    ("今天{weather}，懒得出门", "那就在家歇歇"), ("帮我定个七点的闹钟", "好的，定好了"), ("给我放首歌吧", "好，这就放"),
    ("有点饿了，冰箱里只剩鸡蛋", "煎个鸡蛋也不错"), ("刚下班，地铁上挤得要命", "辛苦了，先坐会儿"), ("今天有点累，{weather}", "早点休息吧"),
    ("你觉得我是不是该换个发型", "换个短的试试"), ("楼上又在装修，吵死了", "戴上耳机会好些"), ("洗了一堆衣服，阳台都晾不下", "正好晒晒太阳"),
    ("我同事今天请大家喝奶茶", "真大方"), ("孩子的作业做到九点才写完", "真够晚的"), ("周末想睡个懒觉", "应该的"), ("快递怎么还没到", "再等等"),
    ("给我讲个笑话", "从前有一只小鸭子问路，走着走着就到家了"), ("晚上吃了碗面，简单对付一口", "记得加点青菜"),
    ("我爸打电话来，聊了半个钟头", "他身体还好吧"), ("我妈又寄了一箱橘子来", "真甜蜜"), ("手机快没电了", "快去充上"),
)  # fmt: skip
_WEATHER = "下着小雨 闷得厉害 太阳很大 刮大风 雾蒙蒙的".split()


def person(number: int) -> tuple[list[diary.Entry], list[Asked]]:
    """Return what one person and the assistant said on ten days, oldest first, and the questions about it."""
    chance = random.Random(number)
    drawn = {key: chance.choice(values.split()) for key, values in _DRAWN.items()}
    told: list[tuple[datetime, tuple[str, ...]]] = []
    asked: list[Asked] = []
    for episode in _EPISODES:
        days = episode.day or chance.randrange(1, DAYS - 1)
        hour = episode.hour or chance.randrange(9, 22)
        start = (NOW - timedelta(days=days)).replace(hour=hour, minute=chance.randrange(60))
        told.append((start, episode.turns))
        names = drawn | {"dayword": {1: "昨天", 2: "前天"}.get(days, f"{start.month}月{start.day}号")}
        for kind, question, answers in episode.questions:
            text = question.format(**names)
            if chance.random() < 0.25 and kind not in ("meal", "recent"):
                text = chance.choice(_ALSO).format(text)
            asked.append(Asked(kind, text, tuple(answers.format(**names).split("|"))))
    told.append(((NOW - timedelta(days=DAYS)).replace(hour=9, minute=0), _FIRST))
    told.append(((NOW - timedelta(days=1)).replace(hour=23, minute=10), _LAST))
    asked += [Asked(kind, question, (answer,)) for kind, question, answer in _FIRST_QUESTIONS]
    for _ in range(120):
        at = NOW - timedelta(days=chance.randrange(1, DAYS), minutes=chance.randrange(60 * 9))
        weather = chance.choice(_WEATHER)
        told.append((at, tuple(text.format(weather=weather) for text in chance.choice(_TALK))))
    entries = []
    for start, turns in sorted(told):
        for place, text in enumerate(turns):
            at = start + timedelta(seconds=8 * place)
            who = Turn("user" if place % 2 == 0 else "assistant", text.format(**drawn), at)
            entries.append(diary.entry(who, id=f"{number}-{len(entries)}"))
    return sorted(entries, key=lambda entry: entry.at_ms), asked
