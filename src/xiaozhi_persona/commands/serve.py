"""`xiaozhi-persona serve`: the bridge, with a first spoken turn by a simulated device when asked for."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from xiaozhi_persona.bridge.admission.addresses import is_loopback
from xiaozhi_persona.bridge.admission.devices import Waiting
from xiaozhi_persona.bridge.client.talk import TalkOptions, talk
from xiaozhi_persona.bridge.ota import OTA_PATH
from xiaozhi_persona.bridge.parts import Parts, build_parts
from xiaozhi_persona.bridge.server import WEBSOCKET_PATH, Bridge
from xiaozhi_persona.bridge.speaking import TurnTimeline
from xiaozhi_persona.commands.common import (
    DEMO_DEVICE,
    common_options,
    edited_settings,
    prepare,
    print_json,
    settings_line,
)
from xiaozhi_persona.commands.tables import print_table
from xiaozhi_persona.commands.talk.converse import print_event, print_turn, print_turn_json
from xiaozhi_persona.errors import PersonaError, ServiceUnavailable, SettingsError, own_command
from xiaozhi_persona.lan import LanAddress, lan_addresses
from xiaozhi_persona.language import tr
from xiaozhi_persona.settings import Settings

DEMO_SENTENCE = "我今天很开心"
DEMO_REPLY = "out/reply.wav"
"""Where it is kept, from the folder of the settings."""


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
        raise SettingsError(tr("--once 要和 --demo 一起用：serve --demo --once"))
    if once:
        bridge = settings.bridge.model_copy(
            update={"host": "127.0.0.1", "websocket_port": 0, "http_port": 0, "websocket_url": ""}
        )
        settings = settings.model_copy(update={"bridge": bridge})
    if not as_json:
        click.echo(settings_line(settings, config))
        if edited := edited_settings(config):
            told = tr("、").join(edited)
            click.echo(
                tr(
                    "config.yaml 里改过：{told}。它会随 git pull 更新；运行 {command} 搬到 data/.config.yaml",
                    told=told,
                    command=own_command("set --move"),
                )
            )
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
            approve = own_command(f"devices approve {waiting.code}{f' --config {config}' if config else ''}")
            click.echo(
                tr(
                    "设备 {device}（{address}）等着批准，是你的就运行：{approve}",
                    device=waiting.device,
                    address=waiting.address,
                    approve=approve,
                )
            )

    async with contextlib.aclosing(parts), Bridge(settings, parts, on_turn, on_code) as bridge:
        ready_s = time.monotonic() - started
        if as_json:
            print_json(
                {"listening": bridge.websocket_port, "http": bridge.http_port, "ready_s": round(ready_s, 2)}
            )
        else:
            _print_parts(parts, settings)
        if demo:
            try:
                await _demo(bridge, settings, parts.voice_trouble, as_json)
            except PersonaError as exc:
                if once:
                    raise
                click.echo(tr("演示没有成功：{exc}", exc=exc), err=True)
        if once:
            return
        if not as_json:
            _print_addresses(bridge, settings)
        await asyncio.Event().wait()


async def _demo(bridge: Bridge, settings: Settings, voice_trouble: str, as_json: bool) -> None:
    """Let a simulated device say a sentence in the embedded voice, and show what came back."""
    from xiaozhi_persona.audio.wav import write_wav
    from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer
    from xiaozhi_persona.spine import Clip
    from xiaozhi_persona.voice_settings import EspeakSettings

    reply = settings.path(DEMO_REPLY)
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / f"{DEMO_SENTENCE}.wav"
        async for chunk in EspeakSynthesizer(EspeakSettings()).synthesize(DEMO_SENTENCE, Clip()):
            write_wav(wav, chunk.samples, chunk.sample_rate_hz)
        if not as_json:
            click.echo(tr("\n一台模拟的设备说：{DEMO_SENTENCE}", DEMO_SENTENCE=DEMO_SENTENCE))
        host = "127.0.0.1" if settings.bridge.host == "0.0.0.0" else settings.bridge.host
        url = f"ws://{host}:{bridge.websocket_port}{WEBSOCKET_PATH}"
        options = TalkOptions(
            url,
            wavs=(wav,),
            save=reply,
            device_id=DEMO_DEVICE,
            token=await bridge.admission.token_of(DEMO_DEVICE),
        )
        showing = (print_turn_json,) if as_json else (print_turn, print_event)
        (turn,) = await talk(options, *showing)
    if not turn.heard:
        raise ServiceUnavailable(
            tr(
                "演示的那句话没有听出来。看上面的日志，或运行 {command} 找原因。",
                command=own_command("doctor"),
            )
        )
    if not as_json:
        click.echo(tr("它听到的回答存在 {reply}", reply=reply))
        if how := _how_to_hear(reply):
            click.echo(tr("听一听：{how}", how=how))
        if voice_trouble:
            click.echo(tr("语音合成没有开口：{told}", told=_voice_told(settings, voice_trouble)))


def _voice_told(settings: Settings, trouble: str) -> str:
    is_heard = settings.tts.fallback not in ("none", settings.tts.engine)
    speaker = tr("由备用的声音来说") if is_heard else tr("没有声音")
    return tr(
        "{trouble}，{speaker}；运行 {command} 看原因",
        trouble=trouble.rstrip("。."),
        speaker=speaker,
        command=own_command("doctor"),
    )


def _print_parts(parts: Parts, settings: Settings) -> None:
    columns = [tr("部件"), tr("现在是"), tr("换成更好的")]
    print_table(columns, parts.described, wraps=columns[1:], title=tr("用到的部件"))
    if parts.voice_trouble:
        click.echo(tr("语音合成：{told}", told=_voice_told(settings, parts.voice_trouble)))


def _print_addresses(bridge: Bridge, settings: Settings) -> None:
    click.echo(tr("\n正在服务。按 Ctrl+C 结束。"))
    host = settings.bridge.host
    addresses = lan_addresses() if host == "0.0.0.0" else [LanAddress(host, "")]
    for ip, adapter in addresses or [LanAddress("127.0.0.1", "")]:
        if len(addresses) > 1:
            click.echo(tr("网卡 {adapter}：", adapter=adapter))
        talk_command = own_command(f"talk ws://{ip}:{bridge.websocket_port}{WEBSOCKET_PATH}")
        click.echo(
            tr(
                "  ESP32 的 OTA 地址：  http://{ip}:{http_port}{OTA_PATH}",
                ip=ip,
                http_port=bridge.http_port,
                OTA_PATH=OTA_PATH,
            )
        )
        click.echo(tr("  树莓派或电脑运行：  {talk_command}", talk_command=talk_command))
        click.echo(
            tr(
                "  别的程序（OpenAI 接口）：  http://{ip}:{http_port}/v1  令牌 {token}",
                ip=ip,
                http_port=bridge.http_port,
                token=bridge.api_token,
            )
        )
    if settings.bridge.api_access == "open":
        click.echo(tr("注意：bridge.api_access 是 open，本地网络里的任何程序都能让它说话、和它聊天。"))
    if len(addresses) > 1:
        click.echo(tr("用和设备在同一个网络的那一个；虚拟网卡（WSL、Docker、VPN）的，设备连不上。"))
    if is_loopback(host):
        click.echo(tr("bridge.host 是 {host}：只有本机连得上。要让设备连，把它设为 0.0.0.0。", host=host))
    click.echo(tr("talk 用话筒和喇叭，没有声卡就打字。试试：换成小雨；十分钟后提醒我关火；昨天我们聊了什么"))


def _how_to_hear(file: Path) -> str:
    """Return the command that plays a WAV file on this system, "" where no player is known."""
    if sys.platform == "win32":
        return subprocess.list2cmdline(["explorer", str(file)])
    players = ["afplay"] if sys.platform == "darwin" else ["aplay", "paplay", "pw-play", "ffplay", "xdg-open"]
    player = next(filter(shutil.which, players), "")
    return shlex.join([player, str(file)]) if player else ""


def _stop_on_signals() -> None:
    """Let Ctrl+C and SIGTERM cancel the running task, so that everything is closed on the way out."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl+C raises KeyboardInterrupt instead
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
