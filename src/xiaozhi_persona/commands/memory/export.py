"""`xiaozhi-persona memory export`: a memory as JSON lines."""

from __future__ import annotations

from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.memory.common import opened, owner_option
from xiaozhi_persona.errors import PersonaError, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.transfer import export_lines


@click.command("export")
@owner_option
@click.option("--out", type=click.Path(path_type=Path), help="写到这个文件，默认写到标准输出")
@common_options
def command(owner: str | None, out: Path | None, config: Path | None, as_json: bool, debug: bool) -> None:
    """导出为 JSONL，可以用 memory import 再导入。"""
    settings = prepare(config, debug)
    with opened(settings, owner) as store:
        if out is None:
            for line in export_lines(store.reader):
                click.echo(line)
            return
        written = 0
        try:
            with out.open("x", encoding="utf-8", newline="\n") as file:
                for line in export_lines(store.reader):
                    file.write(line + "\n")
                    written += 1
        except FileExistsError as exc:
            raise SettingsError(tr("已经有 {out}，没有改动它。请换一个名字。", out=out)) from exc
        except OSError as exc:
            raise PersonaError(tr("写不了 {out}：{exc}。请换一个能写的地方。", out=out, exc=exc)) from exc
    if as_json:
        print_json({"file": str(out), "lines": written})
    else:
        click.echo(tr("已写出 {out}，{written} 行。", out=out, written=written))
