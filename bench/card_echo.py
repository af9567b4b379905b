"""Speaking into a reply, over PipeWire's null sinks: does it stop in time, and does a reply ever stop itself?

The microphone hears the loudspeaker at -6 dB, and in the second half of the replies somebody who is as loud as the reply.
The server is a script that speaks; card, echo canceller, detector and client are the real ones. It needs pipewire,
wireplumber, pulseaudio-utils, dbus, libportaudio2 and libasound2-plugins, and takes 6 s a reply.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from figures import options, percentiles, show  # first: it sets the threads of numeric libraries

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from fakes.null_sinks import RATE_HZ, missing, null_sinks
from fakes.xiaozhi_server import FakeXiaozhi, Session

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.bridge.client.card.echo import EchoCanceller
from xiaozhi_persona.bridge.client.card.echo_delay import following_delay, measure_delay
from xiaozhi_persona.bridge.client.card.portaudio import PortAudio
from xiaozhi_persona.bridge.client.card.sound_card import CardOptions, SoundCard
from xiaozhi_persona.bridge.client.conversation import Conversation
from xiaozhi_persona.bridge.client.sound import MIC_RATE_HZ
from xiaozhi_persona.bridge.client.spoken import talk_by_microphone
from xiaozhi_persona.bridge.client.talk import TalkOptions
from xiaozhi_persona.spine import Samples
from xiaozhi_persona.tasks import cancel_and_wait

SPEECH = Path(__file__).parent.parent / "tests" / "data" / "speech"
REPLY_RATE_HZ = 24000
LEAD_PACKETS = 5
IN_TIME_S = 0.3
INPUT_LATENCY_S = 0.08
"""What the driver may have kept before the callback: counted as if it always had."""


class Bench:
    """Replies, and who speaks into them."""

    def __init__(self, voices: Path, replies: int, player: subprocess.Popen[bytes]) -> None:
        self.replies = replies
        self.player = player
        self.own = [read_wav(path, REPLY_RATE_HZ) for path in sorted(SPEECH.glob("*.wav"))]
        found = [read_wav(path, RATE_HZ) for path in sorted(voices.rglob("*.wav"))]
        self.users = [sound for sound in map(from_onset, found) if len(sound) >= RATE_HZ]
        self.loud = np.mean([np.sqrt(np.mean(sound.astype(float) ** 2)) for sound in self.own])
        self.spoke_at = self.heard_till = 0.0
        self.heard_at: float | None = None
        self.found_s: list[float] = []
        self.missed = self.stopped_itself = 0
        self.interrupted, self.done = asyncio.Event(), asyncio.Event()

    async def script(self, session: Session) -> None:
        """The server: half of the replies undisturbed, then those that are spoken into."""
        await session.until(lambda: "listen start" in session.events)
        for number in range(2 * self.replies):
            self.interrupted.clear()
            speaking = asyncio.create_task(self.speak_into(session)) if number >= self.replies else None
            stopped = await self.reply(session)
            if speaking is None:
                self.stopped_itself += stopped
            else:
                await speaking
            await session.send("tts", state="stop")
            await asyncio.sleep(0.8)
            session.heard = session.heard[:0]
            print(f"\r{number + 1}/{2 * self.replies}", end="", file=sys.stderr, flush=True)
        self.done.set()

    async def reply(self, session: Session) -> bool:
        """Speak for some seconds; return whether it was stopped."""
        sound = np.concatenate(random.sample(self.own, 2))
        await session.send("stt", text="?")
        await session.send("tts", state="start")
        encoder, loop = OpusEncoder(REPLY_RATE_HZ, 60, complexity=0), asyncio.get_running_loop()
        began = loop.time()
        for number, at in enumerate(range(0, len(sound) - 1440, 1440)):
            await asyncio.sleep(max(began + 0.06 * (number - LEAD_PACKETS) - loop.time(), 0))
            if self.interrupted.is_set():
                return True
            await session.websocket.send(encoder.encode(sound[at : at + 1440]))
        await asyncio.sleep(max(began + len(sound) / REPLY_RATE_HZ + 0.4 - loop.time(), 0))
        return self.interrupted.is_set()

    async def speak_into(self, session: Session) -> None:
        """Say something of a second and more, as loud as the reply, and see when it is found."""
        await asyncio.sleep(random.uniform(1.0, 2.0))
        user = random.choice(self.users)[: round(random.uniform(1.0, 1.8) * RATE_HZ)].astype(float)
        user *= self.loud / np.sqrt(np.mean(user**2))
        loop = asyncio.get_running_loop()
        began, self.heard_at = loop.time(), None
        said = np.clip(user, -32768, 32767).astype("<i2").tobytes()
        speaking = asyncio.create_task(asyncio.to_thread(self.play, said))
        try:
            await asyncio.wait_for(self.interrupted.wait(), len(user) / RATE_HZ + 1.0)
            if self.heard_at is not None:
                self.found_s.append(self.spoke_at - self.heard_at + INPUT_LATENCY_S)
        except asyncio.TimeoutError:
            self.missed += 1
        await speaking
        await asyncio.sleep(max(began + len(user) / RATE_HZ + 0.3 - loop.time(), 0))

    def play(self, said: bytes) -> None:
        """Speak; it blocks while that lasts."""
        assert self.player.stdin is not None
        self.player.stdin.write(said)
        self.player.stdin.flush()

    def watch(self, echo: EchoCanceller) -> None:
        """Note since when the user is in what the microphone hears without echo: pacat takes its time to play."""
        clean = echo.clean

        def watched(samples: Samples, first: int) -> Samples:
            cleaned = clean(samples, first)
            blocks = cleaned[: len(cleaned) // 160 * 160].reshape(-1, 160).astype(float)
            loud = np.flatnonzero(np.sqrt(np.mean(blocks**2, axis=1)) > 0.05 * self.loud)
            if self.heard_at is None and len(loud):
                self.heard_at = (first + 160 * loud[0]) / MIC_RATE_HZ
            self.heard_till = (first + len(samples)) / MIC_RATE_HZ
            return cleaned

        echo.clean = watched  # type: ignore[method-assign]

    def note(self) -> None:
        """The client has found somebody speaking."""
        self.spoke_at = self.heard_till
        self.interrupted.set()


def from_onset(sound: Samples) -> Samples:
    """Return a recording from 10 ms before it becomes loud."""
    loud = np.flatnonzero(np.abs(sound) > 0.05 * np.abs(sound).max())
    return sound[max(int(loud[0]) - RATE_HZ // 100, 0) :] if len(loud) else sound[:0]


async def measure(bench: Bench) -> dict[str, object]:
    """Let the client talk to the script; return the figures."""
    interrupt = Conversation.interrupt

    def noted(device: Conversation) -> None:
        bench.note()
        interrupt(device)

    Conversation.interrupt = noted  # type: ignore[method-assign]
    system = PortAudio()
    system.steady = True
    async with (
        FakeXiaozhi(bench.script) as server,
        SoundCard.open(system, CardOptions(cancels_echo=True)) as card,
    ):
        assert card.echo is not None
        bench.watch(card.echo)
        card.input.clean = card.echo.clean
        measured = await measure_delay(card, card.echo)
        async with following_delay(card, card.echo):
            talking = asyncio.create_task(
                talk_by_microphone(
                    TalkOptions(server.url, mode="realtime"),
                    card,
                    lambda t: None,
                    lambda e: None,
                    print,
                    is_own_voice=card.echo.is_own_voice,
                )
            )
            await bench.done.wait()
            await cancel_and_wait(talking)
        print(file=sys.stderr)
        in_time = sum(found <= IN_TIME_S for found in bench.found_s)
        return {
            "replies": bench.replies,
            "stopped themselves": bench.stopped_itself,
            "spoken into": bench.replies,
            "found": len(bench.found_s),
            "in 300 ms": in_time,
            **{
                f"found ms {key}": value
                for key, value in percentiles([1000 * s for s in bench.found_s] or [0]).items()
            },
            "delay ms": None if measured is None else round(measured * 1000),
            "delay at the end": round(card.echo.delay_s * 1000),
        }


def main() -> None:
    parser = options(__doc__)
    parser.add_argument(
        "--replies", type=int, default=100, help="undisturbed ones, and as many that are spoken into"
    )
    parser.add_argument(
        "--voices", type=Path, default=SPEECH, help="folder of recordings that speak into replies"
    )
    parser.add_argument("--echo-db", type=float, default=-6.0)
    arguments = parser.parse_args()
    if lacking := missing():
        raise SystemExit(f"not installed: {lacking}")
    random.seed(1)
    with tempfile.TemporaryDirectory() as folder, null_sinks(Path(folder)) as sinks:
        sinks.echo(arguments.echo_db)
        os.environ.clear()
        os.environ.update(sinks.environment)
        player = sinks.player()
        try:
            figures = asyncio.run(measure(Bench(arguments.voices, arguments.replies, player)))
        finally:
            player.kill()
            player.wait()
    show(arguments.json, "speaking into a reply", {f"echo {arguments.echo_db:g} dB": figures})


if __name__ == "__main__":
    main()
