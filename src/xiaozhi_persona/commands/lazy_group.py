"""A group of subcommands, each a module of its own that is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """Finds its subcommands by name without importing them. Each module has its command as `command`."""

    def __init__(self, *, purposes: Mapping[str, str], module_prefix: str, **more: Any) -> None:
        """`purposes` tells for each name what it is for; its module is `module_prefix` and the name."""
        super().__init__(**more)
        self._purposes = purposes
        self._module_prefix = module_prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `purposes`."""
        return list(self._purposes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand; None for a name that is not there."""
        if cmd_name not in self._purposes:
            return None
        command: click.Command = importlib.import_module(self._module_prefix + cmd_name).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of `--help`."""
        with formatter.section("命令"):
            formatter.write_dl(list(self._purposes.items()))


def show_help_alone(ctx: click.Context) -> int:
    """Show the help of a group that was called without a subcommand; return the exit code."""
    if ctx.invoked_subcommand is not None:
        return 0
    click.echo(ctx.get_help())
    return 2
