"""`xiaozhi-persona talk`: a device; and what its machine needs for that. Each subcommand is a module of this folder."""

from __future__ import annotations

import click

from xiaozhi_persona.commands.lazy_group import DefaultGroup

_SUBCOMMANDS = {
    "check": "检查话筒和喇叭：录 3 秒放出来，量音量、噪声和回声",
    "install-service": "开机自动运行 talk（systemd 用户服务）",
    "uninstall-service": "不再开机自动运行",
}


@click.command(
    "talk",
    cls=DefaultGroup,
    default="converse",
    purposes=_SUBCOMMANDS,
    module_prefix="xiaozhi_persona.commands.talk.",
)
def command() -> None:
    """当一台设备，和服务器说话。"""
