"""Takes a streamed reply apart: what is spoken, what is not, and the emotion tags between.

A chat model's reply arrives in pieces cut anywhere. Every decision here is made from the characters alone,
one character at a time, so that any chunking gives the same pieces. Not spoken: emotion tags, emoji,
Markdown marks, code, tables, images, addresses, formulas, HTML tags and comments, and `<think>` parts.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from xiaozhi_persona.text.emotions import Emotion, EmotionNames, emotion_of_emoji
from xiaozhi_persona.text.skips import (
    ADDRESS,
    Address,
    Begin,
    Line,
    LinkTarget,
    Skip,
    Until,
    fence_begin,
    formula_begin,
    html_begin,
    run_of_marks,
    unspoken_characters,
)

BRACKET_LOOKAHEAD = 12
"""How many characters after an opening bracket are waited for, at most, to see whether it is a tag."""

_CLOSERS = {"[": "]】］", "【": "]】］", "［": "]】］", "(": ")）", "（": ")）"}
_ROUND = "(（"
_MARKS_AT_LINE_START = "#>|-+"
_END = "\n。！？!?"
_MAX_ALT = 80  # characters of an image's description
_ALT_END = re.compile(r"[\]\n]|!\[")
_BOX = re.compile(r"[-*+] \[[ xX]\]")
_BOX_BEGUN = re.compile(r"[-*+](?: (?:\[[ xX]?)?)?")
_BRACKET = re.compile(r"[()\[\]\\]")
_KEYCAP = re.compile(r".\ufe0f?\u20e3")


@dataclass(frozen=True)
class Token:
    """A piece of the reply. The sources of all tokens, in order, are the reply."""

    source: str
    spoken: bool = False
    emotion: Emotion | None = None
    """The emotion that holds from here on, when the piece is a tag."""


_Decision = tuple[int, Token] | None
"""How many characters of the buffer are decided and what they are; None to wait for the next character."""


class Markup:
    """Reads one reply. Feed it the chunks, then call finish()."""

    def __init__(self, names: EmotionNames) -> None:
        self._names = names
        self._buffer = ""
        self._tokens: list[Token] = []
        self._skip: Skip | None = None
        self._line_start = True
        self._leading = True
        self._before = ""  # the character before the buffer
        self._open_links = 0  # "[" that were left out since their "]" was too far away to be seen
        self._rules: dict[str, Callable[[str, bool], _Decision]] = {
            **dict.fromkeys(_CLOSERS, self._bracket),
            **dict.fromkeys("#0123456789", self._keycap),
            **dict.fromkeys("hHfFwW", self._address),
            "]": self._link_end,
            "!": self._image,
            "<": self._angle,
            "`": self._fence,
            "~": self._fence,
            "*": self._stars,
            "_": self._underscores,
            "$": self._dollar,
            "\\": self._backslash,
        }

    def feed(self, chunk: str) -> list[Token]:
        """Return what is decided now."""
        for character in chunk:
            if not self._buffer and not self._skip and not self._special(character):
                self._emit(Token(character, spoken=True))
                continue
            self._read(character)
        return self._taken()

    def finish(self) -> list[Token]:
        """Return the rest, at the reply's end."""
        self._read("", final=True)
        return self._taken()

    def _taken(self) -> list[Token]:
        tokens, self._tokens = self._tokens, []
        return [
            Token("".join(token.source for token in group), spoken, emotion)
            for (spoken, emotion), group in groupby(tokens, lambda token: (token.spoken, token.emotion))
        ]

    def _special(self, character: str) -> bool:
        return (
            character in self._rules
            or (self._line_start and character in _MARKS_AT_LINE_START)
            or character in unspoken_characters()
        )

    def _read(self, text: str, final: bool = False) -> None:
        """Read on, one character at a time: also what was held back for a decision is read anew after it."""
        unread = deque(text)
        while unread or (final and self._buffer):
            if unread:
                self._buffer += unread.popleft()
            decision = self._decide(self._buffer, final and not unread)
            if decision:
                taken, token = decision
                unread.extendleft(reversed(self._buffer[taken:]))
                self._buffer = ""
                if taken:
                    self._emit(token)

    def _emit(self, token: Token) -> None:
        source = token.source
        if source == "\n":
            self._line_start, self._open_links = True, 0
        elif token.spoken and not source.isspace():
            self._line_start = self._leading = False
        elif token.emotion:
            self._leading = False
        self._before = source[-1:]
        self._tokens.append(token)

    def _decide(self, buffer: str, final: bool) -> _Decision:
        if self._skip:
            taken = self._skip.take(buffer)
            if self._skip.ended:
                self._skip = None
            elif not taken:
                return (len(buffer), Token(buffer)) if final else None
            return taken, Token(buffer[:taken])
        first = buffer[0]
        if first in unspoken_characters():
            emotion = emotion_of_emoji(first) if self._leading else None
            return 1, Token(first, emotion=emotion)
        if self._line_start and first in _MARKS_AT_LINE_START:
            return self._line_mark(buffer, final)
        if self._line_start and first == "*" and buffer[1:2].isspace():
            return self._line_mark(buffer, final)
        rule = self._rules.get(first)
        return rule(buffer, final) if rule else _spoken(first)

    # Brackets: emotion tags, links, images

    def _bracket(self, buffer: str, final: bool) -> _Decision:
        opening, inner = buffer[0], buffer[1 : 1 + BRACKET_LOOKAHEAD]
        closers = _CLOSERS[opening]
        stop = next(
            (i for i, c in enumerate(inner) if c in closers or c in _CLOSERS or c in _END), len(inner)
        )
        seen, mark = inner[:stop], inner[stop : stop + 1]
        if mark and mark in closers:
            emotion = self._names.get(_unmarked(seen))
            if emotion:
                return stop + 2, Token(buffer[: stop + 2], emotion=emotion)
            if opening == "[" and mark == "]":
                after = buffer[stop + 2 : stop + 4]
                if _is_target(after):
                    return 1, Token(opening)
                if len(after) < 2 and "(".startswith(after[:1]) and not final:
                    return None
            return _spoken(opening)
        undecided = not mark and len(inner) < BRACKET_LOOKAHEAD and not final
        if self._names.could_begin(seen.lstrip()):
            if undecided:
                return None
            # A closing bracket that never came, or that is far away: `(开心地转了一圈...)` and `[happy birthday to you]`
            # are remarks, while `[高兴今天...` is a tag whose bracket was lost.
            found = self._names.at_start(seen.lstrip())
            if found:
                emotion, length = found
                taken = len(opening + seen) - len(seen.lstrip()) + length
                words = buffer[taken - 1] == " " and (buffer[taken - 2 : taken + 1]).isascii()
                remark = opening in _ROUND or (words and buffer[taken : taken + 1].islower())
                if mark or final or not remark:
                    return taken, Token(buffer[:taken], emotion=emotion)
        if opening != "[":
            return _spoken(opening)
        if undecided:
            return None
        # It may yet be a link whose text is long, and the marks of links are not shown.
        self._open_links += 1
        return 1, Token(opening)

    def _link_end(self, buffer: str, final: bool) -> _Decision:
        if len(buffer) < 3 and buffer == "]("[: len(buffer)] and not final:
            return None
        left_out = self._open_links > 0
        self._open_links -= left_out
        if _is_target(buffer[1:3]):
            self._skip = LinkTarget()
            return 1, Token("]")
        return (1, Token("]")) if left_out else _spoken("]")

    def _image(self, buffer: str, final: bool) -> _Decision:
        if len(buffer) < 2:
            return _spoken("!") if final else None
        if buffer[1] != "[":
            return _spoken("!")
        inner = buffer[2:]
        end = _ALT_END.search(inner)
        if not end:
            # After a word it may be the mark of a sentence and then a bracket, which must not delay what follows.
            alone = self._line_start or self._before.isspace()
            name_like = self._names.could_begin(inner.lstrip()[:BRACKET_LOOKAHEAD])
            limit = _MAX_ALT if alone and not (name_like and inner) else BRACKET_LOOKAHEAD
            return None if len(inner) < limit and not final else _spoken("!")
        after = inner[end.end() : end.end() + 1]
        if end.group() == "]" and not self._names.get(inner[: end.start()]):
            if after == "(":
                self._skip = LinkTarget()
                return end.end() + 2, Token(buffer[: end.end() + 2])
            if not after and not final:
                return None
        return _spoken("!")

    # Marks at the start of a line

    def _line_mark(self, buffer: str, final: bool) -> _Decision:
        first = buffer[0]
        if first == "|":
            self._skip = Line()
            return 1, Token("|")
        if first == "#":
            marks = run_of_marks(buffer, final)
            return (marks, Token("#" * marks)) if marks else None
        if first == ">":
            return 1, Token(">")
        if _BOX.match(buffer):
            return 5, Token(buffer[:5])
        if len(buffer) < 5 and not final and _BOX_BEGUN.fullmatch(buffer):
            return None
        return (1, Token(first)) if buffer[1:2].isspace() else _spoken(first)

    # Marks anywhere

    def _stars(self, buffer: str, final: bool) -> _Decision:
        marks = run_of_marks(buffer, final)
        if not marks:
            return None
        before, after = self._before, buffer[marks : marks + 1]
        times = before.isdigit() and after.isdigit()
        spaced = marks == 1 and before.isspace() and after.isspace()
        return marks, Token("*" * marks, spoken=times or spaced)

    def _underscores(self, buffer: str, final: bool) -> _Decision:
        marks = run_of_marks(buffer, final)
        if not marks:
            return None
        inside = _is_latin(self._before) and _is_latin(buffer[marks : marks + 1])
        return marks, Token("_" * marks, spoken=inside)

    def _fence(self, buffer: str, final: bool) -> _Decision:
        return self._opened(fence_begin(buffer, final, self._line_start), buffer)

    def _dollar(self, buffer: str, final: bool) -> _Decision:
        return self._opened(formula_begin(buffer, final, self._line_start), buffer)

    def _backslash(self, buffer: str, final: bool) -> _Decision:
        if len(buffer) < 2:
            return _spoken("\\") if final else None
        if buffer[1] in "([":
            inner = buffer[2 : 2 + BRACKET_LOOKAHEAD]
            stop = _BRACKET.search(inner)
            if not stop and len(inner) < BRACKET_LOOKAHEAD and not final:
                return None
            content = (inner[: stop.start()] if stop else inner).lstrip()
            lone = stop and stop.group() in ")]"  # `\(^o^)/`
            if lone or not content.isascii() or self._names.at_start(content):
                return 1, Token("\\")  # an escaped bracket, which may be a tag
            self._skip = Until("\\" + _CLOSERS[buffer[1]][0], in_line=buffer[1] == "(")
            return 2, Token(buffer[:2])
        if buffer[1] in "#>*_~`$|\\":
            return 2, Token(buffer[:2])  # an escaped mark: no letter, and marks are not shown
        return (1, Token("\\")) if buffer[1] in "-+!.)]{}\"'<&" else _spoken("\\")

    def _angle(self, buffer: str, final: bool) -> _Decision:
        return self._opened(html_begin(buffer, final), buffer)

    def _opened(self, begin: Begin | None, buffer: str) -> _Decision:
        if begin is None:
            return None
        taken, self._skip = begin
        return (taken, Token(buffer[:taken])) if taken else _spoken(buffer[0])

    def _address(self, buffer: str, final: bool) -> _Decision:
        lowered = buffer.lower()
        if _is_latin(self._before):
            return _spoken(buffer[0])
        if lowered in ADDRESS:
            self._skip = Address()
            return len(buffer), Token(buffer)
        waiting = any(address.startswith(lowered) for address in ADDRESS)
        return None if waiting and not final else _spoken(buffer[0])

    def _keycap(self, buffer: str, final: bool) -> _Decision:
        keycap = _KEYCAP.match(buffer)
        if keycap:
            return keycap.end(), Token(keycap.group())
        return None if not final and buffer[1:] in ("", "\ufe0f") else _spoken(buffer[0])


def _spoken(character: str) -> _Decision:
    return 1, Token(character, spoken=True)


def _unmarked(name: str) -> str:
    """Return what a bracket holds without emoji and marks: ``[**高兴**😊]``."""
    return "".join(character for character in name if character not in unspoken_characters()).strip("\\ *_`")


def _is_target(text: str) -> bool:
    """Whether what follows a closing bracket begins the target of a Markdown link."""
    return (
        len(text) == 2 and text[0] == "(" and text[1].isascii() and not text[1].isspace() and text[1] != ")"
    )


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()
