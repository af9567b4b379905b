"""Chinese (and Cantonese): numbers, units, dates and signs that GPT-SoVITS's front end reads wrong, in words."""

from __future__ import annotations

import re
from collections.abc import Callable

from xiaozhi_persona.providers.tts.gpt_sovits.reading.chinese_numbers import DIGITS, cardinal, spelled

_NUMBER = r"\d{1,18}(?:\.\d{1,12})?"
_MONEY = {
    "$": "美元",
    "US$": "美元",
    "HK$": "港元",
    "NT$": "新台币",
    "¥": "元",
    "€": "欧元",
    "£": "英镑",
    "₩": "韩元",
}
_UNITS = {
    "km/h": "每小时{}公里",
    "m/s": "每秒{}米",
    "MB/s": "每秒{}兆",
    "Mbps": "每秒{}兆比特",
    "Gbps": "每秒{}G比特",
    "KB/s": "每秒{}K",
    "kWh": "度电",
    "mAh": "毫安时",
    "km²": "平方公里",
    "m²": "平方米",
    "㎡": "平方米",
    "cm²": "平方厘米",
    "m³": "立方米",
    "cm³": "立方厘米",
    "kg": "公斤",
    "mg": "毫克",
    "km": "公里",
    "cm": "厘米",
    "mm": "毫米",
    "nm": "纳米",
    "ml": "毫升",
    "mL": "毫升",
    "min": "分钟",
    "ms": "毫秒",
    "kHz": "千赫",
    "MHz": "兆赫",
    "GHz": "G赫兹",
    "Hz": "赫兹",
    "dB": "分贝",
    "kW": "千瓦",
    "GB": "G",
    "TB": "T",
    "MB": "兆",
    "KB": "K",
    "kcal": "千卡",
    "rpm": "转每分",
    "px": "像素",
    "g": "克",
    "m": "米",
    "s": "秒",
    "h": "小时",
    "L": "升",
    "V": "伏",
    "W": "瓦",
}
_UNIT = "|".join(map(re.escape, sorted(_UNITS, key=len, reverse=True)))
_TWO_OF = re.compile(
    "个|位|只|条|张|件|块|元|岁|天|周|年|小时|分钟|秒|米|公里|公斤|斤|度|克|升|次|遍|倍|点|万|千|美元|欧元|平方|立方|厘米|毫米|G|T|兆|杯|瓶|本"
)
_OPERATORS = {
    "+": "加",
    "-": "减",
    "×": "乘",
    "*": "乘",
    "÷": "除以",
    "/": "除以",
    "=": "等于",
    "≈": "约等于",
    "≠": "不等于",
}
_OPERATORS |= {"<": "小于", ">": "大于", "≤": "小于等于", "≥": "大于等于"}
_CODES = (
    "号",
    "号码",
    "电话",
    "密码",
    "房间",
    "房",
    "编号",
    "代码",
    "邮编",
    "验证码",
    "尾号",
    "拨",
    "打",
    "第",
    "QQ",
    "型号",
    "年份",
)
_AMOUNTS = (
    "共 等于 约 将近 超过 达到 高达 调到 降到 升到 涨到 加到 减到 设为 设成 只有 至少 最多 不到 得了 花了 价格 价格是 售价 价值 得分 分数 音量 亮度 还剩 多达 增加 减少 加 减 乘 除以 有"
).split()
_ROMAN = {chr(0x2160 + i): word for i, word in enumerate("一 二 三 四 五 六 七 八 九 十 十一 十二".split())}
_SAID = {
    "e.g.": "比如",
    "i.e.": "也就是",
    "etc.": "等等",
    "C++": "C加加",
    "7-11": "seven eleven",
    "C#": "C sharp",
    "F#": "F sharp",
    "½": "二分之一",
    "¼": "四分之一",
}
_SAID |= {"¾": "四分之三", "→": "到", **_ROMAN}
_SCORES = ("比分", "赢", "输", "胜", "负", "平", "领先", "落后", "击败", "战胜")

_DIGIT = re.compile("[0-9]")
_A_NUMBER = re.compile(_NUMBER, re.ASCII)
_SIGN = re.compile(r"(?<=[=<>≈≠≤≥])\s?-")
_LETTER_BEFORE = re.compile(r"[A-Za-z]\s?$")

_Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def readable(text: str) -> str:
    """Return a sentence with Chinese characters as it is to be sent."""
    for pattern, rule in _RULES:
        text = pattern.sub(rule, text)
    return text


def _counted(number: str, what: str) -> str:
    """Return a number of something: 两 for 2 where that is said."""
    return ("两" if number == "2" and _TWO_OF.match(what) else cardinal(number)) + what


def _address(match: re.Match[str]) -> str:
    said = _DIGIT.sub(lambda digit: DIGITS[int(digit[0])], match[0])
    for sign, word in (("@", "艾特"), (".", "点"), ("_", "下划线"), ("-", "杠")):
        said = said.replace(sign, word)
    return said


def _date(match: re.Match[str]) -> str:
    month, day = int(match[3]), int(match[4])
    return f"{match[1]}年{month}月{day}日" if 1 <= month <= 12 and 1 <= day <= 31 else match[0]


def _clock(hour: str, minute: str, second: str | None) -> str:
    said = ("两" if int(hour) == 2 else cardinal(str(int(hour)))) + "点"
    if int(minute) or second:
        said += (
            ("零" if int(minute) < 10 else "") + (cardinal(str(int(minute))) if int(minute) else "") + "分"
        )
    if second and int(second):
        said += ("零" if int(second) < 10 else "") + cardinal(str(int(second))) + "秒"
    return said


def _colon(match: re.Match[str]) -> str:
    """Read `2:05` as a time and `3:2` as a score; a time that is read right stays."""
    first, second, seconds = match[1], match[2], match[3]
    is_time = int(first) < 24 and len(second) == 2 and int(second) < 60
    if not is_time or _comes_after(match, ("比分", "比例", "打成")):
        return match[0] if seconds else f"{cardinal(first)}比{cardinal(second)}"
    return _clock(first, second, seconds) if seconds or int(first) == 2 else match[0]


def _money(match: re.Match[str]) -> str:
    return _counted(match[2].replace(",", ""), (match[3] or "") + _MONEY[match[1]])


def _measure(match: re.Match[str]) -> str:
    first, number, unit = match[1], match[2], match[3]
    if len(unit) == 1 and _LETTER_BEFORE.search(match.string, max(0, match.start() - 2), match.start()):
        return match[0]  # iPhone 5s
    said = f"{cardinal(first)}到" if first else ""
    name = _UNITS[unit]
    return name.format(said + cardinal(number)) if "{}" in name else said + _counted(number, name)


def _degrees(match: re.Match[str]) -> str:
    first, second, sign = match[1], match[2], match[3].replace(" ", "").upper()
    before = "华氏" if sign in ("°F", "℉") else ""
    numbers = [
        ("零下" if number[0] == "-" else "") + _counted(number.lstrip("-"), "度")
        for number in (first, second)
        if number
    ]
    return before + "到".join(numbers)


def _slashed(match: re.Match[str]) -> str:
    above, below = int(match[1]), int(match[2])
    if above >= below and above <= 12 and below <= 31:
        return f"{above}月{below}日"
    return f"{cardinal(match[2])}分之{cardinal(match[1])}" if below > 1 else match[0]


def _dashed(match: re.Match[str]) -> str:
    """Read `3-5天` as a range, `3-202室` as a door, `赢了3-2` as a score."""
    first, sign, second = match[1], match[2], match[3]
    after = match.string[match.end() : match.end() + 3].lstrip()
    if sign == "-" and "." not in first + second and _is_door(match, after):
        return f"{cardinal(first)}杠{spelled(second) if len(second) > 2 else cardinal(second)}"
    if sign == "-" and _comes_after(match, _SCORES, within=4):
        return f"{cardinal(first)}比{cardinal(second)}"
    if float(first) >= float(second) or (sign == "-" and after[:1] in ("等", "=")):
        return match[0]
    if after.startswith("年") and len(first) == len(second) == 4:
        return f"{''.join(DIGITS[int(d)] for d in first)}到{second}"
    is_ordinal = _comes_after(match, ("第",)) or after[:1] in ("月", "号", "日", "层", "楼")
    begin, end = (
        "两" if number == "2" and not is_ordinal else cardinal(number) for number in (first, second)
    )
    return f"{begin}到{end}"


def _is_door(match: re.Match[str], after: str) -> bool:
    is_named = _comes_after(
        match, ("住", "房间", "房间号", "房号", "单元", "楼", "栋", "幢", "座", "门牌"), within=1
    )
    return after[:1] in ("室", "房", "户") or after.startswith("号房") or (is_named and len(match[3]) >= 2)


def _sum(match: re.Match[str]) -> str:
    said = _A_NUMBER.sub(lambda number: cardinal(number[0]), match[0])
    said = _SIGN.sub("负", said)
    return "".join(_OPERATORS.get(character, character) for character in said if character != " ")


def _glued(match: re.Match[str]) -> str:
    digits = match[1]
    if "." in digits:
        return "点".join(
            cardinal(part) if part == "0" or part[0] != "0" else spelled(part) for part in digits.split(".")
        )
    return spelled(digits) if len(digits) > 2 or digits[0] == "0" else cardinal(digits)


def _amount(match: re.Match[str]) -> str:
    """Read a number of three digits and more as an amount where the words before it, or its zeros, say so."""
    if _comes_after(match, _CODES):
        return match[0]
    is_amount = _comes_after(match, tuple(_AMOUNTS)) or match[0].endswith("00")
    return cardinal(match[0]) if is_amount else match[0]


def _comes_after(match: re.Match[str], words: tuple[str, ...], within: int = 1) -> bool:
    """Whether one of the words ends at most `within` characters before."""
    before = match.string[max(0, match.start() - 8) : match.start()].rstrip(" 是为了:：")
    return any(before[: len(before) - back].endswith(words) for back in range(within) if back <= len(before))


_LETTERS_OR_DIGITS = r"A-Za-z\d"
_RULES: tuple[_Rule, ...] = (
    (re.compile(r"[\w.+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,4}", re.ASCII), _address),
    (
        re.compile(
            r"(?<![\w.])(?:[A-Za-z0-9\-]{1,63}\.){1,4}(?:com|cn|net|org|io|ai|cc|me|tv)(?![\w.])", re.ASCII
        ),
        _address,
    ),
    (
        re.compile(
            r"(?<![A-Za-z])(?:e\.g\.|i\.e\.|etc\.)|C\+\+|[CF]#|(?<!\d)7-11(?=便利|店|买)|[½¼¾→Ⅰ-Ⅻ]", re.ASCII
        ),
        lambda match: _SAID[match[0]],
    ),
    (re.compile(r"(?<![A-Za-z])(Dr|Mr|Mrs|Ms|St)\.(?=\s?[A-Z])", re.ASCII), lambda match: match[1]),
    (re.compile(r"(?<![A-Za-z])([apAP])\.([mM])\.", re.ASCII), lambda match: match[1] + match[2]),
    (re.compile(r"(?<![A-Za-z])[Nn][Oo]\.\s?(\d{1,9})", re.ASCII), lambda match: f"第{cardinal(match[1])}"),
    (re.compile(r"(?<!\d)(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?![\d\-/.]\d|\d)", re.ASCII), _date),
    (
        re.compile(r"(?<![\d.\-])\+?(?:86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?![\d.])", re.ASCII),
        lambda match: spelled(match[0]),
    ),
    (
        re.compile(r"(?<![\d.\-])(?:\d{3,4}-\d{3,4}-\d{4}|0\d{2,3}-\d{7,8})(?![\d\-])", re.ASCII),
        lambda match: spelled(match[0]),
    ),
    (
        re.compile(
            r"(?<![\d:.])(\d{1,2}):([0-5]\d)(?::([0-5]\d))?\s?[-~–—至到]\s?(\d{1,2}):([0-5]\d)(?::([0-5]\d))?(?![\d:])",
            re.ASCII,
        ),
        lambda m: f"{_clock(m[1], m[2], m[3])}到{_clock(m[4], m[5], m[6])}",
    ),
    (re.compile(r"(?<![\d:.])(\d{1,5}):(\d{1,5})(?::([0-5]\d))?(?![\d:]|\.\d)", re.ASCII), _colon),
    (
        re.compile(
            rf"((?:US|HK|NT)?\$|[¥€£₩])\s?(\d{{1,3}}(?:,\d{{3}}){{1,5}}(?:\.\d{{1,4}})?|{_NUMBER})\s?([万亿千百]{{0,2}})",
            re.ASCII,
        ),
        _money,
    ),
    (
        re.compile(
            rf"(?<![\d,.])\d{{1,3}}(?:,\d{{3}}){{1,5}}(?=(?:\.\d{{1,8}})?\s?(?:{_UNIT})(?![A-Za-z0-9]))",
            re.ASCII,
        ),
        lambda match: match[0].replace(",", ""),
    ),
    (
        re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3}){1,5}(?:\.\d{1,8})?(?![\d,])", re.ASCII),
        lambda match: cardinal(match[0].replace(",", "")),
    ),
    (
        re.compile(
            rf"(?<![{_LETTERS_OR_DIGITS}.])(?:(-?{_NUMBER})(?:\s?°\s?[CcFf]|[℃℉°])?\s?[-~–—到至]\s?)?(-?{_NUMBER})\s?(°\s?[CcFf]|[℃℉]|°)",
            re.ASCII,
        ),
        _degrees,
    ),
    (
        re.compile(
            rf"(?<![{_LETTERS_OR_DIGITS}.])(?:({_NUMBER})(?:{_UNIT})?\s?[-~–—]\s?)?({_NUMBER})\s?({_UNIT})(?![A-Za-z0-9²³/])",
            re.ASCII,
        ),
        _measure,
    ),
    (
        re.compile(rf"(?<![\d.])({_NUMBER})%?\s?[-~–—]\s?({_NUMBER})%", re.ASCII),
        lambda m: f"{m[1]}%到{m[2]}%",
    ),
    (
        re.compile(
            rf"(?<![{_LETTERS_OR_DIGITS}.])-?{_NUMBER}(?:\s?[+\-×*÷/]\s?-?{_NUMBER}){{0,8}}\s?[×÷=≈≠<>≤≥+*]\s?-?{_NUMBER}"
            rf"(?:\s?[+\-×*÷/=≈≠<>≤≥]\s?-?{_NUMBER}){{0,8}}",
            re.ASCII,
        ),
        _sum,
    ),
    (re.compile(r"(?<![\d/])(\d{1,3})/(\d{1,3}|[1-9]0{3,6})(?![\d/])", re.ASCII), _slashed),
    (
        re.compile(r"(?<![A-Za-z\d.\-])\d{1,4}-\d{1,4}-\d{1,4}(?![\d\-])", re.ASCII),
        lambda match: "杠".join(
            spelled(part) if len(part) > 2 else cardinal(part) for part in match[0].split("-")
        ),
    ),
    (
        re.compile(
            rf"(?<![{_LETTERS_OR_DIGITS}.\-])({_NUMBER})\s?([-~–—])\s?({_NUMBER})(?![\d.\-]\d|\d)", re.ASCII
        ),
        _dashed,
    ),
    (
        re.compile(
            r"(周[一二三四五六日]|星期[一二三四五六日]|[一二三四五六七八九十百]{1,4}(?:[月日号点岁天个]|年级)?)\s?(?:[~～]|[-—–]{1,2})\s?(?=周|星期|[一二三四五六七八九十])",
            re.ASCII,
        ),
        lambda match: match[1] + "到",
    ),
    (re.compile(r"第\s?(\d{1,9})(?![\d.])", re.ASCII), lambda match: "第" + cardinal(match[1])),
    (re.compile(r"(?<![\d.])2(?=月|日(?!游)|号|楼|层|单元|年级|室|栋)", re.ASCII), lambda match: "二"),
    (re.compile(r"(?<![A-Za-z\d])(\d{1,4})#(?=楼|栋|号|房|线|$)", re.ASCII), lambda match: match[1] + "号"),
    (re.compile(r"([A-Za-z\d)])²", re.ASCII), lambda match: match[1] + "的平方"),
    (re.compile(r"([A-Za-z\d)])³", re.ASCII), lambda match: match[1] + "的立方"),
    (
        re.compile(r"([A-Za-z]|的平方|的立方)\s?([+×÷=])\s?(?=[A-Za-z\d])", re.ASCII),
        lambda match: match[1] + _OPERATORS[match[2]],
    ),
    (re.compile(r"(?<=[A-Za-z])-?(\d{1,18}(?:\.\d{1,3}){0,4})(?![A-Za-z\d])", re.ASCII), _glued),
    (re.compile(r"(?<![A-Za-z\d.])(\d{1,4})(?=[A-Z]{1,2}(?![A-Za-z\d]))", re.ASCII), _glued),
    (re.compile(r"(?<=[A-Za-z])-?(\d{1,2})(?=[A-Za-z]{1,2}(?![A-Za-z\d]))", re.ASCII), _glued),
    (
        re.compile(r"(?<=\d[米块])(\d{2})(?![\d.]|厘米|公分|[分毛角])", re.ASCII),
        lambda match: "".join(DIGITS[int(d)] for d in match[1]),
    ),
    (
        re.compile(r"(?<=[A-Z\u4e00-\u9fff])([+×])(?=[\u4e00-\u9fff])", re.ASCII),
        lambda match: _OPERATORS[match[1]],
    ),
    (re.compile(r"(?<!\d)(\d0)(?=后)", re.ASCII), lambda match: spelled(match[1])),
    (
        re.compile(r"(?<=[\u3400-\u9fff])/(?=[天日月年次个位人斤克升米张本件小时分秒千公平])", re.ASCII),
        lambda match: "每",
    ),
    (re.compile(r"(?<=[\w\u3400-\u9fff])\s?&\s?(?=[\w\u3400-\u9fff])", re.ASCII), lambda match: "和"),
    (re.compile(r"(?<=[A-Za-z0-9])_{1,3}(?=[A-Za-z0-9])", re.ASCII), lambda match: " "),
    (re.compile(r"@(?=[\w\u3400-\u9fff])", re.ASCII), lambda match: "艾特"),
    (re.compile(r"(?<=[A-Za-z])\.(?=[a-z]{2,4}(?![A-Za-z\d]))", re.ASCII), lambda match: "点"),
    (
        re.compile(
            rf"(?<![{_LETTERS_OR_DIGITS}.\-/])\d{{3,16}}(?![{_LETTERS_OR_DIGITS}.\-/%年号室房路多余几]|\.\d)",
            re.ASCII,
        ),
        _amount,
    ),
)
