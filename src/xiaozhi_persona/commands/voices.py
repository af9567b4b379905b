"""`xiaozhi-persona voices`: the servers that speak and the voices of the roles, listed and tried."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import numpy as np

from xiaozhi_persona.audio.wav import write_wav
from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.tables import print_table
from xiaozhi_persona.commands.voices_send import send
from xiaozhi_persona.errors import PersonaError, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.tts.engine import ENGINES, engine_of
from xiaozhi_persona.providers.tts.synthesizer import SeenServer, Synthesizer
from xiaozhi_persona.roles.clips import ClipChooser
from xiaozhi_persona.roles.role import Role, role_folders, role_of_settings
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip, Samples
from xiaozhi_persona.text.reply import read_reply

TEXT = "今天天气很好，我们一起去公园走走吧。"


@click.group("voices", invoke_without_command=True)
@common_options
@click.pass_context
def command(ctx: click.Context, config: Path | None, as_json: bool, debug: bool) -> None:
    """语音合成的服务器和角色的声音。不写子命令时列出；每个子命令都可以加 --help。"""
    given = {"config": config, "as_json": as_json, "debug": debug}
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_voices, **given)
    ctx.default_map = dict.fromkeys(command.commands, {key: value for key, value in given.items() if value})


command.add_command(send)


@command.command("list")
@common_options
def list_voices(config: Path | None, as_json: bool, debug: bool) -> None:
    """列出服务器（接口、流式方式、权重等）和角色（每种感情几段参考音频、权重）。不改动服务器。"""
    settings = prepare(config, debug)
    servers = asyncio.run(_servers(settings))
    roles = [_role_row(role_id, settings) for role_id in role_folders(settings.data_dir)]
    if as_json:
        for seen in servers:
            about = {"server": seen.server, "reachable": seen.is_reached, "failure": seen.failure or None}
            print_json({**about, **seen.facts})
        for row in roles:
            print_json(row)
        return
    rows, errors = [], {}
    for seen in servers:
        kind = seen.kind or tr("认不出") if seen.is_reached else tr("连不上")
        rows.append([seen.server, kind, seen.more if seen.is_reached else ""])
        if seen.failure:
            errors[seen.server] = seen.failure
    if servers:
        columns = [tr("服务器"), tr("接口"), tr("说明")]
        print_table(columns, rows, wraps=columns[2:])
    else:
        click.echo(_no_server())
    rows = []
    for row in roles:
        clips = tr("、").join(f"{name} {count}" for name, count in row.get("references", {}).items())
        weights = "\n".join(filter(None, row.get("weights", {}).values()))
        if "error" in row:
            errors[row["role"]] = row["error"]
            rows.append([row["role"], tr("读不了"), "", ""])
        else:
            rows.append([row["role"], row["name"], clips or tr("没有"), weights])
    print_table(
        [tr("角色"), tr("名字"), tr("参考音频"), tr("权重")], rows, wraps=(tr("参考音频"), tr("权重"))
    )
    _print_errors(errors)


@command.command("test")
@click.option("--role", "role_id", help="用哪个角色的声音，默认取设置里的 role")
@click.option("--text", default=TEXT, show_default=True, help="说什么；开头可写感情标签，如 【高兴】")
@click.option("--out", type=click.Path(path_type=Path), help="把声音存成 WAV；几台服务器时名字后加 -1、-2")
@common_options
def test(
    role_id: str | None, text: str, out: Path | None, config: Path | None, as_json: bool, debug: bool
) -> None:
    """让每台服务器各说一句，看多久出声、比说话快多少。有一台说不出时退出码为 1。"""
    settings = prepare(config, debug)
    role = role_of_settings(settings, role_id or "")
    rows = asyncio.run(_test(settings, role, text, out))
    if as_json:
        for row in rows:
            print_json(row)
    else:
        _print_test(rows)
    sys.exit(0 if all(row["ok"] for row in rows) else 1)


async def _servers(settings: Settings) -> list[SeenServer]:
    return [seen for name in ENGINES for seen in await engine_of(name).look(settings)]


def _role_row(role_id: str, settings: Settings) -> dict[str, Any]:
    try:
        role = role_of_settings(settings, role_id)
    except PersonaError as exc:
        return {"role": role_id, "error": str(exc)}
    return {
        "role": role_id,
        "name": role.name,
        "references": dict(Counter(clip.name or tr("默认") for clip in role.clips)),
        "weights": dict(role.voice.weights),
    }


async def _test(settings: Settings, role: Role, text: str, out: Path | None) -> list[dict[str, Any]]:
    """Ask one server after the other, so that none takes another's time."""
    servers = [(name, *one) for name in ENGINES for one in engine_of(name).servers(settings).items()]
    if not servers:
        raise SettingsError(_no_server())
    segments = read_reply([text], role.emotion_names)
    if not segments:
        raise SettingsError(tr("--text 里没有可以说的字。例如：--text 【高兴】今天真好！"))
    spoken = "".join(segment.text for segment in segments)
    clip = ClipChooser(role, reply=0).clip(segments[0].emotion)
    rows = []
    for number, (engine, place, alone) in enumerate(servers, 1):
        row, sound, rate_hz = await _speak(engine_of(engine).open_engine(alone), place, spoken, clip)
        if out and row["ok"]:
            file = out.with_name(f"{out.stem}-{number}{out.suffix}") if len(servers) > 1 else out
            try:
                write_wav(file, sound, rate_hz)
            except OSError as exc:
                raise SettingsError(
                    tr(
                        "写不了 {file}（{strerror}）。用 --out 换一个能写的地方。",
                        file=file,
                        strerror=exc.strerror,
                    )
                ) from exc
            row["file"] = str(file)
        rows.append(row)
    return rows


async def _speak(
    synthesizer: Synthesizer, place: str, text: str, clip: Clip
) -> tuple[dict[str, Any], Samples, int]:
    row: dict[str, Any] = {"server": place, "ok": False, "emotion": clip.emotion or None}
    row["reference"] = clip.reference.path if clip.reference else None
    parts: list[Samples] = []
    rate_hz, first_s, began = 0, 0.0, time.monotonic()
    try:
        async with contextlib.aclosing(synthesizer.synthesize(text, clip)) as chunks:
            async for chunk in chunks:
                first_s = first_s or time.monotonic() - began
                parts.append(chunk.samples)
                rate_hz = chunk.sample_rate_hz
    except PersonaError as exc:
        row["error"] = str(exc)
    finally:
        await synthesizer.aclose()
    if not parts:
        return row, np.zeros(0, np.int16), 0
    total_s, sound = time.monotonic() - began, np.concatenate(parts)
    seconds = len(sound) / rate_hz
    row |= {
        "ok": "error" not in row,
        "first_audio_ms": round(first_s * 1000, 1),
        "sample_rate_hz": rate_hz,
        "audio_s": round(seconds, 3),
        "total_s": round(total_s, 3),
        "rtf": round(total_s / seconds, 3),
    }
    return row, sound, rate_hz


def _print_test(rows: list[dict[str, Any]]) -> None:
    cells, errors = [], {}
    for row in rows:
        figures = [""] * 5
        if "rtf" in row:
            figures = [
                tr("{value:.0f} 毫秒", value=row["first_audio_ms"]),
                f"{row['sample_rate_hz']} Hz",
                tr("{value:.2f} 秒", value=row["audio_s"]),
                tr("{value:.2f} 秒", value=row["total_s"]),
                f"{row['rtf']:.2f}",
            ]
        cells.append(
            [row["server"], *figures, tr("没说出来") if "error" in row else row.get("file", tr("好"))]
        )
        if "error" in row:
            errors[row["server"]] = row["error"]
    columns = [tr("服务器"), tr("多久出声"), tr("采样率"), tr("声音"), tr("全部用时"), tr("实时率"), ""]
    print_table(columns, cells, right=columns[1:6])
    _print_errors(errors)
    if any(row.get("rtf", 0) >= 1 for row in rows):
        click.echo(
            tr(
                "实时率超过 1：说话会断断续续。换快一些的显卡；GPT-SoVITS 可把 gpt_sovits.streaming_mode 设为 fast。"
            )
        )


def _no_server() -> str:
    return tr("没有语音合成的服务器。在 gpt_sovits.servers 里写上，如 [http://192.168.1.9:9880]。")


def _print_errors(errors: dict[str, str]) -> None:
    for what, error in errors.items():
        click.echo(tr("{what}：{error}", what=what, error=error))
