"""The fixed time words of Chinese, written and spoken, and what each of them names.

Built from small tables of parts, since 上个星期三, 上礼拜三 and 上周3 are one word each for the reader of a text.
Numbers with a unit (三天前, 8月3号, 三点半) are the subject of counted.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from xiaozhi_persona.memory.time_words.festivals import FESTIVAL_NAMES
from xiaozhi_persona.memory.time_words.phrase import Atom

Atoms = tuple[Atom, ...]

DAYS = {
    0: "今天 今日 今儿 今儿个 今个 今个儿 本日",
    -1: "昨天 昨日 昨儿 昨儿个 昨个 昨个儿 夜个 夜儿个 夜个儿 头天 头一天 前一天 寻日 琴日",
    -2: "前天 前日 前儿 前儿个 前个儿",
    -3: "大前天 大前日 大前儿 大前儿个",
    -4: "大大前天",
}
SHORT_DAYS = {0: "今", -1: "昨"}
SHORT_PARTS = {
    "morning": "早 早上 晨 早晨 早起",
    "forenoon": "上午",
    "noon": "午 中午 晌午 晌午头",
    "afternoon": "下午 后晌",
    "evening": "晚 晚上 晚间 晚儿",
    "night": "夜 夜里 夜间",
}
PARTS = {
    "dawn": "凌晨 拂晓",
    "early": "清早 清晨 大清早 大清早上 一大早 一清早 大早晨",
    "morning": "早上 早晨 早间 大早上",
    "forenoon": "上午 头晌 前晌 午前",
    "noon": "中午 正午 晌午 晌午头 午间",
    "afternoon": "下午 午后 后晌",
    "dusk": "傍晚 黄昏 傍黑 擦黑",
    "evening": "晚上 晚间",
    "night": "夜里 夜间 半夜 半夜里 夜里头 深夜 午夜 三更半夜 深更半夜 子夜",
    "early_night": "前半夜 上半夜",
    "late_night": "后半夜 下半夜",
}
STRICT_PARTS = {
    "early": "一早",
    "morning": "早起 一早上 整个早上",
    "forenoon": "一上午 整个上午",
    "noon": "一中午 大中午",
    "afternoon": "一下午 整个下午 大下午",
    "evening": "夜晚 一晚上 整个晚上 整晚 一晚 大晚上",
    "night": "一夜 整夜 一宿 大半夜",
    "dawn": "黎明",
    "daytime": "白天 大白天 白日里 日间",
}
WEEK_NAMES = ("周", "星期", "礼拜", "週")
BEFORE_WEEK = {
    0: "这 这个 这一 本",
    -1: "上 上个 上一 上一个",
    -2: "上上 上上个 前个 大上 大上个",
    -3: "上上上 上上上个",
}
BEFORE_WEEKDAY = "上回 上次"
"""上回周五 is the latest Friday; without a weekday they name no time."""
BEFORE_VOID_WEEK = "下 下个 下一 下一个 下下 下下个 每 每个 每到 每逢 逢 每隔 那 那个 哪 哪个 某 某个"
WEEKDAYS = {
    char: weekday
    for weekday, chars in enumerate(("一1", "二2", "三3", "四4", "五5", "六6", "日天7"))
    for char in chars
}
WEEKEND = ("六日", "六周日", "六週日", "六星期天", "六星期日", "六礼拜天", "末")
BEFORE_MONTH = {
    0: "这个 本 这 今",
    -1: "上 上个 上一个 先",
    -2: "上上 上上个 先先 先々 前个 大上 大上个",
    -3: "上上上 上上上个",
}
YEARS = {
    0: "今年 本年 本年度 今年度",
    -1: "去年 上年 上一年 旧年 昨年 去年度 上年度 头年",
    -2: "前年",
    -3: "大前年",
    -4: "大大前年",
}
SEASONS = {"春": 3, "夏": 6, "秋": 9, "冬": 12}
SEASON_PORTIONS = {
    (3, 1): "初春 早春 开春",
    (4, 1): "仲春 阳春",
    (5, 1): "暮春 晚春",
    (6, 1): "初夏 夏初",
    (7, 1): "盛夏 仲夏",
    (8, 1): "夏末 晚夏",
    (9, 1): "初秋 早秋",
    (10, 1): "金秋 仲秋",
    (11, 1): "深秋 晚秋",
    (12, 1): "初冬",
    (1, 1): "隆冬 深冬",
    (2, 1): "冬末",
    (7, 2): "暑假 暑期",
}
"""First month and number of months."""
THIRDS = {0: "月初 月头 上旬", 1: "月中 中旬", 2: "月底 月末 月尾 下旬"}
EDGES = {0: "年初 开年 岁初", 1: "年中", 2: "年底 年末 年尾 年终 岁末"}
VAGUE = {
    "just_now": "刚才 刚刚 方才 适才 头先 刚刚才 刚才那会儿 片刻前 片刻之前 一会儿前 一会儿之前 一小会儿前 一会儿以前 "
    "刚说 刚问 刚讲 刚聊 刚提 刚告诉 刚教 刚念 刚唱 刚吃 刚做 刚听",
    "lately": "最近 近来 近期 近段时间 最近一段时间 最近这段时间 这段时间 这一段时间 这阵子 这一阵子 这阵儿 最近这阵子 这些日子",
    "these_days": "近日 这几日 近几日 近些天 这些天 最近这些天",
    "the_other_day": "前几日 前些天 前些日子 前些时候 前些时 早两日 早几天 早两天",
    "a_while_ago": "前阵子 前一阵子 前一阵 前阵儿 前段时间 前一段时间 前段日子 不久前 不久之前 不久以前 没多久前 前不久 上阵子",
    "years_ago": "前些年 早些年 早几年",
    "late_years": "近年 近年来 这些年 近些年 这些年来",
    "earlier_today": "今天早些时候 早些时候 今天早前 今早些时候",
}
VOID = (
    # what is to come
    *"明天 明日 明儿 明儿个 明早 明晨 明晚 明晚上 明夜 后天 后日 后儿 大后天 大后日 大大后天 听日 后晚 次日 翌日 翌晨 来日".split(),
    *"明年 后年 来年 大后年 明年度 出年 下半辈子 往后 今后 以后 将来 未来 接下来 日后".split(),
    *"下个春节 下个国庆 下个夏天 下个冬天 下个春天 下个秋天 下次 下回 下季度 下个季度 下旬以后".split(),
    *"下月 下个月 下一个月 下下个月 下下月 来月 再来月 明年今天 明年今日 下周今天 下个月今天".split(),
    # what comes again and again
    *"每天 每日 每早 每晚 每夜 每晚上 每月 每个月 每年 每到 每逢 每当 每次 每个 每一年 每一天".split(),
    *"每 天天 日日 夜夜 晚晚 周周 月月 年年 逢年过节 平时 平日 平常 往常 通常 一般 经常 总是 老是 常常 时常 隔三差五 逢 工作日".split(),
    # a day that only those who talk know
    *"那天 那日 那晚 那年 那一年 那个月 那一周 那个 那一天 那一晚 那段时间 那阵子 那会儿 那时候 那时".split(),
    *"当天 当日 当晚 当年 当月 当周 当时 第二天 第三天 第一天 有一天 有天 有一年 有年 某天 某日 某年 某月 一天 哪天 哪一天 哪年 哪月".split(),
    *"改天 他日 同一天 同日 隔天 第二年 第二周 上次 上回 上一次 上一回 哪个 某个 一个 那次 这次 另一天".split(),
)
NOW = "现在 目前 此刻 眼下 目前为止 当下 而家 至今"


def fixed_words() -> Iterator[tuple[str, Atoms]]:
    """Yield every fixed word of Chinese with what it names; a later one replaces an earlier one."""
    for offset, names in DAYS.items():
        for name in names.split():
            yield name, (("day_rel", offset),)
    for offset, names in SHORT_DAYS.items():
        for name in names.split():
            for part, ends in SHORT_PARTS.items():
                yield from ((name + end, (("day_rel", offset), ("part", part))) for end in ends.split())
    for name in ("前晚", "前晚上", "前夜", "大前晚", "寻晚", "寻晚上", "琴晚", "琴晚上"):
        offset = {"前": -2, "大": -3}.get(name[0], -1)
        yield name, (("day_rel", offset), ("part", "night" if name[-1] == "夜" else "evening"))
    for part, names in PARTS.items():
        yield from ((name, (("part", part),)) for name in names.split())
    for part, names in STRICT_PARTS.items():
        yield from ((name, (("strict_part", part),)) for name in names.split())
    yield from _months()
    yield from _years()
    for months, names in SEASON_PORTIONS.items():
        yield from ((name, (("season", months),)) for name in names.split())
    for kind, names in VAGUE.items():
        yield from ((name, (("vague", kind),)) for name in names.split())
    for name, known in FESTIVAL_NAMES.items():
        yield name, (("festival", known),)
    for name in ("除夕夜", "大年夜", "年三十晚上", "大年三十晚上"):
        yield name, (("festival", "除夕"), ("part", "evening"))
    yield from ((name, (("void", True),)) for name in VOID)
    yield from ((name, (("now", True),)) for name in NOW.split())
    yield "昨天早些时候", (("day_rel", -1),)
    for name in ("那天", "当天", "当日", "那一天", "那日", "那几天", "当晚", "那晚", "那天夜里"):
        yield name, (("that_day", name),)
    for name in (
        "这个时候",
        "这时候",
        "这个点",
        "这会儿",
        "此时",
        "这个时间",
        "同一时间",
        "这个点儿",
        "同期",
    ):
        yield name, (("same_time", True),)


def week_words() -> Iterator[tuple[str, Atoms | None]]:
    """Yield the words of weeks that a weekday may follow (上个星期, 每周); None for 周, which means none by itself."""
    for week in WEEK_NAMES:
        yield week, None
        yield from ((before + week, None) for before in BEFORE_WEEKDAY.split())
        for offset, befores in BEFORE_WEEK.items():
            yield from ((before + week, (("week_rel", offset),)) for before in befores.split())
        yield from ((before + week, (("void", True),)) for before in BEFORE_VOID_WEEK.split())


def _months() -> Iterator[tuple[str, Atoms]]:
    for offset, words in BEFORE_MONTH.items():
        for word in words.split():
            month: Atom = ("month_rel", offset)
            yield f"{word}月", (month,)
            yield f"{word}月份", (month,)
            for third, ends in enumerate(("初 头", "中", "底 末 尾")):
                yield from ((f"{word}月{end}", (month, ("third", third))) for end in ends.split())
    for third, names in THIRDS.items():
        yield from ((name, (("third", third),)) for name in names.split())
    for half, names in enumerate(("上半月 上半个月 前半个月 前半月", "下半月 下半个月 后半个月 后半月")):
        yield from ((name, (("third", 3 + half),)) for name in names.split())


def _years() -> Iterator[tuple[str, Atoms]]:
    for offset, words in YEARS.items():
        for word in words.split():
            year: Atom = ("year_rel", offset)
            yield word, (year,)
            for edge, ends in enumerate(("初 年初 开年 年头", "中 年中", "底 末 尾 年底 年末 年尾 年终")):
                yield from ((word + end, (year, ("edge", edge))) for end in ends.split())
            for char, month in SEASONS.items():
                yield word + char, (year, ("season", (month, 3)))
            yield word + "十一", (year, ("festival", "国庆"))
            yield word + "春夏", (year, ("season", (3, 6)))
            yield word + "秋冬", (year, ("season", (9, 6)))
    for edge, names in EDGES.items():
        yield from ((name, (("edge", edge),)) for name in names.split())
    for char, month in SEASONS.items():
        for end in ("天", "季", "日里", "天里"):
            yield char + end, (("season", (month, 3)),)
        yield f"这个{char}天", (("year_rel", 0), ("season", (month, 3)))
        yield f"大{char}天", (("season", (month, 3)),)
    yield "寒假", (("season", (1, 2)),)
    yield "上半年", (("half", 1),)
    yield "前半年", (("half", 1),)
    yield "下半年", (("half", 2),)
    yield "后半年", (("half", 2),)
    for quarter, chars in enumerate(("一1首", "二2", "三3", "四4"), start=1):
        for char in chars:
            yield from ((name, (("quarter", quarter),)) for name in (f"第{char}季度", f"{char}季度"))
    for offset, words in {0: "这个 本 这", -1: "上 上个 上一", -2: "上上个"}.items():
        yield from ((f"{word}季度", (("quarter_rel", offset),)) for word in words.split())
    yield "这个季节", (("void", True),)
    for name in (
        "双休日",
        "刚过去的周末",
        "刚过去的这个周末",
        "过去的周末",
        "过去的这个周末",
        "过去这个周末",
    ):
        yield name, (("weekend", True),)
