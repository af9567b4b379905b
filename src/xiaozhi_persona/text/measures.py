"""What texts are compared by, what they cost a chat model, and which of their characters can be sent."""

from __future__ import annotations

import re
import unicodedata

MAX_COMPARED_CHARS = 4000
"""What comes later in a text does not count."""

_WIDE = re.compile(r"[^\x00-\u02ff]+")


def normalized(text: str) -> str:
    """Return the text in lower case and half width, as it is indexed and compared."""
    return unicodedata.normalize("NFKC", text[:MAX_COMPARED_CHARS]).lower()


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has, rather too many: one for a Chinese character, a third for a letter."""
    wide = len(text) - len(_WIDE.sub("", text))
    return wide + (len(text) - wide + 2) // 3


def whole_characters(text: str) -> str:
    """Return the text without halves of characters (lone surrogates), which no UTF-8 can hold."""
    return text.encode("utf-8", "ignore").decode("utf-8")
