"""`xiaozhi-persona memory recall`: what a question brings back."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.memory.common import now_option, opened, owner_option
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.draft import Draft
from xiaozhi_persona.memory.recall import recall
from xiaozhi_persona.memory.transfer import turn_json


@click.command("recall")
@click.argument("text")
@owner_option
@now_option
@common_options
def command(
    text: str, owner: str | None, now: datetime, config: Path | None, as_json: bool, debug: bool
) -> None:
    """一个问题会让它想起什么：和对话模型看到的一样。"""
    settings = prepare(config, debug)
    draft = Draft()
    with opened(settings, owner) as store:
        started = time.perf_counter()
        recall(store.reader, text, now, draft, max_tokens=settings.memory.recall_tokens)
        took_ms = (time.perf_counter() - started) * 1000
    if as_json:
        print_json(
            {
                "text": draft.text,
                "ranges": [
                    {
                        "start": part.start.isoformat(),
                        "end": part.end.isoformat(),
                        "text": part.text,
                        "granularity": part.granularity,
                    }
                    for part in draft.ranges
                ],
                "turns_in_range": draft.turns_in_range,
                "items": [turn_json(turn) for turn in draft.turns],
                "facts": [asdict(fact) for fact in draft.facts],
                "took_ms": round(took_ms, 2),
            }
        )
    else:
        click.echo(draft.text or tr("（没有想起什么）"))
