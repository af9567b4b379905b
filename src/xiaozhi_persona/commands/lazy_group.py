"""A group of subcommands, each a module of its own that is imported when it is asked for."""

from __future__ import annotations

import importlib
import inspect
import keyword
from collections.abc import Iterator, Mapping
from typing import Any

import click

from xiaozhi_persona.language import tr


class LazyGroup(click.Group):
    """Finds its subcommands by name without importing them. Each module has its command as `command`."""

    def __init__(self, *, purposes: Mapping[str, str], module_prefix: str, **more: Any) -> None:
        """`purposes` tells for each name what it is for; its module is `module_prefix` and the name (import_ for import,
        a_b for a-b)."""
        super().__init__(**more)
        self.purposes = purposes
        self._module_prefix = module_prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `purposes`."""
        return list(self.purposes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand; None for a name that is not there."""
        if cmd_name not in self.purposes:
            return None
        return self._import(cmd_name)

    def _import(self, name: str) -> click.Command:
        module = name.replace("-", "_") + "_" * keyword.iskeyword(name)
        command: click.Command = importlib.import_module(self._module_prefix + module).command
        translate_help(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of `--help`."""
        with formatter.section(tr("命令")):
            formatter.write_dl([(name, tr(purpose)) for name, purpose in self.purposes.items()])


class DefaultGroup(LazyGroup):
    """A group that is a command of its own as long as the first word names none of its subcommands."""

    def __init__(self, *, default: str, **more: Any) -> None:
        """`default` is the module of that command."""
        super().__init__(**more)
        self._default = default

    def default_command(self) -> click.Command:
        """Import the command; its help ends with the list of the others."""
        command = self._import(self._default)
        width = max(map(len, self.purposes))
        lines = [f"  {name:{width}}  {tr(purpose)}" for name, purpose in self.purposes.items()]
        command.epilog = "\n".join(["\b", tr("命令") + ":", *lines])
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the command line: the context is the command's that it calls."""
        if args and args[0] in self.purposes:
            return super().make_context(info_name, args, parent, **extra)
        return self.default_command().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command that the context is of."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


def translate_help(command: click.Command) -> None:
    """Put the help of a command, its arguments, options and inner commands into the language that is set.

    A text that is no Chinese one any more stays as it is.
    """
    if command.help:
        command.help = tr(inspect.cleandoc(command.help))
    for parameter in command.params:
        if parameter.metavar:
            parameter.metavar = tr(parameter.metavar)
        if isinstance(parameter, click.Option):
            parameter.help = parameter.help and tr(parameter.help)
            parameter.prompt = parameter.prompt and tr(parameter.prompt)
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            translate_help(inner)


def texts_of(command: click.Command) -> Iterator[str]:
    """Yield the texts that translate_help() puts into another language, those of inner commands left out."""
    if command.help:
        yield inspect.cleandoc(command.help)
    if isinstance(command, LazyGroup):
        yield from command.purposes.values()
    if isinstance(command, DefaultGroup):
        yield from texts_of(command.default_command())
    for parameter in command.params:
        prompt = getattr(parameter, "prompt", None)
        yield from filter(None, (parameter.metavar, getattr(parameter, "help", None), prompt))


def show_help_alone(ctx: click.Context) -> int:
    """Show the help of a group that was called without a subcommand; return the exit code."""
    if ctx.invoked_subcommand is not None:
        return 0
    click.echo(ctx.get_help())
    return 2
