"""`xiaozhi-persona memory import`: turns from a JSONL file, or the memory of another program."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.memory.common import devices_of, opened, owner_option
from xiaozhi_persona.device_ids import normal_id
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.memory.importers import import_yaml
from xiaozhi_persona.memory.store import OwnerStore
from xiaozhi_persona.memory.transfer import Imported, import_lines
from xiaozhi_persona.text_files import file_lines


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@owner_option
@common_options
def command(file: Path, owner: str | None, config: Path | None, as_json: bool, debug: bool) -> None:
    """导入谈话记录；id 已经有的不会改动，除非以前导入时弄坏了。

    FILE 是 JSONL（每行 {"id","at","who","text","speaker"?}）、小智服务器的 .memory.yaml、MoeChat 的日记或核心记忆，
    也可以是放着这些文件的文件夹。
    """
    settings = prepare(config, debug)
    files = _files(file)
    with opened(settings, owner, "make") as store:
        devices = {
            store.owner_id,
            *devices_of(settings, store.owner_id),
            *([normal_id(owner)] if owner else []),
        }
        before = _counts(store)
        done = [_import(store, path, devices, as_json) for path in files]
        turns, known = (after - old for after, old in zip(_counts(store), before, strict=True))
    new, repaired, damaged = (sum(counts) for counts in zip(*done, strict=True))
    if as_json:
        counts = {"files": len(files), "new": new, "turns": turns, "facts": known}
        print_json({**counts, "repaired": repaired, "damaged": damaged})
        return
    click.echo(
        tr(
            "导入了 {count} 个文件，新的有 {turns} 条谈话、{known} 件事实。",
            count=len(files),
            turns=turns,
            known=known,
        )
    )
    if repaired:
        click.echo(tr("修好了以前导入时弄坏的 {repaired} 处。", repaired=repaired))
    if damaged:
        click.echo(
            tr(
                "文件里有 {damaged} 行是坏的（有 � 的字），多半被别的程序用错的编码存过。"
                "找到好的文件再导入一次，这些就会修好。",
                damaged=damaged,
            ),
            err=True,
        )


def _counts(store: OwnerStore) -> tuple[int, int]:
    """Return how many turns and facts there are."""
    return diary.count(store.writer), len(reading.everything(store.writer))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(
            item for item in path.rglob("*") if item.suffix in (".jsonl", ".yaml", ".yml") and item.is_file()
        )
        if not files:
            raise SettingsError(tr("{path} 里没有 .jsonl 或 .yaml 文件。", path=path))
        return files
    if not path.is_file():
        raise SettingsError(tr("没有文件 {path}。请检查路径。", path=path))
    return [path]


def _import(store: OwnerStore, file: Path, devices: set[str], quiet: bool) -> tuple[int, int, int]:
    """Return how many were new, how many were repaired, and how many lines are damaged in the file itself."""
    if file.suffix in (".yaml", ".yml"):
        return import_yaml(store, file, devices), 0, 0
    told = Imported(0, 0, 0, 0)
    with click.progressbar(
        length=file.stat().st_size, label=file.name, file=sys.stderr, hidden=quiet or not sys.stderr.isatty()
    ) as bar:
        for so_far in import_lines(store, file_lines(file, bar.update), file.name):
            told = so_far
    return told.new, told.repaired, told.damaged
