"""`xiaozhi-persona speak`: a text through the speech pipeline, into a WAV file or only into its sentences."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.errors import ServiceUnavailable, SettingsError
from xiaozhi_persona.roles.role import Role, load_role
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Samples


@click.command("speak")
@click.argument("text", required=False)
@click.option("--role", help="角色，默认取设置里的 role")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out/speech.wav"), help="写到哪个 WAV 文件"
)
@click.option("--dry-run", is_flag=True, help="不合成，只看怎么分句、每句什么感情")
@click.option("--jsonl", is_flag=True, help='与 --dry-run 一起：逐行读 {"id","chunks":[...]}，逐行回答')
@common_options
def command(
    text: str | None,
    role: str | None,
    out: Path,
    dry_run: bool,
    jsonl: bool,
    config: Path | None,
    as_json: bool,
    debug: bool,
) -> None:
    """把 TEXT 说出来，存成 WAV。句首可写感情标签，如 【高兴】今天真好！"""
    settings = prepare(config, debug)
    chosen = load_role(role or settings.role)
    if jsonl:
        if not dry_run or text is not None:
            raise SettingsError(
                "--jsonl 要和 --dry-run 一起用，文字从标准输入读：speak --dry-run --jsonl < 文件"
            )
        for answer in _sentences_of_lines(sys.stdin, chosen):
            print_json(answer)
    elif text is None:
        raise SettingsError("要说什么？例如：xiaozhi-persona speak 【高兴】今天真好！")
    elif dry_run:
        for sentence in _sentences([text], chosen):
            print_json(sentence) if as_json else click.echo(
                f"{sentence['emotion'] or '-':<12}{sentence['text']}"
            )
    else:
        asyncio.run(_speak(text, chosen, settings, out, as_json))


def _sentences_of_lines(lines: Iterable[str], role: Role) -> Iterable[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            chunks = data["chunks"]
            if not isinstance(chunks, list) or not all(isinstance(chunk, str) for chunk in chunks):
                raise TypeError("chunks 应是文字的列表")
            reply_id = data["id"]
        except (ValueError, KeyError, TypeError) as exc:
            raise SettingsError(
                f'第 {number} 行读不懂（{exc}）。每行应是 {{"id": ..., "chunks": ["...", ...]}}'
            ) from exc
        yield {"id": reply_id, "sentences": _sentences(chunks, role)}


def _sentences(chunks: list[str], role: Role) -> list[dict[str, Any]]:
    from xiaozhi_persona.text.reply import ReplyReader

    reader = ReplyReader(role.emotion_names)
    segments = [segment for chunk in chunks for segment in reader.feed(chunk)] + reader.finish()
    return [
        {"text": s.text, "subtitle": s.text, "emotion": s.emotion.face if s.emotion else None}
        for s in segments
    ]


async def _speak(text: str, role: Role, settings: Settings, out: Path, as_json: bool) -> None:
    from xiaozhi_persona.audio.opus import OpusDecoder
    from xiaozhi_persona.audio.wav import write_wav
    from xiaozhi_persona.providers.speech.pipeline import SAMPLE_RATE_HZ, SpeechPipeline
    from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer

    pipeline = SpeechPipeline(
        EspeakSynthesizer(settings.tts), role.emotion_names, timeout_s=settings.tts.timeout_s
    )
    decoder = OpusDecoder(SAMPLE_RATE_HZ)
    sound: list[Samples] = []
    started = time.monotonic()
    try:
        pipeline.feed(text)
        pipeline.finish()
        async for sentence in pipeline:
            parts = [decoder.decode(packet) async for packet in sentence.packets()]
            sound += parts
            audio_ms = sum(map(len, parts)) * 1000 // SAMPLE_RATE_HZ
            if as_json:
                print_json(
                    {
                        "text": sentence.subtitle,
                        "emotion": sentence.clip.emotion or None,
                        "face": sentence.clip.face,
                        "first_audio_ms": round((sentence.first_audio_at_s - started) * 1000, 1)
                        if parts
                        else None,
                        "audio_ms": audio_ms,
                    }
                )
            else:
                click.echo(f"{sentence.clip.face:<12}{audio_ms / 1000:>6.1f} 秒  {sentence.subtitle}")
    finally:
        await pipeline.aclose()
    if not sound:
        raise ServiceUnavailable("没有可以说的内容，或者合成失败（看上面的日志）。")
    write_wav(out, np.concatenate(sound), SAMPLE_RATE_HZ)
    print_json({"file": str(out)}) if as_json else click.echo(f"已存到 {out}")
