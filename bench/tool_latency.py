"""What tools cost a turn that calls none: from the typed question to the chat model's first text, with and without them.

And how soon a typed command is at the device as a call of its tool: as a local intent, and as the function call of a chat
model over HTTP that answers at once; what a real one needs to write it comes on top.

Two devices of two bridges ask in turn, in one run. The chat model answers at once: within the process, which leaves the
bridge's own share, or as a server of ours that stands in the same process, so that its reading of the tools counts, too.
Or that server waits for 200 ms before its first text, as a real model does; what such a one takes longer because it reads
the tools comes on top.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from figures import options, percentiles, show  # first: it sets the threads of numeric libraries

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fakes.bridge import Rig, make_settings, running
from fakes.mcp_device import STATUS, VOLUME, McpDevice, text
from fakes.openai_server import OpenAiServer
from fakes.parts import FakeChatModel, make_parts

from xiaozhi_persona.bridge import session
from xiaozhi_persona.bridge.wits.intents import Intents
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.providers.llm.openai import OpenAiChatModel
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import LlmSettings, MemorySettings, PathSettings
from xiaozhi_persona.spine import Owner, Recollection, Turn

AT_ONCE, AS_A_MODEL = "over HTTP", "over HTTP, first token after 200 ms"
FIRST_TOKEN_S = {AT_ONCE: 0.0, AS_A_MODEL: 0.2}
MODELS = ("in the process", *FIRST_TOKEN_S)
QUESTIONS = ("我住在哪里", "今天天气真好", "昨天我们聊了什么", "给我讲个笑话")


class WithoutTools:
    """A memory that the bridge takes for one that has no tools."""

    def __init__(self, mind: PersonaMemory) -> None:
        self._mind = mind

    async def open(self, owner: Owner) -> None:
        await self._mind.open(owner)

    async def obey(self, owner: Owner, text: str, now: datetime) -> str:
        return await self._mind.obey(owner, text, now)

    def ask_no_more(self, owner: Owner) -> None:
        self._mind.ask_no_more(owner)

    async def remember(self, owner: Owner, turns: Sequence[Turn]) -> str:
        return await self._mind.remember(owner, turns)

    async def recall(self, owner: Owner, question: str, now: datetime) -> Recollection:
        return await self._mind.recall(owner, question, now)


async def measure(turns: int, folder: Path) -> dict[str, list[float]]:
    """Return the times to the first text of each kind, in ms."""
    kinds = [(model, tools) for model in MODELS for tools in ("without", "with")]
    times: dict[str, list[float]] = {f"{model}, {tools} tools": [] for model, tools in kinds}
    bare: list[Casting] = []  # of the devices without tools
    role_tools = session.role_tools
    session.role_tools = lambda casting, device: [] if casting in bare else role_tools(casting, device)
    async with contextlib.AsyncExitStack() as stack:
        servers = {
            model: await stack.enter_async_context(OpenAiServer(reply=["好。"], first_token_s=first_token_s))
            for model, first_token_s in FIRST_TOKEN_S.items()
        }
        devices: dict[str, tuple[Rig, Any]] = {}
        for kind, (name, tools) in zip(times, kinds, strict=True):
            mind = PersonaMemory(MemorySettings(), folder / kind.replace(" ", "-"))
            if name in servers:
                model: Any = OpenAiChatModel(LlmSettings(base_url=servers[name].url))
                stack.push_async_callback(model.aclose)
            else:
                model = FakeChatModel("好。")
            parts = make_parts(model, memory=WithoutTools(mind) if tools == "without" else mind)
            parts.closers.append(mind.aclose)
            if tools == "without":
                bare.append(parts.casting)
            rig = await stack.enter_async_context(running(parts))
            device = await stack.enter_async_context(rig.device())
            device.model.start_listening(0.0)
            device._update()
            devices[kind] = rig, device
        for number in range(turns + 2):
            order = [*devices.items()]
            for kind, (rig, device) in order if number % 2 else reversed(order):
                device.type_text(QUESTIONS[number % len(QUESTIONS)])
                await device.reply(10)
                while len(rig.turns) <= number:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                if number > 1:  # the first ones warm up
                    times[kind].append(rig.turns[-1].marks_ms["first_token_ms"])
        for server in servers.values():
            offered = ["tools" in request.body for request in server.requests]
            assert sum(offered) * 2 == len(offered)
    return times


async def measure_commands(turns: int, folder: Path) -> dict[str, list[float]]:
    """Return the times from a typed command to the call of the device's tool, in ms."""
    times: dict[str, list[float]] = {"local intent": [], "chat model's call": []}
    async with OpenAiServer(reply="好。") as server, contextlib.AsyncExitStack() as stack:
        devices: dict[str, McpDevice] = {}
        called_at_s = 0.0

        def called(params: dict[str, Any]) -> Any:
            nonlocal called_at_s
            called_at_s = called_at_s or time.perf_counter()
            server.tool_calls = ()
            return text("true")

        for kind in times:
            settings = make_settings().model_copy(update={"paths": PathSettings(data=str(folder / kind[:5]))})
            mind = PersonaMemory(MemorySettings(), folder / kind[:5])
            model = OpenAiChatModel(LlmSettings(base_url=server.url))
            parts = make_parts(model, memory=mind)
            parts.closers += [mind.aclose, model.aclose]
            if kind == "local intent":
                parts.intents = await Intents.open(settings, parts.casting)
                parts.closers.append(parts.intents.aclose)
            rig = await stack.enter_async_context(running(parts, settings))
            device = await stack.enter_async_context(McpDevice.open(rig.url, [VOLUME, STATUS]))
            device.on_call = called
            await device.hello()
            await device.until_asked("tools/list")
            devices[kind] = device
        for number in range(turns + 2):
            for kind, device in devices.items() if number % 2 else reversed(devices.items()):
                server.tool_calls = [("self_audio_speaker_set_volume", '{"volume": 30}')]
                called_at_s, began_s = 0.0, time.perf_counter()
                await device.ask("音量调到三十")
                if number > 1:  # the first ones warm up
                    times[kind].append((called_at_s - began_s) * 1000)
        assert len(server.requests) == 2 * (
            turns + 2
        )  # each call of the chat model's, and what it says of it
    return times


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--turns", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times = asyncio.run(measure(arguments.turns, Path(folder)))
        commands = asyncio.run(measure_commands(arguments.turns, Path(folder) / "commands"))
    rows: dict[str, dict[str, Any]] = {kind: percentiles(values) for kind, values in times.items()}
    medians = [float(np.median(values)) for values in times.values()]
    for name, without, with_tools in zip(MODELS, medians[::2], medians[1::2], strict=True):
        rows[f"{name}, ratio"] = {"p50": round(with_tools / without, 3)}
    rows |= {f"command to the device, {kind}": percentiles(values) for kind, values in commands.items()}
    local, called = (float(np.median(values)) for values in commands.values())
    rows["command to the device, ratio"] = {"p50": round(called / local, 1)}
    show(
        arguments.json,
        "Typed question to the first text of the chat model, typed command to the call of the device's tool, ms",
        rows,
        turns=arguments.turns,
    )


if __name__ == "__main__":
    main()
