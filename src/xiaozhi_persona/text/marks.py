"""Marks in a reply that are not spoken or stand for something else: code, formulas, addresses, escapes, shortcodes."""

from __future__ import annotations

import functools
import html
import re
from itertools import chain

from xiaozhi_persona.text.skips import TEXT, Address, Cut, Groups, Place, Skip, Until

ADDRESSES = ("http://", "https://", "ftp://", "www.")

_MAX_RUN = 12  # so many equal marks in a row are looked at together
_MAX_FORMULA = 80  # characters of a formula without a LaTeX command
_MONEY = re.compile(r"\$(?:\s+(?![\s\\])|[\d.,]+(?:[kKmMbB]n?)?(?![\dA-Za-z^_\\={}+*/$(]))")
_MONEY_BEGUN = re.compile(r"\$(?:[ \t]*|[\d.,]*(?:[kKmMbB]n?)?)")
_PROSE = re.compile(r"[$\n\u3000-\u9fff\uff00-\uffef]|[A-Za-z]{2} +[A-Za-z]{2}")
_FORMULA = re.compile(r"\$[^$\n]*[^$\s]\$")
_LATEX = re.compile(r"\$[^$\n\u3000-\u9fff\uff00-\uffef]*\\[A-Za-z]")
_TILDE_FENCE = re.compile(r"~+[A-Za-z]{0,12}")
_KEYCAP = re.compile(r".\ufe0f?\u20e3")
_ENTITY = re.compile(r"&(?:#[0-9]{1,6}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,9});")
_ENTITY_BEGUN = re.compile(r"&(?:#[0-9]{0,6}|#[xX][0-9a-fA-F]{0,6}|[A-Za-z][A-Za-z0-9]{0,9})?")
_SHORTCODE = re.compile(r":([A-Za-z][a-z_]{1,19}):")
_SHORTCODE_BEGUN = re.compile(r":(?:[A-Za-z][a-z_]{0,19})?")
_SMILEY = re.compile(r":['\-]?[DPpO)(](?![A-Za-z0-9])(?=.)", re.DOTALL)
_SMILEY_BEGUN = re.compile(r":['\-]?[DPpO)(]|:['\-]")
_COMMAND = re.compile(r"\\([A-Za-z]{2,20})")
_COMMAND_BEGUN = re.compile(r"\\[A-Za-z]{0,20}")
_BREAK = re.compile(r"\\(?:r\\n|[nrt])(?![a-z])|\\n(?!(?:abla|eq|ot|otin|u|i|e|mid)(?![a-z]))")
_SHOWN = frozenset(
    re.findall(r"\S+", "boxed text textbf textit textrm mathrm mathbf emph underline operatorname mbox fbox")
)
_BRACKET = re.compile(r"[()\[\]\\]")
_CLOSERS = {"(": ")", "[": "]"}
_LONGEST_BREAK = 7


def fence(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell fenced code from other backticks and tildes; None to wait for the next character."""
    marks = run_of_marks(buffer, final)
    if not marks:
        return None
    if buffer[0] == "`":
        return Cut(marks, skip=Until("`" * marks, effect="gap") if marks >= 3 else None)
    if place.line_start and marks >= 3:
        found = _TILDE_FENCE.match(buffer)
        end = found.end() if found else 0
        if end == len(buffer) < marks + 12 and not final:
            return None
        if buffer[end : end + 1] == "\n":
            return Cut(end + 1, skip=Until("~" * marks))
    return Cut(2 if marks == 2 else 0)  # struck out, or a drawn-out word: `好~`


def formula(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell a formula from money at a dollar sign; None to wait for the next character."""
    marks = run_of_marks(buffer, final)
    if not marks:
        return None
    after = buffer[marks : marks + 1]
    if marks > 1:  # a block, or a slang word: `赚$$！`
        block = marks == 2 and (place.line_start or (after.isascii() and after not in ".,!?;:)'\""))
        return Cut(marks, skip=Until("$$", effect="gap") if block else None)
    too_long = final or len(buffer) > _MAX_FORMULA
    if _MONEY_BEGUN.fullmatch(buffer):
        return TEXT if too_long else None
    if _MONEY.match(buffer):
        return TEXT
    closed = _FORMULA.match(buffer)
    if closed:
        after = buffer[closed.end() : closed.end() + 1]
        if not after and not final:
            return None
        return TEXT if after.isdigit() else Cut(closed.end(), effect="gap")
    command = _LATEX.match(buffer)
    if command:
        return Cut(command.end(), skip=Until("$", in_line=True, effect="gap"))
    return TEXT if too_long or _PROSE.search(buffer, 1) else None


def backslash(buffer: str, final: bool, place: Place) -> Cut | None:
    r"""Tell escaped marks, `\n`, formulas and LaTeX commands from a lone backslash; None to wait."""
    if len(buffer) < 2:
        return TEXT if final else None
    if buffer[1] in "([":
        return _escaped_bracket(buffer, final, place)
    if buffer[1] in "#>*_~`$|\\":
        return Cut(2)  # an escaped mark: no letter, and marks are not shown
    if not (buffer[1].isascii() and buffer[1].isalpha()):
        return Cut(1) if buffer[1] in "-+!.)]{}\"'<&/" else TEXT
    in_path = _is_in_path(place)
    if buffer[1] in "nrt":
        if (
            len(buffer) < _LONGEST_BREAK
            and _COMMAND_BEGUN.fullmatch(buffer.replace("\\r\\n", "\\rn"))
            and not final
        ):
            return None
        if not in_path and (found := _BREAK.match(buffer)):
            return Cut(found.end(), text=" " if buffer[1] == "t" else "\n")
    return _command(buffer, final, place)


def _is_in_path(place: Place) -> bool:
    """Tell a path behind a drive's letter."""
    place.in_path = place.in_path or (
        place.before == ":" and place.tail[:1].isalpha() and place.tail.isascii()
    )
    return place.in_path or place.before == ":"


def _escaped_bracket(buffer: str, final: bool, place: Place) -> Cut | None:
    inner = buffer[2:14]
    stop = _BRACKET.search(inner)
    if not stop and len(inner) < 12 and not final:
        return None
    content = (inner[: stop.start()] if stop else inner).lstrip()
    lone = stop and stop.group() in ")]"  # `\(^o^)/`
    if lone or not content.isascii() or place.names.at_start(content):
        return Cut(1)  # an escaped bracket, which may be a tag
    return Cut(2, skip=Until("\\" + _CLOSERS[buffer[1]], in_line=buffer[1] == "(", effect="gap"))


def _command(buffer: str, final: bool, place: Place) -> Cut | None:
    if _COMMAND_BEGUN.fullmatch(buffer) and not final:
        return None
    command = _COMMAND.match(buffer)
    if not command:
        return TEXT
    if buffer[command.end() : command.end() + 1] != "{":
        if place.before in (":", "\\") or (place.before.isascii() and place.before.isalnum()):
            return TEXT  # a path
        return Cut(command.end(), effect="gap")
    if command[1] in _SHOWN:
        place.open_groups += 1
        return Cut(command.end() + 1)
    skip: Skip = Groups()
    if command[1] == "begin":
        skip, groups = Until("\\end", effect="gap"), skip
        skip.next = groups
    return Cut(command.end(), skip=skip)


def group_end(buffer: str, final: bool, place: Place) -> Cut | None:
    """Leave out the brace that ends what a LaTeX command shows."""
    if not place.open_groups:
        return TEXT
    place.open_groups -= 1
    return Cut(1)


def entity(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell `&amp;` from other ampersands; None to wait."""
    if _ENTITY.fullmatch(buffer):
        text = html.unescape(buffer)
        shown = "".join(
            " " if c.isspace() else c for c in text if c.isspace() or c not in unspoken_characters()
        )
        return Cut(len(buffer), text=shown) if text != buffer else TEXT
    return None if _ENTITY_BEGUN.fullmatch(buffer) and not final else TEXT


def shortcode(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell `:smile:` from other colons; None to wait."""
    if place.before.isascii() and place.before.isalnum():
        return TEXT
    if smiley := _SMILEY.match(buffer):
        return Cut(smiley.end(), effect="gap")
    if found := _SHORTCODE.fullmatch(buffer):
        return Cut(len(buffer), emotion=place.names.read(found[1]), effect="gap")
    if _SMILEY_BEGUN.fullmatch(buffer):
        return Cut(len(buffer), effect="gap") if final else None
    return None if _SHORTCODE_BEGUN.fullmatch(buffer) and len(buffer) <= 12 and not final else TEXT


def address(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell an address from other words; None to wait."""
    lowered = buffer.lower()
    if place.before.isascii() and place.before.isalnum():
        return TEXT
    if lowered in ADDRESSES:
        return Cut(len(buffer), skip=Address())
    waiting = any(begun.startswith(lowered) for begun in ADDRESSES)
    return None if waiting and not final else TEXT


def keycap(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell a keycap emoji from a digit; None to wait."""
    found = _KEYCAP.match(buffer)
    if found:
        return Cut(found.end(), effect="gap")
    return None if not final and buffer[1:] in ("", "\ufe0f") else TEXT


def drawing(buffer: str, final: bool, place: Place) -> Cut | None:
    """Leave out what lines and tables are drawn with: `┻━┻`."""
    return Cut(1, effect="gap")


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
