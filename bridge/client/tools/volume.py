"""How loud the loudspeaker is: the sound server's, else the card's own mixer, else the client's software gain."""

from __future__ import annotations

import asyncio
import math
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from xiaozhi_persona.bridge.client.program import run_program
from xiaozhi_persona.errors import PersonaError

_AMIXER_TIMEOUT_S = 3.0
_AMIXER_BYTES = 64 * 1024
_PULSE_TIMEOUT_S = 2.0
_CONTROLS = ("Master", "Speaker", "PCM", "Headphone", "Digital", "HDMI")
"""What the loudspeaker's control of a card is called, the likeliest first."""
_CARDS = Path("/proc/asound/cards")
_THE_SYSTEMS_OWN = ("default", "sysdefault", "pulse", "pipewire")
"""Names of devices of ALSA that stand for the one that the system has chosen."""

_CONTROL = re.compile(r"'([^']+)',0")
_PERCENT = re.compile(r"\[(\d{1,3})%\]")
_CARD = re.compile(r"(?m)^(?= {0,4}\d{1,3} \[)")
"""Where a card begins in /proc/asound/cards."""


class HasGain(Protocol):
    """What has a software volume of its own: a card."""

    gain: float
    """0 to 1."""


class _NotHere(Exception):
    """This way to the volume does not exist on this machine, at present."""


class Volume:
    """The volume as a percentage as ears judge it. Each call looks anew: a sound server may start after the client."""

    def __init__(self, card: HasGain, output: str = "", cards: Path = _CARDS) -> None:
        """`output` is a part of the loudspeaker's name, "" for the system's default."""
        self._card = card
        self._output = "" if output in _THE_SYSTEMS_OWN else output
        self._cards = cards

    async def get(self) -> int:
        """Return the volume, 0 to 100; a mixer may go beyond."""
        return await self._first(self._pulse, self._amixer, self._software)

    async def set(self, percent: int) -> None:
        """Set the volume, 0 to 100, and unmute."""
        await self._first(
            lambda: self._pulse(percent), lambda: self._amixer(percent), lambda: self._software(percent)
        )

    @staticmethod
    async def _first(*ways: Callable[[], Awaitable[int]]) -> int:
        for way in ways[:-1]:
            try:
                return await way()
            except _NotHere:
                pass
        return await ways[-1]()

    async def _pulse(self, percent: int | None = None) -> int:
        """PulseAudio, or PipeWire in its place."""
        volume = await asyncio.to_thread(_pulse_volume, self._output, percent)
        if percent is not None:
            self._card.gain = 1.0
        return volume

    async def _amixer(self, percent: int | None = None) -> int:
        """ALSA; -M makes its percentages those that ears judge."""
        if shutil.which("amixer") is None:
            raise _NotHere
        number = _card_number(self._cards, self._output)
        if self._output and not number:
            raise _NotHere
        amixer = ["amixer", "-M", *(["-c", number] if number else [])]
        there = _CONTROL.findall(await _run(*amixer, "scontrols"))
        for control in (name for name in _CONTROLS if name in there):
            set_to = [] if percent is None else [f"{percent}%", "unmute"]
            said = await _run(*amixer, "sget" if percent is None else "sset", control, *set_to)
            if found := _PERCENT.search(said.partition("Playback")[2]):
                if percent is not None:
                    self._card.gain = 1.0
                return int(found[1])
        raise _NotHere

    async def _software(self, percent: int | None = None) -> int:
        """The cube, as PulseAudio has it: half the percentage sounds half as loud."""
        if percent is not None:
            self._card.gain = (percent / 100) ** 3
        return round(100 * math.pow(self._card.gain, 1 / 3))


async def _run(*words: str) -> str:
    try:
        output = await run_program(words, timeout_s=_AMIXER_TIMEOUT_S, max_bytes=_AMIXER_BYTES)
    except PersonaError as exc:  # no card, or a plugin without its server
        raise _NotHere from exc
    return output.decode(errors="replace")


def _card_number(cards: Path, output: str) -> str:
    """Return the number of the ALSA card whose name holds `output`, "" for the default one."""
    if not output:
        return ""
    try:
        lines = _CARD.split(cards.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    found = next((line for line in lines if output.lower() in line.lower()), "")
    return found.split()[0] if found.strip() else ""


def _pulse_volume(output: str, percent: int | None) -> int:
    """Set the volume where one is given, and return it. Raises _NotHere."""
    try:
        import pulsectl
    except (ImportError, OSError) as exc:  # OSError: no libpulse
        raise _NotHere from exc
    try:
        with pulsectl.Pulse("xiaozhi-persona", connect=False) as pulse:
            pulse.connect(timeout=_PULSE_TIMEOUT_S)
            sinks = [s for s in pulse.sink_list() if output.lower() in f"{s.name} {s.description}".lower()]
            default = pulse.server_info().default_sink_name
            sink = next((s for s in sinks if s.name == default), sinks[0] if output and sinks else None)
            if sink is None:
                raise _NotHere
            if percent is not None:
                pulse.volume_set_all_chans(sink, percent / 100)
                pulse.mute(sink, False)
                return percent
            return 0 if sink.mute else round(sink.volume.value_flat * 100)
    except pulsectl.PulseError as exc:
        raise _NotHere from exc
