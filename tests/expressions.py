"""Every regular expression of the package, and whether its time grows faster than a text does."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import itertools
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from expression_parts import attacks
from test_layout import MODULES

SHORT_CHARS, LONG_CHARS = 500, 4000
_QUICK_S = 0.0002
"""What took less is tried with half as many characters more, else with a few: an exponential expression is caught long
before it would freeze the test."""
_TOO_LONG_S = 0.05
_NOTICEABLE_S = 0.0005
_GROWTH = 22.0
"""From 500 to 4,000 characters a linear expression takes 8 times as long, a quadratic one 64 times."""
METHODS = ("match", "fullmatch", "search", "sub")
_AS = {"subn": "sub", "findall": "sub", "finditer": "sub", "split": "sub"}


class Expression(NamedTuple):
    module: str
    name: str
    compiled: re.Pattern[str]
    methods: tuple[str, ...]


class Slow(NamedTuple):
    """A text that an expression takes too long for."""

    method: str
    text: str
    chars: int
    seconds: float


def _makes_expressions(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if "re" in names or "pattern" in names:
            return True
    return False


MODULES_WITH_EXPRESSIONS = [name for name, path in MODULES.items() if _makes_expressions(path)]
"""The modules of ours that import what expressions are made with."""


def all_expressions() -> Iterator[Expression]:
    """Yield every expression of the package."""
    for module in MODULES_WITH_EXPRESSIONS:
        yield from expressions_of(module)


def expressions_of(module: str) -> list[Expression]:
    """Return the expressions that a module of ours holds, in tables and in cached functions too."""
    imported = importlib.import_module(module)
    methods, own = _methods_used(MODULES[module]), _own_names(MODULES[module])
    found = []
    for name, value in list(vars(imported).items()):
        if name not in own:
            continue
        if getattr(value, "__module__", None) == module and hasattr(value, "cache_info"):
            returned = getattr(value, "__annotations__", {}).get("return", "")
            value = (
                value() if "Pattern" in str(returned) and not inspect.signature(value).parameters else None
            )
        for compiled in _compiled_in(value):
            used = methods.get(name, set()) | _everywhere().get(name, set()) or methods[""] or set(METHODS)
            found.append(Expression(module, name, compiled, tuple(m for m in METHODS if m in used)))
    return found


def _compiled_in(value: Any) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        if isinstance(value.pattern, str):
            yield value
    elif type(value).__name__ == "_Later":
        yield re.compile(*value._given)
    elif isinstance(value, dict):
        yield from itertools.chain.from_iterable(map(_compiled_in, itertools.chain(value, value.values())))
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from itertools.chain.from_iterable(map(_compiled_in, value))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _compiled_in([getattr(value, field.name) for field in dataclasses.fields(value)])


def _own_names(path: Path) -> set[str]:
    """Return the names that a file gives, those that it imports left out."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    return names


@functools.cache
def _methods_used(path: Path) -> dict[str, set[str]]:
    """Return by name what is done with expressions in a file; under "" what is done with those that have no name."""
    found: dict[str, set[str]] = {"": set()}
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        table_of = {}  # by the name of what a loop takes out of it
        for node in ast.walk(function):
            if isinstance(node, ast.For | ast.comprehension) and (table := _constant_in(node.iter)):
                names = (one.id for one in ast.walk(node.target) if isinstance(one, ast.Name))
                table_of.update(dict.fromkeys(names, table))
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and _AS.get(node.attr, node.attr) in METHODS:
                called_on = node.value.value if isinstance(node.value, ast.Subscript) else node.value
                name = called_on.id if isinstance(called_on, ast.Name) else ""
                name = table_of.get(name) or (name if name.strip("_").isupper() else "")
                found.setdefault(name, set()).add(_AS.get(node.attr, node.attr))
    return found


def _constant_in(iterable: ast.expr) -> str:
    names = (getattr(node, "id", "") or getattr(node, "attr", "") for node in ast.walk(iterable))
    return next((name for name in names if name.strip("_").isupper()), "")


@functools.cache
def _everywhere() -> dict[str, set[str]]:
    """Return what is done with the public expressions, whichever file does it."""
    found: dict[str, set[str]] = {}
    for path in MODULES.values():
        for name, methods in _methods_used(path).items():
            if name and not name.startswith("_"):
                found.setdefault(name, set()).update(methods)
    return found


def slowest(expression: Expression, seed: int = 0, most: int = 50) -> Slow | None:
    """Return the first text of an expression's own parts on which its time grows faster than the text."""
    texts = list(itertools.islice(attacks(expression.compiled, random.Random(seed)), most))
    for method in expression.methods:
        run = _runner(expression.compiled, method)
        for head, unit, tail in texts:
            if slow := _growth(run, head, unit, tail):
                return Slow(method, f"{head!r} + {unit!r} * n + {tail!r}", *slow)
    return None


def _runner(compiled: re.Pattern[str], method: str) -> Callable[[str], Any]:
    if method == "sub":
        return lambda text: compiled.sub("", text)
    return getattr(compiled, method)  # type: ignore[no-any-return]


def _growth(run: Callable[[str], Any], head: str, unit: str, tail: str) -> tuple[int, float] | None:
    def text(chars: int) -> str:
        return head + unit * max(1, chars // len(unit)) + tail

    chars = 8
    while True:
        took = _seconds(run, text(chars))
        if (
            took > _TOO_LONG_S and _seconds(run, text(chars)) > _TOO_LONG_S
        ):  # again, for a machine that is busy
            return chars, took
        if chars == LONG_CHARS:
            break
        further = chars * 3 // 2 if took < _QUICK_S else chars + 8
        chars = LONG_CHARS if chars == SHORT_CHARS else min(SHORT_CHARS, further)
    if took > _NOTICEABLE_S and took > _GROWTH * _seconds(run, text(SHORT_CHARS)):
        took = _least(run, text(LONG_CHARS))
        if took > _NOTICEABLE_S and took > _GROWTH * _least(run, text(SHORT_CHARS)):
            return LONG_CHARS, took
    return None


def _seconds(run: Callable[[str], Any], text: str) -> float:
    began = time.thread_time()
    run(text)
    return time.thread_time() - began


def _least(run: Callable[[str], Any], text: str) -> float:
    return min(_seconds(run, text) for _ in range(5))
