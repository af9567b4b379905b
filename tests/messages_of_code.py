"""What the program can say to a person, read from its source: texts for `tr`, the log's, and those of the commands' help."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
from pydantic import BaseModel

from xiaozhi_persona.cli import xiaozhi_persona
from xiaozhi_persona.commands.lazy_group import texts_of
from xiaozhi_persona.roles import pack
from xiaozhi_persona.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "memory", "roles", "providers", "bridge", "run.py")
HAN = re.compile("[\u3001\u3002\u3400-\u9fff\uff01-\uff5e]")
"""Chinese, its punctuation too."""
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}


def in_the_source() -> Iterator[tuple[str, str]]:
    """Yield (text, where it stands) of every literal that is given to tr, later or a log."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")) if folder != "run.py" else [ROOT / folder]:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                called = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                text = node.args[0]
                if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
                    continue
                is_log = called in LOG_METHODS and HAN.search(text.value)
                if called in ("tr", "later") or is_log:
                    yield text.value, f"{path.relative_to(ROOT)}:{node.lineno}"
    yield (
        str(ast.get_docstring(ast.parse((ROOT / "run.py").read_text(encoding="utf-8")), clean=False)).strip(),
        "run.py",
    )


def in_the_help() -> Iterator[tuple[str, str]]:
    """Yield (text, command) of the help of every command, its arguments and options."""

    def walk(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
        yield from ((text, name) for text in texts_of(command) if HAN.search(text))
        if isinstance(command, click.Group):
            context = click.Context(command)
            for inner in command.list_commands(context):
                found = command.get_command(context, inner)
                assert found is not None
                yield from walk(found, f"{name} {inner}")

    yield from walk(xiaozhi_persona, "")


def in_the_settings() -> Iterator[tuple[str, str]]:
    """Yield (text, setting) of what the settings are for."""
    yield from _in_section(Settings, "")


def _in_section(section: type[BaseModel], place: str) -> Iterator[tuple[str, str]]:
    for name, field in section.model_fields.items():
        inner = field.get_default(call_default_factory=True)
        entries = (get_args(field.annotation) or [None])[-1]
        if isinstance(inner, BaseModel):
            yield str(type(inner).__doc__), f"{place}{name}"
            yield from _in_section(type(inner), f"{place}{name}.")
            continue
        yield str(field.description), f"{place}{name}"
        if isinstance(entries, type) and issubclass(entries, BaseModel):
            yield from _in_section(entries, f"{place}{name}.*.")


def in_the_roles() -> Iterator[tuple[str, str]]:
    """Yield (text, key) of what the keys of a role pack are for."""
    for model in vars(pack).values():
        if isinstance(model, type) and issubclass(model, BaseModel):
            for name, field in model.model_fields.items():
                yield str(field.description), f"role.yaml {name}"


def places(text: str) -> list[str]:
    """Return the {places} of a text without their formats, and its %-places, in an order in which they compare."""
    bare = text.replace("{{", "").replace("}}", "")
    named = re.findall(r"(?<!\$)\{(\w*)(?:![rsa])?(?::[^}]*)?\}", bare, re.ASCII)
    return sorted(named) + re.findall(r"%(?:[-0-9.]*)[sdfgr]", bare)
