"""The macros in the texts of character cards: the two names stay, the others become what they stand for, or nothing."""

from __future__ import annotations

import re

_NAMES = {
    "char": "{{char}}",
    "bot": "{{char}}",
    "charname": "{{char}}",
    "user": "{{user}}",
    "username": "{{user}}",
}
_ANGLED = re.compile(r"<(char|bot|user)>", re.IGNORECASE)
_MACRO = re.compile(r"\{\{([^{}]{0,2000})\}\}")
_KNOWN = {"newline": "\n", "trim": "", "noop": "", "original": "", "space": " "}
_DECORATORS = re.compile(r"\A(?:\s*@@@?[^\n]*(?:\n|\Z))+")
_DEEPEST = 5


class Macros:
    """Reads the texts of one card."""

    def __init__(self, name: str) -> None:
        """`name` is the character's."""
        self._name = name
        self.left: set[str] = set()
        """The macros that nothing was made of."""

    def read(self, text: str) -> str:
        """Return a text with {{char}} and {{user}} as the only macros."""
        text = _ANGLED.sub(lambda match: _NAMES[match[1].casefold()], text.replace("\r\n", "\n"))
        for _ in range(_DEEPEST):  # one may stand within another
            hidden = _MACRO.sub(self._replaced, text)
            if hidden == text:
                break
            text = hidden
        return text.replace("\0char\0", "{{char}}").replace("\0user\0", "{{user}}").strip()

    def read_entry(self, text: str) -> str:
        """Return the text of a lore entry: without the decorators of version 3 as well."""
        return self.read(_DECORATORS.sub("", text))

    def _replaced(self, match: re.Match[str]) -> str:
        inner = match[1].strip()
        name, _, value = inner.partition(":")
        name = name.strip().casefold().removeprefix("#").removeprefix(".")
        if name in _NAMES:
            return _NAMES[name].replace("{{", "\0").replace("}}", "\0")
        if inner.startswith("//") or name in ("comment", "hidden_key"):
            return ""
        if name in ("random", "pick"):
            value = value.removeprefix(":")
            parts = value.split("::") if "::" in value else value.replace("\\,", "\0,").split(",")
            return parts[0].replace("\0,", ",").strip()
        if name in _KNOWN:
            return _KNOWN[name]
        if name == "reverse":
            return value[::-1]
        self.left.add("{{" + (name[:40] or "…") + "}}")
        return ""
