"""`xiaozhi-persona talk`: a device without a sound card."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import click
from rich.console import Console

from xiaozhi_persona.bridge.client.talk import TalkOptions, kept_client_id, talk
from xiaozhi_persona.bridge.client.timeline import Timeline
from xiaozhi_persona.bridge.messages import LISTEN_MODES, ListenMode
from xiaozhi_persona.commands.common import common_options, prepare, print_json


@click.command("talk")
@click.argument("url", required=False)
@click.option(
    "--wav",
    "wavs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="把这个 WAV 当作话筒里的声音，可多次",
)
@click.option("--text", "texts", multiple=True, help="打字代替说话，可多次")
@click.option("--save", type=click.Path(path_type=Path), help="把听到的回答存成 WAV")
@click.option("--mode", type=click.Choice(LISTEN_MODES), default="auto", show_default=True, help="聆听方式")
@click.option(
    "--protocol", type=click.Choice(["1", "2", "3"]), default="1", show_default=True, help="二进制协议版本"
)
@click.option("--device-id", help="设备编号，默认用本机的 MAC 地址")
@click.option("--token", help="令牌，默认取设置里的 bridge.token")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(1, 600),
    default=60.0,
    show_default=True,
    help="一轮最长几秒",
)
@common_options
def command(
    url: str | None,
    wavs: tuple[Path, ...],
    texts: tuple[str, ...],
    save: Path | None,
    mode: str,
    protocol: str,
    device_id: str | None,
    token: str | None,
    timeout_s: float,
    config: Path | None,
    as_json: bool,
    debug: bool,
) -> None:
    """当一台设备，连到 URL（默认本机的桥）说话，打印每一轮的时间线。小智服务器也可以连。

    不需要声卡：--wav 的文件当作话筒，--save 的文件当作喇叭。先说完所有 --wav，再发 --text。
    """
    settings = prepare(config, debug)
    options = TalkOptions(
        url=url or f"ws://127.0.0.1:{settings.bridge.websocket_port}/xiaozhi/v1/",
        wavs=wavs,
        texts=texts,
        save=save,
        mode=cast(ListenMode, mode),
        binary_version=int(protocol),
        client_id=kept_client_id(settings.data_dir),
        token=settings.bridge.token if token is None else token,
        turn_timeout_s=timeout_s,
        **({"device_id": device_id} if device_id else {}),
    )
    asyncio.run(talk(options, print_turn_json if as_json else print_turn))
    if save and not as_json:
        click.echo(f"回答已存到 {save}")


def print_turn(timeline: Timeline) -> None:
    """Print a turn for people."""
    Console().print(timeline.table())


def print_turn_json(timeline: Timeline) -> None:
    """Print a turn as one line of JSON."""
    print_json(timeline.to_json())
