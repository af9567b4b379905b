"""`xiaozhi-persona transcribe`: one recognition."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from pathlib import Path

import click

from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.providers.asr.sensevoice import TINY_MODEL, SenseVoiceRecognizer
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Samples, Transcript


@click.command("transcribe")
@click.argument("file", type=click.Path(path_type=Path))
@common_options
def command(file: Path, config: Path | None, as_json: bool, debug: bool) -> None:
    """识别一个 WAV 文件里说的话。"""
    settings = prepare(config, debug)
    sound = read_wav(file, 16000)
    transcript, seconds = asyncio.run(_transcribe(settings, sound))
    if as_json:
        print_json(
            {**asdict(transcript), "audio_ms": len(sound) // 16, "recognized_in_ms": round(seconds * 1000, 1)}
        )
    else:
        click.echo(transcript.text or "（没有听出话来）")


async def _transcribe(settings: Settings, sound: Samples) -> tuple[Transcript, float]:
    folder = settings.path(settings.asr.model) if settings.asr.model else TINY_MODEL
    recognizer = SenseVoiceRecognizer(settings.asr, folder)
    try:
        await recognizer.load()
        started = time.perf_counter()
        return await recognizer.transcribe(sound), time.perf_counter() - started
    finally:
        await recognizer.aclose()
