"""Owners' own intents: data/intents/*.yaml, checked when they are read, and read again when they change.

::

    intents:
      开灯:
        sentences: ["[把]{room}[的]灯(打开|开一下)"]
        do: {tool: light_on, arguments: {room: "{room}"}}
        say: "好，{room}的灯开了。"
    lists:
      room: [客厅, 卧室]

A file that is wrong is told, and the others work. Nothing in a file can freeze anything: templates are no regular
expressions, and everything has a bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.intent import open_slots
from xiaozhi_persona.providers.intent.numbers import NUMBER
from xiaozhi_persona.providers.intent.plain import plain
from xiaozhi_persona.providers.intent.slots import Kind, of_any, of_range, of_words
from xiaozhi_persona.providers.intent.tables import Tables, Template, bundled, kind_named
from xiaozhi_persona.providers.intent.template import Parser, TemplateError, least_letters, slots_of
from xiaozhi_persona.text_files import read_text

MAX_FILES = 20
MAX_FILE_BYTES = 64 * 1024
MAX_SENTENCES = 200
"""In one file."""
ANSWER = "answer"
"""In `say`, stands for what a tool or a server has answered."""
LEAST_LETTERS = 2
"""So many characters of its own a sentence must have: one that is all slots would be every sentence."""


@dataclass(frozen=True)
class _Seen:
    """What a file was when it was read, and what came of it."""

    stamp: tuple[int, int]
    templates: tuple[Template, ...] = ()
    problem: str = ""


class OwnFiles:
    """The owner's files in one folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._seen: dict[Path, _Seen] = {}
        self.tables: Tables | None = None
        """What the files hold; None for nothing."""

    def refresh(self) -> list[str]:
        """Read what has changed; return what is wrong, a line for each file. Blocks."""
        files = sorted(_stamped(self._folder)) if self._folder else []
        seen = {file: self._seen.get(file) for file, _ in files[:MAX_FILES]}
        for file, stamp in files[:MAX_FILES]:
            known = seen[file]
            if known is None or known.stamp != stamp:
                seen[file] = _read(file, stamp)
        if seen != self._seen:
            self._seen = {file: one for file, one in seen.items() if one}
            templates = [template for one in self._seen.values() for template in one.templates]
            self.tables = Tables.of(templates) if templates else None
        problems = [one.problem for one in self._seen.values() if one.problem]
        if len(files) > MAX_FILES:
            problems.append(
                tr("{folder} 里的文件太多：只读前 {count} 个", folder=self._folder, count=MAX_FILES)
            )
        return problems


def _stamped(folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Yield the YAML files of a folder with what changes when they are written."""
    try:
        for file in folder.iterdir():
            if file.suffix in (".yaml", ".yml") and file.is_file():
                about = file.stat()
                yield file, (about.st_mtime_ns, about.st_size)
    except OSError:
        return  # there is no such folder, or a file has just gone


def _read(file: Path, stamp: tuple[int, int]) -> _Seen:
    try:
        return _Seen(stamp, tuple(read_own(file)))
    except SettingsError as exc:
        return _Seen(stamp, problem=str(exc))


def read_own(file: Path) -> list[Template]:
    """Read one file. Raises SettingsError with the file, the line and what is allowed."""
    # Pydantic is slow to import, and who has no file needs none of it.
    from xiaozhi_persona.providers.intent.own_schema import check

    if file.stat().st_size > MAX_FILE_BYTES:
        raise SettingsError(
            tr("{file} 太大：最多 {count} KB。分成几个文件。", file=file, count=MAX_FILE_BYTES // 1024)
        )
    text = read_text(file)
    sheet, lines = check(text, file)

    def kind(name: str) -> Kind:
        return kind_named(name, lists)

    lists: dict[str, Kind] = {}
    parser = Parser(kind)
    place: tuple[str | int, ...] = ()
    found: list[Template] = []
    try:
        for name, values in sheet.lists.items():
            place = ("lists", name)
            lists[name] = _list(name, values)
        for name, rule in sheet.rules.items():
            place = ("rules", name)
            parser.add_rule(name, rule)
        known = {template.intent for template in bundled()[0].templates}
        for intent, own in sheet.intents.items():
            place = ("intents", intent)
            if own.do is None and not own.say and intent not in known:
                raise TemplateError(tr("没有写做什么：加上 do 或 say"))
            slots: set[str] = set()
            for number, sentence in enumerate(own.sentences):
                place = ("intents", intent, "sentences", number)
                items = parser.parse(sentence)
                if least_letters(items) < LEAST_LETTERS:
                    raise TemplateError(
                        tr(
                            "这句话会太容易对上：除去槽和可有可无的，至少要有 {count} 个字",
                            count=LEAST_LETTERS,
                        )
                    )
                slots |= {slot.name for slot in slots_of(items)}
                found.append(Template(intent, sentence, items, str(file), lines(place), action=own))
            place = ("intents", intent)
            for name in own.slots_used():
                is_answer = name == ANSWER and own.do and (own.do.tool or own.do.http)
                if name not in slots and not slots & _GIVES.get(name, set()) and not is_answer:
                    raise TemplateError(tr("do 或 say 里的 {{{name}}} 在句子里没有", name=name))
        if len(found) > MAX_SENTENCES:
            raise TemplateError(tr("句子太多：一个文件最多 {count} 句", count=MAX_SENTENCES))
    except TemplateError as exc:
        raise SettingsError(
            tr("{file} 第 {line} 行：{told}", file=file, line=lines(place), told=exc)
        ) from exc
    return found


_GIVES = {name: {"clock", "english_clock"} for name in ("hour", "minute", "day", "weekday", "repeat", "week")}
"""Slots that give values of other names."""


def _list(name: str, values: Any) -> Kind:
    if values == "any":
        return of_any(name, open_slots.is_plain, "什么都行")
    if isinstance(values, Mapping) and set(values) == {"from", "to"}:
        return of_range(name, values["from"], values["to"], NUMBER)
    words: dict[str, Any] = {}
    for value, listed in values.items() if isinstance(values, Mapping) else ((one, [one]) for one in values):
        for word in listed:
            letters = plain(word).text
            if not letters:
                raise TemplateError(tr("{name} 里有一个空的词", name=name))
            words[letters] = value
    return of_words(name, words)


def filled(value: Any, slots: Mapping[str, Any]) -> Any:
    """Put the values of slots at the places of a text of `do` or `say`; a text that is one place becomes the value.

    A slot that the sentence did not have is "".
    """
    if not isinstance(value, str):
        return value
    whole = _SLOT.fullmatch(value)
    if whole:
        return slots.get(whole[1], "")
    return _SLOT.sub(lambda match: str(slots.get(match[1], "")), value)


_SLOT = re.compile(r"\{(\w{1,40})\}")
