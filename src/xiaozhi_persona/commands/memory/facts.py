"""`xiaozhi-persona memory facts`: what is known about an owner, to look at and to correct."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.memory.common import now_option, opened, owner_option
from xiaozhi_persona.commands.tables import print_table
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory import diary, wall_clock
from xiaozhi_persona.memory.facts import kinds, reading, writing
from xiaozhi_persona.memory.forget import forget_facts, scrub
from xiaozhi_persona.memory.second_reader import MODEL_CONFIDENCE


@click.command("facts")
@owner_option
@now_option
@click.option("--all", "everything", is_flag=True, help="也列出不再成立的")
@click.option("--correct", nargs=2, metavar="编号 新值", help="改正一件事；原来的留作历史")
@click.option(
    "--delete", "deleted", type=int, multiple=True, metavar="编号", help="删掉一件事，连同说出它的那句话"
)
@common_options
def command(
    owner: str | None,
    now: datetime,
    everything: bool,
    correct: tuple[str, str] | None,
    deleted: tuple[int, ...],
    config: Path | None,
    as_json: bool,
    debug: bool,
) -> None:
    """记住的事实：列出、改正、删除。"""
    settings = prepare(config, debug)
    with opened(settings, owner, "change" if correct or deleted else "read") as store:
        if correct:
            with store.transaction() as db:
                found = correct[0].isdecimal() and writing.correct(
                    db, int(correct[0]), correct[1], diary.to_ms(now)
                )
            if not found:
                raise SettingsError(tr("没有编号 {value}。用 memory facts 看看有哪些。", value=correct[0]))
        if deleted:
            if not forget_facts(store, deleted).facts:
                raise SettingsError(tr("没有编号 {value}。用 memory facts 看看有哪些。", value=deleted[0]))
            scrub(store)
        known = (
            reading.everything(store.writer)
            if everything
            else reading.current(store.writer, diary.to_ms(now))
        )
    if as_json:
        for fact in known:
            print_json(_json(fact, now))
        return
    if not known:
        click.echo(tr("（还没有记住什么事实）"))
        return
    rows = []
    for fact in known:
        data = _json(fact, now)
        when = f" {data['starts'][:16].replace('T', ' ')}" if data["starts"] else ""
        rows.append(
            [
                str(fact.id),
                fact.subject,
                fact.attribute,
                f"{fact.value}{when}",
                (data["valid_from"] or "")[:10],
                (data["valid_to"] or "")[:10],
                _found_by(fact),
                fact.source[:12],
            ]
        )
    print_table(
        [tr("编号"), tr("谁"), tr("什么"), tr("值"), tr("从"), tr("到"), tr("谁认出的"), tr("出自")],
        rows,
        wraps=(tr("值"),),
        right=(tr("编号"),),
    )


def _found_by(fact: kinds.Fact) -> str:
    if fact.pinned or not fact.source:
        return tr("手工")
    return tr("对话模型") if fact.confidence == MODEL_CONFIDENCE else tr("规则")


def _json(fact: kinds.Fact, now: datetime) -> dict[str, Any]:
    data = asdict(fact)
    offset = (now.utcoffset() or timedelta()) // timedelta(minutes=1)
    for key in ("valid_from_ms", "valid_to_ms"):
        value = data.pop(key)
        known = value is not None and not (key == "valid_from_ms" and value == writing.UNKNOWN_MS)
        data[key[:-3]] = wall_clock.from_local_ms(value + offset * 60_000).isoformat() if known else None
    for key in ("starts_ms", "ends_ms"):
        value = data.pop(key)
        data[key[:-3]] = wall_clock.from_local_ms(value).isoformat() if value is not None else None
    return data
