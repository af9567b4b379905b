"""Intents at a device that lends its tools by MCP, over the real websocket: done by it, or honestly not."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from fakes.bridge import Rig, make_settings, running
from fakes.mcp_device import STATUS, VOLUME, McpDevice, text, tool
from fakes.parts import FakeChatModel, ToolModel, make_parts
from fakes.scene import Device

from xiaozhi_persona.bridge import answering
from xiaozhi_persona.bridge.mcp import device_tools
from xiaozhi_persona.bridge.wits.intents import Intents
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import PathSettings
from xiaozhi_persona.spine import ToolCall

TOOLS = [
    STATUS,
    VOLUME,
    tool("self.screen.set_brightness", brightness={"type": "integer", "minimum": 0, "maximum": 100}),
    tool("self.screen.set_theme", theme={"type": "string"}),
]


class Firmware:
    """Answers as a device does, and counts what it was asked."""

    def __init__(self, wire: McpDevice) -> None:
        self.wire, self.device = wire, Device()
        self.silent = False
        wire.on_call = self.answer

    def answer(self, params: dict[str, Any]) -> Any:
        if self.silent:
            return None
        answer = self.device.tools()[params["name"]]
        assert callable(answer)
        return text(answer(params["arguments"]))


@contextlib.asynccontextmanager
async def at_device(
    folder: Path, *pages: list[dict[str, Any]], chat: Any = None, hello: bool = True
) -> AsyncIterator[tuple[Firmware, Rig]]:
    settings = make_settings().model_copy(update={"paths": PathSettings(data=str(folder))})
    parts = make_parts(chat or FakeChatModel("好的。"))
    parts.casting = Casting(settings)
    parts.intents = await Intents.open(settings, parts.casting)
    parts.closers.append(parts.intents.aclose)
    async with running(parts, settings) as rig, McpDevice.open(rig.url, *(pages or (TOOLS,))) as wire:
        firmware = Firmware(wire)
        if hello:
            await wire.hello()
        yield firmware, rig


async def until(is_so: Callable[[], Any]) -> None:
    with anyio.fail_after(10):
        while not is_so():  # noqa: ASYNC110
            await anyio.sleep(0.005)


async def test_volume_brightness_theme_and_battery_are_the_devices(tmp_path: Path) -> None:
    async with at_device(tmp_path) as (firmware, rig):
        device, ask = firmware.device, firmware.wire.ask
        assert "60" in await ask("声音大一点")
        assert "30" in await ask("set the volume to thirty")
        assert "30" in await ask("现在音量多少")
        assert "80" in await ask("屏幕亮一点")
        assert "深色" in await ask("切换到深色主题")
        assert "80%" in await ask("还有多少电")
        assert await ask("静音") == ""
        assert (device.volume, device.brightness, device.theme) == (0, 80, "dark")
        assert "30" in await ask("取消静音")
        assert all(turn.outcome == "done" for turn in rig.turns)


async def test_a_command_right_after_the_hello_waits_for_the_list(tmp_path: Path) -> None:
    asked: list[str] = []
    async with at_device(tmp_path, hello=False) as (early, _):
        early.wire.on_list = lambda params: None
        await early.wire.hello()
        async with anyio.create_task_group() as group:
            group.start_soon(_asks, early, asked)
            listing = await early.wire.until_asked("tools/list")
            await early.wire.answer(listing, early.wire.page(listing["params"]))
        assert "60" in asked[0] and early.device.volume == 60


async def _asks(firmware: Firmware, asked: list[str]) -> None:
    asked.append(await firmware.wire.ask("声音大一点"))


async def test_a_device_that_does_not_answer_is_told_as_such_and_serves_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_tools, "CALL_S", 0.3)
    monkeypatch.setattr(answering, "FILL_AFTER_S", 0.05)
    async with at_device(tmp_path) as (firmware, _):
        await firmware.wire.ask("在吗")
        firmware.silent = True
        assert "不知道" in await firmware.wire.ask("音量调到三十")
        firmware.silent = False
        assert "40" in await firmware.wire.ask("音量调到四十")


async def test_a_device_that_refuses_is_told_as_such(tmp_path: Path) -> None:
    async with at_device(tmp_path) as (firmware, _):
        firmware.wire.on_call = lambda params: {"error": {"message": "Unknown tool"}}
        assert "没" in await firmware.wire.ask("音量调到三十")
        firmware.wire.on_call = lambda params: text("false")
        assert "没" in await firmware.wire.ask("音量调到三十")
        firmware.wire.on_call = lambda params: text("broken", isError=True)
        assert "没" in await firmware.wire.ask("音量调到三十")


async def test_a_device_that_goes_in_mid_call_ends_all(tmp_path: Path) -> None:
    async with at_device(tmp_path) as (firmware, rig):
        firmware.silent = True
        await firmware.wire.wire.type("音量调到三十")
        await firmware.wire.until_asked("tools/call")
        await firmware.wire.wire.websocket.close()
        await until(lambda: not rig.bridge._sessions)
        assert [turn.outcome for turn in rig.turns] == ["cancelled"]


async def test_the_chat_model_has_the_devices_tools_right_after_an_intent(tmp_path: Path) -> None:
    call = ToolCall("a", "self_audio_speaker_set_volume", json.dumps({"volume": 20}))
    chat = ToolModel([call], ["调好了。"])
    async with at_device(tmp_path, chat=chat) as (firmware, _):
        assert "60" in await firmware.wire.ask("声音大一点")
        assert await firmware.wire.ask("那就正好调成我昨天说的那么大吧") == "调好了。"
        assert firmware.device.volume == 20 and len(chat.offered[0]) >= len(TOOLS)
        assert [message.content for message in chat.asked[0][1:]] == ["那就正好调成我昨天说的那么大吧"]
