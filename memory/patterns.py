"""Regular expressions that are compiled when they are first used: there are many, and few commands need them all."""

from __future__ import annotations

import re
from typing import Any, cast


def pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    """Return the expression; it behaves as re.compile(text, flags) would, and costs nothing until it is asked."""
    return cast("re.Pattern[str]", _Later(text, flags))


class _Later:
    def __init__(self, text: str, flags: int) -> None:
        self._given = text, flags

    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(*self._given), name)
        setattr(self, name, value)  # the next call finds it without coming here
        return value
