"""Character cards: SillyTavern's and everybody's, versions 1 to 3, and the older form of Pygmalion.

Sources: character-card-spec-v2, spec_v2.md; character-card-spec-v3, SPEC_V3.md; SillyTavern, default macros.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.roles.importers.draft import Draft
from xiaozhi_persona.roles.importers.foreign_files import text
from xiaozhi_persona.roles.importers.tavern_lore import take_lore
from xiaozhi_persona.roles.importers.tavern_macros import Macros

_OLDER = {
    "char_name": "name",
    "char_persona": "description",
    "world_scenario": "scenario",
    "char_greeting": "first_mes",
    "example_dialogue": "mes_example",
}
_TELLING = ("description", "personality", "scenario", "first_mes", "mes_example", "system_prompt")
_OF_CARDS = ("first_mes", "mes_example", "scenario", "personality", "alternate_greetings", "character_book")
"""Keys that only cards have; one of them marks a card that does not say what it is."""
_LEFT = {
    "creator_notes": later("写给用卡的人看的，不进提示词"),
    "creatorcomment": later("写给用卡的人看的，不进提示词"),
    "creator_notes_multilingual": later("写给用卡的人看的，不进提示词"),
    "group_only_greetings": later("群聊的开场白，这里没有群聊"),
    "assets": later("图片和别的文件，这里用不到"),
    "extensions": later("酒馆插件的设置，这里用不到"),
}
_ABOUT = frozenset(
    "spec spec_version avatar chat create_date creation_date modification_date tags creator character_version source fav "
    "talkativeness data metadata json_data".split()
)
_SPEAKER = re.compile(r"^\s*(\{\{char\}\}|\{\{user\}\}|<START>)\s*[:：]?\s*", re.IGNORECASE)
_LONG_OPENING = 300
_MOST_OPENINGS, _MOST_EXAMPLES = 30, 60


def is_card(data: Any) -> bool:
    """Whether parsed JSON is a character card."""
    card = _card(data)
    if _is_marked(data):
        return any(text(card.get(key)) for key in ("name", *_TELLING))
    return any(key in card for key in _OF_CARDS) and any(text(card.get(key)) for key in _TELLING)


def read_card(data: Mapping[str, Any], file: Path) -> Draft:
    """Read a card. Raises SettingsError when it says nothing of a character."""
    card = _card(data)
    if not is_card(data):
        raise SettingsError(tr("{file} 不是角色卡：没有名字，也没有设定。", file=file))
    full_name = text(card.get("name"))
    name = text(card.get("nickname")) or full_name or file.stem
    draft = Draft(file.parent.absolute(), name=" ".join(name.split())[:100])
    if not full_name:
        draft.take(file.name, "name", draft.name, tr("卡里没有名字，用文件名"), "changed")
    else:
        draft.take("nickname" if text(card.get("nickname")) else "name", "name", draft.name)
    macros = Macros(draft.name)
    for key in ("description", "personality"):
        draft.take(key, key, macros.read(text(card.get(key))))
    _take_prompt(draft, card, macros)
    draft.take("mes_example", "examples", _examples(macros.read(text(card.get("mes_example")))))
    _take_openings(draft, card, macros)
    if book := card.get("character_book"):
        take_lore(draft, book, macros)
    for left in sorted(macros.left):
        draft.tell(left, "changed", note=tr("宏在这里没有，去掉了"))
    for key, note in _LEFT.items():
        if card.get(key) not in (None, "", [], {}):
            draft.tell(key, "ignored", note=tr(note))
    dealt = {*_LEFT, *_ABOUT, *_TELLING, *_OLDER, "name", "nickname", "post_history_instructions"}
    draft.ignore_rest(card, dealt | {"alternate_greetings", "character_book"})
    return draft


def _card(data: Any) -> Mapping[str, Any]:
    """Return the fields of a card of any version, under the names of version 2."""
    if not isinstance(data, dict):
        return {}
    inner = data.get("data")
    card = inner if isinstance(inner, dict) and (_is_marked(data) or "name" in inner) else data
    return {_OLDER.get(str(key), str(key)): value for key, value in reversed(card.items())}


def _is_marked(data: Any) -> bool:
    return isinstance(data, dict) and text(data.get("spec")).startswith("chara_card")


def _take_prompt(draft: Draft, card: Mapping[str, Any], macros: Macros) -> None:
    """Put together what goes into the prompt as it is."""
    extensions = card.get("extensions")
    depth = extensions.get("depth_prompt") if isinstance(extensions, dict) else None
    parts = {
        "scenario": ("场景：\n", card.get("scenario")),
        "system_prompt": ("", card.get("system_prompt")),
        "post_history_instructions": ("", card.get("post_history_instructions")),
        "extensions.depth_prompt": ("", depth.get("prompt") if isinstance(depth, dict) else None),
    }
    found = []
    for key, (title, value) in parts.items():
        if said := macros.read(text(value)):
            found.append(title + said)
            draft.tell(key, "taken", "prompt")
    if found:
        draft.sheet["prompt"] = "\n\n".join(found)


def _take_openings(draft: Draft, card: Mapping[str, Any], macros: Macros) -> None:
    first, others = card.get("first_mes"), card.get("alternate_greetings")
    openings = [said for item in (first,) if (said := macros.read(text(item)))]
    if openings:
        draft.tell("first_mes", "taken", "openings")
    others = [macros.read(text(item)) for item in others[:_MOST_OPENINGS]] if isinstance(others, list) else []
    if others := [said for said in others if said]:
        draft.tell("alternate_greetings", "taken", "openings")
    openings += others
    if openings:
        draft.sheet["openings"] = openings
    if any(len(said) > _LONG_OPENING for said in openings):
        note = tr("有的开场白很长，会全部念出来；可在 role.yaml 的 openings 里改短")
        draft.tell("first_mes", "warning", note=note)


def _examples(dialogue: str) -> list[str]:
    """Return what the character says in an example dialogue, its replies one by one; the user's words are left out."""
    said: list[str] = []
    is_character = True
    for line in dialogue.splitlines():
        if speaker := _SPEAKER.match(line):
            is_character = speaker[1].casefold() != "{{user}}"
            line = line[speaker.end() :]
            if line.strip() and is_character:
                said.append(line.strip())
        elif line.strip() and is_character:
            if said:
                said[-1] += "\n" + line.strip()
            else:
                said.append(line.strip())
    return said[:_MOST_EXAMPLES]
