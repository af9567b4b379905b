"""A bridge that listens on free ports, and devices that connect to it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from typing import Any

from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.bridge.messages import ListenMode, Mcp
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.bridge.server import Bridge
from xiaozhi_persona.bridge.speaking import TurnTimeline
from xiaozhi_persona.settings import PathSettings, Settings


def make_settings(**session: Any) -> Settings:
    return Settings.model_validate(
        {
            "bridge": {"host": "127.0.0.1"},
            "session": {"start_gap_ms": 0, "stop_margin_ms": 0, **session},
            "vad": {"silence_ms": 200},
        }
    )


class Rig:
    """A bridge that listens, and how to reach it."""

    def __init__(self, bridge: Bridge, parts: Parts, turns: list[TurnTimeline]) -> None:
        self.bridge, self.parts, self.turns = bridge, parts, turns
        self.url = f"ws://127.0.0.1:{bridge.websocket_port}/xiaozhi/v1/"

    def device(self, mode: ListenMode = "auto", version: int = 1, **more: Any) -> Any:
        return DeviceConnection.open(self.url, mode=mode, version=version, **more)


@contextlib.asynccontextmanager
async def running(parts: Parts, settings: Settings | None = None) -> AsyncIterator[Rig]:
    settings = settings or make_settings()
    free = settings.bridge.model_copy(update={"websocket_port": 0, "http_port": 0})
    settings = settings.model_copy(update={"bridge": free})
    turns: list[TurnTimeline] = []
    with tempfile.TemporaryDirectory() as folder:
        if "paths" not in settings.model_fields_set:
            settings = settings.model_copy(update={"paths": PathSettings(data=folder)})
        async with contextlib.aclosing(parts), Bridge(settings, parts, turns.append) as bridge:
            yield Rig(bridge, parts, turns)


def messages(device: DeviceConnection) -> list[Any]:
    """What came of the conversation: sound left out, and what the bridge asks of the device by MCP."""
    return [r.content for r in device.received if not isinstance(r.content, bytes | Mcp)]
