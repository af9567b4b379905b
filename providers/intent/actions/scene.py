"""Where an intent is carried out: one device's conversation, in the bridge or in the host."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from xiaozhi_persona.providers.intent.scheduler import Scheduler
from xiaozhi_persona.roles.casting import Casting

_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")


@dataclass(frozen=True)
class Done:
    """What came of an intent."""

    say: str = ""
    """What is answered, in the role's voice; "" for nothing."""
    ends_connection: bool = False
    """Whether the connection is closed once that is said."""
    worked: bool = True
    """Whether it was done."""


class Scene(Protocol):
    """What actions see of the conversation. One for each thing that is said."""

    @property
    def language(self) -> str:
        """Of what was said: zh, en or ja; see `language_of`."""
        ...

    @property
    def device_id(self) -> str:
        """Which device it is; "" for one that does not say."""
        ...

    @property
    def owner_id(self) -> str:
        """Whose timers and alarms these are."""
        ...

    @property
    def casting(self) -> Casting:
        """Who speaks on which device."""
        ...

    @property
    def scheduler(self) -> Scheduler | None:
        """Timers and alarms that ring by themselves; None where nobody rings them."""
        ...

    @property
    def last_said(self) -> str:
        """What was answered last, with its emotion tags; "" for nothing yet."""
        ...

    @property
    def kept(self) -> MutableMapping[str, Any]:
        """What actions remember for as long as the device is connected, such as the volume before it was muted."""
        ...

    def now(self) -> datetime:
        """Return the time, with its zone."""
        ...

    async def tool_names(self) -> Collection[str]:
        """Return what can be called: the device's tools, then the server's. Waits for a list that is on its way.

        Names are as the firmware writes them, or with `_` for its dots, as in the host.
        """
        ...

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Call one of these tools, and return the text of its answer. Raises PersonaError: gone, slow, refused."""
        ...

    async def obey(self, words: str) -> str:
        """Tell the memory something (记住…), and return what it answers; "" where it does not take it."""
        ...


def language_of(text: str) -> str:
    """Return the language in which a command was said: en without any other letters, ja with kana, else zh."""
    if _KANA.search(text):
        return "ja"
    return "en" if text.isascii() else "zh"
