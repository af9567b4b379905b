"""Tables: which lines are rows, and not spoken, and which only begin with a bar, as `|ω・) 你在吗` does."""

from __future__ import annotations

import re

from xiaozhi_persona.text.faces import has_words, is_face
from xiaozhi_persona.text.skips import TEXT, Arms, Cut, Line, Place

_RULE = re.compile(r"[|:\-\s]{3,200}")
_RULE_BEGUN = re.compile(r"[\s|:\-]{0,200}")
_PEEK_END = re.compile(r"[)）]")
_PEEK_MAX = 7
_MAX_ROW, _MAX_CELL = 200, 40
_SENTENCE = re.compile(r"[。！？!?][^\s|”』」)）。！？!?]")


def bar(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell the first bar of a line: that of a row, of a face, or of words. None to wait."""
    if place.in_table:
        place.bars = 1
        return Cut(1, skip=Line())
    if peek := _PEEK_END.search(buffer[:_PEEK_MAX]):
        content = buffer[1 : peek.start()]
        if not has_words(content) and is_face(content + content):
            return Cut(peek.end(), effect="gap", skip=Arms())
    line, newline, rest = buffer.partition("\n")
    if not newline:
        said = _SENTENCE.search(line) and line.count("|") < 3
        limit = _MAX_ROW if "|" in line[1:] else _MAX_CELL
        if len(line) <= limit and not said and not final:
            return None
    if _is_row(line) and newline and not final and not rest:
        return None
    following, next_newline, _ = rest.partition("\n")
    if _is_row(line) and following.startswith("|"):
        if not next_newline and not final and len(following) <= _MAX_ROW and not _is_rule(following):
            return None
        if _is_rule(following) or (_is_row(following) and following.count("|") == line.count("|")):
            place.in_table, place.bars = True, 1
            return Cut(len(line))
    if len(line) > _MAX_ROW and line.count("|") > 2 or _is_rule(line):
        return Cut(1, skip=Line())
    is_sum = "|" in line[1:] and line[1:2].isascii() and line[1:2].isalnum()  # |x| = 5
    return TEXT if is_sum else Cut(1)


def inner_bar(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell a bar inside a line: one between words is not shown. None to wait."""
    place.bars += 1
    if place.before.isascii() and place.before.isalnum():
        return TEXT
    if len(buffer) < 2 and not final:
        place.bars -= 1
        return None
    return TEXT if buffer[1:2].isascii() and buffer[1:2].isalnum() else Cut(1, effect="gap")


def line_end(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell the end of a line that may be a row without a bar at its start, `姓名 | 年龄` over `--- | ---`; None to wait."""
    if not place.bars:
        place.in_table = False
        return TEXT
    if place.in_table:
        return Cut(1, text="\n", effect="drop")
    line, newline, _ = buffer[1:].partition("\n")
    if not newline and not final and _RULE_BEGUN.fullmatch(line):
        return None
    if "|" in line and _is_rule(line):
        place.in_table = True
        return Cut(len(line) + 1, effect="drop")
    return TEXT


def _is_rule(line: str) -> bool:
    """Whether a line is the one below a table's head."""
    return ("--" in line or ("|" in line and "-" in line)) and _RULE.fullmatch(line) is not None


def _is_row(line: str) -> bool:
    line = line.rstrip()
    return line.count("|") > 1 and line.endswith("|")
