"""What tools cost a turn that calls none: from the typed question to the chat model's first text, with and without them.

Two devices of two bridges ask in turn, in one run. The chat model answers at once: within the process, which leaves the
bridge's own share, or as a server of ours that stands in the same process, so that its reading of the tools counts, too.
What a real model needs to read them comes on top.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from figures import options, percentiles, show  # first: it sets the threads of numeric libraries

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fakes.bridge import Rig, running
from fakes.openai_server import OpenAiServer
from fakes.parts import FakeChatModel, make_parts

from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.providers.llm.openai import OpenAiChatModel
from xiaozhi_persona.settings import LlmSettings, MemorySettings
from xiaozhi_persona.spine import Owner, Recollection, Turn

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
    kinds = [
        f"{model}, {tools} tools"
        for model in ("in the process", "over HTTP")
        for tools in ("without", "with")
    ]
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    async with OpenAiServer(reply=["好。"]) as server, contextlib.AsyncExitStack() as stack:
        devices: dict[str, tuple[Rig, Any]] = {}
        for kind in times:
            mind = PersonaMemory(MemorySettings(), folder / kind.replace(" ", "-"))
            model = OpenAiChatModel(LlmSettings(base_url=server.url))
            parts = make_parts(
                model if "HTTP" in kind else FakeChatModel("好。"),
                memory=WithoutTools(mind) if "without" in kind else mind,
            )
            parts.closers += [mind.aclose, model.aclose]
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
        offered = ["tools" in request.body for request in server.requests]
        assert sum(offered) * 2 == len(offered)
    return times


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--turns", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times = asyncio.run(measure(arguments.turns, Path(folder)))
    rows: dict[str, dict[str, Any]] = {kind: percentiles(values) for kind, values in times.items()}
    medians = [float(np.median(values)) for values in times.values()]
    for place, name in ((0, "in the process"), (2, "over HTTP")):
        rows[f"{name}, ratio"] = {"p50": round(medians[place + 1] / medians[place], 3)}
    show(
        arguments.json, "Typed question to the first text of the chat model, ms", rows, turns=arguments.turns
    )


if __name__ == "__main__":
    main()
