"""`xiaozhi-persona talk [URL]`: a device that talks."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import cast

import click
from rich.cells import cell_len

from xiaozhi_persona.bridge.client.connection import WAITING_S
from xiaozhi_persona.bridge.client.identity import kept_client_id, kept_device_id
from xiaozhi_persona.bridge.client.ota import ask_ota
from xiaozhi_persona.bridge.client.servers import Server, Servers
from xiaozhi_persona.bridge.client.talk import TalkOptions, talk
from xiaozhi_persona.bridge.client.timeline import EventKind, Timeline, TurnEvent
from xiaozhi_persona.bridge.messages import LISTEN_MODES, ListenMode
from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.talk.device_options import DeviceOptions, device_options
from xiaozhi_persona.commands.talk.sound import converse, find_card, print_devices, sound_options
from xiaozhi_persona.commands.talk.view import feeling
from xiaozhi_persona.language import later, tr

_EVENTS: dict[EventKind, str] = {
    "spoken": later("说完"),
    "typed": later("发出文字"),
    "heard": later("听到的"),
    "no_words": later("没有听出话来"),
    "waiting": later("{waiting_s:g} 秒了，还没有回答，继续等"),
    "start": later("开始回答"),
    "first_audio": later("第一声"),
    "sentence": later("字幕"),
    "stop": later("回答结束"),
    "played": later("放完"),
}
_WORD_CELLS = 18


@click.command("talk")
@click.argument("urls", nargs=-1, metavar="[URL]...")
@click.option("--ota", metavar="URL", help="每次连接先问这个 OTA 地址该连哪里，和 ESP32 一样；它不答时连 URL")
@click.option(
    "--wav",
    "wavs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="把这个录音（WAV、MP3 等）当作话筒里的声音，可多次",
)
@click.option("--text", "texts", multiple=True, help="打字代替说话，可多次")
@click.option("--save", type=click.Path(path_type=Path), help="把听到的回答存成 WAV")
@click.option("--mode", type=click.Choice(LISTEN_MODES), default="auto", show_default=True, help="聆听方式")
@click.option(
    "--protocol", type=click.Choice(["1", "2", "3"]), default="1", show_default=True, help="二进制协议版本"
)
@click.option("--device-id", help="设备编号，默认是第一次运行时由本机的 MAC 地址定下来的")
@click.option("--token", help="令牌，默认取设置里的 bridge.token")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(1, 600),
    default=60.0,
    show_default=True,
    help="一轮最长几秒",
)
@sound_options
@device_options
@common_options
def command(
    urls: tuple[str, ...],
    ota: str | None,
    wavs: tuple[Path, ...],
    texts: tuple[str, ...],
    save: Path | None,
    mode: str,
    protocol: str,
    device_id: str | None,
    token: str | None,
    timeout_s: float,
    mic: bool | None,
    list_devices: bool,
    device: DeviceOptions,
    config: Path | None,
    as_json: bool,
    debug: bool,
) -> None:
    """当一台设备，连到 URL（默认本机的桥）说话，边说边打印每一步的时间。小智服务器也可以连。

    有声卡时用话筒和喇叭，Ctrl+C 结束。没有声卡也行：--wav 的文件当作话筒，--save 的文件当作喇叭，先说完所有 --wav，再发 --text；两样都不写，就在终端里打字聊天，Ctrl+D 结束。
    """
    settings = prepare(config, debug)
    if list_devices:
        print_devices(settings.audio, as_json)
        return
    files_only = bool(wavs or texts or save)
    if mic and files_only:
        raise click.UsageError(tr("--mic 用话筒和喇叭说话，不能和 --wav、--text、--save 一起用"))
    device_id, client_id = device_id or kept_device_id(settings.data_dir), kept_client_id(settings.data_dir)
    token = settings.bridge.token if token is None else token
    if not urls and ota is None:
        urls = (f"ws://127.0.0.1:{settings.bridge.websocket_port}/xiaozhi/v1/",)
    where = [*([ota] if ota else []), *urls]
    options = TalkOptions(
        url=where[0],
        servers=servers_of(urls, token, ota, device_id, client_id),
        wavs=wavs,
        texts=texts,
        save=save,
        mode=cast(ListenMode, mode),
        binary_version=int(protocol),
        device_id=device_id,
        client_id=client_id,
        turn_timeout_s=timeout_s,
        tools=device.all_tools(None, "", device_id, client_id),
    )
    card = None if files_only else find_card(mic, settings.audio)
    if card is not None:
        asyncio.run(converse(options, device, card, settings, as_json))
        return
    chats = not wavs and not texts and sys.stdin.isatty()
    if as_json:
        asyncio.run(talk(options, print_turn_json, typed=typed_lines("") if chats else None))
        return
    click.echo(tr("设备 {device_id} 连接 {url}", device_id=options.device_id, url=" ".join(where)))
    if chats:
        click.echo(tr("打字聊天，Ctrl+D 结束。"))
        asyncio.run(talk(options, print_latency, print_subtitle, typed_lines(tr("你："))))
    else:
        asyncio.run(talk(options, print_turn, print_event))
    if save and save.exists():
        click.echo(tr("回答已存到 {save}", save=save))


def servers_of(urls: Sequence[str], token: str, ota: str | None, device_id: str, client_id: str) -> Servers:
    """Return the servers to try. What an OTA address wants its user to do is told once."""
    fixed = [Server(url, token) for url in urls]
    if ota is None:
        return Servers(fixed)
    told = ""

    async def ask() -> Server:
        nonlocal told
        answer = await ask_ota(ota, device_id, client_id)
        if answer.activation and answer.activation != told:
            told = answer.activation
            click.echo(tr("服务器说：{told}", told=told), err=True)
        return answer.server

    return Servers(fixed, ask)


async def typed_lines(prompt: str) -> AsyncGenerator[str, None]:
    """Yield what is typed, line by line, without empty ones, until Ctrl+D. Each is asked for when the last was used."""
    loop = asyncio.get_running_loop()
    while True:
        line: asyncio.Future[str | None] = loop.create_future()
        # A thread that nobody waits for at the end: nothing can interrupt it while it reads.
        reading = threading.Thread(
            target=_read_line, args=(prompt, loop, line), name="typed-line", daemon=True
        )
        reading.start()
        text = await line
        reading.join()
        if text is None:
            return
        if text.strip():
            yield text.strip()


def _read_line(prompt: str, loop: asyncio.AbstractEventLoop, line: asyncio.Future[str | None]) -> None:
    try:
        text: str | None = input(prompt)
    except EOFError:
        print(end="\n" if prompt else "")
        text = None

    def tell() -> None:
        if not line.cancelled():
            line.set_result(text)

    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(tell)


def print_event(event: TurnEvent) -> None:
    """Print what happened, with its time: a line of the timeline."""
    if event.kind == "speaking":
        click.echo(tr("          正在说：{value}", value=event.text))
        return
    word = _event(event.kind) + (tr("（{emotion}）", emotion=event.emotion) if event.emotion else "")
    space = " " * (_WORD_CELLS - cell_len(word))
    click.echo(
        tr(
            "{at_ms:>7.0f} 毫秒  {word}{space}  {value}",
            at_ms=event.at_ms,
            word=word,
            space=space,
            value=event.text,
        ).rstrip()
    )


def print_turn(timeline: Timeline) -> None:
    """Print how a turn sounded, below its events."""
    click.echo(f"              {timeline.sound()}")


def print_subtitle(event: TurnEvent) -> None:
    """Print what a person in a typed chat wants to see: the sentences, each with its feeling."""
    if event.kind == "sentence":
        click.echo(tr("它{value}：{value2}", value=feeling(event), value2=event.text))
    elif event.kind == "waiting":
        click.echo(_event("waiting"))


def print_latency(timeline: Timeline) -> None:
    """Print how long it took until the reply was heard."""
    if timeline.first_audio_ms is None:
        click.echo(tr("（没有声音）"))
    else:
        click.echo(tr("（{value:.1f} 秒出声）", value=timeline.first_audio_ms / 1000))


def print_turn_json(timeline: Timeline) -> None:
    """Print a turn as one line of JSON."""
    print_json(timeline.to_json())


def _event(kind: EventKind) -> str:
    return tr(_EVENTS[kind], waiting_s=WAITING_S)
