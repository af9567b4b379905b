"""The sound devices of a machine, and how one is chosen by a part of its name. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.errors import PersonaError, own_command
from xiaozhi_persona.language import tr

Block = NDArray[np.int16]
"""Sound of a device: (frames, channels)."""


class NoCard(PersonaError):
    """There is no sound device that could be used, or it does not open; says what to do."""


@dataclass(frozen=True)
class Device:
    """A sound device of the system. Names stay when numbers change, so it is chosen by its name."""

    number: int
    name: str
    input_channels: int
    output_channels: int
    rate_hz: float
    """The rate at which it runs by itself."""
    default_input: bool = False
    default_output: bool = False


class Stream(Protocol):
    """An open direction of a device."""

    rate_hz: float
    channels: int
    latency_s: float
    """Between callback and loudspeaker or microphone, as the driver says."""

    def close(self) -> None:
        """End it; may be called from any thread and takes as long as the driver likes."""
        ...


class SoundSystem(Protocol):
    """What drives the devices. Callbacks come from threads of its own."""

    def devices(self) -> list[Device]:
        """Look for devices anew; no stream may be open. Raises NoCard where there is no driver."""
        ...

    def open_input(
        self, device: Device, hear: Callable[[Block, bool], None], ended: Callable[[], None]
    ) -> Stream:
        """Begin to record: `hear` gets every block, and whether sound was lost before it. Raises NoCard."""
        ...

    def open_output(
        self, device: Device, fill: Callable[[Block, bool], None], ended: Callable[[], None]
    ) -> Stream:
        """Begin to play: `fill` writes every block, and is told whether there was a hole before it. Raises NoCard."""
        ...


def choose_input(devices: Sequence[Device], wanted: str) -> Device:
    """Return the microphone whose name holds `wanted` in any case, "" for the system's own. Raises NoCard."""
    return _choose(
        [device for device in devices if device.input_channels],
        wanted,
        lambda device: device.default_input,
        tr("没有话筒。请插上话筒，或运行 {command} 看有哪些设备", command=own_command("talk --list-devices")),
        "audio.input",
    )


def choose_output(devices: Sequence[Device], wanted: str) -> Device:
    """Return the loudspeaker, as choose_input() does the microphone."""
    return _choose(
        [device for device in devices if device.output_channels],
        wanted,
        lambda device: device.default_output,
        tr("没有喇叭。请接上喇叭，或运行 {command} 看有哪些设备", command=own_command("talk --list-devices")),
        "audio.output",
    )


def _choose(
    devices: list[Device], wanted: str, is_default: Callable[[Device], bool], none: str, key: str
) -> Device:
    if not devices:
        raise NoCard(none)
    if not wanted:
        return next(filter(is_default, devices), devices[0])
    words = wanted.casefold()
    exact = [device for device in devices if device.name.casefold() == words]
    found = exact or [device for device in devices if words in device.name.casefold()]
    if not found:
        names = "、".join(device.name for device in devices)
        raise NoCard(
            tr("{key} 写的 {wanted!r} 没有找到。现有的：{names}", key=key, wanted=wanted, names=names)
        )
    return found[0]
