"""`xiaozhi-persona talk install-service`."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.talk import converse
from xiaozhi_persona.commands.talk.service import (
    UNIT,
    lingers,
    require_systemd,
    systemctl,
    unit_file,
    unit_text,
    write_unit,
)
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr

_OURS = ("XZP_", "XIAOZHI_PERSONA_")
"""How the variables begin that settings and folders may come from."""
_NOT_OF_A_SERVICE = ("wavs", "texts", "save", "list_devices")
"""What only makes sense for a talk that ends."""


@click.command("install-service", context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[URL] [talk 的选项]")
@common_options
@click.pass_context
def command(
    ctx: click.Context, words: tuple[str, ...], config: Path | None, as_json: bool, debug: bool
) -> None:
    """把 talk 装成 systemd 用户服务：开机自动运行，出错自动重来，日志在 journalctl 里。地址和选项与 talk 的一样。

    再运行一次就换成新的地址和选项。
    """
    prepare(config, debug)
    parsed = converse.command.make_context("talk", list(words), parent=ctx.find_root()).params
    if any(parsed[name] for name in _NOT_OF_A_SERVICE) or parsed["mic"] is False:
        raise SettingsError(
            tr("服务用话筒说话，不能带 --wav、--text、--save、--no-mic、--list-devices。请去掉")
        )
    if parsed["mode"] == "manual" and parsed["button"] is None and not parsed["key"]:
        raise SettingsError(
            tr("服务没有终端，--mode manual 要用 --button 或 --key 给一个按钮。不要按钮就用 auto 或 realtime")
        )
    require_systemd()
    of_common = [*(["--config", str(config.absolute())] if config else []), *(["--debug"] if debug else [])]
    # Without --mic it would take a sound card that is not there yet for none, and have nothing to say.
    text = unit_text(
        [sys.executable, "-m", "xiaozhi_persona", "talk", *words, "--mic", *of_common],
        Path.cwd(),
        {key: value for key, value in sorted(os.environ.items()) if key.startswith(_OURS)},
    )
    file = unit_file()
    write_unit(file, text)
    systemctl("daemon-reload")
    systemctl("enable", UNIT)
    systemctl("restart", UNIT)
    if as_json:
        print_json({"unit": str(file), "lingers": lingers()})
        return
    click.echo(tr("服务装好了，已经在运行：{file}", file=file))
    click.echo(tr("看日志：{command}", command=f"journalctl --user -u {UNIT} -f"))
    if not lingers():
        click.echo(
            tr(
                "要在没有人登录时也运行（开机就运行），再运行一次：{command}",
                command=f"sudo loginctl enable-linger {getpass.getuser()}",
            )
        )
