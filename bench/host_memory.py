"""What the memory adds to a turn inside the real xiaozhi-esp32-server, and what 100 devices hold of its memory.

Ours with 100,000 turns of history against its own mem_local_short and against no memory, in one run. Needs a checkout:
XIAOZHI_SERVER_DIR and XIAOZHI_SERVER_PYTHON, as the tests of the doors do. A turn's figure is the time from the
question, typed at the device, to the request that the chat model gets.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from figures import options, percentiles, show  # first: it sets the threads of numeric libraries
from memory_years import END, ZONE, generate

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from hostkit import VERSIONS, Llm, Request, host

from xiaozhi_persona.installer.door_files import door_text
from xiaozhi_persona.memory.store import OwnerStore, owner_folder
from xiaozhi_persona.memory.wall_clock import DAY_MS
from xiaozhi_persona.providers.host.doors import DEFAULT_VOICE, DOORS, MEMORY

DEVICE = "aa:bb:cc:00:00:01"
QUESTIONS = (
    "昨天我们聊了什么",
    "上周我去了哪里",
    "我住在哪里",
    "我和小王吃火锅是什么时候",
    "我的座右铭是什么",
)
KINDS = ("nomem", "mem_local_short", MEMORY.type)


async def measure(kind: str, turns: int, history: int, devices: int, folder: Path) -> dict[str, Any]:
    """Return the time of each turn in ms, and the RSS that `devices` connections add, in MB."""
    section = {"type": kind, "llm": "HostkitLlm"}
    config = {"selected_module": {"Memory": "Bench"}, "Memory": {"Bench": section}}
    files = {str(door.path): door_text(door) for door in DOORS}
    tts = {"type": DEFAULT_VOICE.type, "url": "http://127.0.0.1:9/tts"}

    def remember(server: Path) -> None:
        if kind == MEMORY.type:
            store = OwnerStore(owner_folder(server / "data/xiaozhi-persona/memory", DEVICE), DEVICE)
            with contextlib.closing(store):
                until_now_ms = (datetime.now(ZONE) - END) // timedelta(days=1) * DAY_MS
                turns = generate(history, random.Random(1)).entries
                store.append(turn._replace(at_ms=turn.at_ms + until_now_ms) for turn in turns)

    took_ms: list[float] = []
    asked = asyncio.Event()

    def answer(request: Request) -> str:
        asked.set()
        return "好。"

    llm = Llm(answer)
    starting = host(VERSIONS[-1], folder, tts=tts, files=files, llm=llm, config=config, prepare=remember)
    async with starting as server:
        async with server.connect(DEVICE) as device:
            await device.say("热身")
            for number in range(turns):
                asked.clear()
                reply = await device.ask(QUESTIONS[number % len(QUESTIONS)])
                await asked.wait()
                took_ms.append((llm.requests[-1].at_s - reply.sent_at) * 1000)
                await reply.finished()
        before_mb = _rss_mb(server)
        async with contextlib.AsyncExitStack() as stack:
            for number in range(devices):
                await stack.enter_async_context(server.connect(f"aa:bb:cc:00:01:{number:02x}"))
            added_mb = _rss_mb(server) - before_mb
    return {"turn": percentiles(took_ms), "added_mb": round(added_mb, 1)}


def _rss_mb(server: Any) -> float:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--history", type=int, default=100_000)
    parser.add_argument("--devices", type=int, default=100)
    arguments = parser.parse_args()
    if not os.environ.get("XIAOZHI_SERVER_DIR"):
        sys.exit("XIAOZHI_SERVER_DIR is not set: the folder main/xiaozhi-server of a checkout")
    rows = {}
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(
                measure(kind, arguments.turns, arguments.history, arguments.devices, Path(folder))
            )
        rows[kind] = {**found["turn"], f"MB for {arguments.devices} devices": found["added_mb"]}
    title = f"Question to chat model in xiaozhi-esp32-server {VERSIONS[-1]} (ms), {arguments.history:,} turns"
    show(arguments.json, title, rows)


if __name__ == "__main__":
    main()
