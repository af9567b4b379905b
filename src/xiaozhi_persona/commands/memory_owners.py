"""`xiaozhi-persona memory owners`: whose memories there are."""

from __future__ import annotations

from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.memory_common import NONE_YET, devices_of
from xiaozhi_persona.commands.tables import print_table
from xiaozhi_persona.memory.roster import stored_memories


@click.command("owners")
@common_options
def command(config: Path | None, as_json: bool, debug: bool) -> None:
    """有谁的记忆：主人、他的设备、多少谈话和事实、最近什么时候说过话。"""
    settings = prepare(config, debug)
    memories = stored_memories(settings.memory_dir)
    rows = []
    for one in memories:
        devices = devices_of(settings, one.owner_id)
        if as_json:
            last = one.last.isoformat(timespec="seconds") if one.last else None
            data = {"owner": one.owner_id, "devices": devices, "turns": one.turns, "facts": one.facts}
            print_json({**data, "last": last, "folder": str(one.folder), "problem": one.problem})
        elif not one.problem:
            at = f"{one.last:%Y-%m-%d %H:%M}" if one.last else ""
            rows.append([one.owner_id, "、".join(devices), str(one.turns), str(one.facts), at])
    if as_json:
        return
    if not memories:
        click.echo(NONE_YET.format(settings.memory_dir))
    if rows:
        print_table(["主人", "设备", "谈话", "事实", "最近说话"], rows, right=("谈话", "事实"))
    for one in memories:
        if one.problem:
            click.echo(f"{one.folder} 读不了：{one.problem}")
