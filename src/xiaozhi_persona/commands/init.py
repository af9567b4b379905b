"""`xiaozhi-persona init`: a config.yaml with every setting, its default and what it is for."""

from __future__ import annotations

from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, default_file, print_json
from xiaozhi_persona.config import render
from xiaozhi_persona.errors import SettingsError


@click.command("init")
@common_options
def command(config: Path | None, as_json: bool, debug: bool) -> None:
    """写出一份 config.yaml，里面有每一项设置的默认值和说明。已有的文件不会改动。"""
    file = config or default_file()
    try:
        with file.open("x", encoding="utf-8") as output:
            output.write(render())
    except FileExistsError as exc:
        raise SettingsError(
            f"已经有 {file}，没有改动它。要一份新的，先把它移走，或用 --config 写到别处。"
        ) from exc
    except OSError as exc:
        raise SettingsError(f"写不了 {file}：{exc}。用 --config 换一个能写的地方。") from exc
    if as_json:
        print_json({"file": str(file)})
    else:
        click.echo(f"已写出 {file}")
