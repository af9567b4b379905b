"""`xiaozhi-persona memory diary`: what the chat model wrote of the days and months."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.memory.common import now_option, opened, owner_option
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory import digests


@click.command("diary")
@owner_option
@click.option("--month", metavar="2026-11", help="哪个月，默认这个月")
@now_option
@common_options
def command(
    owner: str | None, month: str | None, now: datetime, config: Path | None, as_json: bool, debug: bool
) -> None:
    """对话模型把每天的谈话写成的日记。"""
    settings = prepare(config, debug)
    start = (
        _month(month) if month else now.replace(tzinfo=None, day=1, hour=0, minute=0, second=0, microsecond=0)
    )
    end = (start + timedelta(days=32)).replace(day=1)
    with opened(settings, owner) as store:
        entries = [
            *digests.between(store.reader, "month", start, end),
            *digests.between(store.reader, "day", start, end),
        ]
    if as_json:
        for entry in entries:
            print_json({"kind": entry.kind, "start": f"{entry.start:%Y-%m-%d}", "text": entry.text})
    elif entries:
        click.echo(digests.shown(entries))
    else:
        click.echo(
            tr(
                "（{month} 没有日记。接了对话模型，一天过去以后、再说话又安静下来时才写）",
                month=f"{start:%Y-%m}",
            )
        )


def _month(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m")
    except ValueError as exc:
        raise SettingsError(tr("{text} 不是月份。写成 2026-11。", text=text)) from exc
