"""Which model to take: time, memory and errors of several models on one's own recordings and machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from xiaozhi_persona.commands.common import print_json
from xiaozhi_persona.commands.tables import print_table
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.providers.asr.engine import ENGINES, engine_of
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.text_files import read_text

_COLUMNS = {
    "loaded_in_ms": later("读模型"),
    "p50_ms": later("一句"),
    "p95_ms": later("最慢 5%"),
    "real_time_factor": later("实时率"),
    "peak_rss_mb": later("内存 MB"),
    "character_error_rate": later("字错率"),
}
_CAPTION = later(
    "时间是毫秒，一句的是中位数。实时率是识别每秒声音用的秒数。字错率只算有 .txt 的录音。都是越低越好。"
)


def compare_models(
    models: Sequence[str], files: Sequence[Path], settings: Settings, config: Path | None, as_json: bool
) -> int:
    """Run each model in a process of its own, which shows its memory, and print a table; return the exit code."""
    texts = {str(file): text for file in files if (text := _text_beside(file)) is not None}
    rows = []
    for model in models:
        row = _figures(_run(model, files, settings, config), texts)
        rows.append(row)
        if as_json:
            print_json({"model": model, **row})
    if not as_json:
        cells = [
            [model, *(_shown(row.get(key)) for key in _COLUMNS)]
            for model, row in zip(models, rows, strict=True)
        ]
        names = [tr(name) for name in _COLUMNS.values()]
        print_table(
            [tr("模型"), *names],
            cells,
            right=names,
            title=tr("{count} 段录音", count=len(files)),
            caption=tr(_CAPTION),
        )
    for model, row in zip(models, rows, strict=True):
        if "error" in row:
            click.echo(tr("{model}：{value}", model=model, value=row["error"]), err=True)
    return int(any("error" in row for row in rows))


def character_error_rate(pairs: Iterable[tuple[str, str]]) -> float | None:
    """Return the share of letters that are wrong, of (what was said, what was heard); None where nothing was said.

    Case, width, spaces and punctuation do not count.
    """
    wrong = total = 0
    for said, heard in pairs:
        said, heard = _letters(said), _letters(heard)
        wrong += _edits(said, heard)
        total += len(said)
    return wrong / total if total else None


def engine_for(model: str, preferred: str) -> tuple[str, str]:
    """Split ENGINE:MODEL. For a folder, a hub's name or an address alone it is `preferred`, where that takes such."""
    engine, colon, name = model.partition(":")
    if colon and engine in ENGINES:
        return engine, name
    named_by = "server_url" if "://" in model else "model"
    engines = (preferred, *ENGINES)
    return next(engine for engine in engines if named_by == engine_of(engine).NAMED_BY), model


def _run(model: str, files: Sequence[Path], settings: Settings, config: Path | None) -> list[dict[str, Any]]:
    """Return the lines of `transcribe --json --measure` with that model, or one that holds the error."""
    engine, name = engine_for(model, settings.asr.engine)
    key = engine_of(engine).NAMED_BY.upper()
    command = [sys.executable, "-m", "xiaozhi_persona", "transcribe", "--json", "--measure"]
    command += ["--config", str(config)] if config else []
    done = subprocess.run(
        [*command, "--", *map(str, files)],
        env={**os.environ, "XZP_ASR__ENGINE": engine, f"XZP_ASR__{key}": name},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if not sys.stderr.isatty() else None,  # a terminal shows how a download goes
        encoding="utf-8",
    )
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    if not lines or "loaded_in_ms" not in lines[-1]:
        said = (done.stderr or "").strip().splitlines() or [tr("没有结果，见上面的错误")]
        error = tr("错误：{exc}", exc="")
        reason = next((line for line in said if line.startswith(error)), said[-1])
        return [{"error": reason.removeprefix(error)}]
    return lines


def _figures(lines: list[dict[str, Any]], texts: dict[str, str]) -> dict[str, Any]:
    error = next((line["error"] for line in lines if "error" in line), None)
    if error:
        return {"error": error}
    *heard, summary = lines
    times = [line["recognized_in_ms"] for line in heard]
    p50, p95 = np.percentile(times, [50, 95])
    pairs = [(texts[line["file"]], line["text"]) for line in heard if line["file"] in texts]
    rate = character_error_rate(pairs)
    return {
        **summary,
        "p50_ms": round(float(p50), 1),
        "p95_ms": round(float(p95), 1),
        "real_time_factor": round(sum(times) / max(1, sum(line["audio_ms"] for line in heard)), 4),
        "character_error_rate": None if rate is None else round(rate, 4),
    }


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _text_beside(file: Path) -> str | None:
    beside = file.with_suffix(".txt")
    return read_text(beside) if beside.is_file() else None


def _letters(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())


def _edits(one: str, other: str) -> int:
    """Return how many letters must be put in, taken out or replaced to make one text of the other."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, wanted in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (letter != wanted))
    return row[-1]
