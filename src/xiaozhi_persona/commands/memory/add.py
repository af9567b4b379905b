"""`xiaozhi-persona memory add`: one turn into a memory."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.memory.common import opened, owner_option, read_time
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.transfer import turn_json
from xiaozhi_persona.spine import Turn


@click.command("add")
@click.argument("text")
@owner_option
@click.option(
    "--who", type=click.Choice(["user", "assistant"]), default="user", show_default=True, help="谁说的"
)
@click.option(
    "--at", callback=lambda ctx, param, value: read_time(value), help="什么时候说的（ISO），默认为此刻"
)
@click.option("--speaker", default="", help="说话的人，认得出时")
@common_options
def command(
    text: str,
    owner: str | None,
    who: Literal["user", "assistant"],
    at: datetime,
    speaker: str,
    config: Path | None,
    as_json: bool,
    debug: bool,
) -> None:
    """记下一句话。"""
    settings = prepare(config, debug)
    turn = diary.entry(Turn(who, text, at), speaker=speaker)
    with opened(settings, owner, "make") as store:
        new = store.append([turn])
    if as_json:
        print_json({**turn_json(turn), "new": bool(new)})
    else:
        click.echo(tr("记下了。") if new else tr("已经有这一句了，没有改动。"))
