"""MP3 as it comes where PyAV is installed, else whole; FLAC whole, through libsndfile."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from xiaozhi_persona.errors import PackageMissing, ServiceUnavailable, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.spine import PcmChunk, Samples

_TAG_BYTES = 10
_MOST_BYTES = 16 * 1024 * 1024
"""What is collected at most: two minutes of FLAC."""


def is_mp3(magic: bytes) -> bool:
    """Return whether a body that begins so is MP3: a tag, or the 11 bits of a frame of layer III."""
    if magic.startswith(b"ID3"):
        return True
    return len(magic) > 1 and magic[0] == 0xFF and magic[1] & 0xE6 == 0xE2


class Mp3Decoder:
    """MP3 frames as they come, with FFmpeg's parser and decoder where PyAV is installed; else the whole body."""

    states_length = False
    is_compressed = True

    def __init__(self) -> None:
        self._whole = WholeDecoder()
        self._av: Any = None
        self._is_begun = False
        self._tag: bytes | None = b""
        """The bytes so far of a tag before the first frame, None behind it: its picture may look like frames."""

    def feed(self, data: bytes) -> list[PcmChunk]:
        """Return the sound of the frames that are whole now; frames that are broken are left out."""
        if not self._is_begun:
            self._begin()
        if self._av is None:
            return self._whole.feed(data)
        if self._tag is not None:
            self._tag += data
            size = _tag_bytes(self._tag)
            if len(self._tag) < max(_TAG_BYTES, size):
                return []
            data, self._tag = self._tag[size:], None
        return self._sound(self._codec.parse(data))

    def finish(self) -> list[PcmChunk]:
        """Return the last frames. Raises ServiceUnavailable for what cannot be read."""
        if self._av is None:
            return self._whole.finish()
        return self._sound([*self._codec.parse(b""), None])

    def _begin(self) -> None:
        """Import FFmpeg, which takes a while: in the thread in which compressed sound is decoded."""
        self._is_begun = True
        try:
            import av
        except ImportError:
            return
        self._av = av
        self._codec = av.CodecContext.create("mp3", "r")
        self._mono = av.AudioResampler("s16", "mono")

    def _sound(self, packets: list[Any]) -> list[PcmChunk]:
        chunks = []
        for packet in packets:
            try:
                frames = self._codec.decode(packet)
            except self._av.FFmpegError:
                continue
            for frame in frames:
                for mono in self._mono.resample(frame):
                    samples = mono.to_ndarray().reshape(-1).astype(np.int16, copy=False)
                    chunks.append(PcmChunk(samples, int(mono.sample_rate)))
        return chunks


class WholeDecoder:
    """Anything that libsndfile reads, when all of it is there."""

    states_length = False
    is_compressed = True

    def __init__(self) -> None:
        self._body = bytearray()

    def feed(self, data: bytes) -> list[PcmChunk]:
        """Return nothing yet. Raises ServiceUnavailable for a body that is no sentence any more."""
        self._body += data
        if len(self._body) > _MOST_BYTES:
            raise _unreadable()
        return []

    def finish(self) -> list[PcmChunk]:
        """Return the sound. Raises ServiceUnavailable for what cannot be read, PackageMissing."""
        try:
            import soundfile
        except (ImportError, OSError) as exc:
            raise PackageMissing(
                tr("解码这种声音要 soundfile：运行 {pip_install}", pip_install=pip_install("soundfile"))
            ) from exc
        try:
            samples, rate_hz = soundfile.read(io.BytesIO(bytes(self._body)), dtype="int16", always_2d=True)
        except soundfile.LibsndfileError as exc:
            raise _unreadable() from exc
        mono: Samples = samples.mean(axis=1).astype(np.int16)
        return [PcmChunk(mono, int(rate_hz))] if len(mono) else []


def _unreadable() -> ServiceUnavailable:
    return ServiceUnavailable(
        tr(
            "收到的 MP3 或 FLAC 解不开。再试一次，再不行就运行 {pip_install}，或让服务器给 WAV。",
            pip_install=pip_install("av"),
        )
    )


def _tag_bytes(data: bytes) -> int:
    """Return the size of the ID3v2 tag that `data` begins with, 0 without one: four bytes of seven bits each."""
    if not data.startswith(b"ID3"):
        return 0
    size = 0
    for byte in data[6:_TAG_BYTES]:
        size = size << 7 | byte & 0x7F
    return _TAG_BYTES + size
