"""From the last spoken sample at the microphone to the first sound at the loudspeaker, through PipeWire's null sinks.

The server is a script: it waits for 200 ms of silence, then speaks as the bridge does (150 ms from `tts start` to five packets
at once). So the figures, less those 350 ms, are what a client, its card and the sound server take. `--client NAME=COMMAND`
measures another one in the same run: it is started with XIAOZHI_URL set, and has to listen in auto mode by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from figures import options, percentiles, show  # first: it sets the threads of numeric libraries

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from fakes.null_sinks import RATE_HZ, NullSinks, missing, null_sinks
from fakes.xiaozhi_server import FakeXiaozhi, Session, tone

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.settings_files import PROJECT_VARIABLE

SILENCE_S = 0.2
GAP_S = 0.15
REPLY_FRAMES = 20
LOUD = 1000
OWN = f"{shlex.quote(sys.executable)} -m xiaozhi_persona talk $XIAOZHI_URL --mic"


class Ear:
    """Notes when a sink is loud, in 10 ms."""

    def __init__(self, sinks: NullSinks, source: str) -> None:
        self.loud_at: list[float] = []
        self._recorder = sinks.recorder(source)
        self._thread = threading.Thread(target=self._listen, name=f"ear-{source}", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self._recorder.stdout is not None
        size = RATE_HZ // 100 * 2
        while len(block := self._recorder.stdout.read(size)) == size:
            if np.abs(np.frombuffer(block, "<i2").astype(int)).max() > LOUD:
                self.loud_at.append(time.monotonic())

    def close(self) -> None:
        self._recorder.terminate()
        self._recorder.wait(5)
        self._thread.join(5)


async def measure(command: str, turns: int, sinks: NullSinks, folder: Path) -> tuple[list[float], float]:
    """Return the milliseconds of every turn, and the processor time of the client per second."""
    microphone, loudspeaker = Ear(sinks, "mic.monitor"), Ear(sinks, "spk.monitor")
    waited_ms: list[float] = []
    done = asyncio.Event()
    packets = [OpusEncoder(24000, 60).encode(tone(0.06, 24000))] * REPLY_FRAMES

    def has_ended(session: Session) -> bool:
        loud = np.flatnonzero(np.abs(session.heard.astype(int)) > LOUD)
        return bool(len(loud)) and len(session.heard) - loud[-1] > SILENCE_S * 16000

    async def turn(session: Session) -> None:
        await asyncio.sleep(1.0)  # clients leave out what comes just after they begin to listen
        session.heard = session.heard[:0]
        before = len(loudspeaker.loud_at)
        await asyncio.to_thread(sinks.speak, tone(0.8, RATE_HZ, 700))
        await session.until(lambda: has_ended(session))
        await session.send("stt", text="?")
        await session.send("tts", state="start")
        await asyncio.sleep(GAP_S)
        began = time.monotonic()
        for number, packet in enumerate(packets):
            await asyncio.sleep(max(began + 0.06 * (number - 5) - time.monotonic(), 0))
            await session.websocket.send(packet)
        await asyncio.sleep(max(began + 0.06 * REPLY_FRAMES + 0.2 - time.monotonic(), 0))
        spoken_at = microphone.loud_at[-1]
        heard = [at for at in loudspeaker.loud_at[before:] if at > spoken_at]
        if heard:
            waited_ms.append(1000 * (heard[0] - spoken_at))
        starts = session.events.count("listen start")
        await session.send("tts", state="stop")
        with contextlib.suppress(asyncio.TimeoutError):
            await session.until(lambda: session.events.count("listen start") > starts)

    async def script(session: Session) -> None:
        await session.until(lambda: "listen start" in session.events)
        for _ in range(turns):
            await turn(session)
        done.set()

    async with FakeXiaozhi(script) as server:
        client = await asyncio.create_subprocess_shell(
            f"exec {command}",
            env={**sinks.environment, "XIAOZHI_URL": server.url, PROJECT_VARIABLE: str(folder)},
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        began, used = time.monotonic(), 0.0
        try:
            await asyncio.wait_for(done.wait(), 30 + 8 * turns)
            used = await asyncio.to_thread(_processor_s, client.pid)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(client.pid, signal.SIGTERM)
            await client.wait()
            microphone.close()
            loudspeaker.close()
    return waited_ms, used / (time.monotonic() - began)


def _processor_s(group: int) -> float:
    """Return the processor time that the processes of a session have used."""
    used = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            used += sum(map(int, fields[11:13])) if int(fields[3]) == group else 0
    return used / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--client", action="append", default=[], metavar="NAME=COMMAND")
    arguments = parser.parse_args()
    if lacking := missing():
        raise SystemExit(f"not installed: {lacking}")
    clients = {"talk": OWN, **dict(client.split("=", 1) for client in arguments.client)}
    rows = {}
    for name, command in clients.items():
        with tempfile.TemporaryDirectory() as folder, null_sinks(Path(folder)) as sinks:
            waited_ms, load = asyncio.run(measure(command, arguments.turns, sinks, Path(folder)))
        rows[name] = {
            "turns": len(waited_ms),
            **{f"ms {key}": value for key, value in percentiles(waited_ms or [0.0]).items()},
            "processor %": round(100 * load, 1),
        }
    show(arguments.json, "last spoken sample to first sound", rows, server_ms=1000 * (SILENCE_S + GAP_S))


if __name__ == "__main__":
    main()
