"""Sound files written piece by piece, for who begins to play them before they are whole."""

from __future__ import annotations

import io
import struct
from typing import Any, Literal

from xiaozhi_persona.spine import Samples

Format = Literal["mp3", "opus", "flac", "wav", "pcm"]

_KINDS = {"mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS"), "flac": ("FLAC", "PCM_16")}
"""As libsndfile names them."""
_UNKNOWN_BYTES = 0xFFFFFFFF
"""Stands in a WAV file for a size that is not known yet: players go on to the end."""


class SoundWriter:
    """Turns 16-bit mono into the bytes of a file. Close it, also where it was not finished.

    A FLAC file comes whole at the end: one that does not tell its length libsndfile itself cannot read.
    """

    def __init__(self, form: Format, sample_rate_hz: int) -> None:
        self.samples = 0
        """How many were fed."""
        self._form = form
        self._rate_hz = sample_rate_hz
        self._out: _Outlet | _Whole = _Whole() if form == "flac" else _Outlet()
        self._file: Any = None
        if form in _KINDS:
            import soundfile

            kind, subtype = _KINDS[form]
            self._file = soundfile.SoundFile(
                self._out, "w", sample_rate_hz, channels=1, format=kind, subtype=subtype
            )

    def __enter__(self) -> SoundWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def feed(self, samples: Samples) -> bytes:
        """Return what can be given out so far. "pcm" is little endian, without a head."""
        is_first, self.samples = not self.samples, self.samples + len(samples)
        if self._file is None:
            head = _wav_head(self._rate_hz) if self._form == "wav" and is_first else b""
            return head + samples.astype("<i2").tobytes()
        self._file.write(samples)
        return self._out.taken()

    def finish(self) -> bytes:
        """Return the rest."""
        if self._file is None:
            return b""
        self._file.close()
        return self._out.getvalue() if isinstance(self._out, _Whole) else self._out.taken()


class _Whole(io.BytesIO):
    """A file of which nothing is taken away before it is whole."""

    def taken(self) -> bytes:
        return b""


class _Outlet(io.RawIOBase):
    """A file of which the bytes are taken away as they come. What is written again at its head comes too late."""

    def __init__(self) -> None:
        self._ready = bytearray()
        self._given = 0
        self._at = 0

    def taken(self) -> bytes:
        data = bytes(self._ready)
        self._given += len(data)
        self._ready.clear()
        return data

    def write(self, data: Any) -> int:
        data = bytes(data)
        begin = self._at - self._given
        self._at += len(data)
        if begin >= 0:
            self._ready[begin : begin + len(data)] = data
        return len(data)

    def readinto(self, buffer: Any) -> int:
        return 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._given + len(self._ready)}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True


def _wav_head(rate_hz: int) -> bytes:
    """Return the head of a WAV file of 16-bit mono of which the end is not known."""
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    size = struct.pack("<I", _UNKNOWN_BYTES)
    return b"RIFF" + size + b"WAVEfmt " + form + b"data" + size
