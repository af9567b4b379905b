"""Takes a streamed reply apart: what is spoken, what is not, and the emotion tags between.

A chat model's reply arrives in pieces cut anywhere. Every decision here is made from the characters alone,
one character at a time, so that any chunking gives the same pieces. Not spoken: emotion tags, stage directions,
emoji and kaomoji, Markdown marks, code, tables, images, addresses, formulas, tags and comments of HTML, what the
model thinks, calls of tools.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import NamedTuple

from xiaozhi_persona.text import brackets, elements, marks, tables
from xiaozhi_persona.text.emotions import Emotion, EmotionNames, emotion_of_emoji
from xiaozhi_persona.text.faces import ARMS_BEFORE
from xiaozhi_persona.text.marks import unspoken_characters
from xiaozhi_persona.text.skips import MAX_LOOKAHEAD, Cut, Effect, Place, Skip

BRACKET_LOOKAHEAD = MAX_LOOKAHEAD

_MARKS_AT_LINE_START = "#>|-+"
_BOX = re.compile(r"[-*+] \[[ xX]\]")
_BOX_BEGUN = re.compile(r"[-*+](?: (?:\[[ xX]?)?)?")
_CLAUSE_END = frozenset("。！？!?.…~～，,、：:；;—\n")
_SENTENCE_END = frozenset("。！？!?.…\n")
_TRAILING = " \t\u3000”’」』)）\"'"

_Rule = Callable[[str, bool, Place], Cut | None]

_RULES: Mapping[str, _Rule] = {
    **dict.fromkeys(ARMS_BEFORE, brackets.arm),
    **dict.fromkeys(brackets.CLOSERS, brackets.bracket),
    **dict.fromkeys("#0123456789", marks.keycap),
    **dict.fromkeys(map(chr, range(0x2500, 0x2580)), marks.drawing),
    **dict.fromkeys("hHfFwW", marks.address),
    **dict.fromkeys("TQ>^", brackets.bare),
    "]": brackets.link_end,
    "!": brackets.image,
    "<": elements.angle,
    "◁": elements.think_mark,
    "`": marks.fence,
    "~": marks.fence,
    "*": brackets.emphasis,
    "_": brackets.emphasis,
    "$": marks.formula,
    "\\": marks.backslash,
    "}": marks.group_end,
    "&": marks.entity,
    ":": marks.shortcode,
    "|": tables.inner_bar,
    "\n": tables.line_end,
}


class Token(NamedTuple):
    """A piece of the reply. The sources of all tokens, in order, are the reply."""

    source: str
    text: str = ""
    """What of it is spoken."""
    emotion: Emotion | None = None
    """The emotion that holds from here on, when the piece tells one."""
    effect: Effect = ""

    @property
    def spoken(self) -> bool:
        """Whether it is."""
        return bool(self.text)


_Decision = tuple[int, Token] | None
"""How many characters of the buffer are decided and what they are; None to wait for the next character."""


class Markup:
    """Reads one reply. Feed it the chunks, then call finish()."""

    def __init__(self, names: EmotionNames) -> None:
        self._place = Place(names)
        self._buffer = ""
        self._tokens: list[Token] = []
        self._skip: Skip | None = None

    @property
    def is_open(self) -> bool:
        """Whether something is begun whose end is not there."""
        return bool(self._buffer) or self._skip is not None

    def feed(self, chunk: str) -> list[Token]:
        """Return what is decided now."""
        at, plain, place = 0, _plain(), self._place
        while at < len(chunk):
            if not self._buffer and not self._skip and not place.line_start:
                run = plain.match(chunk, at)
                if run:
                    self._emit(Token(run.group(), run.group()))
                    at = run.end()
                    continue
            self._read(chunk[at])
            at += 1
        return self._taken()

    def finish(self) -> list[Token]:
        """Return the rest, at the reply's end."""
        self._read("", final=True)
        self._skip = None
        if self._place.in_table and self._place.bars:
            self._tokens.append(Token("", effect="drop"))
        return self._taken()

    def _taken(self) -> list[Token]:
        tokens, self._tokens = self._tokens, []
        return tokens

    def _read(self, text: str, final: bool = False) -> None:
        """Read on, one character at a time: also what was held back for a decision is read anew after it."""
        unread = text
        while unread or (final and self._buffer):
            buffer, unread = self._buffer + unread[:1], unread[1:]
            decision = self._decide(buffer, final and not unread)
            if decision is None:
                self._buffer = buffer
                continue
            taken, token = decision
            self._buffer, unread = "", buffer[taken:] + unread
            if taken or token.emotion or token.effect:
                self._emit(token)

    def _emit(self, token: Token) -> None:
        place, text = self._place, token.text
        if text == "\n":
            place.line_start, place.open_links, place.open_groups, place.bars = True, 0, 0, 0
        elif text and not text.isspace():
            place.line_start = place.leading = False
        elif token.emotion:
            place.leading = False
        if text and (said := text.rstrip(_TRAILING)):
            place.clause_start = said[-1] in _CLAUSE_END
            place.sentence_start = said[-1] in _SENTENCE_END
        elif token.effect in ("gap", "restart"):
            place.clause_start = place.sentence_start = True
        if place.in_path and not (text.isascii() and text.isprintable() and " " not in text):
            place.in_path = False
        if token.source:
            place.tail = (place.tail + (text or token.source))[-2:]
        self._tokens.append(token)

    def _decide(self, buffer: str, final: bool) -> _Decision:
        if self._skip:
            return self._skipped(self._skip, buffer, final)
        first, place = buffer[0], self._place
        if first in unspoken_characters():
            emotion = emotion_of_emoji(first) if place.leading else None
            return 1, Token(
                first, emotion=emotion, effect="gap" if unicodedata.category(first) == "So" else ""
            )
        if place.line_start and (first in _MARKS_AT_LINE_START or (first == "*" and buffer[1:2].isspace())):
            return self._line_mark(buffer, final)
        if first in brackets.FEELING_LINE_BEGINS and place.before in ("", "\n"):
            key = brackets.feeling_line(buffer, final, place)
            if key is None or key.taken:
                return self._cut(key, buffer)
        rule = _RULES.get(first)
        return self._cut(rule(buffer, final, place), buffer) if rule else (1, Token(first, first))

    def _skipped(self, skip: Skip, buffer: str, final: bool) -> _Decision:
        taken = skip.take(buffer)
        if skip.ended:
            self._skip = skip.next
            return taken, Token(buffer[:taken], "", skip.emotion, skip.effect)
        if not taken:
            return (len(buffer), Token(buffer)) if final else None
        return taken, Token(buffer[:taken])

    def _cut(self, cut: Cut | None, buffer: str) -> _Decision:
        if cut is None:
            return None
        self._skip = cut.skip
        if not cut.taken:
            return 1, Token(buffer[0], buffer[0])
        return cut.taken, Token(buffer[: cut.taken], cut.text, cut.emotion, cut.effect)

    def _line_mark(self, buffer: str, final: bool) -> _Decision:
        """Tell a mark at the start of a line."""
        first = buffer[0]
        if first == "|":
            return self._cut(tables.bar(buffer, final, self._place), buffer)
        if first == "#":
            run = marks.run_of_marks(buffer, final)
            return (run, Token("#" * run)) if run else None
        if first == ">":
            return self._quote(buffer, final)
        if _BOX.match(buffer):
            return 5, Token(buffer[:5])
        if len(buffer) < 5 and not final and _BOX_BEGUN.fullmatch(buffer):
            return None
        return 1, Token(first, "" if buffer[1:2].isspace() else first)

    def _quote(self, buffer: str, final: bool) -> _Decision:
        face = brackets.bare(buffer, final, self._place)
        return self._cut(face, buffer) if face is None or face.taken else (1, Token(">"))


@functools.cache
def _plain() -> re.Pattern[str]:
    """Match characters about which nothing needs to be decided."""
    special = re.escape("".join(_RULES)) + re.escape("".join(sorted(unspoken_characters())))
    return re.compile(f"[^{special}]+")
