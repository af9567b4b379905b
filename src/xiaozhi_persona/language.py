"""The language of what a person reads: commands, doctor, errors and the log. The texts in the code are Chinese.

`tr` gives a text in the language that is set. English stands in locale/en.json: each Chinese text, with its {places} or
%-places, and what it is in English. What a device speaks is not translated here: the role and `phrases` say it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.resources
import json
import locale
import logging
import os
from collections.abc import Iterator
from typing import Any, Literal, cast

Language = Literal["zh", "en"]

VARIABLE = "XZP_LANGUAGE"
"""The setting `language` as the environment gives it, which counts before the settings are read."""

_language: Language | None = None


def tr(text: str, /, **values: Any) -> str:
    """Return a text in the language that is set, with `values` at its places, as str.format puts them."""
    if language() == "en":
        text = _english().get(text, text)
    return text.format(**values) if values else text


def later(text: str) -> str:
    """Mark a text of a table, which is given to `tr` where it is used."""
    return text


def language() -> Language:
    """Return the language that is set, else the system's: English where that is English, otherwise Chinese."""
    global _language
    if _language is None:
        set_language(os.environ.get(VARIABLE, "auto"))
    return cast(Language, _language)


def set_language(setting: str) -> None:
    """Set the language by the setting `language`: zh, en, or auto for the system's."""
    global _language
    if setting == "en" or (setting != "zh" and _of_the_system().startswith("en")):
        _language = "en"
    else:
        _language = "zh"


@contextlib.contextmanager
def in_language(setting: Language) -> Iterator[None]:
    """Use a language meanwhile, for what is the same for every reader."""
    global _language
    before, _language = _language, setting
    try:
        yield
    finally:
        _language = before


def translate_record(record: logging.LogRecord) -> bool:
    """Put a log line's own text into the language that is set; a filter for handlers, which lets every line pass."""
    if language() == "en" and isinstance(record.msg, str):
        record.msg = _english().get(record.msg, record.msg)
    return True


def _of_the_system() -> str:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return value
    return locale.getlocale()[0] or ""  # on Windows the user's: English_United States


@functools.cache
def _english() -> dict[str, str]:
    file = importlib.resources.files("xiaozhi_persona") / "locale" / "en.json"
    table: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return table
