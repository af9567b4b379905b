"""`xiaozhi-persona talk uninstall-service`."""

from __future__ import annotations

from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.talk.service import UNIT, require_systemd, systemctl, unit_file
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr


@click.command("uninstall-service")
@common_options
def command(config: Path | None, as_json: bool, debug: bool) -> None:
    """停掉 talk 的 systemd 用户服务，删掉它。"""
    prepare(config, debug)
    require_systemd()
    file = unit_file()
    was_there = file.exists()
    if was_there:
        systemctl("disable", "--now", UNIT)
        try:
            file.unlink(missing_ok=True)
        except OSError as exc:
            raise PersonaError(
                tr("删不了 {file}（{reason}）。请检查文件夹的权限", file=file, reason=exc.strerror)
            ) from exc
        systemctl("daemon-reload")
    if as_json:
        print_json({"unit": str(file), "removed": was_there})
    elif was_there:
        click.echo(tr("服务已经停掉，删掉了 {file}", file=file))
    else:
        click.echo(tr("没有装过这个服务（没有 {file}）", file=file))
