"""Cuts a streamed reply into the sentences that are spoken one by one.

The first piece is short, so that speech begins early; later ones are whole sentences. Cuts are decided from
the characters alone, one at a time, so that any chunking of a reply gives the same sentences.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from xiaozhi_persona.text.emotions import Emotion

MAX_CHARACTERS = 80
"""No sentence is longer; a longer one is cut at a comma, else between words."""

MIN_FIRST_CLAUSE = 5
"""The first piece may end at a comma when the clause before it has this many letters or digits."""

MIN_CHARACTERS = 5
"""A shorter piece is joined to the next one, where that is there."""

_END = "。！？!?｡．‼⁉"
_CLOSING = "”’」』）)】]》〉\"'…~～"
_COMMA = "，,﹐；;"
_SOFT = "：:、…—"
_UNFIT_TO_BEGIN = "，。！？、；：,!?;:｡．‼⁉…～~" + "”’」』）】》〉)]"
_UNFIT_TO_END = ".．,“‘「『（(【《〈["
_JAPANESE = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")

# Words whose full stop ends no sentence; those of the second set only when a digit follows.
_TITLES = frozenset(
    re.findall(
        r"\S+",
        "mr mrs ms mx dr prof st mt sr jr vs etc inc ltd co corp dept gen col maj adm sgt capt lt rev hon gov sen approx al "
        "eg ie cf ca viz ave blvd rd ii iii iv vi vii viii ix xi xii",
    )
)
_NUMBERED = frozenset(
    re.findall(r"\S+", "no nos vol fig p pp ch sec art jan feb mar apr jun jul aug sep sept oct nov dec")
)
_WORD = re.compile(r"(?<![A-Za-z])(?<![A-Za-z]\.)([A-Za-z](?:[A-Za-z]|\.(?=[A-Za-z]))*)$")
_LIST_MARK = re.compile(r"(?:^|\s)(\d{1,3}[.．、)）])\s*$")
_LIST_NUMBER = re.compile(r"(?:^|[\s，。！？、；：,!?;:（(])((?:\d{1,3}\.)*)(\d{1,3})$")


@dataclass(frozen=True)
class Segment:
    """One piece to be spoken. Its subtitle is its text."""

    text: str
    emotion: Emotion | None = None
    """What a tag or a leading emoji asked for, None when there was none."""
    from_emoji: bool = False
    """Whether it was an emoji."""
    is_aside: bool = False
    """Whether it is a phrase of ours beside the reply."""
    is_restart: bool = False
    """Whether all before it turned out to be what the model thought: who has not said it leaves it unsaid."""

    @property
    def is_short(self) -> bool:
        """Whether it is so short that voices made of references garble it (RVC-Boss/GPT-SoVITS, issues 1190 and 1588)."""
        return len(self.text) < MIN_CHARACTERS

    def joined(self, following: Segment) -> Segment | None:
        """Return the two as one piece, None where they do not belong together or would be too long."""
        before, after = self.text[-1], following.text[0]
        wide = _is_wide(before) or _is_wide(after)
        between = (
            ""
            if not before.isascii() and not before.isalnum()
            else "，"
            if wide and before.isalnum()
            else " "
        )
        text = self.text + between + following.text
        alike = (self.emotion, self.from_emoji, self.is_aside) == (
            following.emotion,
            following.from_emoji,
            following.is_aside,
        )
        return (
            replace(self, text=text)
            if alike and not following.is_restart and len(text) <= MAX_CHARACTERS
            else None
        )


class SentenceCutter:
    """Reads the spoken characters and the emotion changes of one reply."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._emotion: Emotion | None = None
        self._first = True
        self._list_number = 0
        self._begin("")

    def _begin(self, rest: str) -> None:
        """Start a piece; `rest` is what is already known of it."""
        self._text = ""
        self._clause = 0  # letters and digits since the last comma
        self._gap = False  # something was left out behind the last character
        self._ended = False  # a sentence end was seen; closing marks may still follow
        self._dot = False  # the last character is a full stop that may end the sentence
        self._number_follows = False  # after "No. " a digit would continue the sentence
        self._last_comma = 0  # where a piece that is too long is cut best
        for character in rest:
            self._step(character)

    @property
    def is_open(self) -> bool:
        """Whether a sentence is begun whose end is not there."""
        return bool(self._text) and not (self._ended or self._dot)

    def feed(self, text: str) -> list[Segment]:
        """Read spoken text; return the pieces that are whole now."""
        for character in text:
            self._step(character)
        return self._taken()

    def change(self, emotion: Emotion | None) -> list[Segment]:
        """An emotion tag stands here: it holds for what follows. None ends the feeling."""
        number = _LIST_MARK.search(self._text)  # before its item's tag: it is the item's
        at = number.start(1) if number and not (self._dot and number.start(1)) else len(self._text)
        if at and (self._ended or self._dot or (emotion != self._emotion and _has_words(self._text[:at]))):
            self._cut(at)
        self._emotion = emotion
        return self._taken()

    def color(self, emotion: Emotion) -> None:
        """What was not yet cut, and what follows, has this emotion."""
        self._emotion = emotion

    def left_out(self) -> list[Segment]:
        """Words that are not spoken stand here: no mark that closes the sentence follows."""
        if self._ended:
            self._cut()
        return self._taken()

    def gap(self) -> None:
        """Something was left out here: the words before and behind it are not one."""
        self._gap = True

    def drop(self) -> None:
        """What was not yet cut is not spoken."""
        self._begin("")

    def finish(self) -> list[Segment]:
        """Return the last piece."""
        self._cut()
        return self._taken()

    def _taken(self) -> list[Segment]:
        segments, self._segments = self._segments, []
        return segments

    def _cut(self, at: int | None = None) -> None:
        """End the piece, or its first `at` characters."""
        whole = self._text
        text = (whole if at is None else whole[:at]).strip().lstrip(_UNFIT_TO_BEGIN).lstrip()
        if _has_words(text):
            self._segments.append(Segment(text, self._emotion))
            self._first = False
        self._begin("" if at is None else whole[at:])

    def _step(self, character: str) -> None:
        if self._gap:
            self._gap = False
            before = self._text[-1:]
            if before.isalnum() and character.isalnum():
                self._step("，" if _is_wide(before) or _is_wide(character) else " ")
        if self._ended or self._dot:
            self._after_end(character)
        elif self._text.endswith(",") and self._text[-2:-1].isdigit() and not character.isdigit():
            self._comma()  # after a digit only the next character tells a comma from 1,234
        if character == "\n":
            if _is_list_number(self._text):
                character = " "  # the item stands on the next line
            else:
                self._cut()
                return
        if character.isspace() and (not self._text or self._text[-1].isspace()):
            return  # what stood between the two was left out
        if len(self._text) >= MAX_CHARACTERS:
            self._cut_long(character)
            if self._ended or self._dot:  # the rest was read anew
                self._after_end(character)
        self._text += character
        self._clause += character.isalnum()
        if character in _END and not (character == "．" and self._text[-2:-1].isdigit()):
            self._ended = True
        elif character in ".．":
            self._dot = True
        elif self._is_comma(character):
            self._comma()

    def _comma(self) -> None:
        """A clause ends here."""
        self._last_comma = len(self._text)
        if self._first and self._clause >= MIN_FIRST_CLAUSE:
            self._cut()
        self._clause = 0

    def _after_end(self, character: str) -> None:
        """A sentence end, or a full stop that may be one, stands before `character`: cut, or go on."""
        if self._ended:
            opens = character in "\"'" and self._text.count(character) % 2 == 0
            if not (character in _CLOSING or character in _END or character == ".") or opens:
                self._cut()
            return
        if self._number_follows:
            if character.isspace():
                return
            self._dot = self._number_follows = False
            if not character.isdigit():
                self._cut()
            return
        if character in _CLOSING and character not in "…~～":
            return
        self._dot = False
        if character == "." or character == "…":
            return
        stem = self._text.rstrip(_CLOSING)[:-1]
        latin = (character.isascii() and not character.isspace()) or character.isdigit()
        if latin and self._text[-1] in ".．" and character not in "\"'([":
            return
        if stem.endswith((".", "…")) or _is_abbreviation(stem) or self._continues_list(stem):
            return
        if _is_numbered(stem) and character.isspace():
            self._dot = self._number_follows = True
            return
        self._cut()

    def _continues_list(self, stem: str) -> bool:
        """Whether a full stop after `stem` belongs to the number of a list's item."""
        found = _LIST_NUMBER.search(stem)
        if not found:
            return False
        number = int(found[2])
        begins = not _has_words(stem[: found.start(1)])
        introduced = number == 1 and stem[: found.start(1)].rstrip()[-1:] in tuple("：:，,。；;、（(")
        next_one = number > 1 and number - self._list_number in (
            0,
            1,
        )  # 0: read again after a long piece was cut
        if begins or (not found[1] and (introduced or next_one)):
            self._list_number = number
            return True
        return False

    def _is_comma(self, character: str) -> bool:
        if character == ",":
            return not self._text[-2:-1].isdigit()
        if character == "、":
            return bool(_JAPANESE.search(self._text)) and not self._text[-2:-1].isdigit()
        return character in _COMMA

    def _cut_long(self, character: str) -> None:
        """Cut a piece that is too long: at a comma, else behind another mark, else between two words."""
        text = self._text
        between = len(text) if _may_cut(text, character) else 0
        self._cut(self._last_comma or _last_soft_cut(text) or between or _last_word_cut(text) or None)


def _last_soft_cut(text: str) -> int:
    """Return where a sentence without commas is cut best, behind its last other mark, 0 where there is none."""
    return next((here for here in range(len(text), 0, -1) if _is_soft(text, here - 1)), 0)


def _last_word_cut(text: str) -> int:
    """Return where a sentence without marks may be cut, between its last words, 0 where it cannot."""
    cuts = (here for here in range(len(text) - 1, 0, -1) if _may_cut(text[:here], text[here]))
    return next(cuts, 0)


def _is_soft(text: str, at: int) -> bool:
    return text[at] in _SOFT and not (text[at] in ":：、" and text[:at][-1:].isdigit())


def _may_cut(before: str, after: str) -> bool:
    """Whether a sentence that is too long may be cut here, between two words."""
    if after.isspace():
        stem = before.removesuffix(".")
        return stem == before or not (
            _is_abbreviation(stem) or _is_numbered(stem) or _LIST_NUMBER.search(stem)
        )
    last = before[-1]
    return (_is_wide(last) or _is_wide(after)) and after not in _UNFIT_TO_BEGIN and last not in _UNFIT_TO_END


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _is_wide(character: str) -> bool:
    """Whether words are written without spaces around this character (Chinese, Japanese)."""
    return (
        "\u2e80" <= character <= "\u9fff"
        or "\uf900" <= character <= "\ufaff"
        or "\uff66" <= character <= "\uff9f"
        or character > "\U00020000"
    )


def _is_abbreviation(stem: str) -> bool:
    """Whether a full stop after `stem` is that of a title, an initial or an abbreviation."""
    word = _WORD.search(stem)
    return word is not None and (len(word[1]) == 1 or "." in word[1] or word[1].lower() in _TITLES)


def _is_numbered(stem: str) -> bool:
    """Whether a number may follow the full stop after `stem`."""
    word = _WORD.search(stem)
    return word is not None and word[1].lower() in _NUMBERED


def _is_list_number(text: str) -> bool:
    found = _LIST_MARK.search(text)
    return found is not None and found.start(1) == 0
