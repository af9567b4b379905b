"""Stage directions: what a role does or how it speaks, written between brackets or asterisks, as in `*轻轻叹气*`.

Chat models that play a role write them between what they say (docs.sillytavern.app, "Chat formatting").
"""

from __future__ import annotations

import re

_WIDE = re.compile(
    "笑(?![话点星料])|叹|哭|泣|泪|淚|哽咽|呜咽|点了?点?头|點頭|摇了?摇?头|搖頭|歪着?了?歪?头|歪頭|[低抬垂仰探]着?下?起?头|[转轉扭回侧]了?[过過]?[身头頭]|挥了?挥?手|揮手|[摆招拍搓举牵伸握松放背拉]着?了?手"
    "|伸出|举起|鼓掌|拥抱|擁抱|抱住|抱紧|抱了|抱抱|搂|摸了?摸|揉|捏|戳|捂|搓|挠|撩|抚摸|轻抚|拍了?拍|敲|眨了?眨?[眼巴]|眯|瞪|瞥|翻[了个個]{0,2}白眼|脸[颊]?[微一泛发]?红|红着脸|[皱皺挑]了?起?眉|[撇嘟撅噘抿咧努]了?着?嘴|咬|舔"
    "|吐了?吐?舌|伸[了个個]{0,2}懒腰|耸了?耸?肩|跺脚|跺了|蹦|转[了个]{0,2}圈|鞠[了个]{0,2}躬|行[了个]{0,2}礼|咳|清了?清?嗓|哈欠|深呼吸|深吸|吸了?[口一]|[呼吐]了?[口一]气|喘|凑[近到过]|靠[近在到]|走[近过到向]|跑[过到来]"
    "|坐[下在到起]|站[起在到]|躺|趴|跪|蹲|倚|看着|看了[看一]|看向|望着|望向|盯着|注视|凝视|对视|沉默|停顿|顿了顿|愣|怔|想了想|沉思|思索|犹豫|迟疑|支支吾吾|结结巴巴|[小轻輕大低柔悄高细沉齐失]声|小聲|大聲|低聲|輕聲"
    "|语气|語氣|语调|語調|口吻|声音|聲音|嗓音|语速|语声|地说|地說|着说|说道|问道|答道|[喃嘀嘟咕]{2}|嘀咕|嘟囔|耳语|低语|轻轻|輕輕|缓缓|緩緩|慢慢|悄悄|默默|静静|偷偷|紧紧|微微|淡淡|狠狠|用力|连忙|忽然|突然|赶紧"
    "|尾巴|耳朵|嘴角|目光|视线|眼神|眼睛|眼中|眼里|双手|双眼|额头|肩膀|衣角|怀里|身子|身体|手指|指尖|内心|心想|铃声响|响起(?![时前后的])|旁白|动作|動作|神态|擦[了擦汗掉去]|递[给过上]|捧着?|端着|拿[起着出]|挥舞|比[了个]{0,2}心|撒娇|躲[到在开]|害羞|颤抖|发抖"
    "|ため息|溜息|うなず|頷|首を|手を|目を|頭を|顔を|頬を|肩を|口を|腕を|囁|ささや|照れ|怒って|見つめ|振って|抱きしめ|しながら|息を|くすくす|にっこり|にこ|ふふ|小声|微笑|赤面"
    "|웃|미소|한숨|고개|끄덕|손을|눈을|속삭|울먹|조용히|목소리|얼굴|눈물|부끄|박수|윙크"
)
_LATIN = re.compile(r"[a-z]+")
_VERBS = frozenset(
    re.findall(
        r"\S+",
        "laugh smile sigh nod shake grin giggle chuckle cry sob weep whisper wink blush frown gasp groan moan mutter mumble murmur shrug "
        "pause think look gaze stare glance lean hug pat wave clap bow yawn stretch cough sniff sniffle smirk pout tilt turn walk step "
        "sit stand jump dance spin hold take reach touch hum sing breathe inhale exhale clear gulp swallow tremble shiver shout yell scream "
        "snort scoff roll raise lower bite lick kiss hide peek wipe scratch tap point close open beam tease twirl fidget stammer stutter "
        "cheer snicker whimper growl purr nuzzle cuddle squeal applaud run rush move place put rub squeeze hand bounce",
    )
)
_MANNERS = frozenset(
    re.findall(
        r"\S+",
        "softly gently quietly slowly nervously excitedly loudly happily sadly angrily shyly warmly cheerfully playfully silence laughter "
        "applause breath breathing pause music beat noise sfx ooc",
    )
)
_WAYS = frozenset(("tone", "voice", "accent"))  # `sarcastic tone`
_WHOSE = frozenset("a an the my your his her its our their this that no".split())
_ENDINGS = ("ing", "ed", "es", "s")
_MIN_COVER = 0.5
_NOUNS = frozenset(
    "尾巴 耳朵 嘴角 目光 视线 眼神 眼睛 眼中 眼里 双手 双眼 额头 肩膀 衣角 怀里 身子 身体 手指 指尖 内心 旁白 动作 動作 神态 声音 聲音 嗓音 "
    "语气 語氣 语调 語調 口吻 语速 语声 泪 淚 口を 目を".split()
)
_THOUGHT = re.compile("心想|心里想|心裡想|心中想|暗想|暗自想|内心|內心|独白|心声|心聲|潜台词|心里话")

ACTION_KEYS = frozenset(
    re.findall(
        r"\S+",
        "action actions gesture pose motion animation stage narration sound sfx camera scene bgm voice speed pitch volume pause sticker "
        "os 内心 心声 心理 动作 動作 姿势 姿态 动画 旁白 音效 镜头 场景 语速 音量 声音 神态",
    )
)
"""What stands before an action in `[gesture: nod]`, or alone before one: `【动作】挥手`."""


def is_thought(key: str) -> bool:
    """Whether what stands before a colon says that a thought follows: `心想`, `他心里想`, `内心独白`."""
    return any(match.end() == len(key) for match in _THOUGHT.finditer(key))


def is_direction(content: str, alone: bool) -> bool:
    """Whether a phrase tells what is done, not what is said.

    `alone` phrases stand by themselves or begin a sentence, and one word of doing is enough; elsewhere half of it must be such words.
    """
    if content.strip() in _NOUNS:
        return False  # `答案是【眼睛】`
    found = _WIDE.findall(content)
    if found:
        return alone or sum(map(len, found)) >= _MIN_COVER * len(content)
    words = _LATIN.findall(content.casefold())
    if not words or not alone:
        return False
    if len(words) > 1 and words[-1] in _WAYS and words[0] not in _WHOSE:
        return True
    if len(words) == 1 and words[0] in _VERBS:
        return True
    manners = frozenset() if "," in content else _MANNERS  # `sadly, he left the room` is a tale
    return any(word in manners or _is_verb_form(word) for word in words[:4])


def _is_verb_form(word: str) -> bool:
    """Whether a word is a form of a verb such as one tells of somebody: `laughs`, `nodding`, but not `laugh`."""
    for ending in _ENDINGS:
        if word.endswith(ending):
            stem = word.removesuffix(ending)
            return stem in _VERBS or stem + "e" in _VERBS or stem[:-1] in _VERBS or stem[:-1] + "y" in _VERBS
    return False
