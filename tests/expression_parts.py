"""Texts made of an expression's own parts, on which it may take too long: part after part, and an end that spoils it."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable, Iterator
from typing import Any

try:
    from re import _parser  # type: ignore[attr-defined]
except ImportError:  # Python 3.10
    import sre_parse as _parser

_TAILS = ("\0", "鱼", "", "\n.")
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
_MANY = 60
"""A repeat with a higher bound counts as one without."""
_MOST_WORDS = 400


def attacks(compiled: re.Pattern[str], rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Yield texts as a head, what is to be repeated, and a tail.

    What a repeated group can read in two ways comes first, then what is in repeats, and any other part, by chance.
    """
    tree = _parser.parse(compiled.pattern, compiled.flags)
    tails = [*_TAILS, *_refused(tree, rng)]
    loops: list[tuple[str, str]] = []
    for head, body in _loops(tree, rng):
        words = list(filter(None, _language(body, rng)))
        if ambiguous := _read_in_two_ways(words):
            yield from ((head, ambiguous, tail) for tail in tails)
        loops += [(head, word) for word in words]
        loops += [(head, "".join(pair)) for pair in itertools.pairwise(words)]
    parts = list(dict.fromkeys(filter(None, _parts(tree, rng))))
    parts += ["".join(rng.choices(parts, k=rng.choice((2, 2, 3)))) for _ in parts]
    singles = [("", part) for part in parts]
    rng.shuffle(loops)
    rng.shuffle(singles)
    for pair in itertools.zip_longest(loops, singles):
        for head, unit in filter(None, pair):
            yield head, unit, tails[0]
            yield head, unit, rng.choice(tails[1:])


def _inside(name: str, value: Any) -> list[Any]:
    """Return the sequences that a node holds."""
    if name in _REPEATS:
        return [value[2]]
    if name == "SUBPATTERN":
        return [value[-1]]
    if name in ("ASSERT", "ASSERT_NOT"):
        return [value[1]]
    return list(value[1]) if name == "BRANCH" else []


def _loops(tree: Any, rng: random.Random, head: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what is repeated without a bound, after a text that leads to it."""
    for op, value in tree:
        if str(op) in _REPEATS and value[1] > _MANY:
            yield head, value[2]
        for sequence in _inside(str(op), value):
            yield from _loops(sequence, rng, head)
        head += _sample([(op, value)], rng)


def _refused(tree: Any, rng: random.Random) -> Iterator[str]:
    """Yield what must not follow however far away it is: (?!.*X)."""
    for op, value in tree:
        for sequence in _inside(str(op), value):
            if str(op) == "ASSERT_NOT" and any(str(inner) in _REPEATS for inner, _ in sequence):
                yield _sample(sequence, rng)
            yield from _refused(sequence, rng)


def _parts(tree: Any, rng: random.Random) -> Iterator[str]:
    """Yield texts for each node, for what a sequence begins with, and for the members of classes."""
    begun = ""
    for op, value in tree:
        one = _sample([(op, value)], rng)
        begun += one
        yield one
        yield begun
        if str(op) == "IN":
            yield from _members(value, rng)[:8]
        for sequence in _inside(str(op), value):
            yield _sample(sequence, rng)
            yield from _parts(sequence, rng)


def _language(tree: Any, rng: random.Random) -> list[str]:
    """Return texts that a sequence matches: all of them where they are few."""
    found = [""]
    for op, value in tree:
        name = str(op)
        if name == "IN":
            here = _members(value, rng)[:40]
        elif name in _REPEATS:
            low, high, body = value
            once = _language(body, rng)
            here = [text * times for times in sorted({low, max(low, 1), min(high, low + 2)}) for text in once]
        elif name in ("BRANCH", "SUBPATTERN"):
            here = [text for sequence in _inside(name, value) for text in _language(sequence, rng)]
        else:
            here = [_sample([(op, value)], rng)]
        found = list(dict.fromkeys(one + two for one in found for two in here))
        if len(found) > _MOST_WORDS:
            found = rng.sample(found, _MOST_WORDS)
    return found


def _read_in_two_ways(words: Iterable[str]) -> str | None:
    """Return a text that the words make up in two ways, None when there is none (the test of Sardinas and Patterson)."""
    code = sorted(set(words))
    waiting = [(two[len(one) :], two) for one in code for two in code if one != two and two.startswith(one)]
    seen = set()
    while waiting:
        rest, text = waiting.pop(0)
        if rest in code:
            return text
        if rest in seen or len(text) > 30:
            continue
        seen.add(rest)
        for word in code:
            if word.startswith(rest):
                waiting.append((word[len(rest) :], text + word[len(rest) :]))
            elif rest.startswith(word):
                waiting.append((rest[len(word) :], text))
    return None


_CATEGORIES = {
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": "x",
    "CATEGORY_DIGIT": "1",
    "CATEGORY_NOT_DIGIT": "x",
    "CATEGORY_WORD": "x",
    "CATEGORY_NOT_WORD": " ",
}
_ANYTHING = "x1啊 我-\n，"


def _members(items: Any, rng: random.Random) -> list[str]:
    """Return characters of a class, shuffled."""
    found: list[str] = []
    for op, value in items:
        name = str(op)
        if name == "NEGATE":
            refused = items[1:]
            return [char for char in _ANYTHING if not _is_in(char, refused)] or ["\U0001f600"]
        if name == "LITERAL":
            found.append(chr(value))
        elif name == "RANGE":
            found += [chr(value[0]), chr(value[1]), chr(rng.randint(*value))]
        else:
            found.append(_CATEGORIES[str(value)])
    found = list(dict.fromkeys(found))
    rng.shuffle(found)
    return found


def _is_in(char: str, items: Any) -> bool:
    return any(
        (name == "LITERAL" and ord(char) == value)
        or (name == "RANGE" and value[0] <= ord(char) <= value[1])
        or (name == "CATEGORY" and char == _CATEGORIES[str(value)])
        for name, value in ((str(op), value) for op, value in items)
    )


def _sample(tree: Any, rng: random.Random) -> str:
    """Return one text that a sequence matches, whatever must or must not stand around it."""
    text = ""
    for op, value in tree:
        name = str(op)
        if name == "LITERAL":
            text += chr(value)
        elif name == "NOT_LITERAL":
            text += "y" if value == ord("x") else "x"
        elif name == "ANY":
            text += rng.choice("x啊1")
        elif name == "IN":
            text += rng.choice(_members(value, rng)[:8])
        elif name == "BRANCH":
            text += _sample(rng.choice(value[1]), rng)
        elif name == "SUBPATTERN":
            text += _sample(value[-1], rng)
        elif name in _REPEATS:
            low, high, body = value
            times = low or (1 if high > 1 else rng.randint(0, 1))
            text += "".join(_sample(body, rng) for _ in range(times))
    return text
