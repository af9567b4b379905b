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
_PATTERNS = [
    (pattern(words), attribute)
    for words, attribute in (
        (rf"(?:{_I}の)?誕生日は(\d{{1,2}}月\d{{1,2}}日){_ENDS}", BIRTHDAY),
        (rf"(?:{_I}の)?名前は({_WORD}{{1,12}}?)(?:です|だよ|だ|と言います|といいます|と申します)", NAME),
        (rf"{_I}は({_WORD}{{1,12}}?)(?:と言います|といいます|と申します)", NAME),
        (rf"{_OWN}({_WORD}{{2,12}}?)に住んで(?:います|る|いる)(?:よ)?", HOME),
        (rf"{_OWN}({_WORD}{{2,12}}?)(?:出身|生まれ){_ENDS}", HOMETOWN),
        (rf"{_OWN}({_WORD}{{1,12}}?)アレルギー(?:があります|がある|持ち)?{_ENDS}", ALLERGY),
        (rf"{_OWN}({_WORD}{{1,16}}?)が(?:大|とても)?好き{_ENDS}", LIKES),
        (rf"{_OWN}({_WORD}{{1,16}}?)が(?:大|とても)?(?:嫌い|苦手){_ENDS}", DISLIKES),
        (rf"{_I}は(\d{{1,3}}歳){_ENDS}", AGE),
    )
]
_NOT_OURS = pattern(
    "(?:彼|彼女|友達|友人|父|母|兄|弟|姉|妹|妻|夫|息子|娘|君|あなた|みんな|誰|何|どこ)[はがもの]?|それ|これ|あれ"
)


def find_japanese(clause: str) -> list[Finding]:
    """Return the facts that a Japanese clause tells."""
    if not _KANA.search(clause) or _NOT_OURS.match(clause):
        return []
    for words, attribute in _PATTERNS:
        match = words.fullmatch(clause)
        if match:
            return [] if _NOT_OURS.search(match[1]) else [Finding(SELF, attribute, match[1])]
    return []
