"""Cuts a streamed reply into the sentences that are spoken one by one.

The first piece is short, so that speech begins early; later ones are whole sentences. Cuts are decided from
the characters alone, one at a time, so that any chunking of a reply gives the same sentences.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from xiaozhi_persona.text.emotions import Emotion

MAX_CHARACTERS = 80
"""No sentence is longer; a longer one is cut at a comma, else between words."""

MIN_FIRST_CLAUSE = 5
"""The first piece may end at a comma when the clause before it has this many letters or digits."""

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
        self._ended = False  # a sentence end was seen; closing marks may still follow
        self._dot = False  # the last character is a full stop that may end the sentence
        self._number_follows = False  # after "No. " a digit would continue the sentence
        self._cuts = {"comma": 0, "soft": 0, "word": 0}  # where a piece that is too long may be cut
        for character in rest:
            self._step(character)

    def feed(self, text: str) -> list[Segment]:
        """Read spoken text; return the pieces that are whole now."""
        for character in text:
            self._step(character)
        return self._taken()

    def change(self, emotion: Emotion) -> list[Segment]:
        """An emotion tag stands here: it holds for what follows."""
        number = _LIST_MARK.search(self._text)  # before its item's tag: it is the item's
        at = number.start(1) if number and not (self._dot and number.start(1)) else len(self._text)
        if at and (self._ended or self._dot or (emotion != self._emotion and _has_words(self._text[:at]))):
            self._cut(at)
        self._emotion = emotion
        return self._taken()

    def left_out(self) -> list[Segment]:
        """Words that are not spoken stand here: no mark that closes the sentence follows."""
        if self._ended:
            self._cut()
        return self._taken()

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
        self._note_cuts(character)
        if character in _END and not (character == "．" and self._text[-2:-1].isdigit()):
            self._ended = True
        elif character in ".．":
            self._dot = True
        elif self._is_comma(character):
            self._comma()

    def _comma(self) -> None:
        """A clause ends here."""
        self._cuts["comma"] = len(self._text)
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

    def _note_cuts(self, character: str) -> None:
        """Remember where a long sentence without commas may be cut: behind other marks, between words."""
        here = len(self._text)
        before = self._text[:-1]
        if character in _SOFT and not (character in ":：、" and before[-1:].isdigit()):
            self._cuts["soft"] = here
        elif before and _may_cut(before, character):
            self._cuts["word"] = here - 1

    def _cut_long(self, character: str) -> None:
        if _may_cut(self._text, character):
            self._cuts["word"] = len(self._text)
        for kind in ("comma", "soft", "word"):
            if self._cuts[kind]:
                self._cut(self._cuts[kind])
                return
        self._cut()


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
