"""The part of `doctor HOST` that looks at the local intents: whether they are selected, and what they make of a command."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from xiaozhi_persona.checks import Check, failed
from xiaozhi_persona.commands.doctor.host_memory import selected_section
from xiaozhi_persona.errors import PersonaError, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.host.doors import INTENT
from xiaozhi_persona.providers.host.sections import base_settings
from xiaozhi_persona.providers.host.tool_names import ROLE_TOOL, ROLE_TOOL_FILE
from xiaozhi_persona.providers.intent.actions.carry_out import carry_out
from xiaozhi_persona.providers.intent.router import Router
from xiaozhi_persona.providers.intent.scheduler import Scheduler
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings

_SENTENCE = "音量调到三十"
_TOOL = "self.audio_speaker.set_volume"


async def check_intents(config: Mapping[str, Any], server_dir: Path, again: str) -> list[Check]:
    """Check what the host's settings select; then try one command, up to the call of a pretended device's tool."""
    what = tr("本地意图")
    name, section = selected_section(config, "Intent")
    kind = section.get("type")
    functions = section.get("functions")
    listed = functions if isinstance(functions, list) else []
    has_tool = not {ROLE_TOOL, ROLE_TOOL_FILE}.isdisjoint(map(str, listed))
    if kind != INTENT.type and not has_tool:
        found = tr("没有用：Intent 是 {name}；要用，{again}", name=name, again=again)
        return [Check("ok", what, found)]
    checks = []
    if kind == INTENT.type and "functions" not in section:
        checks.append(Check("ok", what, tr("Intent 用 {name}，对话模型没有工具", name=name)))
    elif has_tool:
        checks.append(Check("ok", what, tr("Intent 用 {name}，对话模型也能换角色", name=name)))
    else:
        found = tr(
            "Intent.{name}.functions 里没有 {tool}，对话模型不能换角色（直接说“换成某某”可以）",
            name=name,
            tool=ROLE_TOOL,
        )
        checks.append(Check("warning", what, found, again))
    try:
        settings = base_settings(server_dir)
        checks += _own_files(settings)
        checks.append(await _rehearsal(settings))
    except PersonaError as exc:
        checks.append(failed(what, exc))
    return checks


def _own_files(settings: Settings) -> Iterator[Check]:
    for problem in Router(settings.data_dir / "intents").refresh():
        yield failed(tr("你写的意图"), SettingsError(problem))


async def _rehearsal(settings: Settings) -> Check:
    """Say a command to a device that is pretended, and see which tool is called."""
    what, router = tr("试一句意图"), Router()
    router.warm()
    began = time.perf_counter()
    match = router.route(_SENTENCE)
    took_us = (time.perf_counter() - began) * 1e6
    scene = _Rehearsal(Casting(settings))
    if match is None or await carry_out(match, scene) is None or not scene.calls:
        step = tr("再装一次本程序。")
        return Check("error", what, tr("“{sentence}”没有认出来", sentence=_SENTENCE), step)
    ((tool, arguments),) = scene.calls
    return Check(
        "ok",
        what,
        tr(
            "“{sentence}”是 {intent}（{took:.0f} 微秒），会调用设备的 {tool} {arguments}",
            sentence=_SENTENCE,
            intent=match.intent,
            took=took_us,
            tool=tool,
            arguments=dict(arguments),
        ),
    )


@dataclass
class _Rehearsal:
    """The scene with a device that is not there."""

    casting: Casting
    device_id: str = ""
    owner_id: str = ""
    language: str = "zh"
    scheduler: Scheduler | None = None
    last_said: str = ""
    kept: MutableMapping[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime.now().astimezone()

    async def tool_names(self) -> Collection[str]:
        return [_TOOL]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        self.calls.append((name, arguments))
        return "true"

    async def obey(self, words: str) -> str:
        return ""
