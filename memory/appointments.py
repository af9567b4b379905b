"""What somebody has to do on a day to come, as he says it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from xiaozhi_persona.memory.facts.kinds import APPOINTMENT, KIN, OTHERS, SELF, Finding
from xiaozhi_persona.memory.future_words import FutureRange, find_future
from xiaozhi_persona.memory.patterns import followed, pattern

_CHINESE = pattern("[\u4e00-\u9fff]")
_KANA = pattern("[\u3041-\u3096]")
_NOT_OURS = pattern(
    "天气|闹钟|叫我起|叫醒|[下有]雨|下雪|有雪|刮风|降温|气温|停电|星期几|几号|放假吗|帮我|给我|陪我[聊玩说]|如何|^要不|不如"
    "|每[天周月年个逢]|有时|偶尔|时不时|请教|问题|[跟和与]你|问你|问问|想问|经常|总是|平时|一般|通常|从来|本来|原本"
)
_TOLD_BY = pattern(
    rf"^(?:我们?)?(?:家|的)*(?:{KIN}|{OTHERS}|学校|公司|幼儿园|医院)(?:跟我|和我)?(?:说|通知我?|让我|叫我)"
)
_OF_OTHERS = pattern(
    rf"^(?:你|您)|^(?:[他她它]|人家|别人|大家|我们?的?(?:{OTHERS})|{OTHERS}|[小老阿][\u4e00-\u9fff])(?!.*[我咱来])"
)
_MY_FRIEND = pattern(rf"^我们?的?(?={OTHERS})")
_OF_THE_WORLD = pattern(
    "开放|闭馆|开馆|闭园|开园|营业|停止|售票|取票|票价|门票|上映|拍摄|出生|生于|位于|坐落|地址|时间[是为:：]|日期|成立|出品|发行|毕业于|去世|人民币|不错$|适合|值得|据|获得|奖|出版|建成|始建"
    "|世纪|等$|等等$|为止|推出|首播|首演|巡演|那时|当时|上回|上次|那年"
)
"""What goes on whether somebody is there or not; it is a plan only of whoever says 我."""
_TO_YOU = pattern("[你您]|告诉|表白|敢|我说|说了|说我|大家|([\u4e00-\u9fff])不\\1")
_TO_REMIND = pattern("提醒|记得|别忘|[让叫]我|约")
_OF_US = pattern("我|咱|俺")
_AN_ADDRESS = pattern(
    r"[路街巷里院楼室弄道村区栋座层胡同][0-9零一二三四五六七八九十百]{1,5}号|(?:19|20)\d\d年.{0,3}\d{1,2}月"
)
_MUST = r"(?<![不主重需次只就])要(?!是|求|么|紧)|(?<![觉记懂显获取赢值舍])得(?![了到很])|打算|准备|计划|提醒我|别忘"
_PLAN = pattern(
    rf"{_MUST}|安排|面试|出差|约(?!莫)|(?<!没)有(?![空时雨雪点些人意])|去|飞|交|看(?!情况|心情|来|起来|好|到)"
    r"|开(?!心|始|玩笑)|考(?!虑|察)|做|见(?!$|面会)|参加|[回接送搬](?!复|受|头)|(?<![后原未本])来(?![着得])|陪|聚|会议|我们?会(?=[去来到在有参开])|生日|纪念日|婚礼|复查|体检|手术|截止|到期|检查|拔牙|理发"
    "|相亲|旅游|旅行|露营|钓鱼|答辩|汇报|培训|报到|入职|离职|开学|放假|毕业|结婚|比赛|演出|上班|加班|值班|上课|补课|吃|喝|玩|买|订|定了|逛|拍|取|拿|寄|还(?=[书钱款])|修|办|签|练|跑步|爬山|游泳|打(?=[球针疫电扫])|火车|高铁|飞机|航班|直播"
)
_INTENT = pattern(rf"{_MUST}|约[了好]|定了|必须|需要|记得|答应")
_NO_PLAN = pattern(
    "^是我的?生日|生日不?是|再[见说聊看讲来议]|考虑|有空|有时间|看情况|开心|要?迟到了|早点睡|多穿|[很真太好更最]?(?:热|冷|凉快|晴|阴)$"
)
_DONE = pattern(
    "(?<![为除])了(?!解)|(?<![不通路经])过(?!生日|年|节|来|去|几|一)|的时候|回来$|昨天|前天|刚才|刚刚|上回|上次|那时候?|当时|人民币"
)
_STILL_AHEAD = pattern(
    f"约了|约好|定了|定好|订了|订好|买了|买好|安排了|安排好|报名了|报了|有了|答应了|说好|{followed('[要该快就]', '了')}|别忘了"
)
_CALLED_OFF = pattern(
    "取消|改期|不[去来开看见做参打搞办上回]|不(?:用|要|想|能|必|需要|打算|准备|约)|不.{1,6}了$|没[有空法办什课事]|去不|来不及|没时间"
)
_UNWILLING = pattern("不想|没空|没时间|没有时间|懒得")
_LONG_AHEAD = timedelta(days=275)
_NOT_NOT = pattern("不得不|不见不散|要不要|[不别]要?忘|不能忘|不要(?:迟到|忘)")
_LEAD = pattern(
    rf"^(?:我们|我(?!家?的?(?:{KIN}))|咱们|咱|记得|提醒我?|别忘了?|不要忘了?|(?:有|去)?(?=去|有)|要|得|会(?![议员诊计客面谈])|打算|准备|计划|必须|需要|想|还(?![书钱款车贷])|就(?![医诊餐业职])|之前|以前|，|的|一定|可能|应该|昨天|跟我|个|是(?=我)|那么?|正好|刚好)+"
)
_LEAD_IN = pattern("^(?:那么?|就|对了|另外|还有|然后|嗯|好|哦|啊|记得|提醒|别忘了?|正好|刚好|和|，|、| )*$")
_MOVED = pattern(
    "[把的我那个原来本]{0,6}(?P<what>.{1,12}?)(?:的?时间)?(?:改期?|推迟|延期?|延后|挪|提前|换|移|调整?)(?:到|至|成|在)(?:去)?了?"
)
_EARLY = pattern("[我今天昨已经刚]{0,6}提前(?!到|了|说|告诉|祝)(?P<what>.{2,12}?)(?:过)?了")
_AHEAD = timedelta(days=400)
_THEN = pattern("^(?:然后|接着|再|之后|又){1,3}")
_CLOCK_FIRST = pattern(
    r"(?:然后|接着|再|之后|又)?(?:早上|上午|中午|下午|傍晚|晚上|夜里|(?:\d{1,2}|[一二两三四五六七八九十]{1,3})[点:：])"
)
_OFF_WORDS = pattern("(?:我|的|都|已经|取消|改期|不用?去?|没有?|要|想|了|会(?!议)|看|开|有)+")
_MEETING = pattern("[的个次开]会(?![去来有])|^会(?=取消|改期|不开|没)")


def find_appointment(clause: str, now: datetime, before: Sequence[Finding] = ()) -> list[Finding]:
    """Return the appointment that a clause tells, moves or takes back. `now` is local and naive, and `before` is what
    the same sentence told before: 明天九点开会，三点去接孩子 are both tomorrow.

    Of today only what is still to come: by its clock or part of the day, or because somebody means to do it.
    """
    if early := _EARLY.fullmatch(clause):
        return [_not(early["what"], now)]
    clause = _on_the_same_day(clause, before)
    ranges = find_future(clause, now)
    if (
        not ranges
        or not _CHINESE.search(clause)
        or _KANA.search(clause)
        or _NOT_OURS.search(clause)
        or _AN_ADDRESS.search(clause)
    ):
        return []
    times, rest = _times(clause, ranges)
    if moved := _MOVED.fullmatch(rest.strip()):
        what = _LEAD.sub("", moved["what"])
        return [_not(what, now), Finding(SELF, APPOINTMENT, what, "is", times[-1].start, times[-1].end)]
    if _TO_YOU.search(clause) and not _TO_REMIND.search(clause):
        return []
    ours = _OF_US.search(clause)
    if not ours and (_OF_THE_WORLD.search(clause) or not _begins_with(clause, ranges[0].text)):
        return []
    rest = _TOLD_BY.sub("", rest.strip())
    if _OF_OTHERS.match(_MY_FRIEND.sub("", rest)) or (_UNWILLING.search(rest) and not rest.endswith("了")):
        return []
    if _CALLED_OFF.search(_NOT_NOT.sub("", rest)):
        thing = _OFF_WORDS.sub("", rest) or ("会" if _MEETING.search(rest) else "")
        return [Finding(SELF, APPOINTMENT, thing, "not", when.start, when.end) for when in times if thing]
    if not _PLAN.search(rest) or _NO_PLAN.search(rest):
        return []
    if _DONE.search(rest) and not _STILL_AHEAD.search(rest):
        return []
    value = _LEAD.sub("", rest)
    if not ours and not _INTENT.search(rest) and not _PLAN.search(value[:6]):
        return []
    ahead = [when for when in times if _lies_ahead(when, now, bool(_INTENT.search(rest)))]
    return [
        Finding(SELF, APPOINTMENT, value, "is", when.start, when.end) for when in ahead if len(value) >= 2
    ]


def _not(what: str, now: datetime) -> Finding:
    """Return that something which was to come is so no longer, on whatever day it was to be."""
    return Finding(SELF, APPOINTMENT, _OFF_WORDS.sub("", what) or what, "not", now, now + _AHEAD)


def _on_the_same_day(clause: str, before: Sequence[Finding]) -> str:
    """Return a clause that begins with a clock or a part of the day with the day of the appointment before it."""
    last = before[-1] if before else None
    if last and last.attribute == APPOINTMENT and last.starts and _CLOCK_FIRST.match(clause):
        return f"{last.starts.month}月{last.starts.day}日{_THEN.sub('', clause)}"
    return clause


def _begins_with(clause: str, when: str) -> bool:
    """Whether a clause that names nobody begins with the time, or with what has to be done then."""
    before = _TOLD_BY.sub("", clause.partition(when)[0])
    return not _LEAD_IN.sub("", before) or bool(_INTENT.search(before))


def _lies_ahead(when: FutureRange, now: datetime, is_meant: bool) -> bool:
    """Whether something is still to come. A date of this year that has passed is not next year's, unless meant so."""
    if is_meant:
        return when.end > now
    return now < when.start < now + _LONG_AHEAD


def _times(clause: str, ranges: list[FutureRange]) -> tuple[list[FutureRange], str]:
    """Return the times of an appointment, and the clause without them: 周五到周日 is one, 周五和周日 are two."""
    first, last = ranges[0], ranges[-1]
    whole = clause[clause.find(first.text) : clause.rfind(last.text) + len(last.text)]
    if whole[len(first.text) : -len(last.text)] in ("到", "至", "-", "~"):
        times = [FutureRange(first.start, last.end, whole)] if first.start < last.end else []
        return times, clause.replace(whole, "")
    for when in ranges:
        clause = clause.replace(f"和{when.text}", "").replace(f"、{when.text}", "").replace(when.text, "")
    return ranges, clause
