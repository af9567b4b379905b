"""`talk` with no option but the URL, and the real sound driver over PipeWire's null sinks."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes.util
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes.null_sinks import RATE_HZ, NullSinks, missing, null_sinks
from fakes.xiaozhi_server import FakeXiaozhi, Session, pitch_hz, tone

from xiaozhi_persona.bridge.client.signs.earcons import RATE_HZ as EARCON_RATE_HZ
from xiaozhi_persona.bridge.client.signs.earcons import ready_tone

_LACKING = missing() or ("" if ctypes.util.find_library("portaudio") else "libportaudio2")
pytestmark = pytest.mark.skipif(bool(_LACKING), reason=f"not installed: {_LACKING}")

TURNS = 3
REPLY_FRAMES = 16
TONE_S = len(ready_tone()) / EARCON_RATE_HZ


@pytest.fixture
def sinks() -> Iterator[NullSinks]:
    with tempfile.TemporaryDirectory() as folder, null_sinks(Path(folder)) as running:
        yield running


async def test_three_spoken_turns_and_a_clean_end(sinks: NullSinks, tmp_path: Path) -> None:
    done = asyncio.Event()
    heard: list[np.ndarray] = []

    async def script(session: Session) -> None:
        for number in range(TURNS):
            await session.until(lambda number=number: session.events.count("listen start") > number)
            await asyncio.sleep(0.3)  # the microphone has settled
            await asyncio.to_thread(sinks.speak, tone(0.9, RATE_HZ, 700))
            await session.turn()
            heard.append(session.heard_last)
            await session.answer(f"第{number}句", frames=REPLY_FRAMES)
        await session.until(lambda: session.events.count("listen start") > TURNS)
        done.set()

    recorded = tmp_path / "played.raw"
    async with FakeXiaozhi(script) as server:
        with sinks.recording(recorded):
            talk = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "xiaozhi_persona", "talk", server.url, "--json"),
                env=sinks.environment,
                cwd=tmp_path,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                await asyncio.wait_for(done.wait(), 60)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    talk.send_signal(signal.SIGINT)
                output, errors = await asyncio.wait_for(talk.communicate(), 15)
    turns = [json.loads(line) for line in output.decode().splitlines()]
    assert [turn["heard"] for turn in turns] == ["第0句", "第1句", "第2句"]
    for sound in heard:
        assert pitch_hz(sound, 16000) == pytest.approx(700, abs=8)
    said = errors.decode()
    assert "ALSA" not in said
    assert "jack" not in said.lower()
    assert "Traceback" not in said
    assert "leaked" not in said
    assert talk.returncode == 130

    # What came out of the loudspeaker: a tone, then three replies, each as long as it was sent and without a hole.
    played = np.fromfile(recorded, "<i2")
    loud = np.abs(played[: len(played) // 480 * 480].reshape(-1, 480)).max(axis=1) > 1000
    edges = np.flatnonzero(np.diff(np.concatenate(([0], loud.astype(int), [0]))))
    lengths_s = [(end - start) / 100 for start, end in edges.reshape(-1, 2)]
    assert lengths_s == pytest.approx([TONE_S, *[REPLY_FRAMES * 0.06] * TURNS], abs=0.1)
    loud[: edges[1]] = False
    assert pitch_hz(played[loud.repeat(480)[: len(played)].nonzero()[0][:RATE_HZ]], RATE_HZ) == pytest.approx(
        500, abs=8
    )
