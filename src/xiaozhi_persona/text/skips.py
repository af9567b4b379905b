"""The stretches of a reply that are not spoken: what begins one, and where it ends, one character at a time."""

from __future__ import annotations

import functools
import re
from itertools import chain

ADDRESS = ("http://", "https://", "ftp://", "www.")
_THINK = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)

_MAX_RUN = 12  # so many equal marks in a row are looked at together
_MAX_FORMULA = 80  # characters of a formula without a LaTeX command
_MONEY = re.compile(r"\$(?:\s+(?![\s\\])|[\d.,]+(?:[kKmMbB]n?)?(?![\dA-Za-z^_\\={}+*/$(]))")
_MONEY_BEGUN = re.compile(r"\$(?:[ \t]*|[\d.,]*(?:[kKmMbB]n?)?)")
_PROSE = re.compile(r"[$\n\u3000-\u9fff\uff00-\uffef]|[A-Za-z]{2} +[A-Za-z]{2}")
_FORMULA = re.compile(r"\$[^$\n]*[^$\s]\$")
_LATEX = re.compile(r"\$[^$\n\u3000-\u9fff\uff00-\uffef]*\\[A-Za-z]")
_TILDE_FENCE = re.compile(r"~+[A-Za-z]{0,12}")
_HTML_NAMES = (
    "a|b|big|blockquote|br|center|code|del|details|div|em|font|h[1-6]|hr|i|img|ins|kbd|li|mark|ol|p|pre|s|small|span"
    "|strike|strong|sub|summary|sup|table|tbody|td|th|thead|tr|u|ul"
)
_HTML = re.compile(rf"</?(?:{_HTML_NAMES})(?:\s*/?>|\s+[a-z-]+(=))")
_HTML_BEGUN = re.compile(rf"</?(?:[a-z][a-z0-9]{{0,9}}|(?:{_HTML_NAMES})(?:\s[a-z-]{{0,12}}|\s?/))?")
_COMMENT = "<!--"
_ADDRESS_END = re.compile(r"[^!-~]|[<>()\[\]{}|\\^`]")
_ADDRESS_TRAILING = ".,!?;:'\"*_~"
_MAX_TRAILING = 12


class Skip:
    """A stretch that is not spoken. `take` says how many characters of the buffer belong to it."""

    ended = False

    def take(self, buffer: str) -> int:
        """Return how many characters are decided; 0 to wait for the next one, or with `ended`, when none is left."""
        raise NotImplementedError


class Until(Skip):
    """Up to and with an end mark, or to the reply's end; `in_line`: to the line's end at the latest."""

    def __init__(self, mark: str, in_line: bool = False) -> None:
        self._mark = mark
        self._in_line = in_line

    def take(self, buffer: str) -> int:
        """Wait where the end mark may begin."""
        if self._in_line and buffer[0] == "\n":
            self.ended = True
            return 0
        if buffer.startswith(self._mark):
            self.ended = True
            return len(self._mark)
        return 0 if self._mark.startswith(buffer) else 1


class Think(Skip):
    """Up to and with `</think>`."""

    def take(self, buffer: str) -> int:
        """Wait where the end mark may begin."""
        closing = _THINK.match(buffer)
        if closing and closing[1]:
            self.ended = True
            return closing.end()
        lowered = buffer.lower()
        return 0 if any(mark.startswith(lowered) for mark in ("</think>", "</thinking>")) else 1


class Line(Skip):
    """The rest of the line, without its end: a row of a table."""

    def take(self, buffer: str) -> int:
        """End before the newline."""
        self.ended = buffer[0] == "\n"
        return 0 if self.ended else 1


class Address(Skip):
    """A web address, with the bracket that closes it; the punctuation at its end belongs to the sentence."""

    def __init__(self, closing: str = "") -> None:
        self._closing = closing

    def take(self, buffer: str) -> int:
        """Wait behind punctuation, which the address may go on after."""
        end = _ADDRESS_END.search(buffer)
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


Begin = tuple[int, Skip | None]
"""How many characters of the buffer are not spoken, 0 when its first is text, and what is to be skipped after them."""


def fence_begin(buffer: str, final: bool, at_line_start: bool) -> Begin | None:
    """Tell fenced code from other backticks and tildes; None to wait for the next character."""
    marks = run_of_marks(buffer, final)
    if not marks:
        return None
    if buffer[0] == "`":
        return marks, Until("`" * marks) if marks >= 3 else None
    if at_line_start and marks >= 3:
        fence = _TILDE_FENCE.match(buffer)
        end = fence.end() if fence else 0
        if end == len(buffer) < marks + 12 and not final:
            return None
        if buffer[end : end + 1] == "\n":
            return end + 1, Until("~" * marks)
    return (2 if marks == 2 else 0), None  # struck out, or a drawn-out word: `好~`


def formula_begin(buffer: str, final: bool, at_line_start: bool) -> Begin | None:
    """Tell a formula from money at a dollar sign; None to wait for the next character."""
    marks = run_of_marks(buffer, final)
    if not marks:
        return None
    after = buffer[marks : marks + 1]
    if marks > 1:  # a block, or a slang word: `赚$$！`
        block = marks == 2 and (at_line_start or (after.isascii() and after not in ".,!?;:)'\""))
        return marks, Until("$$") if block else None
    too_long = final or len(buffer) > _MAX_FORMULA
    if _MONEY_BEGUN.fullmatch(buffer):
        return (0, None) if too_long else None
    if _MONEY.match(buffer):
        return 0, None
    closed = _FORMULA.match(buffer)
    if closed:
        after = buffer[closed.end() : closed.end() + 1]
        if not after and not final:
            return None
        return 0 if after.isdigit() else closed.end(), None
    command = _LATEX.match(buffer)
    if command:
        return command.end(), Until("$", in_line=True)
    return (0, None) if too_long or _PROSE.search(buffer, 1) else None


def html_begin(buffer: str, final: bool) -> Begin | None:
    """Tell an HTML tag, a comment, a `<think>` part or `<https://...>` from a less-than sign; None to wait."""
    lowered = buffer.lower()
    if lowered == _COMMENT:
        return len(buffer), Until("-->")
    think = _THINK.fullmatch(lowered)
    if think:
        return len(buffer), None if think[1] else Think()
    if lowered[1:] in ADDRESS:
        return len(buffer), Address(closing=">")
    html = _HTML.fullmatch(lowered)
    if html:
        return len(buffer), Until(">", in_line=True) if html[1] else None
    begins = (_COMMENT, *(f"<{address}" for address in ADDRESS))
    begun = _HTML_BEGUN.fullmatch(lowered) or any(text.startswith(lowered) for text in begins)
    return None if begun and not final else (0, None)


def run_of_marks(buffer: str, final: bool) -> int | None:
    """Return how often the first character is repeated, 12 at most; None while it may go on."""
    marks = min(len(buffer) - len(buffer.lstrip(buffer[0])), _MAX_RUN)
    return None if marks == len(buffer) < _MAX_RUN and not final else marks


@functools.cache
def unspoken_characters() -> frozenset[str]:
    """Return every character that an emoji is made of, and those that are no text: control, direction, broken."""
    import emoji  # 30 ms, and only replies need it

    joined = set("".join(emoji.EMOJI_DATA)) - set("0123456789#*‼⁉〰")
    codes = chain(
        range(0x20),
        range(0x7F, 0xA0),
        range(0x200B, 0x2010),
        range(0x202A, 0x202F),
        range(0x2060, 0x2070),
        range(0xD800, 0xE000),  # half a character: cannot be encoded
        (0xAD, 0xFE0E, 0xFE0F, 0xFEFF, 0xFFFC, 0xFFFD),
    )
    return frozenset(joined | set(map(chr, codes)) | {"\u20e3"}) - {"\t", "\n"}
