"""`xiaozhi-persona intent`: what the local intents make of a sentence."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from xiaozhi_persona.commands.common import common_options, input_lines, prepare, print_json
from xiaozhi_persona.errors import SettingsError, own_command
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.intent.router import Match, Router
from xiaozhi_persona.providers.intent.tables import Template
from xiaozhi_persona.providers.intent.why import nearest
from xiaozhi_persona.roles.names import RoleNames
from xiaozhi_persona.text_files import read_text


@click.command("intent")
@click.argument("text", metavar="TEXT", required=False)
@click.option(
    "--jsonl", is_flag=True, help='逐行读 {"id","text"} 或一句话，逐行回答；TEXT 是文件，不写就读标准输入'
)
@click.option("--why", is_flag=True, help="对上了哪个句子；没有对上的，差一点的是哪些")
@click.option("--role", "roles", multiple=True, help="还有哪些角色可以换，可写几次；角色包里的已经算上")
@common_options
def command(
    text: str | None,
    jsonl: bool,
    why: bool,
    roles: tuple[str, ...],
    config: Path | None,
    as_json: bool,
    debug: bool,
) -> None:
    """看一句话是哪个本地意图（音量、闹钟、换角色……），不用模型。你自己的意图写在 data/intents/*.yaml。"""
    settings = prepare(config, debug)
    router = Router(settings.data_dir / "intents")
    for problem in router.refresh():
        click.echo(problem, err=True)
    lists = {"role": [*RoleNames(settings.data_dir).spoken(), *roles]}
    if jsonl:
        router.warm()
        for name, sentence in _sentences(text):
            match, took_us = _timed(router, sentence, lists)
            print_json(
                {"id": name, **_line(match, took_us), **(_why(router, sentence, match) if why else {})}
            )
        return
    if text is None:
        raise SettingsError(tr("要看哪句话？例如：{command}", command=own_command("intent 声音大一点")))
    router.warm()
    match, took_us = _timed(router, text, lists)
    if as_json:
        print_json(_line(match, took_us) | (_why(router, text, match) if why else {}))
        return
    if match is None:
        click.echo(tr("没有意图，交给模型（{took:.0f} 微秒）", took=took_us))
    else:
        slots = " ".join(f"{name}={value}" for name, value in match.slots.items())
        click.echo(tr("{intent} {slots}（{took:.0f} 微秒）", intent=match.intent, slots=slots, took=took_us))
    if why:
        _tell_why(router, text, match)


def _timed(router: Router, text: str, lists: dict[str, list[str]]) -> tuple[Match | None, float]:
    started = time.perf_counter()
    match = router.route(text, lists)
    return match, (time.perf_counter() - started) * 1e6


def _line(match: Match | None, took_us: float) -> dict[str, Any]:
    return {
        "intent": match.intent if match else None,
        "slots": dict(match.slots) if match else {},
        "us": round(took_us, 1),
    }


def _why(router: Router, text: str, match: Match | None) -> dict[str, Any]:
    if match is None:
        near = nearest(router.core(text), router.templates())
        return {"near": [{"changes": one.changes, **_place(one.template)} for one in near]}
    return {"why": _place(match.template) if match.template else {"rule": "memory"}}


def _place(template: Template) -> dict[str, Any]:
    return {"intent": template.intent, "sentence": template.text, "at": f"{template.file}:{template.line}"}


def _tell_why(router: Router, text: str, match: Match | None) -> None:
    if match and match.template:
        click.echo(f"  {match.template.text}  ({match.template.file}:{match.template.line})")
    elif match:
        click.echo(tr("  这句话是对记忆说的，由记忆自己的规则认出"))
    else:
        core = router.core(text)
        click.echo(tr("  去掉前后的客气话，剩下：{core}", core=core))
        for near in nearest(core, router.templates()):
            place = f"{near.template.file}:{near.template.line}"
            click.echo(
                tr(
                    "  差 {count} 个字：{intent}  {sentence}  ({place})",
                    count=near.changes,
                    intent=near.template.intent,
                    sentence=near.template.text,
                    place=place,
                )
            )


def _sentences(file: str | None) -> Iterator[tuple[Any, str]]:
    """Yield the id and the text of every line; the id is the line's number where there is none."""
    lines: Iterable[str] = input_lines() if file is None else read_text(Path(file)).splitlines()
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        if not line:
            continue
        if not line.startswith("{"):
            yield number, line
            continue
        try:
            given = json.loads(line)
        except ValueError as exc:
            raise SettingsError(tr("第 {number} 行不是 JSON：{exc}", number=number, exc=exc)) from exc
        if not isinstance(given.get("text"), str):
            raise SettingsError(tr('第 {number} 行要有 "text"', number=number))
        yield given.get("id", number), given["text"]
