"""Takes a streamed reply apart: what is spoken, what is not, and the emotion tags between.

A chat model's reply arrives in pieces cut anywhere. Every decision here is made from the characters alone,
one character at a time, so that any chunking gives the same pieces. Not spoken: emotion tags, emoji,
Markdown marks, code, tables, images, addresses, formulas, HTML tags and `<think>` parts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

from xiaozhi_persona.text.emotions import Emotion, EmotionNames, emotion_of_emoji

BRACKET_LOOKAHEAD = 12
"""How many characters after an opening bracket are waited for, at most, to see whether it is a tag."""

_CLOSERS = {"[": "]】］", "【": "]】］", "［": "]】］", "(": ")）", "（": ")）"}
_ROUND = "(（"
_MARKS_AT_LINE_START = "#>|-+"
_TRAILING = ".,!?;:'\"*_~"
_ADDRESS = ("http://", "https://", "www.")
_ADDRESS_END = re.compile(r"[^!-~]|[<>()\[\]{}|\\^`]")
_DOLLAR_LOOKAHEAD = 80
_HTML_LOOKAHEAD = 64
_HTML = re.compile(
    r"</?(?:a|b|big|blockquote|br|center|code|del|details|div|em|font|h[1-6]|hr|i|img|ins|kbd|li|mark|ol|p|pre|s|small"
    r"|span|strike|strong|sub|summary|sup|table|tbody|td|th|thead|tr|u|ul)(?:\s+[\w-]+=(?:\"[^\"]*\"|'[^']*'|[^\s>]+))*\s*/?>",
    re.IGNORECASE,
)
_THINK = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)


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
        self._skip: _Skip | None = None
        self._line_start = True
        self._leading = True
        self._before = ""  # the character before the buffer
        self._open_links = 0  # "[" that were left out since their "]" was too far away to be seen
        self._rules: dict[str, Callable[[str, bool], _Decision]] = {
            **dict.fromkeys(_CLOSERS, self._bracket),
            **dict.fromkeys("0123456789", self._digit),
            **dict.fromkeys("hHwW", self._address),
            "]": self._link_end,
            "!": self._image,
            "<": self._angle,
            "`": self._backticks,
            "~": self._tildes,
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
            self._buffer += character
            self._drain(final=False)
        tokens, self._tokens = self._tokens, []
        return tokens

    def finish(self) -> list[Token]:
        """Return the rest, at the reply's end."""
        self._drain(final=True)
        tokens, self._tokens = self._tokens, []
        return tokens

    def _special(self, character: str) -> bool:
        return (
            character in self._rules
            or (self._line_start and character in _MARKS_AT_LINE_START)
            or character in _unspoken_characters()
        )

    def _drain(self, final: bool) -> None:
        while self._buffer:
            if self._skip:
                taken = self._skip.take(self._buffer)
                if self._skip.ended:
                    self._skip = None
                decision: _Decision = taken, Token(self._buffer[:taken])
                if not taken and self._skip:
                    if not final:
                        return
                    decision = len(self._buffer), Token(self._buffer)
                elif not taken:
                    continue
            else:
                decision = self._decide(self._buffer, final)
            if decision is None:
                return
            taken, token = decision
            self._buffer = self._buffer[taken:]
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
        last = self._tokens[-1] if self._tokens else None
        if last and not token.emotion and not last.emotion and last.spoken == token.spoken:
            self._tokens[-1] = Token(last.source + source, token.spoken)
        else:
            self._tokens.append(token)

    def _decide(self, buffer: str, final: bool) -> _Decision:
        first = buffer[0]
        if first in _unspoken_characters():
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
        end = next((i for i, c in enumerate(inner) if c in _CLOSERS[opening]), -1)
        if end >= 0:
            emotion = self._names.get(inner[:end].strip("\\ "))
            if emotion:
                return end + 2, Token(buffer[: end + 2], emotion=emotion)
            if opening == "[" and inner[end] == "]":
                after = buffer[end + 2 : end + 4]
                if _is_target(after):
                    return 1, Token(opening)
                if len(after) < 2 and "(".startswith(after[:1]) and not final:
                    return None
            return _spoken(opening)
        stop = next((i for i, c in enumerate(inner) if c in _CLOSERS or c in "\n。！？!?"), -1)
        undecided = stop < 0 and len(inner) < BRACKET_LOOKAHEAD and not final
        seen = inner if stop < 0 else inner[:stop]
        if self._names.could_begin(seen.lstrip()):
            if undecided:
                return None
            # A closing bracket that never came, or that is far away: `(开心地转了一圈...)` and `[happy birthday to you]`
            # are remarks, while `[高兴今天...` is a tag whose bracket was lost.
            found = self._names.at_start(seen.lstrip())
            remark = opening in _ROUND or re.match(r"\s*[A-Za-z]+ +[a-z]", seen)
            if found and (stop >= 0 or final or not remark):
                taken = 1 + len(seen) - len(seen.lstrip()) + found[1]
                return taken, Token(buffer[:taken], emotion=found[0])
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
            self._skip = _LinkTarget()
            return 1, Token("]")
        return (1, Token("]")) if left_out else _spoken("]")

    def _image(self, buffer: str, final: bool) -> _Decision:
        if len(buffer) < 2:
            return _spoken("!") if final else None
        if buffer[1] != "[":
            return _spoken("!")
        inner = buffer[2:]
        end = re.search(r"[\]\n]", inner)
        name_like = self._names.could_begin(inner.lstrip()[:BRACKET_LOOKAHEAD])
        if not end:
            waiting = len(inner) < (BRACKET_LOOKAHEAD if name_like and inner else _DOLLAR_LOOKAHEAD)
            return None if waiting and not final else _spoken("!")
        after = inner[end.end() : end.end() + 1]
        if end.group() == "]" and not self._names.get(inner[: end.start()]):
            if after == "(":
                self._skip = _LinkTarget()
                return end.end() + 2, Token(buffer[: end.end() + 2])
            if not after and not final:
                return None
        return _spoken("!")

    # Marks at the start of a line

    def _line_mark(self, buffer: str, final: bool) -> _Decision:
        first = buffer[0]
        if first == "|":
            self._skip = _Line()
            return 1, Token("|")
        if first == "#":
            marks = len(buffer) - len(buffer.lstrip("#"))
            if marks == len(buffer) and not final:
                return None
            return marks, Token("#" * marks)
        if first == ">":
            return 1, Token(">")
        box = re.match(r"[-*+] (\[[ xX]\])", buffer)
        if box:
            return 5, Token(buffer[:5])
        if len(buffer) < 5 and not final and re.fullmatch(r"[-*+]( (\[([ xX])?)?)?", buffer):
            return None
        return (1, Token(first)) if buffer[1:2].isspace() else _spoken(first)

    # Marks anywhere

    def _stars(self, buffer: str, final: bool) -> _Decision:
        marks = len(buffer) - len(buffer.lstrip("*"))
        if marks == len(buffer) and not final:
            return None
        before, after = self._before, buffer[marks : marks + 1]
        times = before.isdigit() and after.isdigit()
        spaced = marks == 1 and before.isspace() and after.isspace()
        return marks, Token("*" * marks, spoken=times or spaced)

    def _underscores(self, buffer: str, final: bool) -> _Decision:
        marks = len(buffer) - len(buffer.lstrip("_"))
        if marks == len(buffer) and not final:
            return None
        inside = _is_latin(self._before) and _is_latin(buffer[marks : marks + 1])
        return marks, Token("_" * marks, spoken=inside)

    def _backticks(self, buffer: str, final: bool) -> _Decision:
        marks = len(buffer) - len(buffer.lstrip("`"))
        if marks < 3 and marks == len(buffer) and not final:
            return None
        if marks >= 3:
            self._skip = _Until("```")
        return marks, Token("`" * marks)

    def _tildes(self, buffer: str, final: bool) -> _Decision:
        fence = re.match(r"~{3,}[A-Za-z]*\n", buffer)
        if self._line_start and fence:
            self._skip = _Until("~~~")
            return fence.end(), Token(fence.group())
        if not final and (
            buffer.strip("~") == "" or (self._line_start and re.fullmatch(r"~{3,}[A-Za-z]*", buffer))
        ):
            return None
        marks = len(buffer) - len(buffer.lstrip("~"))
        return marks, Token("~" * marks, spoken=marks != 2)

    def _dollar(self, buffer: str, final: bool) -> _Decision:
        if len(buffer) < 2:
            return _spoken("$") if final else None
        if buffer[1] == "$":
            self._skip = _Until("$$")
            return 2, Token("$$")
        if buffer[1].isdigit() or buffer[1].isspace():
            amount = re.match(r"\$[\d.,]*", buffer)
            assert amount
            if amount.end() == len(buffer) and not final:
                return None
            if buffer[1].isspace() or buffer[amount.end() : amount.end() + 1] not in tuple("^_\\={}+*/"):
                return _spoken("$")
        closed = re.match(r"\$[^$\n]*[^$\s]\$", buffer)
        if closed:
            return closed.end(), Token(closed.group())
        hopeless = re.search(r"[\n\u3000-\u9fff\uff00-\uffef]", buffer) or len(buffer) > _DOLLAR_LOOKAHEAD
        return _spoken("$") if final or hopeless else None

    def _backslash(self, buffer: str, final: bool) -> _Decision:
        if len(buffer) < 2:
            return _spoken("\\") if final else None
        if buffer[1] in "([":
            inner = buffer[2 : 2 + BRACKET_LOOKAHEAD].lstrip()
            closed = re.search(r"[)\]\\]", inner)
            content = inner[: closed.start()] if closed else inner
            if not closed and len(inner) < BRACKET_LOOKAHEAD and not final and self._names.could_begin(inner):
                return None
            if not content.isascii() or self._names.get(content):
                return 1, Token("\\")  # an escaped bracket, which may be a tag
            self._skip = _Until("\\" + _CLOSERS[buffer[1]][0])
            return 2, Token(buffer[:2])
        if buffer[1] in "#>*_~`$|\\":
            return 2, Token(buffer[:2])  # an escaped mark: no letter, and marks are not shown
        return (1, Token("\\")) if buffer[1] in "-+!.)]{}" else _spoken("\\")

    def _angle(self, buffer: str, final: bool) -> _Decision:
        lowered = buffer.lower()
        think = _THINK.fullmatch(lowered)
        if think:
            if not think[1]:
                self._skip = _Think()
            return len(buffer), Token(buffer)
        if lowered[1:] in _ADDRESS:
            self._skip = _Address(closing=">")
            return len(buffer), Token(buffer)
        if _HTML.fullmatch(buffer):
            return len(buffer), Token(buffer)
        viable = (
            re.fullmatch(r"</?[a-zA-Z]?[^<>\n\u3000-\u9fff\uff00-\uffef]*", buffer)
            and len(buffer) <= _HTML_LOOKAHEAD
        )
        begun = re.match(r"</?([a-zA-Z]|$)|<$", buffer)
        return None if viable and begun and not final else _spoken("<")

    def _address(self, buffer: str, final: bool) -> _Decision:
        lowered = buffer.lower()
        if _is_latin(self._before):
            return _spoken(buffer[0])
        if lowered in _ADDRESS:
            self._skip = _Address()
            return len(buffer), Token(buffer)
        waiting = any(address.startswith(lowered) for address in _ADDRESS)
        return None if waiting and not final else _spoken(buffer[0])

    def _digit(self, buffer: str, final: bool) -> _Decision:
        keycap = re.match(r".\ufe0f?\u20e3", buffer)
        if keycap:
            return keycap.end(), Token(keycap.group())
        return None if not final and buffer[1:] in ("", "\ufe0f") else _spoken(buffer[0])


def _spoken(character: str) -> _Decision:
    return 1, Token(character, spoken=True)


def _is_target(text: str) -> bool:
    """Whether what follows a closing bracket begins the target of a Markdown link."""
    return (
        len(text) == 2 and text[0] == "(" and text[1].isascii() and not text[1].isspace() and text[1] != ")"
    )


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


class _Skip:
    """A stretch that is not spoken. `take` says how many characters of the buffer belong to it."""

    ended = False

    def take(self, buffer: str) -> int:
        raise NotImplementedError


class _Until(_Skip):
    """Up to and with an end mark, or to the reply's end."""

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def take(self, buffer: str) -> int:
        if buffer.startswith(self._mark):
            self.ended = True
            return len(self._mark)
        return 0 if self._mark.startswith(buffer) else 1


class _Think(_Skip):
    """Up to and with `</think>`."""

    def take(self, buffer: str) -> int:
        closing = _THINK.match(buffer)
        if closing and closing[1]:
            self.ended = True
            return closing.end()
        lowered = buffer.lower()
        return 0 if any(mark.startswith(lowered) for mark in ("</think>", "</thinking>")) else 1


class _Line(_Skip):
    """The rest of the line, without its end: a row of a table."""

    def take(self, buffer: str) -> int:
        self.ended = buffer[0] == "\n"
        return 0 if self.ended else 1


class _Address(_Skip):
    """A web address, with the bracket that closes it; the punctuation at its end belongs to the sentence."""

    def __init__(self, closing: str = "") -> None:
        self._closing = closing

    def take(self, buffer: str) -> int:
        end = _ADDRESS_END.search(buffer)
        if not end:
            return len(buffer.rstrip(_TRAILING))
        self.ended = True
        if end.group() == self._closing:
            return end.end()
        return len(buffer[: end.start()].rstrip(_TRAILING))


class _LinkTarget(_Skip):
    """The target of a link, with its brackets: ``(https://a.b/c_(d) "title")``. It ends with its line at the latest."""

    def __init__(self) -> None:
        self._depth = 0

    def take(self, buffer: str) -> int:
        if buffer[0] == "\n":
            self.ended = True
            return 0
        self._depth += (buffer[0] == "(") - (buffer[0] == ")")
        self.ended = self._depth <= 0
        return 1


@functools.cache
def _unspoken_characters() -> frozenset[str]:
    """Return every character that an emoji is made of, and the invisible ones."""
    import emoji  # 30 ms, and only replies need it

    joined = set("".join(emoji.EMOJI_DATA)) - set("0123456789#*‼⁉〰")
    return frozenset(joined | set("\u200b\u200c\u200d\u2060\ufeff\ufe0e\ufe0f\u20e3\r"))
