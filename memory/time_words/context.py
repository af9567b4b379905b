"""What stands around a phrase and shows that no time is meant: titles, questions about the calendar, habits."""

from __future__ import annotations

import re

from xiaozhi_persona.memory.time_words.masks import SURNAMES


def hidden_spans(text: str) -> list[tuple[int, int]]:
    """Return the places of titles in title marks, whatever is in them."""
    if not _TITLE_MARK.search(text):
        return []
    return [match.span() for match in _TITLE.finditer(text)]


def speaks_of_works(text: str) -> bool:
    """Tell whether a folded text may speak of songs, films, books or games at all."""
    return _MEDIA.search(text) is not None


def means_no_time(text: str, start: int, end: int, recurs: bool, works: bool) -> bool:
    """Tell whether the words around a phrase of the folded text say that it is a title, a calendar question or a habit.

    `recurs`: the phrase names no certain day (周末, 早上), so that words of habit next to it make it one.
    `works`: speaks_of_works() of the text.
    """
    if start and text[start - 1] in _QUOTES and end < len(text) and text[end] in _QUOTES[text[start - 1]]:
        return True
    if _AFTER.match(text, end) or _is_spelt(text, start, end):
        return True
    if _DENIED_AFTER.match(text, end) or (
        _NOT.search(text, max(0, start - 6), start) and _BUT.match(text, end)
    ):
        return True
    before = text[max(0, start - 20) : start]
    if works and _is_title(text, before, start, end):
        return True
    last = before[-1:]
    if last in _SURNAMES and _NAME_BEFORE.search(before) and _NAME_AFTER.match(text, end):
        return True
    if (last in _BEFORE_ENDS or "祝" in before[-4:]) and _BEFORE.search(before):
        return True
    if last == "是" and text[start] in _DATE_BEGINS and (_BIRTHDAY.search(before) or _BORN.match(text, end)):
        return True
    return recurs and (
        _HABIT_AFTER.match(text, end) is not None
        or (last in _HABIT_BEFORE_ENDS and _HABIT_BEFORE.search(before) is not None)
    )


def _is_spelt(text: str, start: int, end: int) -> bool:
    """Tell whether a word says how a character of a name is written: 晨 is 早晨的晨."""
    char = text[end + 1 : end + 2]
    return (
        text[end : end + 1] == "的"
        and char != ""
        and char in text[start:end]
        and not text[end + 2 : end + 3].isalpha()
    )


def is_planned_then(text: str, start: int, end: int) -> bool:
    """Tell whether a phrase is of what was planned at a time named before: 今年 in 年初我说今年要做什么."""
    return text[start - 1 : start] in _SAID_BEFORE and _PLANNED_AFTER.match(text, end) is not None


_DENIED_AFTER = re.compile("じゃなく|ではなく")
_NOT = re.compile("(?:不是|\\bnot (?:on )?)$")
_BUT = re.compile(",? ?(?:而?是|but\\b)")
_SAID_BEFORE = frozenset("说定讲写许")
_PLANNED_AFTER = re.compile("(?:我们?)?(?:要|想|打算|准备|计划)")
_TITLE_MARK = re.compile("[《〈『【]")
_TITLE = re.compile("《[^》]{0,60}》?|〈[^〉]{0,60}〉?|『[^』]{0,60}』?|【[^】]{0,60}】?")
_QUOTES = {'"': '"', "'": "'", "「": "」", "‹": "›", "«": "»", "(": ""}
_END = r"\s*(?:(?:[啊呀呢吗嘛吧哦哈了的么]|来着|か|ですか|でしたか)\s*)*(?:[,.。!?;、~]|$)"
_NUMBER_ASKED = (
    r"几月几[号日]|几[号日]|几月|星期几|周几|礼拜几|哪[一]?[天日年月]|什么日子|什么节日?|什么时候|多少号|第几周|几几年|什么年|农历[几多][^,。?]{0,6}|阴历[几多][^,。?]{0,6}"
    r"|闰年|平年|(?:什么|啥)(?:属相|生肖)|[鼠牛虎兔龙蛇马羊猴鸡狗猪]年|何日|何曜日?|なんようび|何の日|何時|几点"
)
_AFTER = re.compile(
    rf"(?:\s*(?:(?:那天|这天|的时候)?(?:又|到底|究竟)?(?:是|算|は|属|有)?(?:在|不是|农历|阴历|阳历|公历|农历的|哪个月的?)*(?:{_NUMBER_ASKED}){_END}"
    r"|(?:不|是不)?是(?:不是)?个?(?:(?:星期|周|礼拜)[一二三四五六日天末]|[^,。?我你他她]{1,4}节|国庆|中秋|春节|端午|清明|元旦|除夕|立[春夏秋冬]|冬至|夏至)[吗吧么?啊呀呢]"
    rf"|(?:的)?(?:日期|农历|阴历|阳历)(?:是|$|[?])"
    rf"|(?:一共|总共|里|到底)?有(?:多少|几)(?:个)?(?:天|日|月|周|星期|小时|季节|节气)"
    rf"|(?:还有|还剩)(?:多久|多少天|几天|几个月)|离(?:现在|今天)"
    rf"|(?:会|要|能)?放(?:几|多少)天|放假(?:几天|多久|安排|通知|吗)|的?(?:放假|调休)(?:安排|时间)"
    rf"|的(?:由来|来历|习俗|起源|传说|意义|风俗|英文|拼音|意思|日语|诗|古诗)|(?:是|的)什么意思|用(?:英语|英文|日语)|(?:的)?(?:英语|英文)(?:怎么|是|单词)|怎么(?:写|拼|读|念)"
    rf"|有(?:什么|哪些|啥)(?:习俗|风俗|讲究|传统|传说|来历|含义)|是(?:干什么|干嘛|干啥|做什么|纪念谁|怎么来)的"
    rf"|(?:我|他|她|都|已经|快|刚|就|也)*(?:[二三四五六七八九]十[一二三四五六七八九]?|[2-9]\d)(?:了|啦|岁|整)"
    rf"|快乐|愉快|吉祥|安康|見|见[!。,]?$"
    rf"|每[天周晚月次年]|天天"
    rf"|(?:我|你|他|她|它|您|爸爸|妈妈|爷爷|奶奶|孩子|宝宝|妹妹|弟弟|哥哥|姐姐|已经|都|该|才|刚|快|就)*(?:多大|几岁|多少岁|高寿|[\d〇零一二两三四五六七八九十百]{{1,4}}岁|贵庚))"
    r"|\s+(?:is|was)\s+a\s+(?:song|movie|film|book|band)|\s+by\s+(?:the\s+)?(?:beatles|wham|[a-z]+\s*$))"
)
_BEFORE = re.compile(
    r"(?:离|距离|距)(?:\S{0,2}年)?(?:的)?$|[离距](?:我|你|这|这里|这儿|家|公司|学校|我们|咱们?)+$|还有(?:多久|多少天|几天|几个月|多长时间)(?:到|就是|过|才到|是|就到|才是|就)?$|快到$|马上(?:就)?(?:到|要到|是|要|就是)?$|就要到$|祝\S{0,3}$"
    r"|\bis\s+it\s+(?:mon|tues|wednes|thurs|fri|satur|sun)day\s+$"
    r"|(?:is|was)\s+(?:it|today)\s+(?:a\s+)?$|(?:until|till|when\s+is|when's|when\s+was|what\s+(?:day|date)\s+(?:is|was)(?:\s+it)?|what's|date\s+(?:is|was)|what\s+is|is)\s+$|called\s+$|what(?:'s|\s+is|\s+was)\s+the\s+(?:date|day|time)(?:\s+of)?\s+$"
    r"|(?:今天|昨天|前天|今儿|明天|后天|今日|昨日)(?:不)?(?:是|はは|は)(?:不是)?$"
)
_BEFORE_ENDS = frozenset("离距我你这里儿家司校们咱年的到是就过才久天月间 ")
_SURNAMES = frozenset(SURNAMES) - {"于"}
_NAME_BEFORE = re.compile(r"(?:^|[,。?!:、叫姓是]|朋友|同事|同学|老师|邻居).$")
_NAME_AFTER = re.compile(
    r"(?:是(?:谁|我[^,。?!]{0,4}(?:同事|同学|朋友|老师|邻居))|叫|姓|住|在哪|多大|的(?:电话|生日)|\s*(?:[,。?!]|$))"
)
_DATE_BEGINS = frozenset("0123456789一二三四五六七八九十农阴正冬腊")
_BIRTHDAY = re.compile("生日(?:就|都|也)?是$")
_BORN = re.compile("份?(?:出生|生)的")
_HABIT_BEFORE_ENDS = frozenset("有般常时往是总在惯合欢到厌怕个算备划我你于的订醒叫")
_MEDIA = re.compile(
    r"[歌曲播放听唱首影剧书戏片叫搜专辑漫名玩看演]|play|song|movie|film|sing|album|listen|曲|アニメ|映画"
)
_WORK = r"(?:[一]?[首部本款支张集个档])?(?:老|新|好听的|经典|很火的|有名的|英文|中文|粤语|流行|动画|恐怖|手机|网络)*(?:歌|曲|电影|片子|影片|小说|书(?!包|店)|游戏|电视剧|剧|动画|动漫|漫画|专辑|综艺|节目|诗|画|という|って|の歌|の曲)"
_WORK_AFTER = re.compile(
    rf"\s*[\"'」]?(?:(?:是|就是|算|不是|这|也是|这样一|这一)+{_WORK}|(?:单曲|原唱|主题曲|歌词|这首|这部|这本|这款|的歌词|的原唱|的作者|的导演|谁唱|是谁唱|是谁写|是谁演|是谁的歌|好听|という(?:曲|歌|映画|本|ゲーム)|って(?:曲|歌|映画)))"
)
_ASKED_TO_PLAY = re.compile(
    r"(?:播放|播一下|播|点播|点一首|点首|点歌|来一首|来首|放一首|放首|放一下|放一遍|唱一首|唱首|唱一下|唱|听一首|听首|听一下|听听|单曲循环|循环播放|循环|搜索|搜一下|搜一首|搜|歌曲|歌名|歌|曲|电影|片名|影片|书名|游戏|小说|专辑"
    r"|电视剧|动画片|动漫|漫画|叫做|名叫|叫作|名为|叫|题为|歌手|听|放|看|玩|一首|一部|那首|那部|play|sing|song|movie|film|album|called|named|listen to|曲名は|the song|the movie)\s*[\"'「]?$"
)
_ARTIST_BEFORE = re.compile(r"(?:播放|播|放|听|唱|来|点|搜|循环)[^,。?!]{0,10}的[\"'「]?$")
_PLAY_NAMED = re.compile(
    r"\b(?:play|sing) (?!(?:the|a|it|that|what|some|my|from|on|last|this)\b)[a-z']{2,15} $"
)
_TITLE_END = re.compile(
    r"\s*(?:[\"'」]\s*)?(?:的(?:歌|单曲|mv|这首|电影|游戏|小说|书|曲)\S{0,6}\s*)?(?:(?:[吧吗呀啊呗嘛哦]|好吗|好不好|可以吗|行吗|谢谢|一下|给我听|听听|please|for me)\s*)*(?:[,.。!?;、~]|$|by\b)"
)
_HABIT_AFTER = re.compile(
    r"(?:的时候)?(?:我们?|你们?|他们?|她们?|咱们?|爸爸|妈妈|大家)?(?:一般|通常|平时|往往|经常|总是|总|老是|老(?!板|师|公|婆|人)|常常?|习惯|从不|从来|不能|应该|该|最好|适合|可以|可不可以|打算|准备|计划|能不能|都会|都要|不许|怎么才|送什么|好(?:[,。!?~]|[呀啊哦哇吗]|$|大家|各位|宝|我[是叫])|(?:那天)?(?:为什么|为啥)要?(?:吃|叫|放|赏|挂|喝|过))"
)
_HABIT_BEFORE = re.compile(
    r"(?:[歌曲词诗书香剧]里面?有|叫|名叫|一般|通常|平时|往往|经常|总是|老是|总在|习惯|适合|喜欢|每到|一到|到了|讨厌|最怕|每个|怕|哪个|想在|打算|准备|计划|提醒我|定在|约在|订|定个|设个)(?:我|你|在|的|于)?$"
)


def _is_title(text: str, before: str, start: int, end: int) -> bool:
    if _WORK_AFTER.match(text, end):
        return True
    if _TITLE_END.match(text, end) is None:
        return False
    if _PLAY_NAMED.search(before):
        return True
    return _ASKED_TO_PLAY.search(before) is not None or _ARTIST_BEFORE.search(before) is not None
