"""From the bytes of a synthesizer's answer to sound, as they come: streaming WAV, whole WAV, Ogg, MP3, bare samples.

The kind is told from the first bytes: an address behind a proxy, or an error, may carry any content type.
WAV as in Microsoft's "Multimedia Programming Interface and Data Specifications 1.0", Ogg pages as in RFC 3533.
"""

from __future__ import annotations

import io
import struct
from typing import Protocol

import numpy as np

from xiaozhi_persona.audio.compressed import Mp3Decoder, WholeDecoder, is_mp3
from xiaozhi_persona.audio.ogg_opus import HEAD, OpusLink
from xiaozhi_persona.audio.opus import OpusError
from xiaozhi_persona.errors import PackageMissing, ServiceRejected, ServiceUnavailable, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.spine import PcmChunk, Samples

MAGIC_BYTES = 4
"""How many bytes decoder_for() wants to see."""

_LONGEST_HEADER_BYTES = 64 * 1024
_UNKNOWN_SIZE = 0x7FFFF000  # streams say 0, or one of several sizes above this
_TAIL_CHUNKS = (b"LIST", b"id3 ", b"ID3 ", b"fact", b"cue ", b"PEAK", b"bext", b"smpl", b"JUNK")
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


class AudioDecoder(Protocol):
    """Decodes one body, fed in pieces cut anywhere."""

    states_length: bool
    """Whether the body said how long it is: then it is a whole sentence, not a stream."""
    is_compressed: bool
    """Whether decoding takes long enough for a thread."""

    def feed(self, data: bytes) -> list[PcmChunk]:
        """Return the sound that is complete now."""
        ...

    def finish(self) -> list[PcmChunk]:
        """Return the rest; half a sample at the end is dropped."""
        ...


def is_sound(magic: bytes) -> bool:
    """Return whether a body that begins so is of a kind that says itself what it is."""
    return magic.startswith((b"RIFF", b"OggS", b"fLaC")) or is_mp3(magic)


def decoder_for(magic: bytes, raw_rate_hz: int = 0) -> AudioDecoder:
    """Return a decoder for a body that begins with `magic`.

    `raw_rate_hz` is the rate of samples without a header, where such were asked for, else 0: then anything else, such
    as AAC, raises ServiceRejected.
    """
    if magic.startswith(b"RIFF"):
        return WavDecoder()
    if magic.startswith(b"OggS"):
        return OggDecoder()
    if magic.startswith(b"fLaC"):
        return WholeDecoder()
    if raw_rate_hz and not magic.startswith(b"ID3"):  # samples may look like a frame of MP3
        return PcmDecoder(raw_rate_hz)
    if is_mp3(magic):
        return Mp3Decoder()
    raise ServiceRejected(
        tr(
            "语音合成的服务器给的声音不是 WAV、Ogg、MP3 或 FLAC。"
            "让它给 WAV：GPT-SoVITS 的 api.py 启动时用 -mt wav 或 -mt ogg，api_v2.py 不要设 media_type。"
        )
    )


class PcmDecoder:
    """Bare samples: signed 16 bit, little endian, mono."""

    states_length = False
    is_compressed = False

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate = sample_rate_hz
        self._rest = b""

    def feed(self, data: bytes) -> list[PcmChunk]:
        """Return the whole samples."""
        data = self._rest + data
        whole = len(data) // 2 * 2
        self._rest = data[whole:]
        return [PcmChunk(np.frombuffer(data[:whole], "<i2").astype(np.int16), self._rate)] if whole else []

    def finish(self) -> list[PcmChunk]:
        """Return nothing."""
        return []


class WavDecoder:
    """WAV with true sizes, with the sizes of a stream, or several one after another. 16, 24, 32 bit or float."""

    is_compressed = False

    def __init__(self) -> None:
        self.states_length = False
        self._rest = b""
        self._in_data = False
        self._ended = False
        self._left: int | None = None
        """Bytes of the data chunk still to come, None where the header does not tell."""

    def feed(self, data: bytes) -> list[PcmChunk]:
        """Return the whole frames, averaged to mono. Raises ServiceUnavailable for a broken header."""
        self._rest += data
        chunks: list[PcmChunk] = []
        while not self._ended:
            if not self._in_data and not self._read_header():
                break
            frames = self._take()
            if len(frames):
                chunks.append(PcmChunk(frames, self._rate))
            if self._left != 0 or not self._at_data_end():
                break
        return chunks

    def finish(self) -> list[PcmChunk]:
        """Return nothing."""
        return []

    def _read_header(self) -> bool:
        """Read up to the data chunk; return whether it has begun."""
        header = self._rest
        at, format_chunk = 12, b""
        while at + 8 <= len(header):
            name, size = struct.unpack_from("<4sI", header, at)
            if name == b"data":
                if len(format_chunk) < 16:
                    raise _broken()
                self._read_format(format_chunk)
                is_stated = 0 < size < _UNKNOWN_SIZE
                self._left = size if is_stated else None
                self.states_length = is_stated
                self._rest = header[at + 8 :]
                self._in_data = True
                return True
            if name == b"fmt ":
                format_chunk = header[at + 8 : at + 8 + size]
            at += 8 + size + size % 2
        if len(header) > _LONGEST_HEADER_BYTES:
            raise _broken()
        return False

    def _read_format(self, chunk: bytes) -> None:
        kind, self._channels, self._rate = struct.unpack_from("<HHI", chunk)
        bits = struct.unpack_from("<H", chunk, 14)[0]
        if kind == _EXTENSIBLE and len(chunk) >= 26:
            kind = struct.unpack_from("<H", chunk, 24)[0]
        self._width, self._is_float = bits // 8, kind == _FLOAT
        known = (kind == _PCM and bits in (16, 24, 32)) or (kind == _FLOAT and bits == 32)
        if not known or not self._channels or not self._rate:
            raise ServiceRejected(
                tr(
                    "服务器给的 WAV 读不了（格式 {kind}，{bits} 位）。让它给 16 位的：GPT-SoVITS 的 api.py 启动时用 -st int16。",
                    kind=kind,
                    bits=bits,
                )
            )

    def _take(self) -> Samples:
        frame_bytes = self._width * self._channels
        size = len(self._rest) if self._left is None else min(len(self._rest), self._left)
        whole = size // frame_bytes * frame_bytes
        data, self._rest = self._rest[:whole], self._rest[whole:]
        if self._left is not None:
            self._left -= whole
            if self._left < frame_bytes:
                self._left = 0
        samples: Samples
        if self._is_float:
            samples = (np.clip(np.frombuffer(data, "<f4"), -1, 1) * 32767).astype(np.int16)
        elif self._width == 2:
            samples = np.frombuffer(data, "<i2").astype(np.int16)
        else:  # the two most significant bytes of each sample
            parts = np.frombuffer(data, np.uint8).reshape(-1, self._width)[:, self._width - 2 :]
            samples = np.ascontiguousarray(parts).view("<i2").reshape(-1).astype(np.int16)
        if self._channels > 1:
            samples = samples.reshape(-1, self._channels).mean(axis=1).astype(np.int16)
        return samples

    def _at_data_end(self) -> bool:
        """Decide what follows the stated length; return whether there is something to read on."""
        if len(self._rest) < MAGIC_BYTES:
            return False
        name = self._rest[:MAGIC_BYTES]
        if name == b"RIFF":
            self._in_data = False
        elif name in _TAIL_CHUNKS:
            self._ended = True
        else:  # some packs state the length of the first piece and stream on
            self._left = None
        return True


class OggDecoder:
    """Ogg streams one after another, each a file of its own: libsndfile reads only the first of a chain.

    Opus comes page by page, anything else link by link.
    """

    states_length = False
    is_compressed = True

    def __init__(self) -> None:
        self._rest = b""
        self._link = b""
        self._has_audio_pages = False
        self._opus: OpusLink | None = None

    def feed(self, data: bytes) -> list[PcmChunk]:
        """Return the pages or links that are complete. Raises ServiceUnavailable for what is no Ogg, PackageMissing."""
        self._rest += data
        chunks: list[PcmChunk] = []
        while (page := self._next_page()) is not None:
            flags = page[5]
            begins, ends = flags & 2, flags & 4
            if begins and self._has_audio_pages:
                chunks += self._decode()
            if begins:
                first = page[27 + page[26] :]
                self._opus = OpusLink(first) if first.startswith(HEAD) else None
            if self._opus:
                chunks += self._opus_page(page)
                continue
            self._link += page
            self._has_audio_pages = not begins
            if ends:
                chunks += self._decode()
        return chunks

    def finish(self) -> list[PcmChunk]:
        """Return the last link, where it did not say that it ends."""
        return self._decode() if self._has_audio_pages else []

    def _opus_page(self, page: bytes) -> list[PcmChunk]:
        assert self._opus
        try:
            return self._opus.take(page)
        except OpusError as exc:
            raise _broken_ogg() from exc

    def _next_page(self) -> bytes | None:
        """Take one whole page: 27 bytes, the table of segments, the segments."""
        rest = self._rest
        if len(rest) < 27 or len(rest) < 27 + rest[26]:
            return None
        if not rest.startswith(b"OggS"):
            raise _broken_ogg()
        size = 27 + rest[26] + sum(rest[27 : 27 + rest[26]])
        if len(rest) < size:
            return None
        self._rest = rest[size:]
        return rest[:size]

    def _decode(self) -> list[PcmChunk]:
        link, self._link, self._has_audio_pages = self._link, b"", False
        try:
            import soundfile
        except (ImportError, OSError) as exc:
            raise PackageMissing(
                tr(
                    "解码 Ogg 要 soundfile：运行 {pip_install}，或让服务器给 WAV：GPT-SoVITS 的 api.py 启动时用 -mt wav。",
                    pip_install=pip_install("soundfile"),
                )
            ) from exc
        try:
            samples, rate = soundfile.read(io.BytesIO(link), dtype="int16", always_2d=True)
        except soundfile.LibsndfileError as exc:
            raise ServiceUnavailable(
                tr("服务器给的 Ogg 解不开。再试一次，或让它给 WAV：GPT-SoVITS 的 api.py 启动时用 -mt wav。")
            ) from exc
        mono: Samples = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1).astype(np.int16)
        return [PcmChunk(np.ascontiguousarray(mono), int(rate))] if len(mono) else []


def _broken_ogg() -> ServiceUnavailable:
    return ServiceUnavailable(
        tr("服务器给的 Ogg 坏了。再试一次，或让它给 WAV：GPT-SoVITS 的 api.py 启动时用 -mt wav。")
    )


def _broken() -> ServiceUnavailable:
    return ServiceUnavailable(tr("服务器给的 WAV 头坏了。再试一次，常有时检查它前面有没有改动数据的代理。"))
