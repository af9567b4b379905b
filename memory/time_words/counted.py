"""Numbers with a unit, in Chinese and Japanese: 8月3号, 三点半, 三天前, 两三个月前, 近三天, 正月初五.

Each function reads at one place of a folded text and gives (end, atoms), or None when no time begins there. A slot
that begins with `weak_` or `strict_` names a time only in company; compose.py knows.
"""

from __future__ import annotations

import re
from datetime import datetime

from xiaozhi_persona.memory.time_words.numbers import NUMBER, read_number, read_pair
from xiaozhi_persona.memory.time_words.phrase import Atom, Clock
from xiaozhi_persona.memory.time_words.windows import ago, decade, past

Found = tuple[int, tuple[Atom, ...]]

NUMERAL_CHARS = frozenset("0123456789〇零一二两三四五六七八九十百廿卅俩仨几好数半大小个差")
NUMERALS = frozenset("0123456789〇零一二两三四五六七八九十百千万廿卅俩仨")
PAST_CHARS = frozenset("最近过这前头上刚こ")
PAST_SECOND_CHARS = NUMERALS | frozenset("近去过这几好半大こ")
LUNAR_CHARS = frozenset("农阴旧老正冬腊大年闰过初")


def read_count(text: str, at: int, now: datetime, reached: int = 0) -> Found | None:
    """Read a number with its unit: a date, a clock time, or how long ago."""
    before = text[at - 1] if at > reached else ""
    if before and before in ".第几数":
        return None
    match = _COUNT.match(text, at)
    if match is None:
        return None
    found = _READERS[match.lastgroup or ""](match, now, before)
    return (match.end(), found) if found else None


def read_past(text: str, at: int, now: datetime, reached: int = 0) -> Found | None:
    """Read the last so many days, weeks ...: 近三天, 过去一周, 前两个月, 这几天."""
    match = _PAST.match(text, at)
    if match is None:
        return None
    word, unit = match["before"], _UNITS[match["of"]]
    if word.endswith("过去的") and match[0].endswith(match["n"] + "月"):
        return None  # 刚过去的七月 is a month
    if at > reached and text[at - 1] in _NOT_BEFORE_PAST.get(word[0], ""):
        return None
    amount = _amount(match["n"], match["half"] or match["half2"])
    if amount is None or (amount[0] == 0.5 and (unit == "day" or word[0] in "前头上")):
        return None
    if word[0] == "这" and unit == "day" and amount == (1, 1):
        return None
    kind = "these" if word == "这" else "before" if word in ("前", "头", "上") else "last"
    return match.end(), (("window", past(kind, unit, amount, now)),)


def read_lunar(text: str, at: int, now: datetime, reached: int = 0) -> Found | None:
    """Read a day or month of the lunar calendar: 农历八月十五, 腊月二十三, 大年初一, 初五."""
    match = _LUNAR.match(text, at)
    if match is None or (at > reached and text[at - 1] in NUMERALS):
        return None
    first_month = match["new_year"] or match["bare"]
    if first_month:
        return match.end(), (("lunar", (1, read_number(first_month) or 1, False)),)
    month = _LUNAR_MONTHS.get(match["month"]) or read_number(match["month"])
    day = read_number((match["day"] or "").replace("初", "")) if match["day"] else 0
    certain = (
        match["calendar"]
        or match["leap"]
        or match["month"] in _LUNAR_MONTHS
        or (match["day"] or "")[:1] in ("初", "廿")
    )
    if not certain or not month or month > 12 or day is None or day > 30:
        return None
    return match.end(), (("lunar", (month, day, bool(match["leap"]))),)


_NOT_BEFORE_PAST = {
    "近": "附接将靠临亲逼远走贴最",
    "前": "以之目眼面午饭睡从此生跟提空胸窗门史战事赛婚产餐课会考节学假试演庆毕业开走行放病术期诞秋清旦除夕天月年周个点提日",
    "上": "以楼马网街海身床桌晚早天地路车船头手班加",
    "头": "里街镜念开这回",
    "过": "走回穿跑飞送拿搬",
}
_LUNAR_MONTHS = {"正": 1, "冬": 11, "腊": 12}
_UNITS = {
    **dict.fromkeys(("秒", "秒钟"), "second"),
    **dict.fromkeys(("分", "分钟"), "minute"),
    "刻钟": "quarter_hour",
    **dict.fromkeys(("小时", "钟头", "钟", "时间"), "hour"),
    **dict.fromkeys(("天", "日", "日间", "晚", "晚上", "宿"), "day"),
    **dict.fromkeys(("周", "星期", "礼拜", "週", "週间"), "week"),
    **dict.fromkeys(("月", "月间"), "month"),
    "季度": "quarter",
    **dict.fromkeys(("年", "年间"), "year"),
}
_LONG = r"(?:秒钟?|分钟|刻钟|小时|钟头|钟|天|晚上?|宿|周|星期|礼拜|月|季度|年)"
_NO_DATE = r"(?!(?:19|20)\d\d年|(?:\d{1,2}|[一二三四五六七八九十]{1,2})月)"
"""2020年之前 and 五月以来 name a year and a month, no number of them."""
_AGO_UNIT = r"(?P<unit>秒钟?|分钟?|刻钟|小时|钟头|钟|时间|天|日|晚上?|宿|週间?|周|星期|礼拜|月|季度|年)"
_MANY = r"好?几十?|十几|[二三四五六七八九]十几|数|半|大半|小半|个把"
_NOT_AFTER_AGO = "面边台线途锋辈夫妻任提言往进排门方景沿者额后端卫缀"
_NOT_AFTER_NUMBER = (
    "线|楼|房|选手|桌|电池|店|门|院|机|球|床|车|台|馆|厅|汽油|油|风球|文件|令|公路|国道|位|码|仓|井|坑|病|男|女|嘉宾|队员|运动员"
    "|宿舍|教室|会议室|公寓|大街|街|路|弄|巷|柜|窗|站|口|登机|航站|包厢|包间|元素|种子|人|作品|方案|套餐|字|鞋|衣|卫星|飞船|火箭|导弹"
    "|坦克|贴|链|钢|员|主播|玩家|机器|屏|灯|按钮|键|频道|酒|展|剧场|影厅|仓库|出口|入口|线路|公馆|首长|嫌|技师|工|角色|同学|病房"
)
_NOT_AFTER_SUN = "游|元|内|间|后|前|之|不|夜|常|语|本|子|系|谈|报|出|落|用|均|薪|程|月|食|光|历|照|圆|向|曜"
_MINUTE = r"\d{2}|[〇零][一二三四五六七八九]|[二三四五]?十[一二三四五六七八九]?"
_COUNT = re.compile(
    rf"""
      (?P<iso>(?P<iso_year>(?:19|20)\d\d)(?:(?P<sep>[-/.])(?P<iso_month>\d{{1,2}})(?P=sep)(?P<iso_day>\d{{1,2}})
        |(?P<compact>(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])))(?!\d))
    | (?P<year_month>(?P<ym_year>(?:19|20)\d\d)[-/.](?P<ym_month>0?[1-9]|1[0-2])(?![-\d/.:%]))
    | (?P<colon>(?P<colon_hour>[01]?\d|2[0-4]):(?P<colon_minute>[0-5]\d)(?::[0-5]\d)?(?![\d:]))
    | (?P<month_day>(?P<md_month>\d{{1,2}})[./](?P<md_day>\d{{1,2}})[号日])
    | (?P<decade>(?:上世纪|)(?:[1-9五六七八九二三]?[0十]|零零|〇〇)年代)
    | (?P<ago>{_NO_DATE}(?P<n>{NUMBER}|{_MANY})(?:(?:到|至|~|-|、|或者?)(?P<n2>{NUMBER}))?(?P<more>多|来|余)?
        (?:个|[ヶケか力カヵ箇])?(?P<half>半)?(?P<more2>多)?{_AGO_UNIT}(?P<half2>半)?(?P<more3>多)?
        (?:零?(?P<minutes>{NUMBER})分钟?)?(?:ほど|くらい|ぐらい|左右)?(?P<direction>(?:以|之)?前(?![{_NOT_AFTER_AGO}])|以来|来(?=[我你他她,])))
    | (?P<in_a_while>{_NO_DATE}(?P<w>{NUMBER}|{_MANY})(?:多|来)?个?(?P<w_half>半)?(?P<w_of>{_LONG})半?(?:以|之)?
        (?:后|(?P<within>内))(?!悔|面|台|果))
    | (?P<first>{NUMBER})(?=(?:到|至|~|-|、|和)(?:{NUMBER})(?P<unit_ahead>年|月|号|日|点|时))(?P<first_end>)
    | (?P<year>(?P<y>\d{{4}}|[一二][〇零九八][〇零一二三四五六七八九]{{2}}|(?P<short>\d{{2}}|[〇零一二七八九][〇零一二三四五六七八九]))年
        (?!级|龄|代|纪|头|岁)(?(short)(?=\d|[一二三四五六七八九十]+月|[春夏秋冬]|[上下]半年|年?[初底]|国庆|中秋|春节|元旦|暑假|寒假|端午|的?[春夏秋冬]|五一|除夕))(?P<season>[春夏秋冬](?![天季节晚运游假分至笋困卷联日衣装令裤夏秋冬]))?)
    | (?P<old_year>(?:[09]\d|8[1-9]|[〇零九][〇零一二三四五六七八九]|八[一二三四五六七八九])年(?![级龄代纪头前后多来半间内了没以之]))
    | (?P<month>(?P<m>{NUMBER})月份?(?![饼亮球光票租薪嫂子经卡])
        (?:(?P<third>初(?![一二三四五六七八九十])|底|末|尾|中(?![旬秋午学国])|头(?![发疼]))
        |(?P<md>\d{{1,2}}|[二三]?十[一二三四五六七八九]?|廿[一二三四五六七八九]?|卅一?)
          (?![\d〇零一二三四五六七八九十号日个天多几人块元斤家次点:月年%岁本张条分时万亿百千到至~.\-]))?)
    | (?P<short_of>差(?:(?P<so_minute>{NUMBER})分钟?|一刻钟?)到?(?P<so_hour>{NUMBER})点)
    | (?P<clock>(?P<h>{NUMBER})(?P<some>来)?(?P<dot>点钟?|时(?![候间常不尚代差期机段装光刻空]))
        (?:(?P<half_hour>半)|(?P<quarter>[一三13])刻钟?|差(?P<to_minute>{NUMBER})分|过?(?P<minute>{_MINUTE}|(?:\d|[一二三四五六七八九])(?=分))分?钟?
        |(?P<whole>整|多|来钟|许|(?=左右|前后|以前|之前|以后|之后|的时候|那会儿))|(?![\d一二三四五六七八九])))
    | (?P<day>(?P<d>{NUMBER})(?:号(?!{_NOT_AFTER_NUMBER})|(?P<sun>日(?!{_NOT_AFTER_SUN}))))
    """,
    re.VERBOSE,
)
_PAST = re.compile(
    rf"(?P<before>最近这?|近这?|过去的?这?|刚过去的?|ここ|这|前|头|上)(?P<n>{NUMBER}|好?几|半|大半)(?:个)?(?P<half>半)?"
    rf"(?P<of>秒钟?|分钟|小时|钟头|週间|日间|天|日|晚上?|周|星期|礼拜|月|季度|年(?![级纪龄代]))(?P<half2>半)?(?:以来|来(?!了|过|到)|里|内|间(?!隔))?"
)
_LUNAR = re.compile(
    rf"(?P<calendar>农历|阴历|旧历|老历)?的?(?:(?:大年|过年|年)初(?P<new_year>[一二三四五六七八九十])(?!中|恋|次)"
    r"|初(?P<bare>[四五六七八九十](?![个次级年中步])|[一二三](?=那天|早上|上午|中午|下午|晚上|当天|拜年|回娘家))"
    rf"|(?P<leap>闰)?(?P<month>正|冬|腊|{NUMBER})月(?!底|末)(?P<day>初[一二三四五六七八九十]|[二]?十[一二三四五六七八九]?|廿[一二三四五六七八九]?|三十|卅)?(?!号|日))"
)


def _iso(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    year, compact = int(match["iso_year"]), match["compact"]
    month, day = (
        (int(compact[:2]), int(compact[2:])) if compact else (int(match["iso_month"]), int(match["iso_day"]))
    )
    return (("year", year), ("month", month), ("day", day)) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _year_month(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    return ("year", int(match["ym_year"])), ("month", int(match["ym_month"]))


def _colon(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    return (
        None
        if before in ("分", "比")
        else (("clock", Clock(int(match["colon_hour"]), int(match["colon_minute"]), False)),)
    )


def _month_day(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    month, day = int(match["md_month"]), int(match["md_day"])
    return (("month", month), ("day", day)) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _decade(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    return (("window", decade(read_number(match["decade"][:-2]) or 0)),)


def _ago(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    amount = _amount(match["n"], match["half"] or match["half2"], match["n2"])
    if amount is None or before == "半" or match["n"][0] in "零〇":
        return None
    more = bool(match["more"] or match["more2"] or match["more3"])
    unit = _UNITS[match["unit"]]
    if match["unit"] == "分" and not match["n"].isdigit() and match["direction"] != "前":
        return None
    if "来" in match["direction"]:
        return (("window", past("last", unit, amount, now)),)
    minutes = read_number(match["minutes"]) if match["minutes"] and unit == "hour" else 0
    return ago(unit, amount, more, minutes or 0, now)


def _first(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    """The first number of 3到5号, which has no unit of its own."""
    number, unit = read_number(match["first"]), match["unit_ahead"]
    if number is None:
        return None
    if unit == "年":
        return (("year", number),) if 1900 <= number <= 2100 else None
    if unit == "月":
        return (("month", number),) if 1 <= number <= 12 else None
    if unit in ("号", "日"):
        return (("day", number),) if 1 <= number <= 31 else None
    return (("clock", Clock(number, 0, True)),) if number <= 24 else None


def _year(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    number = read_number(match["y"])
    if number is None or before in ("第", "满", "共"):
        return None
    if match["short"]:
        number += 2000 if number < 70 else 1900
    if not 1900 <= number <= 2100:
        return None
    season = match["season"]
    return (("year", number), ("season", (_SEASON[season], 3))) if season else (("year", number),)


def _old_year(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    number = read_number(match["old_year"][:-1])
    return None if number is None else (("year", number + (2000 if number < 70 else 1900)),)


def _month(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    if before and (before == _NAME_WITH.get(match["m"][0]) or before == "叫"):
        return None
    number, pair = read_number(match["m"]), read_pair(match["m"])
    if pair and pair[1] <= 12:
        return (("months", pair),)
    return _month_atoms(match, number)


def _month_atoms(match: re.Match[str], number: int | None) -> tuple[Atom, ...] | None:
    if number is None or not 1 <= number <= 12:
        return None
    if match["third"]:
        return ("month", number), ("third", {"初": 0, "头": 0, "中": 1}.get(match["third"], 2))
    if match["md"]:
        day = read_number(match["md"])
        if day is None or not 1 <= day <= 31:
            return None
        return ("month", number), ("day", day)
    return (("month", number),)


def _clock(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    pair = read_pair(match["h"])
    hour = pair[0] if pair else read_number(match["h"])
    if hour is None or hour > 24 or (pair and pair[1] > 24):
        return None
    minute = 30 if match["half_hour"] else 0
    if match["quarter"]:
        minute = 45 if match["quarter"] in "三3" else 15
    elif match["minute"]:
        minute = read_number(match["minute"].lstrip("〇零")) or 0
    elif match["to_minute"]:
        hour, minute = hour - 1, 60 - (read_number(match["to_minute"]) or 5)
    exact = minute > 0
    if not 0 <= minute < 60 or hour < 0:
        return None
    # 三点 may be three points and 一点 a little; 三点钟, 三点半 and 15点 are times by themselves.
    strong = (
        exact or match["whole"] is not None or match["dot"] == "点钟" or (hour > 12 and match["h"].isdigit())
    )
    if match["dot"] == "时" and not match["h"].isdigit() and not exact:
        strong = False
    clock = Clock(
        hour, minute, not exact, about=match["some"] is not None, hours=pair[1] - hour + 1 if pair else 1
    )
    if strong:
        return (("clock", clock),)
    return (("weak_clock", clock),)


def _short_of(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    hour, minutes = (
        read_number(match["so_hour"]),
        read_number(match["so_minute"]) if match["so_minute"] else 15,
    )
    if hour is None or minutes is None or not 0 < hour <= 24 or not 0 < minutes < 60:
        return None
    return (("clock", Clock(hour - 1, 60 - minutes, False)),)


def _day(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    pair = read_pair(match["d"])
    number = pair[0] if pair else read_number(match["d"])
    if number is None or not 1 <= number <= 31 or before in _NOT_BEFORE_DAY:
        return None
    if match["sun"] and not match["d"].isdigit() and number <= 10:
        return (("strict_day", number),)
    return (("day", number), ("days", pair[1] - number + 1)) if pair else (("day", number),)


def _in_a_while(match: re.Match[str], now: datetime, before: str) -> tuple[Atom, ...] | None:
    """三天后 lies ahead, and so does 三天内, if it is not said of what was done."""
    within = match["within"] and _WAS_DONE.match(match.string, match.end())
    amount = _amount(match["w"], match["w_half"]) if within else None
    if amount is None:
        return (("void", True),)
    return (("window", past("last", _UNITS[match["w_of"]], amount, now)),)


_WAS_DONE = re.compile(
    "(?!.{0,6}(?:[能会要得]|可以|必须|应该|来得及))[^,。?!]{0,12}?(?:[过了说聊谈讲问提]|做什么|发生)"
)
_SEASON = {"春": 3, "夏": 6, "秋": 9, "冬": 12}
_NAME_WITH = {"三": "张", "四": "李", "五": "王", "六": "赵"}
"""王五月, 李四月: the number belongs to a name."""
_NOT_BEFORE_DAY = frozenset("男女头编门楼房第o./" + "abcdefghijklmnopqrstuvwxyz")
_READERS = {
    "iso": _iso,
    "year_month": _year_month,
    "colon": _colon,
    "month_day": _month_day,
    "decade": _decade,
    "ago": _ago,
    "in_a_while": _in_a_while,
    "first_end": _first,
    "year": _year,
    "old_year": _old_year,
    "month": _month,
    "short_of": _short_of,
    "clock": _clock,
    "day": _day,
}


def _amount(text: str, half: str | None, second: str | None = None) -> tuple[float, float] | None:
    """Read how many: low and high end, equal when it is exact; (0, 0) stands for 几."""
    if text in ("半", "大半", "小半", "个把"):
        return {"半": (0.5, 0.5), "大半": (0.66, 0.66), "小半": (0.4, 0.4), "个把": (1, 1)}[text]
    if text.endswith("几"):
        tens = read_number(text[:-1]) if text[:-1] not in ("", "好") else 0
        return (tens + 1, tens + 9) if tens else (0, 0)
    if text == "数":
        return (0, 0)
    if text.endswith("几十"):
        return None
    if second:
        low, high = read_number(text), read_number(second)
        return (low, high) if low is not None and high is not None and low < high else None
    pair = read_pair(text)
    if pair:
        return pair
    number = read_number(text)
    if number is None:
        return None
    return (number + 0.5, number + 0.5) if half else (number, number)
