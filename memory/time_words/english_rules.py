"""The words and rules of English time: what a phrase may look like. english.py says what each rule means."""

from __future__ import annotations

import re

TRIGGER = re.compile(
    r"day|night|ago\b|last|past|previous|this|week|month|year|noon|morning|evening|recent|late|now\b|while|moment|christmas|thanks|hallow|easter"
    r"|festival|just\b|[ap]\.?m\b|o'clock|spring|summer|autumn|fall|winter|weekend|new year|good|every|each|next|tomorrow|tonight|back\b|before"
    r"|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun|in \d|\d(?:st|nd|rd|th)|since|early|:\d\d|half|quarter"
)
WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = "january february march april may june july august september october november december".split()
SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
PARTS = {
    "early morning": "early",
    "morning": "morning",
    "afternoon": "afternoon",
    "evening": "evening",
    "night": "evening",
    "late night": "night",
    "noon": "noon",
    "midday": "noon",
    "lunchtime": "noon",
    "lunch": "noon",
    "midnight": "night",
    "dawn": "early",
    "dusk": "dusk",
    "small hours": "dawn",
}
NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
).split()
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
    "seventeenth eighteenth nineteenth twentieth"
).split()
FESTIVALS = {
    "christmas eve": "平安夜",
    "christmas day": "圣诞",
    "christmas": "圣诞",
    "xmas": "圣诞",
    "new year's eve": "跨年",
    "new years eve": "跨年",
    "new year's day": "元旦",
    "new year's": "元旦",
    "new year": "元旦",
    "chinese new year's eve": "除夕",
    "chinese new year": "春节",
    "lunar new year": "春节",
    "spring festival": "春节",
    "lantern festival": "元宵",
    "dragon boat festival": "端午",
    "mid-autumn festival": "中秋",
    "mid autumn festival": "中秋",
    "moon festival": "中秋",
    "qingming festival": "清明",
    "tomb sweeping day": "清明",
    "double ninth festival": "重阳",
    "qixi festival": "七夕",
    "national day": "国庆",
    "labor day": "五一",
    "labour day": "五一",
    "may day": "may day",
    "children's day": "六一",
    "women's day": "妇女节",
    "teachers' day": "教师节",
    "teacher's day": "教师节",
    "valentine's day": "情人节",
    "valentines day": "情人节",
    "valentine's": "情人节",
    "april fools' day": "愚人节",
    "april fool's day": "愚人节",
    "april fools": "愚人节",
    "mother's day": "母亲节",
    "mothers day": "母亲节",
    "father's day": "父亲节",
    "fathers day": "父亲节",
    "thanksgiving": "感恩节",
    "halloween": "万圣节",
    "good friday": "good friday",
    "easter": "复活节",
    "boxing day": "boxing day",
    "independence day": "independence day",
    "singles' day": "双十一",
    "singles day": "双十一",
    "winter solstice": "冬至",
    "summer solstice": "夏至",
}
_WD = "|".join(WEEKDAYS)
_WD_SHORT = "mon|tues?|weds?|thu(?:rs?)?|fri|sat|sun"
_MON = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
_SURE_MONTH = "january|february|july|september|october|november|december"
_YEAR = r"(?:19|20)\d\d"
_N = (
    r"(?:\d{1,4}|an?|"
    + "|".join(NUMBERS)
    + r"|half\s+an?|(?:a\s+)?couple(?:\s+of)?|(?:a\s+)?few|several|thirty|forty|fifty|forty-five|twenty-five|twenty-four)"
)
_UNIT = r"(?:second|sec|minute|min|hour|hr|day|night|week|fortnight|month|year|decade)s?"
_FESTIVAL = "|".join(sorted(map(re.escape, FESTIVALS), key=len, reverse=True))
_ORD_WORD = (
    "|".join(sorted(ORDINALS, key=len, reverse=True))
    + "|twenty-first|twenty-second|twenty-third|twenty-fourth|twenty-fifth|thirtieth"
)
_HOUR_WORD = "|".join(NUMBERS[1:13])
RULES = {
    "void": rf"""(?:the\s+)?day\s+after\s+tomorrow|tomorrow|good\s+(?:morning|afternoon|evening|night)|goodnight|(?:every|each)\s+(?:single\s+|other\s+)?\w+
        |(?:the\s+)?(?:next|coming|upcoming|following)\s+(?:few\s+|couple\s+of\s+|{_N}\s+)?(?:{_UNIT}|weekend|quarter|time|{_WD}|{_MON}|{"|".join(SEASONS)}|{_FESTIVAL}|morning|evening)\b
        |(?:in|within)\s+(?:the\s+next\s+)?{_N}\s+{_UNIT}\b(?!\s+(?:ago|before))|{_N}\s+{_UNIT}\s+(?:later|from\s+now|from\s+today)
        |(?:{_WD})s\b|weekdays?|weekends\b|mornings|evenings|afternoons|nights\b|(?:happy|merry)\s+(?:{_FESTIVAL}|{_WD}|weekend)
        |(?:have|enjoy)\s+(?:a|your|the)\s+(?:\w+\s+)?(?:day|weekend|evening|night|morning|afternoon|christmas)|black\s+friday|friday\s+the\s+13th
        |that\s+(?:day|night|morning|afternoon|evening|week|weekend|month|year|summer|winter|spring|fall)|one\s+(?:day|night|morning)|some\s*day
        |all\s+(?:day|night|morning)|last\s+(?:time|name|one|song|order)|at\s+last|the\s+last\s+of\s+us|(?:later|soon)\s+(?:today|tonight|this\s+\w+)
        |may\s+(?:i|we|you|he|she|they|the(?!\s+\d)|be|not|have|or)\b|march\s+(?:on|to|for|in|up|down|with)\b|second\s+thoughts?|saturday\s+night\s+(?:live|fever)
        |yesterday\s+once\s+more|sunday\s+times|summer\s+of\s+69|fall\s+(?:asleep|in\s+love|down|off|apart|out|behind|for)|(?:hot|mattress)\s+spring
        |day\s*dream|see\s+you\s+(?:on\s+|this\s+)?(?:{_WD})|it's\s+(?:{_WD})|birthday|holiday|(?:the\s+)?(?:previous|same|very)\s+day""",
    "before_yesterday": r"(?:the\s+)?day\s+before\s+yesterday(?:\s+(?P<by_part>morning|afternoon|evening|night))?",
    "before_last": rf"(?:the\s+)?(?P<bl_unit>night|evening|week|month|year|weekend|summer|winter|{_WD})\s+before\s+last\b|not\s+last\s+(?P<bl_not>week|month|year),?\s+but\s+the\s+(?:week|month|year|one)\s+before\b",
    "earlier": r"earlier\s+(?:today|this\s+(?P<er_unit>week|month|year))|so\s+far\s+today",
    "nth_of": rf"the\s+(?P<nt_n>first|second|third|fourth|fifth|last)\s+(?:(?P<nt_weekday>{_WD})|(?P<nt_what>week(?:end)?|day))\s+(?:of|in)\s+(?P<nt_month>{_MON})\b(?:,?\s+(?P<nt_year>{_YEAR})\b)?",
    "week_before": r"yesterday\s+week\b",
    "days_ago": rf"(?P<da_n>{_N})\s+(?:(?P<da_weekday>{_WD})|weekend)s?\s+ago\b",
    "same_day": r"(?:on\s+)?(?:this|the\s+same)\s+(?:very\s+)?(?:day|date)\s+last\s+(?P<sd_unit>year|month)\b",
    "quarter": rf"the\s+(?P<qu_word>first|second|third|fourth|last)\s+quarter\b(?:\s+(?:of\s+)?(?P<qu_year>{_YEAR}))?",
    "days_of_month": r"(?:from\s+)?the\s+(?P<ds_day>\d{1,2})(?:st|nd|rd|th)\s+(?:to|through|until|till|-)\s+(?:the\s+)?(?P<ds_last>\d{1,2})(?:st|nd|rd|th)\b",
    "month_days": rf"(?P<mds_month>{_MON})\.?\s+(?P<mds_day>\d{{1,2}})(?:st|nd|rd|th)?\s*(?:-|to|through)\s*(?P<mds_last>\d{{1,2}})(?:st|nd|rd|th)?(?![\d:]|\s*[ap]\.?m)(?:,?\s+(?P<mds_year>{_YEAR})\b)?",
    "part_yesterday": r"(?P<py_part>noon|midday|lunchtime|morning|afternoon|evening)\s+yesterday\b",
    "just_now": r"(?:i|we|you)\s+(?:was|were)\s+just\s+(?:saying|telling|talking|asking|speaking)|just\s+now|(?:a\s+)?(?:moment|second|minute|sec)s?\s+ago|a\s+(?:little|short)\s+while\s+ago|a\s+bit\s+ago|right\s+before\s+this",
    "other_day": r"the\s+other\s+(?:day|night|evening|morning|week)",
    "while_ago": r"(?:quite\s+)?a\s+while\s+(?:ago|back)|some\s+time\s+ago|not\s+(?:too\s+|so\s+|that\s+)?long\s+ago",
    "lately": r"recently|lately|these\s+days|of\s+late\b|in\s+recent\s+(?:days|weeks)",
    "ago": rf"(?P<a_n>{_N})\s+(?:and\s+a\s+half\s+)?(?P<a_unit>{_UNIT})(?P<a_half>\s+and\s+a\s+half)?\s+(?:ago|back|earlier)\b",
    "past": rf"(?:(?:in|over|during|for|within|throughout)\s+)?(?:(?:the|these|this)\s+)?(?P<p_word>last|past)\s+(?P<p_n>{_N}\s+)(?P<p_unit>{_UNIT})\b"
    rf"|(?:in|over|during|for|within)\s+the\s+(?:last|past)\s+(?P<p_one>{_UNIT})\b|the\s+past\s+(?P<p_past>day|hour|week|month|year)\b",
    "portion": rf"(?P<po_which>early|mid|late|(?:the\s+)?(?:very\s+)?(?:beginning|start|middle|end)\s+of)[\s-]+(?:(?P<po_rel>last|this|the)\s+)?(?P<po_what>week|month|year|{_MON})\b(?:,?\s+(?P<po_year>{_YEAR}))?",
    "relative_day": r"(?P<rd_day>yesterday|last)\s+(?P<rd_part>night|evening|morning|afternoon|noon)|this\s+(?P<rd_this>morning|afternoon|noon|evening|lunchtime)|tonight|yesterday|today",
    "relative": rf"(?P<re_word>(?:this|the)\s+past|last|this|past|previous|the\s+previous)\s+(?P<re_what>week(?:end)?|month|year|quarter|{_WD}|{_WD_SHORT}|{_FESTIVAL}|{_MON}|{'|'.join(SEASONS)})\b(?!\s+(?:vacation\s+plan|semester))",
    "month_day": rf"(?P<md_month>{_MON})\.?\s+(?:the\s+)?(?:(?P<md_day>\d{{1,2}})(?:st|nd|rd|th)?(?![\d:]|\s*(?:[ap]\.?m|%|percent|people|days|years|times|hours|minutes|dollars))|(?P<md_word>{_ORD_WORD})\b)(?:,?\s+(?P<md_year>{_YEAR})\b)?",
    "day_month": rf"(?:the\s+)?(?:(?P<dm_day>\d{{1,2}})(?:st|nd|rd|th)?|(?P<dm_word>{_ORD_WORD}))\s+(?:of\s+)?(?P<dm_month>{_MON})\b(?:,?\s+(?P<dm_year>{_YEAR})\b)?",
    "month_year": rf"(?P<my_month>{_MON})\.?,?\s+(?:of\s+)?(?P<my_year>{_YEAR})\b",
    "month": rf"(?:in|since|during|of|from|throughout|around|until|between)\s+(?:the\s+month\s+of\s+)?(?P<at_month>{_MON})\b(?:,?\s+(?:of\s+)?(?P<m_year>{_YEAR})\b)?(?!\s+(?:i|we|you|be)\b|\s+(?:the\s+)?\d{{1,2}}(?!\d)|\s+(?:the\s+)?(?:{_ORD_WORD}))|(?P<m_sure>{_SURE_MONTH})",
    "season": rf"(?:(?:in|during|over|throughout|since)\s+(?:the\s+)?|the\s+)(?P<at_season>{'|'.join(SEASONS)})\b(?:\s+(?:of\s+)?(?P<s_year>{_YEAR}))?(?!\s+(?:festival|asleep|of\s+the|roll))"
    rf"|(?P<s_bare>{'|'.join(SEASONS)})(?=\s+(?:last|this)\s+year)"
    rf"|(?P<s_name>{'|'.join(SEASONS)})\s+(?:of\s+)?(?P<s_year2>{_YEAR})",
    "day_of_month": r"(?:on|since|from|of|until)\s+the\s+(?P<d_day>\d{1,2})(?:st|nd|rd|th)(?!\s+(?:floor|time|day|place|street|grade|page|century))",
    "festival": rf"(?P<f_name>{_FESTIVAL})(?:\s+(?:of\s+)?(?P<f_year>{_YEAR}))?(?!\s+(?:tree|card|song|carol|present|gift|resolution|cake|movie)|\s+eve\b)",
    "weekend": r"(?:(?:on|over|at|during)\s+)?the\s+weekend",
    "year": rf"(?:in|since|during|of|from|back\s+in|until|to|and|year)\s+(?P<at_year>{_YEAR})\b(?!\s*(?:[:/-]|people|dollars|yuan))",
    "weekday": rf"(?P<w_name>{_WD})\b|(?:on|since|from|until|to|and)\s+(?P<at_weekday>mon|tues?|weds?|thu(?:rs?)?|fri|sat)\b",
    "clock": rf"(?:at\s+|around\s+)?(?:(?P<c_hour>\d{{1,2}})(?::(?P<c_minute>[0-5]\d))?|(?P<c_word>{_HOUR_WORD})(?:\s+(?P<c_half>thirty))?)\s*(?:(?P<c_ap>[ap])\.?m\b\.?|o'clock)(?:\s+in\s+the\s+(?P<c_part>morning|afternoon|evening))?"
    r"|(?P<c_first>\d{1,2})(?=\s*(?:to|until|till|and|-)\s*\d{1,2}(?::\d\d)?\s*(?P<c_first_ap>[ap])\.?m)"
    rf"|(?P<c_past>half|(?:a\s+)?quarter)\s+(?P<c_to>past|to)\s+(?:(?P<c_hour2>\d{{1,2}})|(?P<c_word2>{_HOUR_WORD}))\b"
    rf"|(?P<c_hour3>[01]?\d|2[0-3]):(?P<c_minute3>[0-5]\d)(?![\d:])",
    "weak_clock": rf"\b(?:at|around|about|past)\s+(?:(?P<k_hour>\d{{1,2}})|(?P<k_word>{_HOUR_WORD}))\b(?!\s*(?:[:%.]\d|[ap]\.?m\b|o'clock|{_UNIT}|people|times|years|percent|degrees|dollars|of\b))",
    "part": r"(?:(?:in|during|by)\s+the|at|around|about|by)\s+(?P<at_part>early\s+morning|morning|afternoon|evening|noon|midday|midnight|dawn|dusk|lunchtime|small\s+hours)\b|(?P<part_of>morning|afternoon|evening|night)(?=\s+of\s)",
    "strict_part": r"early\s+morning|late\s+night|morning|afternoon|evening|night|noon|midday|midnight|lunchtime",
    "now": r"now\b|(?:the\s+)?present\b",
}


WORD = re.compile(r"(?<![a-z\d'])[a-z\d]+")
FIRST_WORDS = frozenset(
    """i we you the an day tomorrow good goodnight every each next coming upcoming following in within weekday weekdays weekends mornings evenings
    afternoons nights happy merry have enjoy black friday that one some someday all last at later soon may march second saturday sunday
    yesterday summer fall hot mattress day daydream birthday holiday previous same very night evening week month year weekend winter earlier
    so just a moment sec right quite some not recently lately these of over during for throughout this past early mid late beginning start
    middle end tonight today on since from until between around spring autumn and back to year noon midday midnight lunchtime morning
    afternoon now present half quarter about by mondays tuesdays wednesdays thursdays fridays saturdays sundays couple few several minute see it
    thirty forty fifty twenty xmas st""".split()
    + WEEKDAYS
    + MONTHS
    + "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed weds thu thur thurs fri sat sun".split()
    + NUMBERS
    + ORDINALS
    + [name.split()[0].split("'")[0].split("-")[0] for name in FESTIVALS]
)
"""What a rule may begin with; most words of a text are none of these."""
