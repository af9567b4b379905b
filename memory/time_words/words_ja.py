"""The fixed time words of Japanese. What it writes as Chinese does (昨日, 去年, 午後) is in words_zh.py."""

from __future__ import annotations

from collections.abc import Iterator

from xiaozhi_persona.memory.time_words.phrase import Atom

Atoms = tuple[Atom, ...]

DAYS = {
    0: "きょう",
    -1: "きのう さくじつ",
    -2: "一昨日 おととい おとつい",
    -3: "一昨々日 一昨昨日 さきおととい",
}
DAY_PARTS = {
    (0, "morning"): "今朝 けさ",
    (0, "evening"): "今晩 こんばん",
    (0, "night"): "今夜 こんや",
    (-1, "morning"): "昨朝",
    (-1, "evening"): "昨晩 ゆうべ 夕べ さくばん",
    (-2, "evening"): "一昨晩 おとといの晩 おとといの夜 一昨日の夜",
    (-2, "night"): "一昨夜",
}
PARTS = {
    "early": "早朝",
    "dawn": "未明 明け方",
    "before_noon": "午前中",
    "noon": "お昼 昼間 昼頃 お昼頃",
    "dusk": "夕方",
    "night": "夜中 真夜中",
}
AFTER_DAY = {"morning": "朝 あさ", "noon": "昼 ひる", "evening": "夜 晩 夜遅く", "dusk": "夕"}
"""Single characters: a time only after の, or right after a day."""
ERAS = {"令和": (2019, 40), "平成": (1989, 31), "昭和": (1926, 64)}
"""First year, and how many are read."""
BEFORE_WEEK = {0: "今 こん", -1: "先 せん 前", -2: "先々 先先 せんせん"}
WEEKDAYS = "月火水木金土日"
BEFORE_MONTH = {0: "今月 こんげつ", -1: "先月 せんげつ 前月", -2: "先々月 先先月 せんせんげつ"}
YEARS = {0: "ことし", -1: "きょねん さくねん", -2: "一昨年 おととし"}
SEASONS = {"春": 3, "夏": 6, "秋": 9, "冬": 12}
FESTIVALS = {
    "正月": "お正月 三が日",
    "元旦": "元日",
    "大晦日": "大晦日 大みそか おおみそか",
    "年末年始": "年末年始",
    "節分": "節分",
    "ひな祭り": "ひな祭り 雛祭り",
    "情人节": "バレンタイン バレンタインデー",
    "ゴールデンウィーク": "ゴールデンウィーク ゴールデンウイーク",
    "こどもの日": "こどもの日 子供の日",
    "母亲节": "母の日",
    "父亲节": "父の日",
    "お盆": "お盆",
    "万圣节": "ハロウィン ハロウィーン",
    "平安夜": "クリスマスイブ クリスマス・イブ",
    "圣诞": "クリスマス",
    "海の日": "海の日",
    "日本の七夕": "七夕の日 七夕祭り",
}
VAGUE = {
    "just_now": "さっき ついさっき さきほど 先ほど 先程 たった今 今しがた",
    "lately": "このところ このごろ この頃 近ごろ 近頃 最近",
    "these_days": "ここ数日 この数日 ここ何日か",
    "the_other_day": "数日前 何日か前 この間 この前 こないだ このあいだ 先日",
    "a_while_ago": "少し前 しばらく前 ちょっと前",
}
VOID = (
    "あした あす みょうにち あさって 明後日 しあさって 来週 再来週 来月 再来月 来年 再来年 今度 次の 翌日 翌朝 翌週 翌月 翌年 その日 あの日 "
    "あの時 その時 その夜 あの夜 ある日 毎日 毎朝 毎晩 毎週 毎月 毎年 毎夏 毎冬 毎回 いつも 普段 ふだん 前回 あの夏 あの冬 一日中"
)


def fixed_words() -> Iterator[tuple[str, Atoms]]:
    """Yield every fixed word of Japanese with what it names."""
    for offset, names in DAYS.items():
        yield from ((name, (("day_rel", offset),)) for name in names.split())
    for (offset, part), names in DAY_PARTS.items():
        yield from ((name, (("day_rel", offset), ("part", part))) for name in names.split())
    for part, names in PARTS.items():
        yield from ((name, (("part", part),)) for name in names.split())
    yield from _weeks()
    for offset, names in BEFORE_MONTH.items():
        yield from ((name, (("month_rel", offset),)) for name in names.split())
        for third, ends in enumerate(("初め 始め はじめ 頭", "半ば 中頃 なかば", "終わり 末 おわり")):
            yield from (
                (f"{name}の{end}", (("month_rel", offset), ("third", third)))
                for name in names.split()
                for end in ends.split()
            )
    for era, (first, years) in ERAS.items():
        for year in range(1, years + 1):
            yield f"{era}{year}年", (("year", first + year - 1),)
        yield f"{era}元年", (("year", first),)
    for offset, names in YEARS.items():
        yield from ((name, (("year_rel", offset),)) for name in names.split())
    for char, month in SEASONS.items():
        yield from (
            (f"{this}{char}", (("year_rel", 0), ("season", (month, 3)))) for this in ("この", "今年の")
        )
        yield f"の{char}", (("strict_season", (month, 3)),)
    yield "土日", (("weekend", True),)
    yield "夏休み", (("season", (7, 2)),)
    yield "冬休み", (("festival", "年末年始"),)
    for part, names in AFTER_DAY.items():
        yield from ((f"の{name}", (("strict_part", part),)) for name in names.split())
    for name, names in FESTIVALS.items():
        yield from ((word, (("festival", name),)) for word in names.split())
    for kind, names in VAGUE.items():
        yield from ((name, (("vague", kind),)) for name in names.split())
    yield from ((name, (("void", True),)) for name in VOID.split())
    yield from ((name, (("now", True),)) for name in ("いま", "今まで", "これまで"))


def _weeks() -> Iterator[tuple[str, Atoms]]:
    for weekday, char in enumerate(WEEKDAYS):
        for end in ("曜日", "曜"):
            yield char + end, (("weekday", weekday),)
            yield f"毎週{char}{end}", (("void", True),)
    for offset, befores in BEFORE_WEEK.items():
        week: Atom = ("week_rel", offset)
        for before in befores.split():
            for name in ("週", "しゅう"):
                yield before + name, (week,)
            yield f"{before}週末", (week, ("weekend", True))
