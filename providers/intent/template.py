"""The notation of sentence templates, which is hassil's: `[optional]`, `(one|other)`, `{slot}`, `{list:slot}`, `<rule>`.

`<rule>` stands for a template that has a name. Spaces, punctuation and case do not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.time_words.fold import fold
from xiaozhi_persona.providers.intent.plain import plain
from xiaozhi_persona.providers.intent.slots import Kind

MAX_CHARS = 300
"""A template may be this long."""
MAX_DEPTH = 8
"""So deep may brackets stand in each other."""
MAX_SIZE = 500
"""So many characters may a template have with its rules written out."""


class TemplateError(ValueError):
    """Says what is wrong with a template."""


@dataclass(frozen=True, eq=False)
class Slot:
    """A place for a value of a kind. A name that begins with _ is not told."""

    name: str
    kind: Kind


class Either:
    """One of several sequences; an optional part is one of which another is empty."""

    __slots__ = ("options", "size", "least_letters")

    def __init__(self, options: tuple[Parts, ...]) -> None:
        self.options = options
        self.size = sum(map(size_of, options))
        """How many characters and slots all options have together."""
        self.least_letters = min(map(least_letters, options), default=0)
        """How many characters the shortest option has, without those of slots."""


Item = str | Slot | Either
Parts = tuple[Item, ...]
Named = Callable[[str], Kind]
"""Gives the kind of a slot by its name; raises TemplateError when there is none."""

_MARKS = re.compile(r"([\[\](){}<>|])")
_CLOSES = {"[": "]", "(": ")"}
_NOT_OURS = ("]?", ")?", "]*", ")*", "]+", ")+", "\\")
"""What is written in regular expressions and means something else there."""


class Parser:
    """Reads the templates of one file."""

    def __init__(self, kinds: Named) -> None:
        self.rules: dict[str, Either] = {}
        """The templates that have names, for <name>."""
        self._kinds = kinds
        self._known: dict[str, Either | Slot] = {}

    def add_rule(self, name: str, text: str) -> None:
        """Give a template a name. Raises TemplateError."""
        items = self.parse(text)
        self.rules[name] = items[0] if len(items) == 1 and isinstance(items[0], Either) else Either((items,))

    def parse(self, text: str) -> Parts:
        """Read a template. Raises TemplateError."""
        if len(text) > MAX_CHARS:
            raise TemplateError(tr("句子太长：最多 {count} 个字", count=MAX_CHARS))
        wrong = next((part for part in _NOT_OURS if part in text), "")
        if wrong:
            raise TemplateError(
                tr("{part} 不是这里的写法：可有可无的写成 [这样]，几个里选一个写成 (这|那)", part=wrong)
            )
        options = _Reader(text, self).options("", 0)
        sequence: Parts = options[0] if len(options) == 1 else (Either(options),)
        if size_of(sequence) > MAX_SIZE:
            raise TemplateError(tr("句子展开后太长：最多 {count} 个字", count=MAX_SIZE))
        return sequence

    def either(self, text: str, options: tuple[Parts, ...]) -> Either:
        """Return the alternatives written as `text`: one object wherever they stand, by which an automaton knows them."""
        found = self._known.setdefault(text, Either(options))
        assert isinstance(found, Either)
        return found

    def slot(self, text: str) -> Slot:
        """Return the slot written as `text`: one object wherever it stands. Raises TemplateError."""
        kind, _, name = text.partition(":")
        found = self._known.get("{" + text) or Slot(name or kind, self._kinds(kind))
        assert isinstance(found, Slot)
        self._known["{" + text] = found
        return found


def example(sequence: Parts, choose: Callable[[Sequence[Parts]], Parts]) -> str:
    """Return a sentence of a template in the form of `plain`; `choose` takes one of several options."""
    parts = []
    for item in sequence:
        if isinstance(item, Either):
            parts.append(example(choose(item.options), choose))
        else:
            parts.append(item if isinstance(item, str) else item.kind.example)
    return "".join(parts)


def slots_of(sequence: Parts) -> Iterator[Slot]:
    """Yield the slots of a template."""
    for item in sequence:
        if isinstance(item, Slot):
            yield item
        elif isinstance(item, Either):
            for option in item.options:
                yield from slots_of(option)


def size_of(sequence: Parts) -> int:
    """Return how many characters and slots a template has, its rules written out."""
    size = 0
    for item in sequence:
        size += len(item) if isinstance(item, str) else item.size if isinstance(item, Either) else 1
    return size


def least_letters(sequence: Parts) -> int:
    """Return how many characters of its own a sentence of the template has at least, without those of slots."""
    count = 0
    for item in sequence:
        if not isinstance(item, Slot):
            count += len(item) if isinstance(item, str) else item.least_letters
    return count


def backwards(sequence: Parts) -> Parts:
    """Return the template of the same sentences, read from the end."""
    return tuple(
        item[::-1]
        if isinstance(item, str)
        else Either(tuple(map(backwards, item.options)))
        if isinstance(item, Either)
        else item
        for item in reversed(sequence)
    )


def _letters(text: str) -> str:
    is_plain = text.isalnum() and "儿" not in text and "您" not in text  # most are, and plain() takes a while
    return text if is_plain else plain(text).text


class _Reader:
    def __init__(self, text: str, parser: Parser) -> None:
        self._parser = parser
        self._tokens = [token for token in _MARKS.split(fold(text)) if token]
        self._place = 0

    def options(self, closes: str, depth: int) -> tuple[Parts, ...]:
        """Read up to the closing bracket, which is passed, or to the end of the text."""
        if depth > MAX_DEPTH:
            raise TemplateError(tr("括号套得太深：最多 {count} 层", count=MAX_DEPTH))
        found: list[Parts] = []
        items: list[Item] = []
        while True:
            token = self._next()
            if token == closes:
                return (*found, tuple(items))
            if token == "|":
                found.append(tuple(items))
                items = []
            elif token in ("[", "("):
                items.append(self._either(token, depth))
            elif token == "{":
                items.append(self._parser.slot(self._name("}")))
            elif token == "<":
                name = self._name(">")
                if name not in self._parser.rules:
                    raise TemplateError(tr("没有名叫 <{name}> 的规则", name=name))
                items.append(self._parser.rules[name])
            elif not token:
                raise TemplateError(tr("少了一个 {char}", char=closes))
            elif token in "])}>":
                raise TemplateError(tr("多了一个 {char}", char=token))
            elif letters := _letters(token):
                items.append(letters)

    def _either(self, opens: str, depth: int) -> Either:
        start = self._place
        options = self.options(_CLOSES[opens], depth + 1)
        if opens == "[" and () not in options:
            options = (*options, ())
        return self._parser.either("".join(self._tokens[start - 1 : self._place]), options)

    def _next(self) -> str:
        self._place += 1
        return self._tokens[self._place - 1] if self._place <= len(self._tokens) else ""

    def _name(self, closes: str) -> str:
        name = self._next().strip()
        if self._next() != closes:
            raise TemplateError(tr("少了一个 {char}", char=closes))
        if not name.replace(":", "").replace("_", "").isalnum():
            raise TemplateError(tr("名字 {name!r} 不行：只用字母、数字和 _", name=name))
        return name
