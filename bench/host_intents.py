"""How soon a command reaches the device inside the real xiaozhi-esp32-server: our intents against the host's own ways.

From the recognized text to the call of the device's tool, with intent_llm, function_call and persona_intent in one run,
in turn; the chat model is a stub that begins to answer after `--model-ms`. Then the time from a question, which is no
intent, to the request that the chat model gets, with function_call and persona_intent. Needs a checkout:
XIAOZHI_SERVER_DIR and XIAOZHI_SERVER_PYTHON, as the tests of the doors do.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from figures import options, percentiles, show  # first: it sets the threads of numeric libraries

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from hostkit import VERSIONS, Llm, Request, Speaker, ToolCall, host
from hostkit.device import Device
from hostkit.device_tools import DeviceTools
from test_hostkit import FILES

from xiaozhi_persona.installer.door_files import door_text
from xiaozhi_persona.providers.host.doors import DOORS, INTENT

DEVICE = "aa:bb:cc:00:00:01"
TOOL = "self_audio_speaker_set_volume"
OURS = INTENT.type
KINDS = ("intent_llm", "function_call", OURS)
_PAUSE_S = 0.8
_LIST_S = 5.0


class Model:
    """The chat model of one host: it calls the tool for a command, and answers anything else."""

    def __init__(self, answers_after_s: float) -> None:
        self.llm = Llm(self.answer, first_s=answers_after_s)

    def answer(self, request: Request) -> Any:
        said = next((m for m in reversed(request.dialogue) if m["role"] in ("user", "tool")), {})
        if said.get("role") == "tool" or "音量" not in str(said.get("content")):
            return "好的。"
        volume = {"volume": 30}
        if request.functions is None:
            return json.dumps({"function_call": {"name": TOOL, "arguments": volume}})
        return [ToolCall(TOOL, volume, piece_chars=20)]


async def start(
    stack: contextlib.AsyncExitStack, kind: str, model: Model, folder: Path
) -> tuple[Device, DeviceTools]:
    """Start a host with one kind of intents, and connect a device whose tools it knows."""
    section: dict[str, Any] = {"type": kind, "functions": ["get_lunar"]}
    if kind == "intent_llm":
        section["llm"] = "HostkitLlm"
    files = FILES | {str(door.path): door_text(door) for door in DOORS}
    config = {"selected_module": {"Intent": "Bench"}, "Intent": {"Bench": section}}
    server = await stack.enter_async_context(
        host(
            VERSIONS[-1],
            folder,
            tts={"type": "plain", "lasts_s": 0.1},
            files=files,
            llm=model.llm,
            config=config,
        )
    )
    tools = Speaker().tools()
    device = await stack.enter_async_context(server.connect(DEVICE, tools=tools))
    deadline = asyncio.get_running_loop().time() + _LIST_S
    while not tools.is_listed and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return device, tools


async def measure(turns: int, model_s: float, folder: Path) -> tuple[dict[str, list[float]], ...]:
    """Return the times of each kind, in ms: to the device's call, and to the model's request of a question."""
    calls: dict[str, list[float]] = {kind: [] for kind in KINDS}
    requests: dict[str, list[float]] = {kind: [] for kind in KINDS[1:]}
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        models = {kind: Model(model_s) for kind in KINDS}
        hosts = {kind: await start(stack, kind, models[kind], folder / kind) for kind in KINDS}
        for number in range(turns + 1):
            for kind in KINDS if number % 2 else reversed(KINDS):
                device, tools = hosts[kind]
                sent, before = loop.time(), len(tools.calls)
                reply = await device.ask(f"音量调到{number % 90 + 5}")
                while len(tools.calls) == before:
                    await asyncio.sleep(0.001)
                    assert loop.time() - sent < 20, (kind, reply.events)
                if number:  # the first one warms up
                    calls[kind].append((tools.called_at[before] - sent) * 1000)
                await reply.finished()
                await asyncio.sleep(_PAUSE_S)
            for kind in requests if number % 2 else reversed(requests):
                device, _ = hosts[kind]
                asked, sent = models[kind].llm.requests, loop.time()
                before = len(asked)
                reply = await device.ask("今天天气怎么样")
                await reply.finished()
                if number:
                    requests[kind].append((asked[before].at_s - sent) * 1000)
                await asyncio.sleep(_PAUSE_S)
    return calls, requests


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--model-ms", type=float, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        calls, requests = asyncio.run(measure(arguments.turns, arguments.model_ms / 1000, Path(folder)))
    rows: dict[str, dict[str, Any]] = {
        f"{kind}, to the device's call": percentiles(calls[kind]) for kind in KINDS
    }
    ours = float(np.median(calls[OURS]))
    for kind in KINDS[:2]:
        rows[f"{OURS} to {kind}, ratio"] = {"p50": round(ours / float(np.median(calls[kind])), 4)}
    rows |= {f"{kind}, question to the model": percentiles(requests[kind]) for kind in requests}
    both = [float(np.median(requests[kind])) + arguments.model_ms for kind in (OURS, "function_call")]
    rows["question to the model's first word, ratio"] = {"p50": round(both[0] / both[1], 3)}
    show(arguments.json, "A command and a question in the host, ms", rows, turns=arguments.turns)


if __name__ == "__main__":
    main()
