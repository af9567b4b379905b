"""`xiaozhi-persona memory stats`: how much there is, and how it is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.memory.common import opened, owner_option
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory import diary, text_index, wall_clock
from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.memory.wall_clock import DAY_MS

_PLOT_DAYS = 60
_BARS = " ▁▂▃▄▅▆▇█"


@click.command("stats")
@owner_option
@common_options
def command(owner: str | None, config: Path | None, as_json: bool, debug: bool) -> None:
    """有多少谈话、事实和日子，占多大地方，索引好不好，每天多少条。"""
    settings = prepare(config, debug)
    with opened(settings, owner) as store:
        db = store.writer
        days = dict(db.execute("select day, turns from day order by day").fetchall())
        known = reading.everything(db)
        sizes, problems = store.sizes(), store.check()
        data = {
            "owner": store.owner_id,
            "turns": diary.count(db),
            "facts": sum(fact.valid_to_ms is None for fact in known),
            "facts_past": sum(fact.valid_to_ms is not None for fact in known),
            "days": len(days),
            "first_day": _date(min(days)) if days else None,
            "last_day": _date(max(days)) if days else None,
            "index": text_index.state(db),
            "problems": problems,
            "off_record": store.off_record,
            "folder": str(store.folder),
            "bytes": sizes,
        }
    if as_json:
        print_json({**data, "turns_per_day": {_date(day): turns for day, turns in days.items()}})
        return
    click.echo(tr("主人 {value}", value=data["owner"]))
    span = tr("（{value} 到 {value2}）", value=data["first_day"], value2=data["last_day"]) if days else ""
    click.echo(tr("谈话 {value} 条，{count} 天{span}", value=data["turns"], count=len(days), span=span))
    click.echo(
        tr("事实 {value} 件，另有 {value2} 件不再成立", value=data["facts"], value2=data["facts_past"])
    )
    click.echo(
        tr("索引 {value}；数据库 {value2}", value=data["index"], value2=tr("、").join(problems) or tr("完好"))
    )
    if data["off_record"]:
        click.echo(tr("现在不记：主人说过这段不要记"))
    click.echo(tr("文件 {value:.1f} MB，在 {folder}", value=sum(sizes.values()) / 1e6, folder=store.folder))
    if days:
        click.echo(_plot(days))


def _plot(days: dict[int, int]) -> str:
    """Return a line of bars, one for each of the last days."""
    last = max(days)
    first = max(min(days), last - _PLOT_DAYS + 1)
    counts = [days.get(day, 0) for day in range(first, last + 1)]
    most = max(counts)
    bars = "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in counts)
    return tr(
        "每天的条数（最多 {most}）\n{date} |{bars}| {date2}",
        most=most,
        date=_date(first),
        bars=bars,
        date2=_date(last),
    )


def _date(day: int) -> str:
    return f"{wall_clock.EPOCH + timedelta(milliseconds=day * DAY_MS):%Y-%m-%d}"
