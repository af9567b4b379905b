"""`xiaozhi-persona devices approve`: a new device may come in, or an old one that has lost what proved it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from xiaozhi_persona.bridge.admission.devices import Devices
from xiaozhi_persona.bridge.admission.tokens import Tokens
from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.language import tr


@click.command("approve")
@click.argument("code", metavar="配对码")
@common_options
def command(code: str, config: Path | None, as_json: bool, debug: bool) -> None:
    """批准说出这个配对码的设备。它下一次说话就能用，不用重启。"""
    settings = prepare(config, debug)
    with contextlib.closing(Devices(settings.data_dir)) as devices:
        device = devices.approve(code)
    # A client without a Client-Id can prove itself by nothing but the token, which it has to be given by hand.
    token = "" if device.client else Tokens(settings.data_dir).of(device.id, device.generation)
    if as_json:
        print_json({"approved": device.id} | ({"token": token} if token else {}))
        return
    click.echo(tr("批准了 {value}。", value=device.name or device.id))
    if token:
        click.echo(tr("它没有 Client-Id，要在它的设置里填上令牌：{token}", token=token))
