"""Opus packets with libopus (RFC 6716), mono.

libopus comes from the system; where there is none, from the copy that the PyAV wheel carries.
"""

from __future__ import annotations

import ctypes.util
import functools
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np

from xiaozhi_persona.errors import PackageMissing, PersonaError, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.spine import Samples

MAX_PACKET_MS = 120
"""The longest packet Opus allows (RFC 6716, section 3.1)."""


class OpusError(PersonaError):
    """A packet that is no Opus packet, or sound that is no whole frame."""


class OpusDecoder:
    """Decodes the packets of one stream to mono sound at `sample_rate_hz`, whatever their duration."""

    def __init__(self, sample_rate_hz: int = 16000) -> None:
        self._max_samples = sample_rate_hz * MAX_PACKET_MS // 1000
        self._opus = opus_library()
        self._decoder = self._opus.Decoder(sample_rate_hz, 1)

    def decode(self, packet: bytes) -> Samples:
        """Return the samples of one packet. Raises OpusError for what is no Opus packet."""
        if not packet:  # libopus would take it as a lost packet and make up 120 ms
            raise OpusError(tr("空的 Opus 包"))
        try:
            pcm: bytes = self._decoder.decode(packet, self._max_samples)
        except self._opus.OpusError as exc:
            raise OpusError(tr("不是有效的 Opus 包（{count} 字节）", count=len(packet))) from exc
        return np.frombuffer(pcm, dtype=np.int16)

    def conceal(self, count: int) -> Samples:
        """Return `count` samples, a multiple of 2.5 ms, in place of a packet that is missing."""
        pcm: bytes = self._decoder.decode(b"", count)
        return np.frombuffer(pcm, dtype=np.int16)


class OpusEncoder:
    """Encodes one stream of mono speech into packets of exactly `frame_ms`."""

    def __init__(
        self, sample_rate_hz: int = 24000, frame_ms: int = 60, complexity: int | None = None
    ) -> None:
        """`complexity` is 0 to 10, what libopus takes by itself (9) where it is None."""
        self.frame_samples = sample_rate_hz * frame_ms // 1000
        self._opus = opus_library()
        self._encoder = self._opus.Encoder(sample_rate_hz, 1, "audio")
        # Taken for a voice, it never becomes CELT only, even where it sings: decoder_reset() could not clear that.
        self._encoder.signal = self._opus.SIGNAL_VOICE
        if complexity is not None:
            self._encoder.complexity = complexity

    def encode(self, frame: Samples) -> bytes:
        """Encode exactly one frame of `frame_samples`. Raises OpusError for any other length."""
        if len(frame) != self.frame_samples:  # libopus reads past the end of a short buffer
            raise OpusError(
                tr(
                    "一帧应为 {frame_samples} 个采样，得到 {count} 个",
                    frame_samples=self.frame_samples,
                    count=len(frame),
                )
            )
        packet: bytes = self._encoder.encode(frame.tobytes(), self.frame_samples)
        return packet


@functools.cache
def decoder_reset(frame_ms: int = 60) -> bytes:
    """Return a packet of silence that clears the decoder of whoever hears it, at any rate. Raises PackageMissing.

    Many clients keep one decoder for a connection. Where a reply was cut, that decoder goes on from amid the old
    stream, and the first packets of a new encoder come out as up to 300 ms of loud noise. Speech is sent as SILK or
    hybrid, this packet is CELT only: at a change of mode a decoder begins anew (RFC 6716, section 4.5.2).
    """
    encoder = opus_library().Encoder(24000, 1, "restricted_lowdelay")
    samples = 24 * frame_ms
    packet: bytes = encoder.encode(bytes(2 * samples), samples)
    return packet


@functools.cache
def opus_library() -> ModuleType:
    """Import opuslib_next, showing it the libopus of PyAV where the system has none. Raises PackageMissing.

    The binding looks for the library once, at import, through ctypes.util.find_library.
    """
    find_library = ctypes.util.find_library
    try:
        if find_library("opus") is None:
            carried = _libopus_of_pyav()
            if carried is None:
                raise PackageMissing(_hint())
            ctypes.util.find_library = lambda name: carried if name == "opus" else find_library(name)
        import opuslib_next
    except PackageMissing:
        raise
    except Exception as exc:  # it raises a bare Exception when it finds no library
        raise PackageMissing(tr("{hint}（{exc}）", hint=_hint(), exc=exc)) from exc
    finally:
        ctypes.util.find_library = find_library
    module: ModuleType = opuslib_next
    return module


def _libopus_of_pyav() -> str | None:
    """Return the path of the libopus inside an installed PyAV wheel, without importing it."""
    spec = importlib.util.find_spec("av")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    for folder in (package.parent / "av.libs", package / ".dylibs"):  # Linux and Windows, macOS
        for file in sorted(folder.glob("*opus*")):
            return str(file)
    return None


def _hint() -> str:
    return tr(
        "找不到 libopus：Debian/Ubuntu/树莓派运行 sudo apt install libopus0，macOS 运行 brew install opus，或者 {command}",
        command=pip_install("av"),
    )
