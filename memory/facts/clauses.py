"""The pieces that the rules for facts are made of: clauses, subjects, values, and what is none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from xiaozhi_persona.memory.facts.kinds import KIN, OTHERS, PETS, Finding, N
from xiaozhi_persona.memory.patterns import followed, pattern

CLAUSE = pattern(r"([^，,。!！?？;；\n]+)([，,。!！?？;；\n]?)")
QUESTION = pattern(
    rf"什么|谁|哪|几[岁号点月个天只]|多少|多大|怎么|怎样|为啥|啥|干嘛|是不是|有没有|能不能|会不会|要不要|去不去|来不来|对不对|好不好|记得我|知道|吗|[呢么没不]$|{followed('不是', '嘛$')}"
)
ASKED_BACK = pattern("(?:对|是|没错|不是|这样)(?:吗|么|吧|不对|不是)|对不对|是不是")
"""A clause that turns the sentence before it into a question."""
SUPPOSED = pattern(
    r"据说|听说|传说|比如|例如|人家说|别人说|[他她]们?说|以为|本来|原本|差点|差一点|希望|但愿|恨不得|好想|怀疑|也许|说不定|搞不好"
    r"|从来?都?没|从未|不曾|未曾"
)
"""What a clause with one of these says is not so, or only said by others."""
CONDITION = pattern(
    rf"如果|假如|(?<![主重不])要是|要不是|假设|假使|倘若|万一|的话|假装|扮演|装作|想象|幻想|玩.{{0,4}}游戏|过家家|比方|{followed('等我', '(?:了|以后|之后|时候?)$')}|只要|除非|翻译(?:一下|成|这)|造句|台词|歌词|绕口令|笑话|剧本|梦[见到里中]|做梦|[做场个的]梦$|(?:小说|电影|游戏|故事|歌|书|电视|剧|漫画|动画|动漫)[里中]|讲.{{0,4}}故事|写.{{0,3}}[首篇]|读到|跟我[念读说]"
    r"|\b(?:if|suppose|imagine|pretend\w*|wish|unless|dream(?:ed|t)?|joke|lyrics|translate)\b|もし|夢で",
    re.IGNORECASE,
)
"""The whole sentence after one of these is only supposed."""
OTHERS_WORDS = pattern(
    rf"^(?!我(?!们?家?的?(?:{KIN}|{OTHERS}))).*(?<![老实来话该以再理白么如心得])(?:说|说道|写道|唱道|喊道?|回答|问我?|念|[让叫要](?:我们?|大家)?(?:写|念|读|背|抄))[:：]?$"
)
"""After this clause somebody else speaks."""
TAKEN_BACK = pattern(
    "(?:[哈嘻呵嘿]*(?:我|都|只|就|是|刚才|跟你|和你)*(?:逗你(?:玩|呢)?|骗你|骗人|开(?:个|的)?玩笑|说着玩|闹着玩|说笑|瞎说|胡说|乱说|瞎编|编|吹牛|吹|忽悠你|假|唬你|蒙你|哄你)(?:的|呢|啦|而已|了)*(?:哈)*"
    "|才怪|(?:i(?:'m| am|'m only| was)? )?(?:just |only )?(?:kidding|joking|messing with you)|jk|not really|冗談(?:です|だよ)?|嘘(?:です|だよ)?)",
    re.IGNORECASE,
)
"""Said after something, it makes it a joke."""
QUOTATION = pattern(r"[“「『\"][^”」』\"]*[”」』\"]?")
OF_ONESELF = pattern(r"我|俺|咱|\bI\b|\bmy\b")
"""A quotation with one of these holds what somebody says of himself."""
LEAD = pattern(
    r"^(?:其实|对了|那个|嗯+|哦+|噢|啊|哎呀?|不对(?=我)|说错了(?=我)|顺便说一下|顺便|告诉你|我跟你说|我告诉你|跟你说|你知道吗?(?=我)|(?:请|帮我|你)?(?:要)?"
    r"(?:记住|记一下|记下来|记下|记好)了?|从今天起|但是|但|不过|而且|因为|所以|还有|另外|应该是|应该|而是|而|小智|[:： ])+"
)
TAIL = "啊呀哦呢吧啦嘛哈~～… "
"""Characters that end a clause and say nothing."""
FOUND_OUT = pattern("^[^没谁不，]{0,8}?(?:发现|查出来?|检查出来?|确诊|查了)了?[:：]?(?=我)")
"""What is found out is so."""
SUBJECT = rf"(?:我(?:家|家里)?的?(?P<other>{KIN}|{OTHERS}|{PETS})|(?P<me>我|俺|本人))"
PAST = "以前|之前|曾经|原来|原先|从前|过去|小时候"
ONE_TIME = "去年|前年|上个?月|上周|上学期|那时候?|当时"
ADVERBS = f"(?:最|很|特别|非常|超级|超|比较|挺|真的|也|还|一直|现在|从小|就|都|又|开始|其实|更|蛮|可|目前|已经|刚|才|最近|今年|并|确实|{ONE_TIME}|{PAST})*"
PLACE = r"(?P<v>[\u4e00-\u9fffA-Za-z0-9·]{2,16}?)"
NAMED = r"(?P<v>[\u4e00-\u9fff·]{1,6}|[A-Za-z][A-Za-z .'-]{0,30})"
BAD_NAME = pattern(
    r"^[你我他她它这那的得着了不没个一外苦]|^[小老阿]$|^(?:外卖|车|人|医生|救护车|快递|滴滴|声|起床|什么|家长|服务员|老师)"
    rf"|[吗了过]$|一声|一下|^(?:{KIN})|.[去来帮给让把别买吃].|起床|回家|过来|过去|不叫|不是"
)
BAD_PLACE = pattern(
    rf"^(?:院|校|宿|新家|公司|单位|[你他她它这那哪]|得|不|没|着|进|过|了|的|{N}+(?:楼|层|晚|天|个|年))|不了|不惯|时候|隔壁|房间|客厅|之间|沙发|床|在|(?:酒店|宾馆|旅馆|民宿|医院|病房)$|(?:上|(?<!阿)里)$"
)
BAD_PEOPLE = pattern(
    r"^(?:一个|个|好|坏|大|女|男|老|病|机器|主持|负责|成年|年轻|外国|当地|中年|普通|正常|聪明|什么|[你我他她它这那]|自己|过来|明白|当事|监护|发起|打工|候选|合伙|创始|代理|经纪"
    r"|介绍|联系|残疾|局|圈|行|特别|很|爱|内行|外行|素食|单身|有钱|没|不|诚实|善良|懂|急性子|慢性子|生意|年|新|唯一|第)|的|(?:爱|喜欢|家|主义)$"
)
BAD_THING = pattern(
    r"^(?:[你我他她它这那]|[一某有][个位名种部首本件家]|任何|透|坏|疯|成|上(?![海班学课网])|不|没|过|着|的|了|什么|得|死|极(?!光|限)|才|自己|[是也白]|太(?!极|阳|空)|那么|这么|多(?!肉)|饱|完|下去|到)|^(?:吃|喝|看|听|玩|去|做|早|晚)$|喜欢|不爱|讨厌|但"
)
MEAL = pattern("^(?:吃|喝)?(?:早|午|晚|中)?(?:饭|餐|早饭|晚饭|午饭|宵夜|夜宵|药|东西|水|亏|苦|醋|惊)了?$")
SINCE = pattern(rf"(?<!{N[:-1]}半]){N[:-1]}半]+多?(?:年|个月|天|周|个星期).*", re.DOTALL)
_BETWEEN = pattern(r"、|还有|以及|(?<=.)和(?!平)|(?<=.)跟(?![我你他她它别人自])")
_ONE_PHRASE = pattern(
    "的|^(?:在|和|跟|与|给|把|对|从|用|为|去|到|陪|帮|教|让|带|比)|[一二两三四五六七八九十几]起"
)
"""Several things with one of these hang together: 西班牙的文化和音乐, 在海边和山里散步."""
_TITLES = pattern("《[^《》]*》")
_TITLE = pattern("(?:看|听|读|玩)?《[^》]{1,20}》(?![》、和与跟的里中])")
_KIND_OF = pattern("(?<=.)这(?:[一几两三]?(?:部|首|个|名|位|张|支|本|款|座|家|只|道|档)).{0,12}$", re.DOTALL)
POINTED_AT = pattern(
    "[你这]|[他她它](?:的|们|演|唱|写|画|拍)|^[看听吃喝玩去读]?(?:里面|其中|那|后面|前面|上面|刚才)|^[^《]*》|《[^《》]*$|那种|那些|都是|^就是"
    "|^(?:有人|别人|人家|为|被)| "
)
"""Only those who were there know what it is."""
_MORE_THAN = pattern("(?<![《惜可])(?:多过|胜过|多于|大过|远超|超过|而不是|不是|甚于).*", re.DOTALL)
_MAX_THING_CHARS = 20
_OF = pattern(r"(?<=.)(?:的了?|了)$")

Rule = Callable[[re.Match[str], str], "list[Finding]"]
"""From the match of a clause and its subject to what the clause tells."""
Rules = list[tuple[re.Pattern[str], Rule]]
"""With the pattern for a whole clause."""


def adding_to(rules: Rules) -> Callable[[str], Callable[[Rule], Rule]]:
    """Return a decorator that adds a rule, with its pattern for a whole clause."""

    def with_pattern(clause: str) -> Callable[[Rule], Rule]:
        def add(rule: Rule) -> Rule:
            rules.append((pattern(clause), rule))
            return rule

        return add

    return with_pattern


def things(value: str) -> Iterator[str]:
    """Yield the things of 苹果、香蕉和橙子, without those that are none, or that only those who were there understand."""
    value = _MORE_THAN.sub("", _KIND_OF.sub("", value.strip()))
    title = _TITLE.match(value)
    value = title[0] if title else value
    for part in [value] if _ONE_PHRASE.search(value.rstrip(TAIL)[:-1]) else _BETWEEN.split(value):
        thing = _OF.sub("", part.strip(" ").rstrip(TAIL))
        if (
            thing
            and not BAD_THING.search(thing)
            and not POINTED_AT.search(_TITLES.sub("《》", thing))
            and len(thing) <= _MAX_THING_CHARS
        ):
            yield thing
