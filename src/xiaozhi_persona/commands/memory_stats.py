"""`xiaozhi-persona memory stats`: how much there is, and how it is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.memory_common import opened, owner_option
from xiaozhi_persona.memory import diary, facts, text_index
from xiaozhi_persona.memory.diary import DAY_MS
from xiaozhi_persona.memory.store import owner_folder

_PLOT_DAYS = 60
_BARS = " ▁▂▃▄▅▆▇█"


@click.command("stats")
@owner_option
@common_options
def command(owner: str | None, config: Path | None, as_json: bool, debug: bool) -> None:
    """有多少谈话、事实和日子，占多大地方，索引好不好，每天多少条。"""
    settings = prepare(config, debug)
    with opened(settings, owner) as store:
        folder = owner_folder(settings.memory_dir, store.owner_id)
        db = store.writer
        days = dict(db.execute("select day, turns from day order by day").fetchall())
        known = facts.everything(db)
        sizes = store.sizes()
        data = {
            "owner": store.owner_id,
            "turns": diary.count(db),
            "facts": sum(fact.valid_to_ms is None for fact in known),
            "facts_past": sum(fact.valid_to_ms is not None for fact in known),
            "days": len(days),
            "first_day": _date(min(days)) if days else None,
            "last_day": _date(max(days)) if days else None,
            "index": text_index.state(db),
            "problems": store.check(),
            "off_record": store.off_record,
            "folder": str(folder),
            "bytes": sizes,
        }
    if as_json:
        print_json({**data, "turns_per_day": {_date(day): turns for day, turns in days.items()}})
        return
    click.echo(f"主人 {data['owner']}")
    span = f"（{data['first_day']} 到 {data['last_day']}）" if days else ""
    click.echo(f"谈话 {data['turns']} 条，{len(days)} 天{span}")
    click.echo(f"事实 {data['facts']} 件，另有 {data['facts_past']} 件不再成立")
    click.echo(f"索引 {data['index']}；数据库 {'、'.join(data['problems']) or '完好'}")  # type: ignore[arg-type]
    if data["off_record"]:
        click.echo("现在不记：主人说过这段不要记")
    click.echo(f"文件 {sum(sizes.values()) / 1e6:.1f} MB，在 {folder}")
    if days:
        click.echo(_plot(days))


def _plot(days: dict[int, int]) -> str:
    """Return a line of bars, one for each of the last days."""
    last = max(days)
    first = max(min(days), last - _PLOT_DAYS + 1)
    counts = [days.get(day, 0) for day in range(first, last + 1)]
    most = max(counts)
    bars = "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in counts)
    return f"每天的条数（最多 {most}）\n{_date(first)} |{bars}| {_date(last)}"


def _date(day: int) -> str:
    return f"{diary.EPOCH + timedelta(milliseconds=day * DAY_MS):%Y-%m-%d}"
