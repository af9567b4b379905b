"""`xiaozhi-persona serve`: the bridge, with a first spoken turn by a simulated device when asked for."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from xiaozhi_persona.bridge.admission.devices import Waiting
from xiaozhi_persona.bridge.client.talk import TalkOptions, talk
from xiaozhi_persona.bridge.ota import OTA_PATH
from xiaozhi_persona.bridge.own_names import lan_addresses
from xiaozhi_persona.bridge.parts import Parts, build_parts
from xiaozhi_persona.bridge.server import WEBSOCKET_PATH, Bridge
from xiaozhi_persona.bridge.turn import TurnTimeline
from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.talk import print_turn, print_turn_json
from xiaozhi_persona.errors import PersonaError, ServiceUnavailable, SettingsError
from xiaozhi_persona.settings import Settings

DEMO_SENTENCE = "我今天很开心"
DEMO_REPLY = Path("out/reply.wav")
DEMO_DEVICE = "demo"
"""A device of its own: what it says is not to be remembered as said by the owner of this machine."""


@click.command("serve")
@click.option("--demo", is_flag=True, help="启动后先由一台模拟的设备说一句话")
@click.option(
    "--once", is_flag=True, help="与 --demo 一起：说完这一句就结束，用空闲的端口，不影响正在运行的服务"
)
@common_options
def command(demo: bool, once: bool, config: Path | None, as_json: bool, debug: bool) -> None:
    """启动桥，ESP32 和树莓派的设备都可以连上来。按 Ctrl+C 结束。"""
    settings = prepare(config, debug)
    if once and not demo:
        raise SettingsError("--once 要和 --demo 一起用：serve --demo --once")
    if once:
        bridge = settings.bridge.model_copy(
            update={"host": "127.0.0.1", "websocket_port": 0, "http_port": 0, "websocket_url": ""}
        )
        settings = settings.model_copy(update={"bridge": bridge})
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(settings, config, demo, once, as_json))


async def _serve(settings: Settings, config: Path | None, demo: bool, once: bool, as_json: bool) -> None:
    _stop_on_signals()
    started = time.monotonic()
    parts = await build_parts(settings)

    def on_turn(timeline: TurnTimeline) -> None:
        if as_json:
            print_json(timeline.to_json())

    def on_code(waiting: Waiting) -> None:
        if as_json:
            print_json({"waiting": waiting.device, "address": waiting.address, "code": waiting.code})
        else:
            approve = (
                f"xiaozhi-persona devices approve {waiting.code}{f' --config {config}' if config else ''}"
            )
            click.echo(f"设备 {waiting.device}（{waiting.address}）等着批准，是你的就运行：{approve}")

    async with contextlib.aclosing(parts), Bridge(settings, parts, on_turn, on_code) as bridge:
        ready_s = time.monotonic() - started
        if as_json:
            print_json(
                {"listening": bridge.websocket_port, "http": bridge.http_port, "ready_s": round(ready_s, 2)}
            )
        else:
            _print_parts(parts)
        if demo:
            try:
                await _demo(bridge, settings, as_json)
            except PersonaError as exc:
                if once:
                    raise
                click.echo(f"演示没有成功：{exc}", err=True)
        if once:
            return
        if not as_json:
            _print_addresses(bridge, settings)
        await asyncio.Event().wait()


async def _demo(bridge: Bridge, settings: Settings, as_json: bool) -> None:
    """Let a simulated device say a sentence in the embedded voice, and show what came back."""
    from xiaozhi_persona.audio.wav import write_wav
    from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer
    from xiaozhi_persona.settings import EspeakSettings
    from xiaozhi_persona.spine import Clip

    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / f"{DEMO_SENTENCE}.wav"
        async for chunk in EspeakSynthesizer(EspeakSettings()).synthesize(DEMO_SENTENCE, Clip()):
            write_wav(wav, chunk.samples, chunk.sample_rate_hz)
        if not as_json:
            click.echo(f"\n一台模拟的设备说：{DEMO_SENTENCE}")
        host = "127.0.0.1" if settings.bridge.host == "0.0.0.0" else settings.bridge.host
        url = f"ws://{host}:{bridge.websocket_port}{WEBSOCKET_PATH}"
        options = TalkOptions(
            url,
            wavs=(wav,),
            save=DEMO_REPLY,
            device_id=DEMO_DEVICE,
            token=await bridge.admission.token_of(DEMO_DEVICE),
        )
        (turn,) = await talk(options, print_turn_json if as_json else print_turn)
    if not turn.heard:
        raise ServiceUnavailable(
            "演示的那句话没有听出来。看上面的日志，或运行 python3 run.py doctor 找原因。"
        )
    if not as_json:
        click.echo(f"它听到的回答存在 {DEMO_REPLY}")


def _print_parts(parts: Parts) -> None:
    table = Table(title="用到的部件", title_justify="left")
    table.add_column("部件")
    table.add_column("现在是", overflow="fold")
    table.add_column("换成更好的", overflow="fold")
    for row in parts.described:
        table.add_row(*row)
    Console().print(table)


def _print_addresses(bridge: Bridge, settings: Settings) -> None:
    click.echo("\n正在服务。按 Ctrl+C 结束。")
    hosts = [settings.bridge.host] if settings.bridge.host != "0.0.0.0" else lan_addresses() or ["127.0.0.1"]
    for host in hosts:
        click.echo(f"  ESP32 的 OTA 地址：  http://{host}:{bridge.http_port}{OTA_PATH}")
        click.echo(
            f"  树莓派或电脑运行：  xiaozhi-persona talk ws://{host}:{bridge.websocket_port}{WEBSOCKET_PATH} --text 你好"
        )


def _stop_on_signals() -> None:
    """Let Ctrl+C and SIGTERM cancel the running task, so that everything is closed on the way out."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl+C raises KeyboardInterrupt instead
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
