"""`xiaozhi-persona speak`: a text through the speech pipeline, into a WAV file or only into its sentences."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np

from xiaozhi_persona.commands.common import common_options, input_lines, prepare, print_json
from xiaozhi_persona.errors import ServiceUnavailable, SettingsError, own_command
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.role import Role, role_of_settings
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
    if role:
        settings = settings.model_copy(update={"role": role})
    chosen = role_of_settings(settings)
    if jsonl:
        if not dry_run or text is not None:
            raise SettingsError(
                tr("--jsonl 要和 --dry-run 一起用，文字从标准输入读：speak --dry-run --jsonl < 文件")
            )
        for answer in _sentences_of_lines(input_lines(), chosen):
            print_json(answer)
    elif text is None:
        raise SettingsError(tr("要说什么？例如：{command}", command=own_command("speak 【高兴】今天真好！")))
    elif dry_run:
        for sentence in _sentences([text], chosen):
            print_json(sentence) if as_json else click.echo(
                f"{sentence['emotion'] or '-':<12}{sentence['text']}"
            )
    else:
        asyncio.run(_speak(text, settings, out, as_json))


def _sentences_of_lines(lines: Iterable[str], role: Role) -> Iterable[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            chunks = data["chunks"]
            if not isinstance(chunks, list) or not all(isinstance(chunk, str) for chunk in chunks):
                raise TypeError(tr("chunks 应是文字的列表"))
            reply_id = data["id"]
        except (ValueError, KeyError, TypeError) as exc:
            raise SettingsError(
                tr(
                    '第 {number} 行读不懂（{exc}）。每行应是 {{"id": ..., "chunks": ["...", ...]}}',
                    number=number,
                    exc=exc,
                )
            ) from exc
        yield {"id": reply_id, "sentences": _sentences(chunks, role)}


def _sentences(chunks: list[str], role: Role) -> list[dict[str, Any]]:
    from xiaozhi_persona.text.reply import read_reply

    segments = read_reply(chunks, role.emotion_names)
    return [
        {"text": s.text, "subtitle": s.text, "emotion": s.emotion.face if s.emotion else None}
        for s in segments
    ]


async def _speak(text: str, settings: Settings, out: Path, as_json: bool) -> None:
    from xiaozhi_persona.audio.opus import OpusDecoder
    from xiaozhi_persona.audio.wav import write_wav
    from xiaozhi_persona.providers.speech.choices import EmotionChoices
    from xiaozhi_persona.providers.speech.pipeline import FRAME_MS, SAMPLE_RATE_HZ, SpeechPipeline
    from xiaozhi_persona.providers.tts.engine import open_synthesizer
    from xiaozhi_persona.roles.casting import Casting

    choice = EmotionChoices(Casting(settings), settings).of()
    synthesizer = open_synthesizer(settings)
    sound: list[Samples] = []
    plays_until = 0.0
    async with AsyncExitStack() as stack:
        stack.push_async_callback(synthesizer.aclose)
        pipeline = SpeechPipeline(synthesizer, choice, timeout_s=settings.sentence_timeout_s)
        stack.push_async_callback(pipeline.aclose)
        decoder = OpusDecoder(SAMPLE_RATE_HZ)
        started = time.monotonic()
        pipeline.feed(text)
        pipeline.finish()
        async for sentence in pipeline:
            before, gap_s = len(sound), 0.0
            async for packet in sentence.packets():
                now = time.monotonic()
                if sound:
                    gap_s += max(0.0, now - plays_until)
                plays_until = max(plays_until, now) + FRAME_MS / 1000
                sound.append(decoder.decode(packet))
            audio_ms = sum(map(len, sound[before:])) * 1000 // SAMPLE_RATE_HZ
            clip, reference = sentence.clip, sentence.clip.reference
            if as_json:
                print_json(
                    {
                        "text": sentence.subtitle,
                        "emotion": clip.emotion or None,
                        "face": clip.face,
                        "reference": reference.path if reference else None,
                        "server": sentence.source or None,
                        "first_audio_ms": round((sentence.first_audio_at_s - started) * 1000, 1)
                        if audio_ms
                        else None,
                        "audio_ms": audio_ms,
                        "gap_ms": round(gap_s * 1000, 1),
                    }
                )
            else:
                click.echo(
                    tr(
                        "{face:<12}{value:>6.1f} 秒  {source:<12} {subtitle}",
                        face=clip.face,
                        value=audio_ms / 1000,
                        source=sentence.source,
                        subtitle=sentence.subtitle,
                    )
                )
    if not sound:
        raise ServiceUnavailable(tr("没有可以说的内容，或者合成失败（看上面的日志）。"))
    try:
        write_wav(out, np.concatenate(sound), SAMPLE_RATE_HZ)
    except OSError as exc:
        raise SettingsError(
            tr("写不了 {out}（{strerror}）。用 --out 换一个能写的地方。", out=out, strerror=exc.strerror)
        ) from exc
    print_json({"file": str(out)}) if as_json else click.echo(tr("已存到 {out}", out=out))
