"""A device's conversation for actions, whose device has the tools that the test gives it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from xiaozhi_persona.errors import ServiceUnavailable
from xiaozhi_persona.providers.intent.actions.carry_out import carry_out
from xiaozhi_persona.providers.intent.actions.scene import Done, language_of
from xiaozhi_persona.providers.intent.router import Router
from xiaozhi_persona.providers.intent.scheduler import Scheduler
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=timezone(timedelta(hours=8)))
Tool = str | Exception | Callable[[Mapping[str, Any]], str]


class Device:
    """The tools of a firmware's device, with its volume and brightness."""

    def __init__(self) -> None:
        self.volume, self.brightness, self.theme = 50, 70, "light"
        self.battery: dict[str, Any] | None = {"level": 80, "charging": False}

    def tools(self) -> dict[str, Tool]:
        return {
            "self.get_device_status": lambda _: self.status(),
            "self.audio_speaker.set_volume": self._setter("volume"),
            "self.screen.set_brightness": self._setter("brightness"),
            "self.screen.set_theme": self._setter("theme"),
        }

    def status(self) -> str:
        told: dict[str, Any] = {
            "audio_speaker": {"volume": self.volume},
            "screen": {"brightness": self.brightness, "theme": self.theme},
        }
        return json.dumps({**told, **({"battery": self.battery} if self.battery else {})})

    def _setter(self, name: str) -> Callable[[Mapping[str, Any]], str]:
        def put(arguments: Mapping[str, Any]) -> str:
            setattr(self, name, arguments[name])
            return "true"

        return put


@dataclass
class FakeScene:
    """Answers calls from `tools`: a text, an error to raise, or what is called with the arguments."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    language: str = "zh"
    device_id: str = "aa:bb:cc:dd:ee:ff"
    owner_id: str = "小明"
    casting: Casting = field(default_factory=lambda: Casting(Settings()))
    scheduler: Scheduler | None = None
    last_said: str = ""
    kept: MutableMapping[str, Any] = field(default_factory=dict)
    at: datetime = NOON
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    obeyed: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    async def tool_names(self) -> Collection[str]:
        return list(self.tools)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        self.calls.append((name, dict(arguments)))
        answer = self.tools.get(name, ServiceUnavailable(f"没有 {name}"))
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, str) else answer(arguments)

    async def obey(self, words: str) -> str:
        self.obeyed.append(words)
        return "好，我记住了。" if words.startswith("记住") else ""

    async def hear(self, text: str, router: Router | None = None) -> Done | None:
        """Carry out what a sentence asks for, which must be an intent."""
        self.language = language_of(text)
        roles = list(self.casting.spoken_names())
        match = (router or ROUTER).route(text, {"role": roles})
        assert match, text
        return await carry_out(match, self)

    async def say(self, text: str, router: Router | None = None) -> str | None:
        """Return what is answered to a sentence; None where it is left to the chat model."""
        done = await self.hear(text, router)
        return None if done is None else done.say

    @property
    def set(self) -> list[Any]:
        """The values that tools were called with, without mere questions."""
        return [value for _, arguments in self.calls for value in arguments.values()]


ROUTER = Router()
