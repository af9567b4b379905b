"""The bridge's own share of the waiting: from the end of speech, as the VAD finds it, to the first Opus frame sent.

Recognizer, chat model and synthesizer answer at once; websocket, Opus, Silero VAD, the memory, the speech pipeline and pacing are
the real ones, and the start gap is 0. Other devices may listen meanwhile, each sending its microphone in real time.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from figures import options, percentiles, show  # first: it sets the threads of numeric libraries

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.bridge.server import Bridge
from xiaozhi_persona.bridge.speaking import TurnTimeline
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.providers.speech.choices import EmotionChoices
from xiaozhi_persona.providers.vad.detector import VoiceActivityDetector, load_vad_model
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import ChatDelta, Clip, Message, PcmChunk, Samples, Transcript
from xiaozhi_persona.tasks import cancel_and_wait

STAGES = ("stt_ms", "tts_start_ms", "first_token_ms", "first_sentence_ms", "first_audio_ms")
SPEECH = Path(__file__).parent.parent / "tests" / "data" / "speech" / "speech1.wav"


class InstantEngines:
    """A recognizer, a chat model and a synthesizer that answer at once."""

    async def transcribe(self, pcm16k: Samples) -> Transcript:
        return Transcript("你好")

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> AsyncGenerator[ChatDelta, None]:
        for piece in ("【高兴】你好", "呀，", "今天", "过得", "怎么样？"):
            yield ChatDelta(piece)

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        yield PcmChunk(np.resize(VOICE, 24000 * 60 * len(text) // 1000), 24000)


VOICE = read_wav(SPEECH, 24000)  # a tone costs Opus a quarter of what speech does


async def measure(turns: int, listeners: int, folder: Path) -> list[TurnTimeline]:
    """Run `turns` turns of one device while `listeners` others listen."""
    settings = Settings.model_validate(
        {"session": {"start_gap_ms": 0, "stop_margin_ms": 0}, "paths": {"data": str(folder)}}
    )
    bridge_settings = settings.bridge.model_copy(
        update={"host": "127.0.0.1", "websocket_port": 0, "http_port": 0, "admit": "open"}
    )
    settings = settings.model_copy(update={"bridge": bridge_settings})
    engines = InstantEngines()
    vad = VoiceActivityDetector(await asyncio.to_thread(load_vad_model, None))
    memory = PersonaMemory(settings.memory, folder)
    casting = Casting(settings)
    parts = Parts(
        casting,
        EmotionChoices(casting, settings),
        vad,
        engines,
        engines,
        engines,
        memory,
        [],
        [vad.aclose, memory.aclose],
    )
    done: list[TurnTimeline] = []
    frames = await asyncio.to_thread(
        _frames, np.concatenate((read_wav(SPEECH, 16000), np.zeros(16000, np.int16)))
    )
    async with contextlib.aclosing(parts), Bridge(settings, parts, done.append) as bridge:
        url = f"ws://127.0.0.1:{bridge.websocket_port}/xiaozhi/v1/"
        async with contextlib.AsyncExitStack() as stack:
            crowd = []
            for number in range(listeners):
                connection = DeviceConnection.open(url, device_id=f"listener-{number}")
                listener = await stack.enter_async_context(connection)
                crowd.append(asyncio.create_task(_listen(listener, frames[-1])))
            device = await stack.enter_async_context(DeviceConnection.open(url))
            device.model.start_listening(0.0)
            device._update()
            while len(done) < turns:
                wanted = len(done) + 1
                for frame in frames:
                    device.send_frame(frame)
                while len(done) < wanted or device.state != "listening":  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            for task in crowd:
                await cancel_and_wait(task)
    return done


async def _listen(device: DeviceConnection, silent_frame: bytes) -> None:
    device.model.start_listening(0.0)
    device._update()
    while True:
        device.send_frame(silent_frame)
        await asyncio.sleep(0.06)


def _frames(sound: Samples) -> list[bytes]:
    encoder = OpusEncoder(16000, 60)
    return [encoder.encode(sound[i : i + 960]) for i in range(0, len(sound) // 960 * 960, 960)]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--listeners", type=int, nargs="*", default=[0, 20])
    arguments = parser.parse_args()
    rows = {}
    for listeners in arguments.listeners:
        with tempfile.TemporaryDirectory() as folder:
            timelines = asyncio.run(measure(arguments.turns, listeners, Path(folder)))[
                1:
            ]  # the first one warms up
        for stage in STAGES:
            name = f"{stage.removesuffix('_ms')}, {listeners} others listening"
            rows[name] = percentiles([t.marks_ms[stage] for t in timelines])
    show(arguments.json, "End of speech (found by the VAD) to ..., ms", rows, turns=arguments.turns)


if __name__ == "__main__":
    main()
