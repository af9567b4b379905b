"""What somebody has to do on a day to come, as he says it."""

from __future__ import annotations

import re
from datetime import datetime

from xiaozhi_persona.memory.fact_types import APPOINTMENT, SELF, Finding
from xiaozhi_persona.memory.future_words import find_future

_PLAN = re.compile(
    "要|得|会|约|有|去|打算|准备|计划|安排|考|面试|开|飞|出差|提醒我|别忘|交|做|看|见|参加|回|聚|复查|体检|手术|截止|到期|搬|接|送|来|陪|过生日|生日|婚礼"
)
_NOT_OURS = re.compile("^[你他她它]|天气|闹钟|叫我起|叫醒|下雨|气温|星期几|几号|放假吗")
_DONE = re.compile("[了过]")
_STILL_AHEAD = re.compile("约了|约好了|定了|订了|买了|安排了|报名了|报了|有了|[要该快就].*了")
_CANCELLED = re.compile("取消|不去了|不用去了|不开了|改期")
_LEAD = re.compile(
    "^(?:我们|我|咱们|咱|记得|提醒|别忘了?|(?:有|去)?(?=去|有)|要|得|会|打算|准备|计划|想|还|就|，|的|一定|可能|应该)+"
)


def find_appointment(clause: str, now: datetime) -> list[Finding]:
    """Return the appointment that a clause tells, or takes back."""
    ranges = find_future(clause, now)
    if not ranges or _NOT_OURS.search(clause):
        return []
    when = ranges[-1]
    rest = "".join(clause.split(when.text)).strip()
    if _CANCELLED.search(rest):
        thing = re.sub("(?:我|的|都|已经|取消|不用?去|不开|改期|了)+", "", rest)
        return [Finding(SELF, APPOINTMENT, thing, "not", when.start, when.end)]
    if not _PLAN.search(rest) or (_DONE.search(rest) and not _STILL_AHEAD.search(rest)):
        return []
    value = re.sub("^个", "", _LEAD.sub("", rest))
    return [Finding(SELF, APPOINTMENT, value, "is", when.start, when.end)] if len(value) >= 2 else []
