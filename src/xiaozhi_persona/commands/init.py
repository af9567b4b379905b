"""`xiaozhi-persona init`: a data/.config.yaml with the settings that people change first."""

from __future__ import annotations

from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, print_json
from xiaozhi_persona.commands.own_settings import own_file, write_own
from xiaozhi_persona.config import render_own
from xiaozhi_persona.language import tr
from xiaozhi_persona.settings_files import find_files


@click.command("init")
@common_options
def command(config: Path | None, as_json: bool, debug: bool) -> None:
    """写出你自己的设置文件 data/.config.yaml，里面是人们最先要改的几项。已有的文件不会改动。"""
    file = own_file(find_files(config))
    is_new = not file.exists()
    if is_new:
        write_own(file, render_own())
    if as_json:
        print_json({"file": str(file), "new": is_new})
    else:
        click.echo(tr("已写出 {file}", file=file) if is_new else tr("已经有 {file}，没有改动它", file=file))
