"""`xiaozhi-persona talk check`: whether microphone and loudspeaker are fit to talk with."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from xiaozhi_persona.bridge.client.card.portaudio import PortAudio
from xiaozhi_persona.bridge.client.card.sound_card import CardOptions, SoundCard
from xiaozhi_persona.bridge.client.card.sound_check import SoundCheck, check_sound
from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.language import tr
from xiaozhi_persona.settings import AudioSettings


@click.command("check")
@common_options
def command(config: Path | None, as_json: bool, debug: bool) -> None:
    """检查话筒和喇叭：录 3 秒你的声音，放出来，再放一声试音，量音量、噪声、回声，说要改什么。不用服务器。

    有要改的，退出码是 1。
    """
    settings = prepare(config, debug)
    check = asyncio.run(_check(settings.audio))
    advice = check.advice()
    if as_json:
        print_json({**asdict(check), "advice": advice})
    else:
        for line in (*_figures(check), *(advice or [tr("没有要改的。")])):
            click.echo(line)
    sys.exit(1 if advice else 0)


async def _check(audio: AudioSettings) -> SoundCheck:
    tell = partial(click.echo, err=True)
    async with SoundCard.open(PortAudio(), CardOptions(audio.input, audio.output, audio.buffer_ms)) as card:
        tell(tr("话筒 {input}，喇叭 {output}", input=card.input_name, output=card.output_name))
        return await check_sound(card, tell)


def _figures(check: SoundCheck) -> list[str]:
    recording, echo = check.recording, check.echo
    lines = [
        tr(
            "说话 {speech:.0f} dBFS，安静时 {noise:.0f} dBFS，削平 {clipped:.2f} %",
            speech=recording.speech_dbfs,
            noise=recording.noise_dbfs,
            clipped=recording.clipped * 100,
        )
    ]
    if echo is not None:
        lines.append(
            tr(
                "喇叭传到话筒：{delay:.0f} 毫秒，{level:+.0f} dB；断了 {underruns} 次",
                delay=echo.delay_ms,
                level=echo.level_db,
                underruns=check.underruns,
            )
        )
    return lines
