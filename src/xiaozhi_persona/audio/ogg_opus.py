"""Opus in Ogg (RFC 7845), decoded page by page as it comes."""

from __future__ import annotations

import struct

import numpy as np

from xiaozhi_persona.audio.opus import OpusDecoder
from xiaozhi_persona.spine import PcmChunk, Samples

HEAD = b"OpusHead"
"""With this the first packet of a link begins."""

RATE_HZ = 48000
"""What the positions of an Ogg Opus stream count in."""

_TAGS = b"OpusTags"


class OpusLink:
    """One link: the pages from that with the head to the last one. Made of the first page, fed with the others."""

    def __init__(self, head: bytes) -> None:
        """`head` is the first packet. Raises PackageMissing without libopus."""
        self._decoder = OpusDecoder(RATE_HZ)
        self._skip = self._before = struct.unpack_from("<H", head.ljust(12, b"\0"), 10)[0]
        self._given = 0
        self._partial = b""

    def take(self, page: bytes) -> list[PcmChunk]:
        """Return the sound of a whole page, mixed to mono. Raises OpusError for packets that are none."""
        samples = [self._decoder.decode(packet) for packet in self._packets(page) if packet]
        if not samples:
            return []
        sound: Samples = np.concatenate(samples)
        skipped = min(self._skip, len(sound))
        self._skip -= skipped
        sound = sound[skipped:]
        position = struct.unpack_from("<q", page, 6)[0]
        if (
            page[5] & 4 and position > 0
        ):  # the last packet is filled up; the position says where the sound ends
            sound = sound[: max(0, position - self._before - self._given)]
        self._given += len(sound)
        return [PcmChunk(sound, RATE_HZ)] if len(sound) else []

    def _packets(self, page: bytes) -> list[bytes]:
        """Return the packets that end on this page; one ends with a segment that is not full."""
        packets, at = [], 27 + page[26]
        for size in page[27:at]:
            self._partial += page[at : at + size]
            at += size
            if size < 255:
                packets.append(self._partial)
                self._partial = b""
        return [packet for packet in packets if not packet.startswith((HEAD, _TAGS))]
