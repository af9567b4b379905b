"""Measures whether a microphone and a loudspeaker are fit to talk with: level, noise, echo, and what to change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import anyio
import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.bridge.client.card.interface import SILENT_DBFS, CardEvent
from xiaozhi_persona.bridge.client.sound import MIC_RATE_HZ
from xiaozhi_persona.errors import ServiceTimeout, own_command
from xiaozhi_persona.language import tr
from xiaozhi_persona.spine import Samples
from xiaozhi_persona.tasks import cancel_and_wait

RECORD_S = 3.0
CHIRP_S = 0.5
_LISTEN_S = 1.5
"""From the chirp's start: Bluetooth loudspeakers take up to half a second."""
_PATIENCE_S = 5.0
"""For how much longer than it lasts a recording is waited for."""
_CHIRP_HZ = (300.0, 6000.0)
_CHIRP_LEVEL = 32767 * 10 ** (-12 / 20)
_FADE_S = 0.02
_FRAME = MIC_RATE_HZ // 50
_CLIPPED = 32700
_SILENT_LEVEL = 32768 * 10 ** (-85 / 20)
"""Root mean square of the loudest frame: no microphone is so quiet, but drivers add noise of a bit or two to zeros."""

QUIET_SPEECH_DBFS = -40.0
LOUD_NOISE_DBFS = -45.0
LEAST_SNR_DB = 12.0
MOST_CLIPPED = 0.001
LOUD_ECHO_DB = -6.0
LONG_DELAY_MS = 250.0
_HEARD = 8.0
"""How far the chirp's correlation has to stand out of what it is elsewhere (root mean square)."""


class CheckedCard(Protocol):
    """What is needed of a Card."""

    on_event: Callable[[CardEvent], None]

    def listen(self) -> AsyncGenerator[Samples, None]:
        """Yield what the microphone hears, 16 kHz mono."""
        ...

    def sound(self, samples: Samples, sample_rate_hz: int) -> None:
        """Play a sound."""
        ...


@dataclass(frozen=True)
class Recording:
    """What a recording of somebody who speaks is like. Levels are root mean squares in dBFS."""

    speech_dbfs: float
    """Of the loud parts."""
    noise_dbfs: float
    """Of the quiet parts."""
    clipped: float
    """Share of the samples that are as loud as can be."""
    silent: bool
    """Nothing comes from it: muted, or no microphone."""


@dataclass(frozen=True)
class Echo:
    """What the microphone hears of the loudspeaker."""

    delay_ms: float
    """From the program to the loudspeaker, through the room, and back to the program."""
    level_db: float
    """Of what comes back against what was played; negative: it is quieter."""


@dataclass(frozen=True)
class SoundCheck:
    """All that was measured."""

    recording: Recording
    echo: Echo | None
    """None where nothing of it was heard."""
    underruns: int

    def advice(self) -> list[str]:
        """Return what is to be changed, the worst first; nothing where all is well."""
        return [*_of_the_microphone(self.recording), *self._of_the_loudspeaker()]

    def _of_the_loudspeaker(self) -> list[str]:
        found = []
        if self.recording.silent:
            pass  # nothing can be said of it
        elif self.echo is None:
            found.append(
                tr(
                    "话筒没有听到喇叭：用耳机就是这样；不然请把喇叭开大，或看它是不是选对了（{command}）",
                    command=own_command("talk --list-devices"),
                )
            )
        else:
            if self.echo.level_db > LOUD_ECHO_DB:
                found.append(tr("喇叭在话筒里太响：离远些，或调小喇叭；实时聆听（realtime）会听到自己"))
            if self.echo.delay_ms > LONG_DELAY_MS:
                found.append(tr("喇叭慢：多半是蓝牙的，回答会晚出声。有线的好"))
        if self.underruns:
            found.append(tr("声卡断了 {underruns} 次：机器太忙，或 USB 供电不足", underruns=self.underruns))
        return found


async def check_sound(card: CheckedCard, on_step: Callable[[str], None]) -> SoundCheck:
    """Record somebody, play that, then listen to the loudspeaker; `on_step` is told what a person is to do.

    Raises ServiceTimeout when the microphone gives nothing.
    """
    underruns = 0

    def note(event: CardEvent) -> None:
        nonlocal underruns
        underruns += event.kind == "underrun"

    before, card.on_event = card.on_event, note
    try:
        on_step(tr("请用平常的声音说话，录 {seconds:g} 秒……", seconds=RECORD_S))
        spoken, _ = await _record(card, RECORD_S)
        on_step(tr("放出来……"))
        card.sound(spoken, MIC_RATE_HZ)
        await asyncio.sleep(len(spoken) / MIC_RATE_HZ)
        on_step(tr("放一声试音，请安静……"))
        played = chirp()
        recording = asyncio.create_task(_record(card, _LISTEN_S), name="check-echo")
        try:
            await asyncio.sleep(0)  # it listens by then
            played_at = asyncio.get_running_loop().time()
            card.sound(played, MIC_RATE_HZ)
            heard, heard_from = await recording
        finally:
            await cancel_and_wait(recording)
    finally:
        card.on_event = before
    echo = find_echo(heard, played, (played_at - heard_from) * 1000)
    return SoundCheck(measure(spoken), echo, underruns)


async def _record(card: CheckedCard, seconds: float) -> tuple[Samples, float]:
    """Return sound, and the time of the event loop at which it begins."""
    pieces: list[Samples] = []
    began_at = 0.0
    try:
        with anyio.fail_after(seconds + _PATIENCE_S):
            async with aclosing(card.listen()) as heard:
                async for piece in heard:
                    if not pieces:
                        began_at = asyncio.get_running_loop().time() - len(piece) / MIC_RATE_HZ
                    pieces.append(piece)
                    if sum(map(len, pieces)) >= seconds * MIC_RATE_HZ:
                        break
    except TimeoutError as exc:
        raise ServiceTimeout(
            tr(
                "话筒没有声音来。请拔下再插上，或换一个（{command}）",
                command=own_command("talk --list-devices"),
            )
        ) from exc
    return np.concatenate(pieces), began_at


def chirp() -> Samples:
    """Return a tone that climbs, which is found in a recording to the sample."""
    at_s = np.arange(round(CHIRP_S * MIC_RATE_HZ)) / MIC_RATE_HZ
    low_hz, high_hz = _CHIRP_HZ
    phase = 2 * np.pi * (low_hz * at_s + (high_hz - low_hz) / (2 * CHIRP_S) * at_s**2)
    fade = np.clip(np.minimum(at_s, at_s[::-1]) / _FADE_S, 0.0, 1.0)
    samples: Samples = (_CHIRP_LEVEL * fade * np.sin(phase)).astype(np.int16)
    return samples


def measure(samples: Samples) -> Recording:
    """Return what a recording of 16 kHz is like."""
    whole = len(samples) // _FRAME * _FRAME
    frames = samples[:whole].reshape(-1, _FRAME).astype(np.float64)
    levels = np.sort(np.sqrt(np.mean((frames - samples.mean()) ** 2, axis=1)))
    clipped = float(np.mean(np.abs(samples.astype(np.int32)) >= _CLIPPED))
    return Recording(
        _dbfs(levels[-max(1, len(levels) // 10) :]),
        _dbfs(levels[: max(1, len(levels) // 10)]),
        clipped,
        bool(levels[-1] < _SILENT_LEVEL),
    )


def find_echo(heard: Samples, played: Samples, played_after_ms: float) -> Echo | None:
    """Return the echo of a sound in a recording that began so long before the sound; None where it is not in there."""
    size = 1 << (len(heard) + len(played)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size))
    alike = np.abs(np.fft.irfft(spectrum, size)[: len(heard)])
    at = int(np.argmax(alike))
    around = np.ones(len(alike), bool)
    around[max(0, at - _FRAME) : at + _FRAME] = False
    elsewhere = float(np.sqrt(np.mean(alike[around] ** 2)))
    energy = float(np.sum(played.astype(np.float64) ** 2))
    if alike[at] < _HEARD * elsewhere or alike[at] <= 0:
        return None
    return Echo(1000 * at / MIC_RATE_HZ - played_after_ms, 20 * float(np.log10(alike[at] / energy)))


def _of_the_microphone(recording: Recording) -> Sequence[str]:
    if recording.silent:
        return [
            tr(
                "话筒全是零：它静音了，或者选错了。请看它的开关，或换一个（{command}）",
                command=own_command("talk --list-devices"),
            )
        ]
    found = []
    if recording.clipped > MOST_CLIPPED:
        found.append(tr("话筒太响，声音削平了：调小话筒的音量，或离远些"))
    if recording.speech_dbfs < QUIET_SPEECH_DBFS:
        found.append(tr("说话声太小：调大话筒的音量，或离近些"))
    elif recording.speech_dbfs - recording.noise_dbfs < LEAST_SNR_DB:
        found.append(tr("听不出说话声：没有说话，还是噪声太大？"))
    if recording.noise_dbfs > LOUD_NOISE_DBFS:
        found.append(tr("噪声大：话筒离风扇、电脑远些，或调小话筒的音量"))
    return found


def _dbfs(levels: NDArray[np.float64]) -> float:
    level = float(np.sqrt(np.mean(levels**2)))
    return max(20 * float(np.log10(level / 32768)), SILENT_DBFS) if level > 0 else SILENT_DBFS
