"""Whether a command that a document or a message names is one that can be typed."""

from __future__ import annotations

import shlex

import click

from xiaozhi_persona.cli import xiaozhi_persona
from xiaozhi_persona.commands.lazy_group import DefaultGroup

_OF_RUN_PY = ("--once", "--mirror", "--help", "test")


def complaint(line: str, whole: bool = True) -> str:
    """Return what the program says of a command, without its name, that it does not understand, "" when it does.

    One that is not `whole` may lack arguments.
    """
    words = shlex.split(line.replace("[-", "-"), comments=True)
    words = [word for word in words if word != "…"]
    if not words or words[0] in _OF_RUN_PY:
        return ""
    command: click.Command = xiaozhi_persona
    context = click.Context(command, **command.context_settings)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        if found is None and isinstance(command, DefaultGroup):
            break
        if found is None:
            return "no such command"
        command, words = found, words[1:]
    try:
        command.make_context("", words, parent=context)
    except click.MissingParameter as exc:
        return exc.format_message() if whole else ""
    except click.UsageError as exc:
        return exc.format_message()
    except click.exceptions.Exit:
        pass
    return ""
