"""Facts that people tell about themselves, found by rules in Japanese: whole clauses only."""

from __future__ import annotations

from xiaozhi_persona.memory.facts.kinds import (
    AGE,
    ALLERGY,
    BIRTHDAY,
    DISLIKES,
    HOME,
    HOMETOWN,
    LIKES,
    NAME,
    SELF,
    Finding,
)
from xiaozhi_persona.memory.patterns import pattern

_KANA = pattern("[\u3041-\u309f\u30a1-\u30fa]")
_I = "(?:私|僕|ぼく|俺|わたし|自分)"
_OWN = f"(?:{_I}[はもの、])?"
_ENDS = "(?:です|だよ|だ|なんだ|なんです)?(?:よ|ね)?"
_WORD = "[\u3041-\u309f\u30a1-\u30ff\u4e00-\u9fffA-Za-z0-9]"
_PLACE = (
    "[\u3041-\u304b\u304d-\u306e\u3070-\u309f\u30a1-\u30ff\u4e00-\u9fffA-Za-z0-9]"  # _WORD but for は and が
)
_PATTERNS = [
    (pattern(words), attribute)
    for words, attribute in (
        (rf"(?:{_I}の)?誕生日は(\d{{1,2}}月\d{{1,2}}日){_ENDS}", BIRTHDAY),
        (rf"(?:{_I}の)?名前は({_WORD}{{1,12}}?)(?:です|だよ|だ|と言います|といいます|と申します)", NAME),
        (rf"{_I}は({_WORD}{{1,12}}?)(?:と言います|といいます|と申します)", NAME),
        (rf"{_OWN}(?:今は|現在は)?({_PLACE}{{2,12}}?)に住んで(?:います|る|いる)(?:よ)?", HOME),
        (rf"{_OWN}({_PLACE}{{2,12}}?)(?:出身|生まれ){_ENDS}", HOMETOWN),
        (rf"{_OWN}({_WORD}{{1,12}}?)アレルギー(?:があります|がある|持ち)?{_ENDS}", ALLERGY),
        (rf"{_OWN}({_WORD}{{1,16}}?)が(?:大|とても)?好き{_ENDS}", LIKES),
        (rf"{_OWN}({_WORD}{{1,16}}?)が(?:大|とても)?(?:嫌い|苦手){_ENDS}", DISLIKES),
        (rf"{_I}は(\d{{1,3}}歳){_ENDS}", AGE),
    )
]
_NOT_OURS = pattern(
    "(?:彼|彼女|友達|友人|父|母|兄|弟|姉|妹|妻|夫|息子|娘|君|あなた|みんな|誰|何|どこ)[はがもの]?|それ|これ|あれ"
)
_SAYS_I = pattern(_I)
_ANOTHER = pattern(
    rf"(?:{_I}の)?(?:彼女|彼|友達|友人|父|母|兄|弟|姉|妹|妻|夫|息子|娘|同僚|上司|(?!たくさん){_WORD}{{1,8}}?(?:さん|くん|ちゃん|先生|君|様))(?:たち)?"
    r"(?:[はの]|が(?!(?:大|とても)?(?:好き|嫌い|苦手)))"
    rf"|(?!{_I}|誕生日|名前|今は|現在|最近|昔)[\u30a1-\u30ff\u4e00-\u9fff]{{1,8}}は(?!(?:大|とても)?(?:好き|嫌い|苦手)).{{1,20}}"
    "(?:に住んで|出身|生まれ|アレルギー|好き|嫌い|苦手)"
)
"""The clause is of somebody else: 田中さんは福岡出身です."""


def names_another(clause: str) -> bool:
    """Whether a Japanese clause names somebody else, of whom the next one that names nobody may speak."""
    return bool(_ANOTHER.match(clause))


def find_japanese(clause: str, *, only_with_i: bool = False) -> list[Finding]:
    """Return the facts that a Japanese clause tells, with `only_with_i` only when it says 私 itself."""
    if not _KANA.search(clause) or _NOT_OURS.match(clause) or names_another(clause):
        return []
    if only_with_i and not _SAYS_I.match(clause):
        return []
    for words, attribute in _PATTERNS:
        match = words.fullmatch(clause)
        if match:
            return [] if _NOT_OURS.search(match[1]) else [Finding(SELF, attribute, match[1])]
    return []
