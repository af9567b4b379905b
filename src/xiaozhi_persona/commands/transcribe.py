"""`xiaozhi-persona transcribe`: what is said in recordings, and which model hears it best on this machine."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.transcribe_bench import compare_models
from xiaozhi_persona.errors import ServiceError, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.asr.checks import peak_rss_mb
from xiaozhi_persona.providers.asr.engine import open_recognizer
from xiaozhi_persona.settings import Settings

_TIMEOUT_S = 60.0  # nobody waits for an answer here, and the machine may be slow


@click.command("transcribe")
@click.argument("files", metavar="FILE...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--bench",
    "models",
    metavar="MODEL",
    multiple=True,
    help="比较几个模型，可写几次：文件夹、模型库里的名字或服务器地址，前面可写 funasr_onnx:、funasr: 或 funasr_server:；"
    "录音旁有同名的 .txt 就算字错率",
)
@click.option("--measure", is_flag=True, hidden=True, help="最后一行写出读模型的时间和内存")
@common_options
def command(
    files: tuple[Path, ...],
    models: tuple[str, ...],
    measure: bool,
    config: Path | None,
    as_json: bool,
    debug: bool,
) -> int:
    """识别录音里说的话（WAV、FLAC、MP3、Ogg，有 PyAV 时也有 M4A）；--bench 比较几个模型的快慢、内存和字错率。"""
    settings = prepare(config, debug)
    readable = _readable(files)  # all of them first: nobody likes to hear of the last one after an hour
    if models:
        code = compare_models(models, readable, settings, config, as_json)
    else:
        code = asyncio.run(_transcribe(settings, readable, as_json, measure))
    return code or int(len(readable) < len(files))


def _readable(files: tuple[Path, ...]) -> tuple[Path, ...]:
    """Tell which files cannot be read, and return the others. Raises SettingsError when there are none."""
    troubles: dict[Path, SettingsError] = {}
    for file in files:
        try:
            read_wav(file, 16000)
        except SettingsError as exc:
            troubles[file] = exc
    if len(troubles) == len(set(files)):
        raise SettingsError("\n".join(map(str, troubles.values())))
    for trouble in troubles.values():
        click.echo(tr("跳过：{trouble}", trouble=trouble), err=True)
    return tuple(file for file in files if file not in troubles)


async def _transcribe(settings: Settings, files: tuple[Path, ...], as_json: bool, measure: bool) -> int:
    """Print a line for each file; return the exit code."""
    asr = settings.asr.model_copy(update={"timeout_s": max(_TIMEOUT_S, settings.asr.timeout_s)})
    recognizer = open_recognizer(settings.model_copy(update={"asr": asr}).at(settings.path(".")))
    failed = has_silent = False
    try:
        started = time.perf_counter()
        await recognizer.load()
        loaded_in_ms = (time.perf_counter() - started) * 1000
        with _progress(len(files), as_json) as progress:
            for file in files:
                sound = read_wav(file, 16000)
                line: dict[str, Any] = {"file": str(file), "audio_ms": len(sound) // 16}
                started = time.perf_counter()
                try:
                    transcript = await recognizer.transcribe(sound)
                except ServiceError as exc:
                    failed = True
                    click.echo(tr("{file}：{exc}", file=file, exc=exc), err=True)
                    line["error"] = text = str(exc)
                else:
                    seconds = time.perf_counter() - started
                    line |= {**asdict(transcript), "recognized_in_ms": round(seconds * 1000, 1)}
                    has_silent = has_silent or not transcript.text
                    text = transcript.text or tr("（没有听出话来）")
                if as_json:
                    print_json(line)
                elif "error" not in line:
                    progress.say(text if len(files) == 1 else tr("{file}：{value}", file=file, value=text))
                progress.advance()
    finally:
        await recognizer.aclose()
    if has_silent and recognizer.advice:
        told = tr("{name}；要听懂别的话，{advice}。", name=recognizer.name, advice=recognizer.advice)
        click.echo(told, err=True)
    if measure:
        print_json({"loaded_in_ms": round(loaded_in_ms, 1), "peak_rss_mb": peak_rss_mb()})
    return int(failed)


class _Bar:
    """Says lines, above a progress bar where there is one."""

    def __init__(self, progress: Progress | None, files: int) -> None:
        self._progress = progress
        self._task = progress.add_task(tr("识别"), total=files) if progress else None

    def say(self, line: str) -> None:
        if self._progress and sys.stdout.isatty():
            self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(line)

    def advance(self) -> None:
        if self._progress and self._task is not None:
            self._progress.advance(self._task)


@contextmanager
def _progress(files: int, as_json: bool) -> Iterator[_Bar]:
    """Show a bar on the standard error output for several files, where that is a terminal and no JSON is on it."""
    if files < 2 or not sys.stderr.isatty() or (as_json and sys.stdout.isatty()):
        yield _Bar(None, files)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        yield _Bar(progress, files)
