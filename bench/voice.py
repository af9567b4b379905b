"""How soon, how smoothly and at what cost a reply is spoken through GPT-SoVITS.

The server is the tests' fake one (tests/fakes/sovits_server.py), which makes tones at a set real-time factor. The
baseline, in the same run, is the way of xiaozhi-esp32-server's own provider: the first clause is asked for as a whole
WAV, which is decoded and encoded when all of it has come.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from figures import options, percentiles, show  # first: it sets the threads of numeric libraries

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import io
import wave

import httpx
import numpy as np
from fakes.sovits_server import FakeSovits

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.audio.resample import resample
from xiaozhi_persona.providers.speech.choices import EmotionChoices
from xiaozhi_persona.providers.speech.pipeline import FRAME_MS, SpeechPipeline
from xiaozhi_persona.providers.tts.gpt_sovits import GptSovitsSynthesizer
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip, PcmChunk, SpeechSynthesizer

CLAUSES = {
    6: "今天天气真好，",
    12: "今天的天气真的是非常好呀，",
    24: "今天的天气真的是非常好呀所以我们应该一起出去走走，",
}
REST = "我们去公园散步吧。路上可以买两个冰淇淋。你想吃什么口味的呢？"
TONE = (np.sin(np.arange(24000) * 2 * np.pi * 440 / 24000) * 8000).astype(np.int16)


def make_settings(url: str, rtf: float) -> Settings:
    server = {
        "servers": [url],
        "parameters": {"ref_audio_path": "/refs/a.wav", "prompt_text": "好。", "prompt_lang": "zh"},
    }
    return Settings.model_validate({"role": "default", "tts": {"engine": "gpt_sovits"}, "gpt_sovits": server})


async def first_audio_ms(synthesizer: SpeechSynthesizer, settings: Settings, text: str) -> float:
    """Return how long the first Opus packet of a reply takes that is there at once."""
    pipeline = SpeechPipeline(synthesizer, EmotionChoices(Casting(settings), settings).of(), timeout_s=30)
    started = time.perf_counter()
    try:
        pipeline.feed(text)
        pipeline.finish()
        async for sentence in pipeline:
            async for _ in sentence.packets():
                return (time.perf_counter() - started) * 1000
    finally:
        await pipeline.aclose()
    raise RuntimeError("no sound")


async def whole_wav_ms(http: httpx.AsyncClient, url: str, clause: str) -> float:
    """Return how long the first Opus packet takes when the whole WAV of the first clause is waited for."""
    body = {
        "text": clause,
        "text_lang": "zh",
        "ref_audio_path": "/refs/a.wav",
        "prompt_text": "好。",
        "prompt_lang": "zh",
        "text_split_method": "cut5",
        "batch_size": 1,
        "streaming_mode": False,
        "media_type": "wav",
    }
    started = time.perf_counter()
    answer = await http.post(f"{url}/tts", json=body, timeout=60)
    with wave.open(io.BytesIO(answer.content)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        samples = resample(samples, file.getframerate(), 24000)
    encoder = OpusEncoder(24000, FRAME_MS)
    encoder.encode(samples[: encoder.frame_samples])
    return (time.perf_counter() - started) * 1000


async def compare_first_audio(runs: int, rtf: float) -> dict[str, dict[str, float]]:
    rows = {}
    async with FakeSovits(rtf=rtf) as server, httpx.AsyncClient() as http:
        settings = make_settings(server.url, rtf)
        synthesizer = GptSovitsSynthesizer(settings.gpt_sovits)
        await first_audio_ms(synthesizer, settings, "预热。")
        for characters, clause in CLAUSES.items():
            ours, whole = [], []
            for run in range(runs):
                variant = clause[:-1] + "一二三四五六七八九十"[run % 10] + "，"  # no cache
                whole.append(await whole_wav_ms(http, server.url, variant))
                ours.append(await first_audio_ms(synthesizer, settings, variant + REST))
            row = {"ours p50": percentiles(ours)["p50"], "whole WAV p50": percentiles(whole)["p50"]}
            rows[f"first clause of {characters} characters, ms"] = {
                **row,
                "ratio": round(row["ours p50"] / row["whole WAV p50"], 3),
            }
        await synthesizer.aclose()
    return rows


async def gaps_ms(rtf: float) -> dict[str, float]:
    """Return the silence between the packets of a reply that is played as it comes."""
    async with FakeSovits(rtf=rtf) as server:
        settings = make_settings(server.url, rtf)
        synthesizer = GptSovitsSynthesizer(settings.gpt_sovits)
        pipeline = SpeechPipeline(synthesizer, EmotionChoices(Casting(settings), settings).of(), timeout_s=30)
        plays_until = gap = 0.0
        try:
            pipeline.feed(CLAUSES[12] + REST)
            pipeline.finish()
            async for sentence in pipeline:
                async for _ in sentence.packets():
                    now = time.perf_counter()
                    if plays_until:
                        gap += max(0.0, now - plays_until)
                    plays_until = max(plays_until, now) + FRAME_MS / 1000
                    # Sent five packets ahead, as the bridge does.
                    await asyncio.sleep(max(0.0, plays_until - now - 5 * FRAME_MS / 1000))
        finally:
            await pipeline.aclose()
            await synthesizer.aclose()
    return {"gap": round(gap * 1000, 1)}


async def abort_ms(runs: int) -> dict[str, float]:
    """Return how long a server notices after a turn is ended."""
    delays = []
    async with FakeSovits(rtf=1.0) as server:
        settings = make_settings(server.url, 1.0)
        synthesizer = GptSovitsSynthesizer(settings.gpt_sovits)
        for run in range(runs):
            server.disconnected.clear()
            pipeline = SpeechPipeline(
                synthesizer, EmotionChoices(Casting(settings), settings).of(), timeout_s=30
            )
            pipeline.feed(f"第{run}句话，" + REST)
            pipeline.finish()
            sentence = await pipeline.__anext__()
            async for _ in sentence.packets():
                break
            started = time.perf_counter()
            closing = asyncio.create_task(pipeline.aclose())
            await asyncio.wait_for(server.disconnected.wait(), 10)
            delays.append((time.perf_counter() - started) * 1000)
            await closing
        await synthesizer.aclose()
    return percentiles(delays)


class InstantSynthesizer:
    """Makes 4 s of sound for each sentence, at GPT-SoVITS's rate and in its chunks."""

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        for _ in range(8):
            yield PcmChunk(np.resize(TONE, 16000), 32000)
            await asyncio.sleep(0)


async def pipeline_cost(voices: int) -> dict[str, float]:
    """Return the CPU milliseconds of a second of speech: parsing, resampling, encoding, hand-overs."""
    choices = EmotionChoices(Casting(Settings()), Settings())
    packets = 0

    async def speak() -> None:
        nonlocal packets
        pipeline = SpeechPipeline(InstantSynthesizer(), choices.of(), timeout_s=30)
        try:
            pipeline.feed(REST * 3)
            pipeline.finish()
            async for sentence in pipeline:
                async for _ in sentence.packets():
                    packets += 1
        finally:
            await pipeline.aclose()

    started = time.process_time()
    await asyncio.gather(*(speak() for _ in range(voices)))
    return {
        "CPU ms per second": round((time.process_time() - started) * 1000 / (packets * FRAME_MS / 1000), 2)
    }


async def choice_us() -> dict[str, float]:
    """Return what the choice of emotion and clip costs for a sentence, without a classifier."""
    choice = EmotionChoices(Casting(Settings(role="xiaoyu")), Settings(role="xiaoyu")).of()
    from xiaozhi_persona.text.sentences import Segment

    costs = []
    for _ in range(2000):
        started = time.perf_counter()
        await choice.clip(Segment("今天的天气真的很不错，我们一起出去走走吧。"), 0)
        costs.append((time.perf_counter() - started) * 1e6)
    return percentiles(costs)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--rtf", type=float, default=0.3)
    arguments = parser.parse_args()
    rows: dict[str, dict[str, float]] = asyncio.run(compare_first_audio(arguments.runs, arguments.rtf))
    for rtf in (0.3, 0.6, 0.8):
        rows[f"gaps at real-time factor {rtf}, ms"] = asyncio.run(gaps_ms(rtf))
    rows["abort to request closed, ms"] = asyncio.run(abort_ms(arguments.runs * 2))
    for voices in (1, 20):
        rows[f"pipeline, {voices} at a time"] = asyncio.run(pipeline_cost(voices))
    rows["emotion and clip of a sentence, µs"] = asyncio.run(choice_us())
    show(
        arguments.json,
        "A reply through GPT-SoVITS (fake server)",
        rows,
        rtf=arguments.rtf,
        runs=arguments.runs,
    )


if __name__ == "__main__":
    main()
