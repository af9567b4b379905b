"""`xiaozhi-persona devices list`: who was here, and who waits."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path

import click

from xiaozhi_persona.bridge.admission.devices import Devices
from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.tables import print_table
from xiaozhi_persona.language import later, tr

_STATES = {
    "new": later("没有绑定"),
    "bound": later("已绑定"),
    "paired": later("已批准"),
    "forgotten": later("忘掉了"),
}


@click.command("list")
@common_options
def command(config: Path | None, as_json: bool, debug: bool) -> None:
    """列出来过的设备：编号、名字、状态、地址、最近一次来的时间；等着批准的有配对码。"""
    settings = prepare(config, debug)
    with contextlib.closing(Devices(settings.data_dir, copy_if_unwritable=True)) as devices:
        known, waiting = devices.everybody(), devices.waiting()
    codes = {device.id: [one.code for one in waiting if one.device == device.id] for device in known}
    if as_json:
        for device in known:
            print_json(
                {
                    "id": device.id,
                    "name": device.name,
                    "state": device.state,
                    "address": device.address,
                    "last_seen": _when(device.last_seen_s),
                    "codes": codes[device.id],
                }
            )
        return
    if not known:
        click.echo(tr("还没有设备来过。让设备连接 serve 打印的地址。"))
        return
    rows = []
    for device in known:
        state, last = tr(_STATES[device.state]), _when(device.last_seen_s)[:16]
        rows.append([device.id, device.name, state, device.address, last, tr("、").join(codes[device.id])])
    print_table([tr("编号"), tr("名字"), tr("状态"), tr("地址"), tr("最近"), tr("等着的配对码")], rows)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")
