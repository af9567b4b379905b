"""`xiaozhi-persona devices rename`: a name by which people know a device."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from xiaozhi_persona.bridge.admission.devices import Devices
from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.device_ids import normal_id
from xiaozhi_persona.language import tr


@click.command("rename")
@click.argument("device_id", metavar="编号")
@click.argument("name", metavar="名字")
@common_options
def command(device_id: str, name: str, config: Path | None, as_json: bool, debug: bool) -> None:
    """给一台设备起名，devices list 里看得到。"""
    settings = prepare(config, debug)
    device_id, name = normal_id(device_id), "".join(c for c in name if c.isprintable()).strip()[:40]
    with contextlib.closing(Devices(settings.data_dir)) as devices:
        devices.rename(device_id, name)
    if as_json:
        print_json({"id": device_id, "name": name})
    else:
        click.echo(tr("{device_id} 叫 {name} 了。", device_id=device_id, name=name))
