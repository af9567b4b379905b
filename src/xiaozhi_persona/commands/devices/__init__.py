"""`xiaozhi-persona devices`: who may use the bridge. Each subcommand is a module of this folder."""

from __future__ import annotations

import click

from xiaozhi_persona.commands.lazy_group import LazyGroup, show_help_alone

_SUBCOMMANDS = {
    "list": "来过的设备，等着批准的设备和它们的配对码",
    "approve": "批准一台设备：它的配对码",
    "forget": "忘掉一台设备：它的令牌作废，再来要批准",
    "rename": "给一台设备起名",
}


@click.command(
    "devices",
    cls=LazyGroup,
    purposes=_SUBCOMMANDS,
    module_prefix="xiaozhi_persona.commands.devices.",
    invoke_without_command=True,
)
@click.pass_context
def command(ctx: click.Context) -> int:
    """设备：列出、批准、忘掉、起名。桥在不在运行都可以。"""
    return show_help_alone(ctx)
