"""Paths as people write them into settings: copied with quotes around them, as a file: address, with marks nobody sees.

Windows' "copy as path" puts quotes around a path, and its security page U+202A before it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator

from xiaozhi_persona.language import tr

_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "«": "»", "`": "`", "＂": "＂"}
_DRIVE = re.compile("/[A-Za-z]:")
_JOINERS = "\u200c\u200d"  # inside a word, of an emoji for one


def path_as_meant(text: str) -> str:
    """Return a path without blanks, quotes and invisible characters around it; of a file: address, its path.

    Raises ValueError for an invisible character within it, which it names.
    """
    path = _bare(text)
    while len(path) > 1 and _QUOTES.get(path[0]) == path[-1]:
        path = _bare(path[1:-1])
    if path[:5].casefold() == "file:":
        path = unquote(path[5:])
        path = path[2:] if path.startswith("///") else path.removeprefix("//localhost")
        path = path[1:] if _DRIVE.match(path) else path
    for character in path:
        if _is_invisible(character) and character not in _JOINERS:
            name = f"U+{ord(character):04X}"
            raise ValueError(tr("没有看不见的字符（里面有 {name}）的路径，请重新输入", name=name))
    return path


WrittenPath = Annotated[str, AfterValidator(path_as_meant)]
"""A setting that is a path."""


def _bare(text: str) -> str:
    while text and (text[0].isspace() or _is_invisible(text[0])):
        text = text[1:]
    while text and (text[-1].isspace() or _is_invisible(text[-1])):
        text = text[:-1]
    return text


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")
