"""The stretches of a reply that are not spoken: where each ends, one character at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from xiaozhi_persona.text.emotions import Emotion, EmotionNames
from xiaozhi_persona.text.faces import ARMS_AFTER, HANDS

Effect = Literal["", "gap", "calm", "drop", "restart"]
"""What a piece does beside being spoken or not. gap: words before and behind it are no one word; calm: the feeling ends;
drop: what was not yet cut is a table's row, and not spoken; restart: all so far was thinking."""

MAX_LOOKAHEAD = 12
"""How many characters after an opening bracket are waited for, at most, to see what it opens."""

ADDRESS_END = re.compile(r"[^!-~]|[<>()\[\]{}|\\^`]")
_ADDRESS_TRAILING = ".,!?;:'\"*_~"
_MAX_TRAILING = 12
_MAX_TAG = 60
_MAX_PHRASE, _MAX_LATIN_PHRASE = 24, 60
_IN_WORD = re.compile(r"[A-Za-z0-9\u3041-\u3096]")
_SENTENCE_END = "\n。！？!?"
_CLAUSE_END = "，,、；;：:"


class Cut(NamedTuple):
    """What the beginning of the buffer is."""

    taken: int
    """How many characters; 0 when the first is text."""
    text: str = ""
    """What is spoken of them."""
    emotion: Emotion | None = None
    effect: Effect = ""
    skip: Skip | None = None
    """What follows them and is not spoken."""


TEXT = Cut(0)


@dataclass
class Place:
    """Where in the reply the buffer begins."""

    names: EmotionNames
    tail: str = ""
    """The two characters before it."""
    line_start: bool = True
    clause_start: bool = True
    """Whether a clause may begin here."""
    sentence_start: bool = True
    """Whether a sentence may begin here."""
    leading: bool = True
    """Whether nothing was spoken yet."""
    brackets: set[str] = field(default_factory=set)
    """Opening brackets in which a feeling has stood."""
    open_links: int = 0
    """How many `[` were left out since their `]` was too far away to be seen."""
    open_groups: int = 0
    """How many `{` of LaTeX commands were left out whose `}` is to be."""
    bars: int = 0
    """How many bars the line holds so far."""
    in_table: bool = False
    in_path: bool = False
    """Whether it is in the path of a file of Windows: `C:\\Users\\new`."""

    @property
    def before(self) -> str:
        """The character before it."""
        return self.tail[-1:]


class Skip:
    """A stretch that is not spoken. `take` says how many characters of the buffer belong to it."""

    ended = False
    emotion: Emotion | None = None
    """The feeling that it turned out to name."""
    effect: Effect = ""
    next: Skip | None = None
    """What is left out behind it."""

    def take(self, buffer: str) -> int:
        """Return how many characters are decided; 0 to wait for the next one, or with `ended`, when none is left."""
        raise NotImplementedError


class Tag(Skip):
    """The rest of a tag whose beginning could be nothing else: `[emotion: ha`ppy]. It ends where it can be no tag."""

    def __init__(self, names: EmotionNames, begun: str, closers: str, is_value: bool) -> None:
        """`is_value`: a key was read, so any word may follow."""
        self._names, self._text, self._closers, self._is_value = names, begun, closers, is_value

    def take(self, buffer: str) -> int:
        """Read up to and with a closing mark."""
        character = buffer[0]
        closed = character in self._closers
        longer = self._text + character
        goes_on = character.isspace() or character in ",，、/|" or self._names.may_go_on(longer, least=1)
        if (
            closed
            or character in _SENTENCE_END
            or len(longer) > _MAX_TAG
            or not (self._is_value or goes_on or self._names.read(longer))
        ):
            self.ended, self.emotion = True, self._names.read(self._text)
            return int(closed)
        self._text = longer
        return 1


class Phrase(Skip):
    """The rest of a stage direction, up to and with its closing mark; at the end of its sentence at the latest."""

    effect: Effect = "gap"

    def __init__(self, names: EmotionNames, begun: str, closers: str) -> None:
        self._names, self._text, self._closers = names, begun, closers

    def take(self, buffer: str) -> int:
        """Read up to and with a closing mark."""
        character = buffer[0]
        closed = character in self._closers
        if closed or character == "\n" or self._text[-1:] in tuple(_SENTENCE_END) or self._is_too_long():
            self.ended, self.emotion = True, self._names.within(self._text)
            return int(closed)
        self._text += character
        return 1

    def _is_too_long(self) -> bool:
        """Whether it is longer than people make it, so that it was not closed, and its clause has ended."""
        longest = _MAX_LATIN_PHRASE if self._text.isascii() else _MAX_PHRASE
        return len(self._text) >= (longest if self._text.endswith(tuple(_CLAUSE_END)) else 3 * longest)


class Arms(Skip):
    """What is drawn behind the bracket of a face."""

    def take(self, buffer: str) -> int:
        """Wait behind a letter, which may begin a word."""
        if buffer[0] in ARMS_AFTER:
            return 1
        if buffer[0] in HANDS and len(buffer) == 1:
            return 0
        self.ended = True
        return int(buffer[0] in HANDS and _IN_WORD.match(buffer[1]) is None)


class Groups(Skip):
    """The arguments of a LaTeX command, in braces."""

    effect: Effect = "gap"

    def __init__(self) -> None:
        self._depth = 0

    def take(self, buffer: str) -> int:
        """Count the braces."""
        if (not self._depth and buffer[0] != "{") or buffer[0] == "\n":
            self.ended = True
            return 0
        self._depth += (buffer[0] == "{") - (buffer[0] == "}")
        return 1


class Until(Skip):
    """Up to and with an end mark, or to the reply's end; `in_line`: to the line's end at the latest."""

    def __init__(self, mark: str, in_line: bool = False, effect: Effect = "") -> None:
        self._mark, self._in_line, self.effect = mark, in_line, effect

    def take(self, buffer: str) -> int:
        """Wait where the end mark may begin."""
        if self._in_line and buffer[0] == "\n":
            self.ended = True
            return 0
        if buffer.casefold().startswith(self._mark):
            self.ended = True
            return len(self._mark)
        return 0 if self._mark.startswith(buffer.casefold()) else 1


class Line(Skip):
    """The rest of the line, without its end: a row of a table."""

    def take(self, buffer: str) -> int:
        """End before the newline."""
        self.ended = buffer[0] == "\n"
        return 0 if self.ended else 1


class Address(Skip):
    """A web address, with the bracket that closes it; the punctuation at its end belongs to the sentence."""

    effect: Effect = "gap"

    def __init__(self, closing: str = "") -> None:
        self._closing = closing

    def take(self, buffer: str) -> int:
        """Wait behind punctuation, which the address may go on after."""
        end = ADDRESS_END.search(buffer)
        if not end:
            inside = len(buffer.rstrip(_ADDRESS_TRAILING))
            self.ended = len(buffer) - inside > _MAX_TRAILING
            return inside
        self.ended = True
        if end.group() == self._closing:
            return end.end()
        return len(buffer[: end.start()].rstrip(_ADDRESS_TRAILING))


class LinkTarget(Skip):
    """The target of a link, with its brackets: ``(https://a.b/c_(d) "title")``. It ends with its line at the latest."""

    def __init__(self) -> None:
        self._depth = 0

    def take(self, buffer: str) -> int:
        """Count the brackets."""
        if buffer[0] == "\n":
            self.ended = True
            return 0
        self._depth += (buffer[0] == "(") - (buffer[0] == ")")
        self.ended = self._depth <= 0
        return 1
