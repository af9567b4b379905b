"""The lore book of a character card, and the world books of SillyTavern, whose entries have other names."""

from __future__ import annotations

import re
from typing import Any

from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.importers.draft import Draft
from xiaozhi_persona.roles.importers.foreign_files import listed, text
from xiaozhi_persona.roles.importers.tavern_macros import Macros

_MOST_ENTRIES, _MOST_KEYS, _LONGEST = 2000, 50, 20_000
_MOST_CONSTANT = 4000  # characters of what is always in the prompt
_REGEX = re.compile(r"^/(.+)/[a-z]*$", re.DOTALL)
_PLAIN_CHOICE = re.compile(r"[\w\s|·\-]+")


def take_lore(draft: Draft, book: Any, macros: Macros) -> None:
    """Take the entries of a book: those that are switched on and have words that call for them.

    What is always on goes into the prompt, as far as it is short.
    """
    entries = book.get("entries") if isinstance(book, dict) else None
    entries = list(entries.values()) if isinstance(entries, dict) else entries
    if not isinstance(entries, list):
        draft.tell("character_book", "warning", note=tr("世界书里没有条目"))
        return
    taken, always = 0, 0
    for number, entry in enumerate(entries[:_MOST_ENTRIES], 1):
        if not isinstance(entry, dict):
            continue
        source = tr("世界书 {name}", name=text(entry.get("name") or entry.get("comment"))[:40] or number)
        content = macros.read_entry(text(entry.get("content")))[:_LONGEST]
        if not content or entry.get("enabled") is False or entry.get("disable") is True:
            if content:
                draft.tell(source, "ignored", note=tr("在卡里是关着的"))
            continue
        if entry.get("constant") is True:
            always += len(content)
            if always <= _MOST_CONSTANT:
                draft.sheet["prompt"] = "\n\n".join(filter(None, [draft.sheet.get("prompt", ""), content]))
                draft.tell(source, "changed", "prompt", tr("总是打开的，写进了提示词"))
            else:
                draft.tell(source, "ignored", note=tr("总是打开的太长了，没有用"))
            continue
        if keys := _keys(entry, macros):
            draft.lore.append({"keys": keys, "text": content})
            taken += 1
            if listed(entry.get("secondary_keys")) and entry.get("selective"):
                draft.tell(source, "changed", "lore/book.yaml", tr("第二组词没有用，有第一组的词就算"))
        else:
            draft.tell(source, "ignored", note=tr("没有能用的触发词（正则不支持）"))
    if taken:
        draft.tell("character_book", "taken", "lore/book.yaml", tr("{count} 条世界书", count=taken))
    if len(entries) > _MOST_ENTRIES:
        draft.tell("character_book", "warning", note=tr("只取了前 {most} 条", most=_MOST_ENTRIES))


def _keys(entry: dict[str, Any], macros: Macros) -> list[str]:
    """Return the words that call for an entry; of a regular expression those that it lists, if it is no more than that."""
    given = entry.get("keys") if entry.get("keys") else entry.get("key")
    given = given.split(",") if isinstance(given, str) else given
    found: dict[str, None] = {}
    for key in listed(given)[:_MOST_KEYS]:
        key = macros.read(key)
        regex = _REGEX.match(key)
        choices = regex[1] if regex else key
        if (regex or entry.get("use_regex") is True) and not _PLAIN_CHOICE.fullmatch(choices):
            continue
        for word in choices.split("|") if regex or entry.get("use_regex") is True else [choices]:
            if word.strip():
                found[word.strip()[:200]] = None
    return list(found)
