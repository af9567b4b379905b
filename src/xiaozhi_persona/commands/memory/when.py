"""`xiaozhi-persona memory when`: which time the words of a question name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from xiaozhi_persona.commands.common import common_options, input_lines, print_json
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.time_words import TimeRange, find_ranges

_LINES_AT_ONCE = 500


@click.command("when")
@click.argument("text", required=False)
@click.option("--now", "now_text", help="当作现在的时间（ISO，当地时间），默认为此刻")
@click.option("--jsonl", is_flag=True, help='从标准输入读 {"id","q","now"} 行，每行写出 {"id","ranges"}')
@common_options
def command(
    text: str | None, now_text: str | None, jsonl: bool, config: Path | None, as_json: bool, debug: bool
) -> None:
    """一句话里的时间指的是哪一段：只往回看，将来的时间没有。"""
    if (text is None) != jsonl:
        raise SettingsError(tr("写出一句话，或者用 --jsonl 从标准输入读。"))
    try:
        now = _local_time(now_text) if now_text else datetime.now()
    except ValueError as exc:
        raise SettingsError(
            tr("时间 {now_text!r} 读不懂。请写成 2025-08-20T15:30。", now_text=now_text)
        ) from exc
    if text is None:
        _answer_lines(now)
        return
    ranges = find_ranges(text, now)
    if as_json:
        print_json({"ranges": [_as_json(one) for one in ranges]})
        return
    for one in ranges:
        click.echo(f"{one.start:%Y-%m-%d %H:%M} → {one.end:%Y-%m-%d %H:%M}  {one.granularity}  “{one.text}”")
    if not ranges:
        click.echo(tr("（没有说到过去的时间）"))


def _answer_lines(now: datetime) -> None:
    """Answer the lines of the standard input; what comes before a bad line is written before it is refused."""
    answers: list[str] = []
    try:
        for answer in _answers(now):
            answers.append(answer)
            if len(answers) == _LINES_AT_ONCE:
                _write(answers)
                answers = []
    finally:
        if answers:
            _write(answers)


def _write(lines: list[str]) -> None:
    click.echo("\n".join(lines))


def _answers(now: datetime) -> Iterator[str]:
    for number, line in enumerate(input_lines(), 1):
        if not line.strip():
            continue
        try:
            asked = json.loads(line)
            question, at = asked["q"], asked.get("now")
            if not isinstance(question, str):
                raise TypeError
            ranges = find_ranges(question, _local_time(at) if at is not None else now)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise SettingsError(
                tr(
                    "标准输入的第 {number} 行读不懂。"
                    '每行请写成 {{"id":"1","q":"昨天聊了什么","now":"2025-08-20T15:30"}}。',
                    number=number,
                )
            ) from exc
        answer = {"id": asked.get("id"), "ranges": [_as_json(one) for one in ranges]}
        yield json.dumps(answer, ensure_ascii=False)


def _local_time(text: str) -> datetime:
    """Read an ISO time; with an offset, the time of day is the one that the clock there shows."""
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=None)


def _as_json(one: TimeRange) -> dict[str, Any]:
    return {
        "start": one.start.isoformat(timespec="seconds"),
        "end": one.end.isoformat(timespec="seconds"),
        "text": one.text,
        "granularity": one.granularity,
    }
