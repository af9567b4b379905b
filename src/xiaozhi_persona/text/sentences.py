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
_JAPANESE = re.compile(r"[\u3040-\u30ff]")

# Words whose full stop ends no sentence; those of the second set only when a digit follows.
_TITLES = frozenset(
    re.findall(
        r"\S+", "mr mrs ms dr prof st sr jr vs etc inc ltd co corp dept gen sgt capt lt rev hon approx al"
    )
)
_NUMBERED = frozenset(
    re.findall(r"\S+", "no nos vol fig p pp ch sec art jan feb mar apr jun jul aug sep sept oct nov dec")
)
_WORD = re.compile(r"([A-Za-z](?:[A-Za-z]|\.(?=[A-Za-z]))*)$")
_LIST_NUMBER = re.compile(r"(?:^|[\s，。！？、；：,!?;:（(])(\d{1,3})$")


@dataclass(frozen=True)
class Segment:
    """One piece to be spoken. Its subtitle is its text."""

    text: str
    emotion: Emotion | None = None
    """What a tag or a leading emoji asked for, None when there was none."""


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
        if self._ended or self._dot or (emotion != self._emotion and _has_words(self._text)):
            self._cut()
        self._emotion = emotion
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
        if not self._text and character.isspace():
            return
        if len(self._text) >= MAX_CHARACTERS:
            self._cut_long(character)
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
        latin = character.isascii() and not character.isspace()
        if latin and self._text[-1] in ".．" and character not in "\"'([":
            return
        if stem.endswith((".", "…")) or _is_abbreviation(stem) or self._continues_list(stem):
            return
        word = _WORD.search(stem)
        if word and word[1].lower() in _NUMBERED and character.isspace():
            self._dot = self._number_follows = True
            return
        self._cut()

    def _continues_list(self, stem: str) -> bool:
        """Whether a full stop after `stem` belongs to the number of a list's item."""
        found = _LIST_NUMBER.search(stem)
        if not found:
            return False
        number = int(found[1])
        begins = not _has_words(stem[: found.start(1)])
        introduced = number == 1 and stem[: found.start(1)].rstrip()[-1:] in tuple("：:，,。；;、（(")
        if begins or introduced or number == self._list_number + 1 > 1:
            self._list_number = number
            return True
        return False

    def _is_comma(self, character: str) -> bool:
        if character == ",":
            return not self._text[-2:-1].isdigit()
        if character == "、":
            return bool(_JAPANESE.search(self._text))
        return character in _COMMA

    def _note_cuts(self, character: str) -> None:
        """Remember where a long sentence without commas may be cut: behind other marks, between words."""
        here = len(self._text)
        before = self._text[:-1]
        if character in _SOFT and not (character == ":" and before[-1:].isdigit()):
            self._cuts["soft"] = here
        elif character.isspace():
            stem = before.removesuffix(".")
            bound = stem != before and (_is_abbreviation(stem) or bool(_LIST_NUMBER.search(stem)))
            if not bound:
                self._cuts["word"] = here
        elif before and self._between_words(before[-1], character):
            self._cuts["word"] = here - 1

    def _cut_long(self, character: str) -> None:
        if character.isspace() or self._between_words(self._text[-1], character):
            self._cuts["word"] = len(self._text)
        for kind in ("comma", "soft", "word"):
            if self._cuts[kind]:
                self._cut(self._cuts[kind])
                return
        self._cut()

    @staticmethod
    def _between_words(before: str, after: str) -> bool:
        """Whether a sentence that is too long may be cut between these two characters."""
        return (_is_wide(before) or _is_wide(after)) and after not in _UNFIT_TO_BEGIN and before not in ".．,"


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _is_wide(character: str) -> bool:
    """Whether words are written without spaces around this character (Chinese, Japanese)."""
    return "\u2e80" <= character <= "\u9fff" or "\uf900" <= character <= "\uffef" or character > "\U00020000"


def _is_abbreviation(stem: str) -> bool:
    """Whether a full stop after `stem` is that of a title, an initial or an abbreviation."""
    word = _WORD.search(stem)
    return (
        bool(word) and (len(word[1]) == 1 or "." in word[1] or word[1].lower() in _TITLES) if word else False
    )


def _is_list_number(text: str) -> bool:
    return bool(re.fullmatch(r"\d{1,3}[.．、)）]", text.strip()))
