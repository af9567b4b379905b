"""What stands in brackets and between asterisks: tags, links, notes, faces, stage directions, or words."""

from __future__ import annotations

import re

from xiaozhi_persona.text.directions import ACTION_KEYS, is_direction, is_thought
from xiaozhi_persona.text.emotions import FEELING_KEYS, emotion_of_emoji, split_key
from xiaozhi_persona.text.faces import bare_face, has_words, is_face
from xiaozhi_persona.text.marks import run_of_marks, unspoken_characters
from xiaozhi_persona.text.skips import MAX_LOOKAHEAD, TEXT, Arms, Cut, LinkTarget, Phrase, Place, Tag, Until

_PAIRS = ("〔〕", "〖〗", "〘〙", "〚〛", "⟦⟧", "⟨⟩", "⟬⟭", "⦃⦄", "⁅⁆", "❲❳", "❴❵", "﹛﹜", "﹝﹞", "༼༽")

CLOSERS = {
    **dict.fromkeys("[【［", "]】］"),
    **dict.fromkeys("(（", ")）"),
    **dict.fromkeys("{｛", "}｝"),
    **{pair[0]: pair[1] for pair in _PAIRS},
    "ʕ": "ʔ",
}
_ROUND = "(（ʕ༼"
_END = "。！？!?"
_MAX_ALT = 80  # characters of an image's description
_ALT_END = re.compile(r"[\]\n]|!\[")
_NOTE = re.compile(r"\^?\d{1,3}(?:\s?[-–,，、]\s?\^?\d{1,3}){0,4}|[^\n]{0,6}†[^\n]{0,12}|\^[\w-]{1,10}")
_ZERO = re.compile(r"(?<!\d)0(?!\d)")  # notes are counted from 1
_PLAIN = re.compile(r"[^\W\d_]{1,8}(?: [A-Za-z]{1,12}){0,2}")
_MACHINE_WORD = re.compile(r"[a-z]{2,12}(?:_[a-z0-9]{1,12}){1,3}")
_ACTION_END = re.compile(r"[\s。！？!?【\[（(*]")
FEELING_LINE_BEGINS = frozenset(key[0] for key in FEELING_KEYS) | {key[0].upper() for key in FEELING_KEYS}
_FEELING_LINE = re.compile(rf"(?:{'|'.join(sorted(FEELING_KEYS))})\s?[:：]\s?", re.IGNORECASE)
_THINKING = frozenset(("think", "thinking", "thought", "thoughts", "思考"))
_NEXT_WORD = re.compile(r" ([a-z']{1,8})(?![a-z'])(?=.)", re.DOTALL)
_NEXT_WORD_BEGUN = re.compile(r"(?: [a-z']{0,8})?")
_PREDICATES = frozenset(
    "is are was were isn't aren't can can't could will won't would may might should must has had does doesn't makes helps takes feels "
    "gets needs keeps gives every".split()
)
_LISTS = ("数组", "列表", "集合", "向量", "序列", "元组", "区间", "= ", "=", "：", ": ")
_MARKED_NOUN = "是的和与"


def bracket(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell what an opening bracket opens; None to wait."""
    opening = buffer[0]
    if buffer[:2] == "{{":
        return _doubled(buffer, final, place)
    content, state = _inside(buffer, CLOSERS[opening])
    if state == "closed":
        return _closed(buffer, content, final, place)
    if state == "open" and len(buffer) <= MAX_LOOKAHEAD and not final:
        return None
    return _unclosed(buffer, content, state == "open" and not final, final, place)


def _doubled(buffer: str, final: bool, place: Place) -> Cut | None:
    """Leave out the outer braces of `{{happy}}`."""
    content, state = _inside(buffer[1:], CLOSERS["{"])
    if state == "open" and len(buffer) <= MAX_LOOKAHEAD and not final:
        return None
    if state != "closed" or not place.names.read(content):
        return TEXT
    place.open_groups += 1
    return Cut(1)


def _inside(buffer: str, closers: str) -> tuple[str, str]:
    """Return what stands behind an opening bracket so far, and whether it is closed, open, or can be no unit."""
    inner = buffer[1 : 2 + MAX_LOOKAHEAD]
    for i, character in enumerate(inner):
        if character in closers:
            return inner[:i], "closed"
        if character == "\n":
            return inner[:i], "broken"
        if character in _ROUND and buffer[0] not in _ROUND:
            continue
        if character in CLOSERS or character in _END:
            if buffer[0] in _ROUND and not has_words(inner[:i]) and (i or character in _END):
                continue  # a face
            after = inner[i + 1 : i + 2]
            if character in CLOSERS or (after and after not in closers and after not in _END):
                return inner[:i], "broken"
    return inner[:MAX_LOOKAHEAD], "open"


def _closed(buffer: str, content: str, final: bool, place: Place) -> Cut | None:
    """Tell a tag, a face or a stage direction from other brackets."""
    opening, taken = buffer[0], len(content) + 2
    names, is_round = place.names, opening in _ROUND
    name = unmarked(content)
    if name[:1] in ("/", "／") and not is_round and (ended := _end_tag(name[1:], taken, place)):
        return ended
    key, _ = split_key(content)
    shown = not name or name.casefold() in FEELING_KEYS  # `[😊]`, `[emotion:😊]`
    if content and shown and any(map(emotion_of_emoji, content)):
        return Cut(taken, emotion=next(filter(None, map(emotion_of_emoji, content))))
    if name == "THINK":
        return Cut(taken, skip=Until("[/think]"))
    if is_round and place.before.isalnum() and names.read(name):
        after = buffer[taken : taken + 1]
        if not after and not final:
            return None
        if after.isalnum() or after in tuple("、，,") or (len(name) == 1 and name not in "笑哭"):
            return TEXT  # it says something of the word before it: `电影（恐怖）今晚有`, `咖啡（酷）`
    if emotion := names.read(name):
        place.brackets.add(opening)
        return Cut(taken, emotion=emotion)
    if is_round and is_face(content):
        return Cut(taken, effect="gap", skip=Arms())
    if names.skips_directions and (key.casefold() in ACTION_KEYS or is_thought(key)):
        return Cut(taken, effect="gap")
    if is_round and (hidden := _direction(content, place, taken)):
        return hidden
    return TEXT if is_round else _squared(buffer, name, final, place)


def _squared(buffer: str, name: str, final: bool, place: Place) -> Cut | None:
    """Tell a link, a note and what can only be a tag from words in brackets that are not round."""
    opening = buffer[0]
    content, _ = _inside(buffer, CLOSERS[opening])
    taken = len(content) + 2
    if opening == "[":
        after = buffer[taken : taken + 2]
        if _is_target(after):
            return Cut(1)
        if len(after) < 2 and "(".startswith(after[:1]) and not final:
            return None
    if opening in "[【［〔" and _NOTE.fullmatch(name):
        is_index = _is_latin(place.before) and not _is_latin(place.tail[:-1])  # a[1]
        is_number = ("†" not in name and _ZERO.search(name)) or (
            name.isdigit() and place.before in tuple("第是为")
        )
        return TEXT if is_index or is_number or _is_list(name, place) else Cut(taken)
    if split_key(content)[0].casefold() in FEELING_KEYS | ACTION_KEYS:
        return Cut(taken, effect="gap")
    is_named = not place.clause_start and place.before.isalnum()  # `谜底是【声音】`
    if name.casefold() in ACTION_KEYS and place.names.skips_directions and not is_named:
        return _described(buffer, taken, final, place)
    if hidden := _direction(content, place, taken):
        return hidden
    if _MACHINE_WORD.fullmatch(name) and opening == "[" and not _is_latin(place.before):
        return Cut(taken, effect="gap")
    is_tag = (
        opening in place.brackets
        and (place.clause_start or place.before.isspace())
        and _PLAIN.fullmatch(name)
    )
    return Cut(taken) if is_tag else TEXT


def _is_list(name: str, place: Place) -> bool:
    """Whether numbers are what the sentence speaks of, `列表是[1, 2, 3]`: notes stand behind what they prove."""
    is_several = not name.replace("^", "").isdigit() and "†" not in name and "^" not in name
    named = place.tail.endswith(_LISTS) or place.before in tuple("是为")
    return is_several and (place.line_start or named)


def _described(buffer: str, taken: int, final: bool, place: Place) -> Cut | None:
    """Leave out `【动作】` and the action behind it."""
    rest = buffer[taken : taken + MAX_LOOKAHEAD]
    end = _ACTION_END.search(rest)
    if not end and len(rest) < MAX_LOOKAHEAD and not final:
        return None
    action = rest[: end.start()] if end else rest
    if not is_direction(action, True):
        return Cut(taken)
    skip = None if end or final else Phrase(place.names, action, " \u3000")
    return Cut(taken + len(action), emotion=place.names.within(action), effect="gap", skip=skip)


def _end_tag(name: str, taken: int, place: Place) -> Cut | None:
    if name.casefold() in _THINKING:
        return Cut(taken, effect="restart")
    if place.names.read(name) or name.casefold() in FEELING_KEYS:
        return Cut(taken, effect="calm")
    return None


def _direction(content: str, place: Place, taken: int) -> Cut | None:
    named = not place.clause_start and place.before in tuple("是叫为")  # `答案是【小声】`
    if not place.names.skips_directions or named or not is_direction(content, place.clause_start):
        return None
    return Cut(taken, emotion=place.names.within(content), effect="gap")


def _unclosed(buffer: str, seen: str, at_limit: bool, final: bool, place: Place) -> Cut | None:
    """Tell a bracket whose end is far away or never comes."""
    opening, names = buffer[0], place.names
    is_round = opening in _ROUND
    key, _ = split_key(seen)
    is_key = key.casefold() in FEELING_KEYS or (key.casefold() in ACTION_KEYS and not is_round)
    if at_limit and (is_key or names.may_go_on(seen.lstrip())):
        place.brackets.add(opening)
        return Cut(len(seen) + 1, skip=Tag(names, seen, CLOSERS[opening], is_value=is_key))
    tells = is_thought(key) or (place.clause_start and is_direction(seen, True))
    if at_limit and names.skips_directions and tells:
        return Cut(len(seen) + 1, skip=Phrase(names, seen, CLOSERS[opening]))
    if names.could_begin(seen.lstrip()) and (found := _lost_bracket(buffer, seen, final, place)):
        return found
    if opening != "[":
        return TEXT
    # It may yet be a link whose text is long, and the marks of links are not shown.
    place.open_links += 1
    return Cut(1)


def _lost_bracket(buffer: str, seen: str, final: bool, place: Place) -> Cut | None:
    """Find the tag whose bracket was lost: `[高兴今天...`, but not a remark: `[happy birthday to you]`."""
    found = place.names.at_start(seen.lstrip())
    if not found:
        return None
    emotion, length = found
    taken = 1 + len(seen) - len(seen.lstrip()) + length
    words = buffer[taken - 1] == " " and (buffer[taken - 2 : taken + 1]).isascii()
    remark = buffer[0] in _ROUND or (words and buffer[taken : taken + 1].islower())
    ended = len(seen) + 1 < len(buffer) and len(seen) < MAX_LOOKAHEAD
    return Cut(taken, emotion=emotion) if ended or final or not remark else None


def feeling_line(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell a line that says the feeling of the next ones, `emotion: happy`; None to wait."""
    found = _FEELING_LINE.match(buffer)
    if not found:
        begun = not final and any(key.startswith(buffer.casefold()) for key in FEELING_KEYS)
        return None if begun else TEXT
    value, end = buffer[found.end() :].partition("\n")[:2]
    if not end and not final:
        return None if len(value) <= MAX_LOOKAHEAD else TEXT
    emotion = place.names.read(value)
    return Cut(found.end() + len(value) + len(end), emotion=emotion) if emotion else TEXT


def link_end(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell the end of a link's text; None to wait."""
    if len(buffer) < 3 and buffer == "]("[: len(buffer)] and not final:
        return None
    left_out = place.open_links > 0
    place.open_links -= left_out
    if _is_target(buffer[1:3]):
        return Cut(1, skip=LinkTarget())
    return Cut(1) if left_out else TEXT


def image(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell an image from an exclamation mark; None to wait."""
    if len(buffer) < 2:
        return TEXT if final else None
    if buffer[1] != "[":
        return TEXT
    inner = buffer[2:]
    end = _ALT_END.search(inner)
    if not end:
        # After a word it may be the mark of a sentence and then a bracket, which must not delay what follows.
        alone = place.line_start or place.before.isspace()
        name_like = place.names.could_begin(inner.lstrip()[:MAX_LOOKAHEAD])
        limit = _MAX_ALT if alone and not (name_like and inner) else MAX_LOOKAHEAD
        return None if len(inner) < limit and not final else TEXT
    after = inner[end.end() : end.end() + 1]
    if end.group() == "]" and not place.names.read(inner[: end.start()]):
        if after == "(":
            return Cut(end.end() + 2, effect="gap", skip=LinkTarget())
        if not after and not final:
            return None
    return TEXT


def emphasis(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell asterisks and underscores: marks, a multiplication, a name in code, or a stage direction; None to wait."""
    marks = run_of_marks(buffer, final)
    if not marks:
        return None
    mark, before, after = buffer[0], place.before, buffer[marks : marks + 1]
    if mark == "_" and _is_latin(before) and _is_latin(after):
        return Cut(marks, text="_" * marks)
    spaced = marks == 1 and before.isspace() and after.isspace()
    if mark == "*" and (spaced or (before.isdigit() and after.isdigit())):
        return Cut(marks, text="*" * marks)
    may_act = place.names.skips_directions and (place.clause_start or before.isspace())
    if marks > 1 or not may_act or after.isspace() or not after:
        return Cut(marks)
    content, state = _inside(buffer, mark)
    if state == "closed" and content:
        follows = buffer[len(content) + 2 : len(content) + 3]
        is_subject = _is_subject(content, buffer[len(content) + 2 :], final)
        if (not follows and not final) or is_subject is None:
            return None
        emotion = place.names.read(content) or place.names.within(content)
        if (
            is_direction(content, True)
            or (mark == "*" and " " in content and _is_told(content, place))
            or place.names.read(content)
        ) and not (is_subject or follows in tuple(_MARKED_NOUN)):
            return Cut(len(content) + 2, emotion=emotion, effect="gap")
    elif state == "open" and not final:
        if len(buffer) <= MAX_LOOKAHEAD:
            return None
        if is_direction(content, True) or (mark == "*" and _is_told(content, place)):
            return Cut(len(content) + 1, skip=Phrase(place.names, content, mark))
    return Cut(1)


def _is_subject(content: str, after: str, final: bool) -> bool | None:
    """Whether a word is what the sentence tells of: `*Running* is good`; None to wait."""
    if not content.endswith("ing") or not content.isalpha():
        return False
    if found := _NEXT_WORD.match(after):
        return found[1] in _PREDICATES
    return None if _NEXT_WORD_BEGUN.fullmatch(after) and not final else False


def _is_told(content: str, place: Place) -> bool:
    """Whether a phrase between asterisks begins where a sentence does, but in lower case: `*a long sigh*`."""
    return place.sentence_start and "a" <= content[:1] <= "z" and " " in content


def arm(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell the arm of a face, `ヽ(✿ﾟ▽ﾟ)ノ`, from a letter; None to wait."""
    if buffer[0].isascii() and _is_latin(place.before):
        return TEXT
    if len(buffer) < 2:
        return TEXT if final else None
    if buffer[1] not in CLOSERS:
        return TEXT
    content, state = _inside(buffer[1:], CLOSERS[buffer[1]])
    if state == "closed" and is_face(content):
        return Cut(len(content) + 3, effect="gap", skip=Arms())
    return None if state == "open" and len(buffer) <= MAX_LOOKAHEAD and not final else TEXT


def bare(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell a face without brackets, `T_T`, from letters; None to wait."""
    if _is_latin(place.before):
        return TEXT
    taken = bare_face(buffer, final)
    return None if taken is None else Cut(taken, effect="gap")


def unmarked(name: str) -> str:
    """Return what a bracket holds without emoji and marks: ``[**高兴**😊]``."""
    return "".join(c for c in name if c not in unspoken_characters()).strip("\\ *_`#@·~～…:：")


def _is_target(text: str) -> bool:
    """Whether what follows a closing bracket begins the target of a Markdown link."""
    return (
        len(text) == 2 and text[0] == "(" and text[1].isascii() and not text[1].isspace() and text[1] != ")"
    )


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()
