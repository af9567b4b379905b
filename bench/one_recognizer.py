"""One recognizer of xiaozhi-esp32-server in a process of its own; host_hearing.py starts it in a server folder.

Arguments: the section of the settings as JSON, how many utterances. It is called as the host calls it: made in the
running event loop, each utterance as `speech_to_text(packets, session, artifacts)`.
"""

import asyncio
import importlib
import json
import os
import sys
import threading
import time
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SPEECH = Path(__file__).parent.parent / "tests" / "data" / "speech"


def sounds() -> list[bytes]:
    found = []
    for file in sorted(SPEECH.glob("*.wav")):
        with wave.open(str(file)) as opened:
            assert (opened.getframerate(), opened.getnchannels()) == (16000, 1)
            found.append(opened.readframes(opened.getnframes()))
    return found


def rss_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


class Beat:
    """How long the event loop was held up at most, ms."""

    async def run(self) -> None:
        self.longest_ms = 0.0
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            self.longest_ms = max(self.longest_ms, (time.perf_counter() - began) * 1000 - 1)


async def measure(module: Any, began: float, section: dict[str, Any], utterances: int) -> dict[str, Any]:
    spoken = sounds()
    beat = Beat()
    beating = asyncio.create_task(beat.run())
    provider = module.ASRProvider(section, True)
    made_ms = (time.perf_counter() - began) * 1000
    loading = getattr(getattr(provider, "_recognizer", None), "load", None)
    if loading is not None:  # ours loads in the background
        from xiaozhi_persona.providers.host.loop import submit

        await asyncio.wrap_future(submit(loading()))
    ready_ms = (time.perf_counter() - began) * 1000
    await asyncio.sleep(0.01)
    times, heard, rss = [], [], {}
    beat.longest_ms = 0.0
    cpu = sum(os.times()[:2])
    for number in range(utterances):
        artifacts = SimpleNamespace(pcm_bytes=spoken[number % len(spoken)], file_path=None)
        began = time.perf_counter()
        text, _ = await provider.speech_to_text([], "session", artifacts=artifacts)
        times.append((time.perf_counter() - began) * 1000)
        heard.append(text["content"] if isinstance(text, dict) else text)
        if number + 1 in (100, utterances):
            rss[number + 1] = round(rss_mb(), 1)
    cpu = sum(os.times()[:2]) - cpu
    beating.cancel()
    return {
        "made_ms": made_ms,
        "ready_ms": ready_ms,
        "times_ms": times,
        "heard": heard[: len(spoken)],
        "rss_mb": rss,
        "cpu_ms": cpu * 1000 / utterances,
        "held_up_ms": beat.longest_ms,
        "threads": len(os.listdir("/proc/self/task")),
        "python_threads": threading.active_count(),
    }


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    section = json.loads(sys.argv[1])
    began = time.perf_counter()
    module = importlib.import_module(
        f"core.providers.asr.{section['type']}"
    )  # the host does so outside of its loop
    figures = asyncio.run(measure(module, began, section, int(sys.argv[2])))
    print(json.dumps(figures))
    sys.stdout.flush()
    os._exit(0)  # neither torch's nor the host's threads are of interest any more
