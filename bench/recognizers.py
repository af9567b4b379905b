"""What recognition costs beside the model itself, how it does with many at once, and what it holds in memory.

The model is the embedded one. "alone" calls funasr-onnx as its documentation does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from figures import options, percentiles, show  # first: it sets the threads of numeric libraries

from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.providers.asr.engine import open_recognizer
from xiaozhi_persona.providers.asr.onnx_models import TINY_MODEL
from xiaozhi_persona.providers.asr.recognizer import ModelRecognizer
from xiaozhi_persona.settings import AsrSettings, Settings
from xiaozhi_persona.spine import Transcript

SPEECH = Path(__file__).parent.parent / "tests" / "data" / "speech"
SOUNDS = [read_wav(file, 16000) for file in sorted(SPEECH.glob("*.wav"))]


def rss_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


class Timed:
    """A model with a watch: how long it was at work."""

    def __init__(self, recognize: Callable[[Any], Transcript]) -> None:
        self._recognize = recognize
        self.seconds = 0.0

    def recognize(self, sound: Any) -> Transcript:
        began = time.perf_counter()
        try:
            return self._recognize(sound)
        finally:
            self.seconds = time.perf_counter() - began


async def cost_ms(runs: int) -> dict[str, float]:
    """Return what an utterance takes above the time that its model takes: queue, copy, hand-overs."""
    from xiaozhi_persona.providers.asr.onnx_models import load_onnx_model

    timed = Timed(load_onnx_model(TINY_MODEL, AsrSettings(), ()).recognize)
    recognizer = ModelRecognizer("bench", AsrSettings(), lambda: timed)
    await recognizer.load()
    costs = []
    for run in range(runs):
        began = time.perf_counter()
        await recognizer.transcribe(SOUNDS[run % len(SOUNDS)])
        costs.append((time.perf_counter() - began - timed.seconds) * 1000)
    await recognizer.aclose()
    return percentiles(costs)


def bare_ms(runs: int) -> dict[str, float]:
    """Return what funasr-onnx alone takes for an utterance."""
    from funasr_onnx import SenseVoiceSmall

    model = SenseVoiceSmall(str(TINY_MODEL), quantize=True, intra_op_num_threads=1)
    times = []
    for run in range(runs):
        sound = SOUNDS[run % len(SOUNDS)].astype(np.float32) / 32768
        began = time.perf_counter()
        model(sound, language=["auto"], textnorm=["withitn"])
        times.append((time.perf_counter() - began) * 1000)
    return percentiles(times)


async def ours_ms(runs: int) -> dict[str, float]:
    recognizer = open_recognizer(Settings())
    await recognizer.load()
    times = []
    for run in range(runs):
        began = time.perf_counter()
        await recognizer.transcribe(SOUNDS[run % len(SOUNDS)])
        times.append((time.perf_counter() - began) * 1000)
    await recognizer.aclose()
    return percentiles(times)


async def eight_at_once(rounds: int, workers: int) -> dict[str, dict[str, float]]:
    """Return how long 8 utterances take one after the other and all at once, and how long the event loop is held up."""
    settings = Settings.model_validate({"asr": {"workers": workers, "timeout_s": 60.0}})
    recognizer = open_recognizer(settings)
    await recognizer.load()
    one_by_one, at_once, gaps = [], [], [0.0]

    async def beat() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            gaps.append((time.perf_counter() - began - 0.001) * 1000)

    for _ in range(rounds):
        began = time.perf_counter()
        for sound in SOUNDS:
            await recognizer.transcribe(sound)
        one_by_one.append((time.perf_counter() - began) * 1000)
        beating = asyncio.create_task(beat())
        began = time.perf_counter()
        await asyncio.gather(*map(recognizer.transcribe, SOUNDS))
        at_once.append((time.perf_counter() - began) * 1000)
        beating.cancel()
    await recognizer.aclose()
    ratio = round(float(np.median(at_once) / np.median(one_by_one)), 2)
    name = f"8 utterances, workers: {workers}"
    return {
        f"{name}, one by one, ms": percentiles(one_by_one),
        f"{name}, at once, ms": {**percentiles(at_once), "ratio": ratio},
        f"{name}, event loop held up, ms": percentiles(gaps),
    }


async def memory(utterances: int) -> dict[str, dict[str, float]]:
    """Return the RSS after 100 utterances and after many."""
    recognizer = open_recognizer(Settings.model_validate({"asr": {"timeout_s": 60.0}}))
    await recognizer.load()
    early = 0.0
    for number in range(1, utterances + 1):
        await recognizer.transcribe(SOUNDS[number % len(SOUNDS)])
        if number == 100:
            gc.collect()
            early = rss_mb()
    gc.collect()
    late = rss_mb()
    await recognizer.aclose()
    return {
        "RSS after 100 utterances, MB": {"p50": round(early, 1)},
        f"RSS after {utterances} utterances, MB": {"p50": round(late, 1), "ratio": round(late / early, 3)},
    }


async def first_ms(warm: bool) -> float:
    """Return the time of the first utterance, with and without the run at the start."""
    recognizer = open_recognizer(Settings())
    assert isinstance(recognizer, ModelRecognizer)
    if warm:
        await recognizer.load()
    else:
        await recognizer._loaded()
    began = time.perf_counter()
    await recognizer.transcribe(SOUNDS[0])
    taken = (time.perf_counter() - began) * 1000
    await recognizer.aclose()
    return taken


def in_child(*arguments: str) -> dict[str, Any]:
    """Measure in a process of its own: memory, and what is slow only once."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", *arguments], stdout=subprocess.PIPE, check=True, text=True
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def child(what: str, *arguments: str) -> Any:
    if what == "memory":
        return asyncio.run(memory(int(arguments[0])))
    return {"first": asyncio.run(first_ms(arguments[0] == "warm"))}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--utterances", type=int, default=10_000, help="for the memory")
    parser.add_argument("--child", nargs="+", help="(used by this script)")
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(child(*arguments.child)))
        return
    rows: dict[str, dict[str, Any]] = {
        "an utterance with funasr-onnx alone, ms": bare_ms(arguments.runs),
        "an utterance with the recognizer, ms": asyncio.run(ours_ms(arguments.runs)),
        "our part of it, ms": asyncio.run(cost_ms(arguments.runs)),
    }
    for how, name in (("warm", "after the run at the start"), ("cold", "without it")):
        times = [in_child("first", how)["first"] for _ in range(5)]
        rows[f"first utterance, {name}, ms"] = percentiles(times)
    for workers in (1, 2):
        rows |= asyncio.run(eight_at_once(max(5, arguments.runs // 20), workers))
    rows |= in_child("memory", str(arguments.utterances))
    show(arguments.json, "Recognizers", rows, runs=arguments.runs)


if __name__ == "__main__":
    main()
