"""Devices that come, talk, interrupt and hang up for ten minutes: what the bridge holds before, meanwhile and after.

The bridge runs in this process with its embedded parts, the devices in another one. A device speaks or types one to five
questions, interrupts some of the answers, leaves politely or by cutting the line, and comes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from figures import options, show  # first: it sets the threads of numeric libraries

from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.bridge.messages import Listen
from xiaozhi_persona.bridge.parts import build_parts
from xiaozhi_persona.bridge.server import Bridge
from xiaozhi_persona.bridge.speaking import TurnTimeline
from xiaozhi_persona.errors import ServiceError
from xiaozhi_persona.settings import Settings

SPEECH = Path(__file__).parent.parent / "tests" / "data" / "speech"
QUESTIONS = ("我今天很开心", "记住我喜欢爬山", "昨天我说了什么", "你好", "我今天去了公园，看见了很多花。")
SETTLE_S = 5.0
"""How long after the last device has gone what it held may take to be given back."""


def held() -> dict[str, Any]:
    """Return what this process holds, where the system tells."""
    status = Path("/proc/self/status")
    descriptors = Path("/proc/self/fd")
    rss_kb = status.exists() and next(
        line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS")
    )
    return {
        "RSS, MB": round(int(rss_kb) / 1024, 1),
        "file descriptors": len(os.listdir(descriptors)) if descriptors.exists() else 0,
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
    }


async def soak(
    devices: int, minutes: float, folder: Path
) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    """Return what was held at each time, and how often the devices did what."""
    bridge = {"host": "127.0.0.1", "websocket_port": 8000, "http_port": 8003}
    settings = Settings.model_validate({"bridge": bridge}).at(folder)
    free = settings.bridge.model_copy(update={"websocket_port": 0, "http_port": 0})
    settings = settings.model_copy(update={"bridge": free})
    parts = await build_parts(settings)
    turns: Counter[str] = Counter()

    def ended(timeline: TurnTimeline) -> None:
        turns[timeline.outcome] += 1

    async with contextlib.aclosing(parts), Bridge(settings, parts, ended) as running:
        url = f"ws://127.0.0.1:{running.websocket_port}/xiaozhi/v1/"
        await drive(url, devices, 0.0)  # once each: what is loaded when it is first used
        rows = {"before": held() | {"turns": turns.total()}}
        began_s = time.monotonic()
        driving = asyncio.create_task(drive(url, devices, minutes * 60), name="driving")
        for quarter in (1, 2, 3):
            await asyncio.sleep(began_s + minutes * 15 * quarter - time.monotonic())
            rows[f"after {minutes * quarter / 4:g} min"] = held() | {"turns": turns.total()}
        did = await driving
        await asyncio.sleep(SETTLE_S)
        rows["all have left"] = held() | {"turns": turns.total()}
    return rows, {**did, **{f"turns {outcome}": count for outcome, count in turns.items()}}


async def drive(url: str, devices: int, seconds: float) -> dict[str, int]:
    """Run the devices in a process of their own."""
    command = [sys.executable, __file__, "--drive", url, "--devices", str(devices), "--seconds", str(seconds)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    did: dict[str, int] = json.loads(out)
    return did


async def crowd(url: str, devices: int, seconds: float) -> Counter[str]:
    """Be that many devices for so long."""
    did: Counter[str] = Counter()
    until_s = time.monotonic() + seconds
    await asyncio.gather(*(device(url, number, until_s, did) for number in range(devices)))
    return did


async def device(url: str, number: int, until_s: float, did: Counter[str]) -> None:
    """Connect again and again. Each device does the same in each run."""
    chance = random.Random(number)
    sounds = [read_wav(file, 16000) for file in sorted(SPEECH.glob("*.wav"))]
    while True:
        mode = chance.choice(("auto", "manual", "realtime"))
        try:
            async with DeviceConnection.open(url, mode=mode, device_id=f"02:00:00:00:01:{number:02x}") as one:
                did["connections"] += 1
                for _ in range(chance.randint(1, 5)):
                    await ask(one, chance, sounds, did)
                if chance.random() < 0.3:
                    one.send(Listen("detect", text=chance.choice(QUESTIONS)))
                    await one.hang_up()
                    did["lines cut"] += 1
        except ServiceError as exc:
            did[f"failed: {type(exc).__name__}"] += 1
        if time.monotonic() >= until_s:
            return


async def ask(one: DeviceConnection, chance: random.Random, sounds: list[Any], did: Counter[str]) -> None:
    """Ask a question, and hear the answer or interrupt it."""
    await one.until(
        lambda: one.state != "speaking", timeout_s=60
    )  # a pause makes two questions of one recording
    try:
        if chance.random() < 0.5:
            one.type_text(chance.choice(QUESTIONS))
        else:
            await one.say(chance.choice(sounds))
    except RuntimeError:
        did["the second answer came first"] += 1
        return
    if chance.random() < 0.3:
        with contextlib.suppress(ServiceError):
            await one.until(lambda: one.state == "speaking")
            one.abort()
            did["interrupted"] += 1
            return
    await one.reply()
    did["answers heard"] += 1


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--devices", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--drive", metavar="URL", help="be the devices of a bridge that runs")
    parser.add_argument("--seconds", type=float, default=60.0, help="with --drive: for how long")
    arguments = parser.parse_args()
    if arguments.drive:
        print(json.dumps(asyncio.run(crowd(arguments.drive, arguments.devices, arguments.seconds))))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows, did = asyncio.run(soak(arguments.devices, arguments.minutes, Path(folder)))
    title = f"{arguments.devices} devices in conversation for {arguments.minutes:g} minutes: what the bridge holds"
    show(arguments.json, title, rows, **did)


if __name__ == "__main__":
    main()
