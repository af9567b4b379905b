"""`xiaozhi-persona devices forget`: a device that was sold, lost or broken."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from xiaozhi_persona.bridge.admission.devices import Devices
from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.device_ids import normal_id
from xiaozhi_persona.errors import own_command
from xiaozhi_persona.language import tr


@click.command("forget")
@click.argument("device_id", metavar="编号")
@common_options
def command(device_id: str, config: Path | None, as_json: bool, debug: bool) -> None:
    """忘掉一台设备：它的令牌作废，用这个编号再来的要批准。记忆还在，要删用 memory forget。"""
    settings = prepare(config, debug)
    device_id = normal_id(device_id)
    with contextlib.closing(Devices(settings.data_dir)) as devices:
        devices.forget(device_id)
    if as_json:
        print_json({"forgotten": device_id})
    else:
        click.echo(
            tr(
                "忘掉了 {device_id}。它的记忆还在，要删：{command}",
                device_id=device_id,
                command=own_command(f"memory forget --owner {device_id} --all"),
            )
        )
