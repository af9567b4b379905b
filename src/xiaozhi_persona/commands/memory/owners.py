"""`xiaozhi-persona memory owners`: whose memories there are."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from xiaozhi_persona.bridge.admission.devices import FILE, Devices
from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.memory.common import NONE_YET, devices_of
from xiaozhi_persona.commands.tables import print_table
from xiaozhi_persona.device_ids import ROLE_MARK
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.roster import stored_memories
from xiaozhi_persona.settings import Settings


@click.command("owners")
@common_options
def command(config: Path | None, as_json: bool, debug: bool) -> None:
    """有谁的记忆：主人、他的设备和它们的名字、多少谈话和事实、最近什么时候说过话。"""
    settings = prepare(config, debug)
    memories = stored_memories(settings.memory_dir)
    names = _names(settings)
    rows = []
    for one in memories:
        owner, _, role = one.owner_id.partition(ROLE_MARK)
        devices = devices_of(settings, owner)
        called = [names[device] for device in (owner, *devices) if names.get(device)]
        if as_json:
            last = one.last.isoformat(timespec="seconds") if one.last else None
            counts = {"turns": one.turns, "facts": one.facts, "last": last}
            data = {"owner": one.owner_id, "role": role, "devices": devices, "names": called, **counts}
            print_json({**data, "folder": str(one.folder), "problem": one.problem})
        elif not one.problem:
            at = f"{one.last:%Y-%m-%d %H:%M}" if one.last else ""
            told = [one.owner_id, tr("、").join(devices), tr("、").join(called)]
            rows.append([*told, str(one.turns), str(one.facts), at])
    if as_json:
        return
    if not memories:
        click.echo(tr(NONE_YET, folder=settings.memory_dir))
    if rows:
        print_table(
            [tr("主人"), tr("设备"), tr("名字"), tr("谈话"), tr("事实"), tr("最近说话")],
            rows,
            right=(tr("谈话"), tr("事实")),
        )
    if any(ROLE_MARK in one.owner_id for one in memories):
        click.echo(tr("{mark} 后面是角色：它自己的一份记忆，用 --owner 时照样写。", mark=ROLE_MARK))
    for one in memories:
        if one.problem:
            click.echo(tr("{folder} 读不了：{problem}", folder=one.folder, problem=one.problem))


def _names(settings: Settings) -> dict[str, str]:
    """Return the names that devices were given, by id; none where their file is not there or cannot be read."""
    if (settings.data_dir / FILE).is_file():
        with (
            contextlib.suppress(PersonaError),
            contextlib.closing(Devices(settings.data_dir, copy_if_unwritable=True)) as devices,
        ):
            return {device.id: device.name for device in devices.everybody()}
    return {}
