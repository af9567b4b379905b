"""`xiaozhi-persona memory rebuild`: every index anew from the turns."""

from __future__ import annotations

import time
from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.memory.common import opened, owner_option
from xiaozhi_persona.language import tr


@click.command("rebuild")
@owner_option
@common_options
def command(owner: str | None, config: Path | None, as_json: bool, debug: bool) -> None:
    """由谈话记录重建全文索引和日期索引。"""
    settings = prepare(config, debug)
    with opened(settings, owner, "change") as store:
        started = time.perf_counter()
        turns = store.rebuild()
        seconds = time.perf_counter() - started
        problems = store.check()
    if as_json:
        print_json({"turns": turns, "seconds": round(seconds, 3), "problems": problems})
    else:
        click.echo(tr("重建了 {turns} 条谈话的索引，用了 {seconds:.1f} 秒。", turns=turns, seconds=seconds))
        for problem in problems:
            click.echo(tr("数据库有问题：{problem}", problem=problem), err=True)
