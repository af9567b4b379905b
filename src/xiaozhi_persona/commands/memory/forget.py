"""`xiaozhi-persona memory forget`: a range, a person, a fact, or all, gone from the disk."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.memory.common import now_option, opened, owner_of, owner_option, read_time
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.memory.forget import (
    Forgotten,
    Marked,
    forget_all,
    forget_marked,
    mark_facts,
    mark_mention,
    mark_range,
    scrub,
    told_by,
)
from xiaozhi_persona.memory.store import DamagedStore, OwnerStore, delete_owner, owner_folder
from xiaozhi_persona.memory.time_words import find_ranges


@click.command("forget")
@owner_option
@now_option
@click.option("--when", metavar="话", help="这段时间说的，如“昨天下午”")
@click.option("--from", "start", metavar="时间", help="从这时起说的（ISO，当地时间）")
@click.option("--to", "end", metavar="时间", help="到这时为止说的，不含；默认为现在；和 --from 一起用")
@click.option("--about", metavar="人或事", help="提到它的，和关于它的事实")
@click.option(
    "--fact", "fact_ids", type=int, multiple=True, metavar="编号", help="一件事实，连同说出它的那句话"
)
@click.option("--all", "everything", is_flag=True, help="全部")
@click.option("--yes", is_flag=True, help="不再问一遍")
@common_options
def command(
    owner: str | None,
    now: datetime,
    when: str | None,
    start: str | None,
    end: str | None,
    about: str | None,
    fact_ids: tuple[int, ...],
    everything: bool,
    yes: bool,
    config: Path | None,
    as_json: bool,
    debug: bool,
) -> None:
    """忘掉一段时间、一个人、一件事或全部：从硬盘上抹去，找不回来。"""
    settings = prepare(config, debug)
    asked = [bool(choice) for choice in (when, start, about, fact_ids, everything)]
    if sum(asked) != 1:
        raise SettingsError(tr("说明忘掉什么：--when、--from、--about、--fact、--all 中的一个。"))
    if end and not start:
        raise SettingsError(tr("--to 要和 --from 一起用：从什么时间起说的。"))
    owner = owner_of(settings, owner)
    asks = not yes and not as_json
    try:
        with opened(settings, owner, "change") as store:
            store.append([])  # takes in what waits to be written
            marked = None if everything else _marked(store, now, when, start, end, about, fact_ids)
            turns, known = _counts(store, marked)
            if asks and (turns or known):
                click.confirm(
                    tr(
                        "要忘掉 {turns} 条谈话和 {known} 件事实，找不回来，确定吗？", turns=turns, known=known
                    ),
                    abort=True,
                )
            gone = forget_marked(store, marked) if marked else forget_all(store)
            scrub(store)
    except DamagedStore:
        if not everything:
            raise
        if asks:
            click.confirm(tr("数据库坏了，数不出有多少。全部删掉，找不回来，确定吗？"), abort=True)
        gone = Forgotten()
        delete_owner(owner_folder(settings.memory_dir, owner))
    if as_json:
        print_json({"turns": gone.turns, "facts": gone.facts})
        return
    what = tr("{turns} 条谈话和 {facts} 件事实。", turns=gone.turns, facts=gone.facts)
    click.echo(tr("全部忘掉了：{what}", what=what) if everything else tr("忘掉了 {what}", what=what))


def _marked(
    store: OwnerStore,
    now: datetime,
    when: str | None,
    start: str | None,
    end: str | None,
    about: str | None,
    fact_ids: tuple[int, ...],
) -> Marked:
    if when:
        ranges = find_ranges(when, now.replace(tzinfo=None))
        if not ranges:
            raise SettingsError(tr("{when!r} 里没有听出时间。可以用 --from 和 --to 写明。", when=when))
        marked = Marked()
        for part in ranges:
            local = (part.start.replace(tzinfo=now.tzinfo), part.end.replace(tzinfo=now.tzinfo))
            marked += mark_range(store.writer, *local)
        return marked
    if start:
        last = read_time(end) if end else now
        return mark_range(store.writer, read_time(start), last)
    return mark_mention(store.writer, about) if about else mark_facts(store.writer, fact_ids)


def _counts(store: OwnerStore, marked: Marked | None) -> tuple[int, int]:
    """Return how many turns and facts, at most, would be forgotten; None stands for all."""
    if marked is None:
        return diary.count(store.writer), len(reading.everything(store.writer))
    return len(set(marked.seqs)), len({*marked.fact_ids, *told_by(store.writer, marked.seqs)})
