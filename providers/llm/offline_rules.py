"""What the embedded chat model knows to say: tables of patterns and replies.

A reply may hold {name} (the user's, with a comma before it), {me} (the role's), {echo} (what was said, in the second
person), {clock}, {date} and {offline}. The first row that matches wins. No fact is written here: facts come
from what the user said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from xiaozhi_persona.memory.patterns import followed, pattern

OFFLINE = "我是自带的离线应答，在 config.yaml 的 llm.base_url 填上对话模型，就能聊得更多。"
OFFLINE_EN = "I am the built-in offline answerer. Set a chat model in config.yaml under llm.base_url to talk about more."

STORY = (
    "【中性】从前，山脚下住着一只怕黑的小萤火虫。【悲伤】每到晚上，伙伴们都出去玩，只有它躲在叶子底下掉眼泪。"
    "【惊讶】有一天夜里，它忽然听见一只小蚂蚁在喊：我迷路啦！【中性】它咬咬牙飞出去，点亮了自己的小灯。"
    "【高兴】小蚂蚁顺着那一点光，平平安安地回了家。【惊讶】这时它才发现，原来黑夜里最亮的就是它自己！"
    "【高兴】从那以后，它天天晚上都去给别人照路。"
)
STORY_EN = (
    "【中性】Once there was a firefly that feared the dark. 【悲伤】Every night it hid under a leaf and cried. "
    "【惊讶】Then it heard a little ant call: I am lost! 【中性】It took heart and lit its lamp. "
    "【高兴】The ant followed the light all the way home. 【高兴】And the firefly was never afraid again."
)


def _rows(*rows: tuple[str, str]) -> Sequence[tuple[re.Pattern[str], str]]:
    """Return a table: what is matched, capitals or not, and what is said then."""
    return tuple((pattern(words, re.IGNORECASE), text) for words, text in rows)


# 你好，小智
_CALL = r"[呀啊哦啦哈]?[，, ]*[^，。我叫是]{0,4}"

TALK = _rows(
    (r"(?:你好|您好|嗨|哈喽|喂|嘿)吗", "【高兴】我很好，谢谢你{name}。【惊讶】你呢？"),
    (
        rf"(?P<hi>你好|您好|嗨|哈喽|嘿|早上好|早安|上午好|中午好|下午好|晚上好){_CALL}",
        "【高兴】{hi}{name}！今天想聊点什么？",
    ),
    (
        rf"(?:我?(?:要|想|该|得|先|去)*睡(?:觉|了)[了啦吧]?|晚安){_CALL}",
        "【舒适】晚安{name}。【高兴】做个好梦。",
    ),
    (rf"(?:.{{0,4}}(?:再见|拜拜|回头见|明天见|下次见|我走了)){_CALL}", "【高兴】再见{name}，下次再聊。"),
    (r"(?:好的?|真的?|太)?(?:谢谢|多谢|感谢|谢啦).{0,6}", "【高兴】不客气{name}，能帮上忙我很高兴。"),
    (r".{0,4}(?:对不起|抱歉|不好意思).{0,4}", "【中性】没关系{name}。【高兴】我没有放在心上。"),
    (r"(?:停|停下|停止|别说了|安静)[吧啊]?", "【中性】好的。"),
    (r"(?:好的?|嗯+|知道了|明白了?|没关系|不客气)[吧啊呀]?", "【中性】嗯，我在听。"),
    (r"(?:我?不知道|没什么|随便|不用了|算了吧?)[吧啊呀]?", "【中性】没关系，想到什么再跟我说。"),
    (r".{0,3}你(?:叫什么|是谁|叫啥|的名字).{0,6}", "【高兴】我叫{me}。【中性】{offline}"),
    (
        r".{0,3}你(?:会|能)(?:做|干)?(?:些?什么|啥|哪些).{0,4}",
        "【高兴】我会记住你说的事，再讲给你听，还会报时间、讲一个小故事。【中性】{offline}",
    ),
    (r".{0,6}(?:现在|北京时间).{0,3}(?:几点|时间).{0,4}|几点(?:钟|了)*", "【中性】现在是{clock}。"),
    (
        r".{0,4}(?:今天|现在).{0,3}(?:几号|几日|几月几|星期几|周几|礼拜几|什么日子).{0,4}",
        "【中性】今天是{date}。",
    ),
    (r".{0,6}(?:讲|说|听|来).{0,4}故事.{0,4}", STORY),
    (
        r"(?P<hi>hello|hi|hey|good (?:morning|afternoon|evening))(?: \w+)?",
        "【高兴】{hi}{name}! What shall we talk about?",
    ),
    (r"how are you.{0,12}", "【高兴】I am fine, thank you{name}. And you?"),
    (r"(?:good ?night|sleep well).{0,12}", "【舒适】Good night{name}. 【高兴】Sweet dreams."),
    (r"(?:good ?)?bye.{0,12}|see you.{0,12}", "【高兴】Goodbye{name}, see you next time."),
    (r"(?:thanks|thank you).{0,20}", "【高兴】You are welcome{name}."),
    (r"who are you|what(?:'s| is) your name", "【高兴】I am {me}. 【中性】{offline}"),
    (r"stop|be quiet|ok(?:ay)?|i (?:do not|don't) know", "【中性】All right."),
    (r"what time is it.{0,6}", "【中性】It is {clock}."),
    (r"(?:please )?tell me a story", STORY_EN),
)
"""Small talk and questions with one answer: the pattern is the whole of what was said."""

_SWITCH = r"(?:打开|关掉|关上|关闭|开|关)"

FEATURES = _rows(
    (r"声音.{0,4}[大小高低]|音量|[大小]声一?点|静音|louder|quieter|volume", "调声音"),
    (r"[说讲念读].{0,3}[快慢]一?点|语速|slow down|slower|faster", "改语速"),
    (r"[换变切].{0,4}(?:角色|声音|音色|人设)", "换角色"),
    (rf"天气|气温|会下[雨雪]|带伞吗|{followed('what|how', 'weather')}", "查天气"),
    (
        r"(?:播放|想听|放|唱|听)(?:我的|一|点|个|首|下|段|些|支)*(?:音乐|歌|曲子|相声)|[上下]一首|\bplay\b|\bsing\b",
        "唱歌放音乐",
    ),
    (
        rf"^(?:请|帮我|给我|你)*(?:把.{{0,8}}{_SWITCH}|{_SWITCH}.{{0,6}}[门窗])|{_SWITCH}.{{0,6}}(?:灯|空调|电视|窗帘|风扇|插座)|空调调|turn (?:on|off)",
        "控制家里的东西",
    ),
    (r"闹钟|提醒我|叫我起床|定时|倒计时|计时|alarm|timer|remind me", "定闹钟和提醒"),
    (
        r"新闻|股票|快递|导航|路线|火车票|机票|外卖|打电话|发(?:消息|短信|邮件)|上网|搜索|查一下|翻译|\bnews\b",
        "上网查东西和办事",
    ),
    (r"忘掉|忘记这|忘了这|不要记|别记|删(?:掉|除)|forget (?:it|this|that)", "删改记忆"),
)
"""Requests that need what is not here, and how to call it."""
_REPORT = pattern(rf"{followed('我', '[了过]')}|昨|我.{{0,3}}(?:会|喜欢|爱|学)")

_TRULY = r"(?<!不)(?<!没有)(?<!不是)"

FEELINGS = _rows(
    (
        r"今天.{0,4}我的?生日|我的?生日.{0,2}今天|我今天过?生日",
        "【高兴】祝你生日快乐{name}！【惊讶】今天要许一个什么愿望？",
    ),
    (r"我.{0,2}(?:喜欢|爱)你|i (?:like|love) you", "【爱慕】我也喜欢你。【高兴】有你陪我说话真好。"),
    (
        r"别烦我|烦死|讨厌你|走开|闭嘴|你.{0,2}笨",
        "【悲伤】对不起，让你烦了。【中性】我先安静一会儿，想说话的时候再叫我。",
    ),
    (
        r"不见了|弄丢|走丢|找不到",
        "【悲伤】{echo}，我听了也很难过。【中性】先别急，想想最后一次是在哪里见到的。【高兴】希望很快就能找到。",
    ),
    (
        r"没有?人.{0,2}(?:陪|理|跟)|孤单|孤独|寂寞|无聊",
        "【悲伤】一个人的时候是会难受的。【高兴】现在有我陪你，想聊什么都可以。",
    ),
    (
        r"生病|发烧|感冒|[头肚牙腿手](?:子|好|很)?疼|好疼|受伤|不舒服|医院|看病|打针",
        "【悲伤】听到你不舒服，我很担心。【中性】好好休息，厉害的话要告诉家里人，去看医生。【高兴】希望你快点好起来。",
    ),
    (
        rf"不(?:太|是很|怎么|大)?(?:开心|高兴|快乐)|{_TRULY}(?:难过|伤心|难受|想哭|哭了|失望|沮丧|糟糕|考砸|输了|去世)",
        "【悲伤】{echo}，我听了也有点难过。【高兴】不过有我陪着你，说出来心里会轻一点。",
    ),
    (
        rf"{_TRULY}(?:害怕|好怕|怕黑|吓[到死人]|担心|紧张)",
        "【惊讶】怎么了，是什么让你不安？【高兴】别怕，我在这里陪你。",
    ),
    (
        rf"{_TRULY}(?:生气|气死|愤怒|恼火|发火|气人)",
        "【惊讶】{echo}，出了什么事？【悲伤】换成我也会不好受。【中性】先慢慢吸一口气，再说给我听。",
    ),
    (
        r"[好很太真]累|累[了死坏]|困了|好困|疲惫",
        "【悲伤】辛苦你了{name}。【舒适】先歇一会儿，闭上眼睛，慢慢呼吸。",
    ),
    (
        r"考上|赢了|满分|第一名|成功|得奖|获奖|学会了|通过了",
        "【惊讶】{echo}，真了不起！【高兴】我真为你骄傲，这件事我记住了。",
    ),
    (r"你.{0,2}(?:棒|聪明|厉害|可爱|好看)", "【害羞】哎呀，被你夸得不好意思了。【高兴】谢谢你{name}。"),
    (
        r"开心|高兴|快乐|太好了|好棒|真棒|太棒|幸福|哈哈",
        "【高兴】{echo}，我也跟着开心！【惊讶】是什么好事，快说给我听听。",
    ),
    (r"饿了|好饿|渴了|好渴", "【惊讶】{echo}？【高兴】快去吃点喝点吧，我等你。"),
    (
        r"\bnot (?:\w+ )?(?:happy|glad)\b|\b(?:sad|unhappy|lonely|upset|cry(?:ing)?)\b",
        "【悲伤】I am sorry to hear that. 【高兴】But I am here with you.",
    ),
    (r"\b(?:angry|mad|furious)\b", "【惊讶】Oh, what happened? 【中性】Take a slow breath and tell me."),
    (r"\b(?:happy|glad|great|wonderful|won)\b", "【高兴】I am so happy for you! 【惊讶】Tell me more."),
)
"""How the user feels: the pattern is found anywhere in a sentence that is no question."""

DOINGS = _rows(
    (rf"我.{{0,2}}要|{followed('我', '打算|准备')}", "【高兴】记住了，{echo}。【中性】祝你顺利。"),
    (
        rf"{followed('我', '[了过]')}|{followed('[昨前]天|上周', '我')}",
        "【高兴】记住了，{echo}。【惊讶】然后呢？",
    ),
    (r"", "【高兴】记住了，{echo}。"),
)
"""Anything else that the user tells about themselves."""


def has_set_answer(text: str) -> bool:
    """Whether the whole text is a row of TALK."""
    return any(words.fullmatch(text) for words, _ in TALK)


def feature_asked_for(text: str) -> str:
    """Return which of FEATURES a text asks for; "" for none, and for a report of what the user did."""
    if _REPORT.search(text):
        return ""
    return next((thing for words, thing in FEATURES if words.search(text)), "")
