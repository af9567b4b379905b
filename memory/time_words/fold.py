"""One form for each character: full width to half width, upper case to lower, traditional to simplified.

The folding keeps the length of a text, so a place in the folded text is the same place in the text.
"""

from __future__ import annotations

from xiaozhi_persona.text.traditional import SIMPLIFIED


def fold(text: str) -> str:
    """Return the text with every character in the form in which the grammar knows it; same length."""
    return text.translate(_TABLE)


def fold_expression(expression: str) -> str:
    """Return a regular expression for folded text; what is ASCII is left, since there it can be syntax."""
    return "".join(char if char.isascii() else fold(char) for char in expression)


_TABLE: dict[int, str] = {
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    **{code: chr(code + 32) for code in range(ord("A"), ord("Z") + 1)},
    **{code: chr(code - 0xFEE0 + 32) for code in range(0xFF21, 0xFF3B)},
    **SIMPLIFIED,
    **{ord(char): " " for char in "\u3000\u00a0\t\r\n"},
    **{ord(char): "-" for char in "‐‑‒–—―−─"},
    **{ord(char): "~" for char in "〜～∼"},
    **{ord(char): "'" for char in "‘’"},
    **{ord(char): '"' for char in "“”＂"},
    **{ord(char): "〇" for char in "○◯"},
}
