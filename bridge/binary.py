"""Opus packets inside binary websocket frames, protocol versions 1, 2 and 3. No I/O.

Source: 78/xiaozhi-esp32 2.4, main/protocols/protocol.h and websocket_protocol.cc. All numbers are big-endian.

======= ==========================================================================================
version layout
======= ==========================================================================================
1       the packet alone
2       u16 version (2), u16 type (0 Opus, 1 JSON), u32 reserved, u32 timestamp ms, u32 size, packet
3       u8 type (0 Opus), u8 reserved, u16 size, packet
======= ==========================================================================================

The device checks neither type nor size of what it receives, so a wrong size would make it read past the frame.
"""

from __future__ import annotations

import struct

from xiaozhi_persona.bridge.messages import ProtocolError
from xiaozhi_persona.language import tr

VERSIONS = (1, 2, 3)
_V2 = struct.Struct(">HHIII")
_V3 = struct.Struct(">BBH")


def pack(packet: bytes, version: int, timestamp_ms: int = 0) -> bytes:
    """Return the binary frame of one Opus packet. Raises ProtocolError for an empty or too long packet."""
    if not packet:
        raise ProtocolError(tr("空的 Opus 包"))
    if version == 2:
        return _V2.pack(2, 0, 0, timestamp_ms & 0xFFFFFFFF, len(packet)) + packet
    if version == 3:
        if len(packet) > 0xFFFF:
            raise ProtocolError(tr("版本 3 的一帧最多 65535 字节，得到 {count} 字节", count=len(packet)))
        return _V3.pack(0, 0, len(packet)) + packet
    return packet


def version_of(frame: bytes) -> int:
    """Return 2 or 3 for a frame whose header is wholly that version's, else 1.

    A packet of Opus that happens to look like such a header would be one of 10 ms of narrowband, which no device sends.
    """
    for version, header, begin in ((2, _V2, (2, 0)), (3, _V3, (0, 0))):
        if len(frame) > header.size:
            fields = header.unpack_from(frame)
            if fields[:2] == begin and fields[-1] == len(frame) - header.size:
                return version
    return 1


def unpack(frame: bytes, version: int) -> bytes:
    """Return the Opus packet of a binary frame; b"" for a frame without sound. Raises ProtocolError."""
    if version == 1 or not frame:
        return frame
    header = _V2 if version == 2 else _V3
    if len(frame) < header.size:
        raise ProtocolError(
            tr(
                "版本 {version} 的帧头要 {size} 字节，得到 {count} 字节",
                version=version,
                size=header.size,
                count=len(frame),
            )
        )
    if version == 2:
        named, kind, _, _, size = _V2.unpack_from(frame)
        if named != 2:
            raise ProtocolError(tr("帧头写的版本是 {named}，约定的是 2", named=named))
    else:
        kind, _, size = _V3.unpack_from(frame)
    if kind != 0:
        raise ProtocolError(tr("帧的类型 {kind} 不是声音", kind=kind))
    if size != len(frame) - header.size:
        raise ProtocolError(
            tr("帧头写的长度是 {size}，实际是 {value}", size=size, value=len(frame) - header.size)
        )
    return frame[header.size :]
