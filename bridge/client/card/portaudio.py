"""Sound devices by PortAudio, through sounddevice."""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from xiaozhi_persona.bridge.client.card.devices import Block, Device, NoCard, Stream
from xiaozhi_persona.errors import PackageMissing, first_line, pip_install
from xiaozhi_persona.language import tr

# Blocks, and what the driver is to keep: a Python callback may come that late. Between microphone and loudspeaker they
# decide about how soon a reply is heard: 69 ms over PipeWire, 153 ms with 80 ms and blocks of 20 ms in both directions,
# which would take half of the processor's time (1.7 % of a core, 3.6 %).
_INPUT_BLOCK_MS, _INPUT_LATENCY_S = 20, 0.12
_OUTPUT_BLOCK_MS, _OUTPUT_LATENCY_S = 10, 0.03
_STEADY = 20, 0.08
_BEST_RATE_HZ = 48000.0
"""What sound servers and most cards run at, though PortAudio says 44,100 of whatever takes it; Opus can decode to it."""
_USUAL_RATES_HZ = (44100.0, 16000.0)
"""Tried where a device refuses the rate that it claims, as some drivers on a Pi do."""
_MOST_CHANNELS = 2
"""More are never asked for: sound servers claim up to 64."""


class PortAudio:
    """The devices that PortAudio knows. Raises PackageMissing where it, or sounddevice, is not installed."""

    def __init__(self) -> None:
        self.steady = False
        """Whether the driver is to keep more: a hole moves the echo, and costs the canceller more than 80 ms."""
        self._sd = _sounddevice()
        self._fresh = True

    def devices(self) -> list[Device]:
        """Look for devices anew: PortAudio does so only when it starts, and must have no stream then."""
        with _silenced():
            try:
                if not self._fresh:
                    with contextlib.suppress(self._sd.PortAudioError):  # it has not come up the last time
                        self._sd._terminate()
                    self._sd._initialize()
                self._fresh = False
                default_input, default_output = self._sd.default.device
                found = list(self._sd.query_devices())
            except self._sd.PortAudioError as exc:
                raise NoCard(tr("声卡驱动出错：{reason}", reason=first_line(exc))) from exc
        return [
            Device(
                number,
                one["name"],
                one["max_input_channels"],
                one["max_output_channels"],
                one["default_samplerate"],
                number == default_input,
                number == default_output,
            )
            for number, one in enumerate(found)
        ]

    def open_input(
        self, device: Device, hear: Callable[[Block, bool], None], ended: Callable[[], None]
    ) -> Stream:
        """As SoundSystem says."""

        def callback(block: Any, frames: int, time: object, status: Any) -> None:
            hear(np.frombuffer(block, np.int16).reshape(frames, -1), bool(status))

        how = _STEADY if self.steady else (_INPUT_BLOCK_MS, _INPUT_LATENCY_S)
        return self._open(self._sd.RawInputStream, device, device.input_channels, how, callback, ended)

    def open_output(
        self, device: Device, fill: Callable[[Block, bool], None], ended: Callable[[], None]
    ) -> Stream:
        """As SoundSystem says."""

        def callback(block: Any, frames: int, time: object, status: Any) -> None:
            fill(np.frombuffer(block, np.int16).reshape(frames, -1), bool(status))

        how = _STEADY if self.steady else (_OUTPUT_BLOCK_MS, _OUTPUT_LATENCY_S)
        return self._open(self._sd.RawOutputStream, device, device.output_channels, how, callback, ended)

    def _open(
        self,
        kind: Callable[..., Any],
        device: Device,
        channels: int,
        how: tuple[int, float],
        callback: Callable[..., None],
        ended: Callable[[], None],
    ) -> Stream:
        block_ms, latency_s = how
        rates_hz = dict.fromkeys((_BEST_RATE_HZ, device.rate_hz, *_USUAL_RATES_HZ))
        channel_counts = dict.fromkeys((min(channels, _MOST_CHANNELS), channels))
        refused: Exception | None = None
        for count in channel_counts:
            for rate_hz in rates_hz:
                stream = None
                try:
                    with _silenced():
                        stream = kind(
                            device=device.number,
                            samplerate=rate_hz,
                            channels=count,
                            dtype="int16",
                            blocksize=round(rate_hz * block_ms / 1000),
                            latency=latency_s,
                            callback=callback,
                            finished_callback=ended,
                        )
                        stream.start()
                    return _PortAudioStream(stream)
                except (self._sd.PortAudioError, ValueError) as exc:
                    refused = refused or exc
                    if stream is not None:
                        stream.close(ignore_errors=True)
        assert refused is not None
        reason = first_line(refused)
        if "unavailable" in reason:
            reason = tr("正被别的程序占用，或刚被拔掉")
        raise NoCard(tr("打不开声卡 {name}：{reason}", name=device.name, reason=reason)) from refused


class _PortAudioStream:
    def __init__(self, stream: Any) -> None:
        self.rate_hz: float = stream.samplerate
        self.channels: int = stream.channels
        self.latency_s: float = stream.latency
        self._stream = stream

    def close(self) -> None:
        with _silenced():
            self._stream.close(ignore_errors=True)


@functools.cache
def _sounddevice() -> Any:
    try:
        with _silenced():
            import sounddevice
    except ImportError as exc:
        command = pip_install("sounddevice")
        raise PackageMissing(tr("没有装 sounddevice：运行 {command}", command=command)) from exc
    except OSError as exc:  # the wheels for Linux carry no PortAudio
        raise PackageMissing(
            tr("找不到 PortAudio：Debian/Ubuntu/树莓派运行 sudo apt install libportaudio2")
        ) from exc
    _quiet_alsa()
    return sounddevice


_ALSA_HANDLER = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)


@functools.cache
def _quiet_alsa() -> object:
    """Let ALSA write nothing to stderr while streams run; return what must live as long as the process."""
    handler = _ALSA_HANDLER(lambda *_: None)
    name = ctypes.util.find_library("asound")
    if name:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(name).snd_lib_error_set_handler(handler)
    return handler


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keep what ALSA, JACK and OSS write to stderr while devices are looked for; Python writes nothing meanwhile."""
    if os.name != "posix":
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
