"""`xiaozhi-persona memory search`: turns by their words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from xiaozhi_persona.commands.common import common_options, input_lines, prepare, print_json
from xiaozhi_persona.commands.memory.common import opened, owner_option
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory import diary, text_index
from xiaozhi_persona.memory.store import OwnerStore
from xiaozhi_persona.memory.transfer import turn_json
from xiaozhi_persona.memory.who_spoke import said_by
from xiaozhi_persona.memory.words import query_terms


@click.command("search")
@click.argument("text", required=False)
@owner_option
@click.option("--k", type=click.IntRange(1, 1000), default=10, show_default=True, help="最多几条")
@click.option("--jsonl", is_flag=True, help='从标准输入读 {"id","q"} 行，每行写出 {"id","hits"}')
@click.option("--neighbours/--no-neighbours", default=True, show_default=True, help="前后两句里的词算不算")
@common_options
def command(
    text: str | None,
    owner: str | None,
    k: int,
    jsonl: bool,
    neighbours: bool,
    config: Path | None,
    as_json: bool,
    debug: bool,
) -> None:
    """按词查找说过的话，最相关的在前。"""
    settings = prepare(config, debug)
    if (text is None) != jsonl:
        raise SettingsError(tr("写出要找的话，或者用 --jsonl 从标准输入读。"))
    with opened(settings, owner) as store:
        if text is not None:
            hits = _search(store, text, k, neighbours)
            if as_json:
                print_json({"hits": hits})
                return
            for hit in hits:
                click.echo(f"{hit['at'][:16].replace('T', ' ')}  {hit['score']:6.2f}  {hit['text']}")
            if not hits:
                click.echo(tr("（没有找到）"))
            return
        for number, line in enumerate(input_lines(), 1):
            if not line.strip():
                continue
            try:
                asked = json.loads(line)
                query = str(asked["q"])
            except (ValueError, KeyError, TypeError) as exc:
                raise SettingsError(
                    tr('标准输入第 {number} 行不是 {{"id": …, "q": …}}。', number=number)
                ) from exc
            print_json({"id": asked.get("id"), "hits": _search(store, query, k, neighbours)})


def _search(store: OwnerStore, text: str, k: int, neighbours: bool) -> list[dict[str, Any]]:
    terms = query_terms(diary.storable(text))
    hits = text_index.search(store.reader, terms, k, said_by=said_by(text), neighbours=neighbours)
    turns = diary.by_seq(store.reader, [hit.seq for hit in hits])
    shown = []
    for hit in hits:
        turn = turn_json(turns[hit.seq])
        shown.append({"id": turn["id"], "score": hit.score, "at": turn["at"], "text": turn["text"]})
    return shown
