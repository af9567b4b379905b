"""A private PipeWire with two null sinks: `mic`, into which a test speaks, and `spk`, whose monitor a test records."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

PROGRAMS = ("dbus-daemon", "pipewire", "wireplumber", "pipewire-pulse", "pactl", "pacat")
RATE_HZ = 48000
_START_S = 10.0


def missing() -> str:
    """Return what of it is not installed, "" for nothing."""
    programs = [name for name in PROGRAMS if shutil.which(name) is None or not _runs(name)]
    libraries = (
        [] if list(Path("/usr/lib").rglob("libasound_module_pcm_pulse.so")) else ["libasound2-plugins"]
    )
    return " ".join((*programs, *libraries))


def _runs(program: str) -> bool:
    """Tell whether a program starts: where libopus is hidden from us, it is from those that need it too."""
    try:
        return not subprocess.run([program, "--version"], capture_output=True, timeout=10).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False


class NullSinks:
    """The running servers. `environment` is for programs that are to use them."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PULSE_")},
            "XDG_RUNTIME_DIR": str(folder),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/bus",
            "PULSE_SERVER": f"unix:{folder}/pulse/native",
            "ALSA_CONFIG_PATH": str(folder / "alsa.conf"),
        }
        # Only the two sinks, so that nothing depends on what else the machine's ALSA knows.
        (folder / "alsa.conf").write_text(
            "</usr/share/alsa/alsa.conf>\npcm.!default { type pulse }\nctl.!default { type pulse }\n"
        )

    def control(self, *words: str) -> str:
        """Run pactl."""
        return subprocess.run(
            ["pactl", *words], env=self.environment, check=True, capture_output=True, text=True, timeout=10
        ).stdout.strip()

    def add(self, sink: str) -> None:
        """Make a null sink. One that was asked for before the session manager was ready never comes: ask again."""
        for _ in range(5):
            module = self.control(
                "load-module", "module-null-sink", f"sink_name={sink}", f"rate={RATE_HZ}", "channels=2"
            )
            for _ in range(20):
                if sink in self.control("list", "short", "sinks").split():
                    return
                time.sleep(0.1)
            self.control("unload-module", module)
        raise RuntimeError(f"no sink {sink}")

    def choose(self) -> None:
        """Make the two the system's own; the session manager may not know them yet."""
        for words in (("set-default-sink", "spk"), ("set-default-source", "mic.monitor")):
            _repeat(lambda words=words: self.control(*words))

    def echo(self, volume_db: float) -> None:
        """Let what the loudspeaker plays be heard by the microphone."""
        self.control("load-module", "module-loopback", "source=spk.monitor", "sink=mic", "latency_msec=30")
        number = self.control("list", "short", "sink-inputs").split()[0]
        self.control("set-sink-input-volume", number, f"{volume_db}dB")

    def player(self) -> subprocess.Popen[bytes]:
        """Start what plays raw 48 kHz mono from its standard input into the microphone."""
        return self._pacat("--playback", "--device=mic", stdin=subprocess.PIPE)

    def recorder(self, source: str) -> subprocess.Popen[bytes]:
        """Start what writes raw 48 kHz mono to its standard output; it has to be read."""
        return self._pacat("--record", f"--device={source}", stdout=subprocess.PIPE)

    @contextlib.contextmanager
    def recording(self, path: Path) -> Iterator[None]:
        """Write raw 48 kHz mono of what the loudspeaker plays to a file."""
        with path.open("wb") as file:
            recorder = self._pacat("--record", "--device=spk.monitor", stdout=file)
            try:
                yield
            finally:
                recorder.terminate()
                recorder.wait(5)

    def _pacat(self, *words: str, **pipes: Any) -> subprocess.Popen[bytes]:
        command = [
            "pacat",
            *words,
            f"--rate={RATE_HZ}",
            "--channels=1",
            "--format=s16le",
            "--latency-msec=20",
        ]
        return subprocess.Popen(command, env=self.environment, **pipes)

    def speak(self, sound: np.ndarray) -> None:
        """Play 48 kHz mono into the microphone, and return when it has been said."""
        self.player().communicate(sound.astype("<i2").tobytes(), timeout=60)


@contextlib.contextmanager
def null_sinks(folder: Path) -> Iterator[NullSinks]:
    """Run the servers in `folder`, which has a short path and is the user's only."""
    sinks = NullSinks(folder)
    commands = (
        ["dbus-daemon", "--session", "--nofork", f"--address=unix:path={folder}/bus"],
        ["pipewire"],
        ["wireplumber"],
        ["pipewire-pulse"],
    )
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.log").open("wb") as log:
                running.append(subprocess.Popen(command, env=sinks.environment, stdout=log, stderr=log))
            if command[0] == "dbus-daemon":
                _wait_for(folder / "bus")
        _repeat(lambda: sinks.control("info"))
        sinks.add("mic")
        sinks.add("spk")
        sinks.choose()
        yield sinks
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def _repeat(work: Callable[[], object]) -> None:
    """Do it until it works."""
    deadline = time.monotonic() + _START_S
    while True:
        try:
            work()
            return
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
