"""Messages and binary frames: both directions, every version, and what does not follow the protocol."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xiaozhi_persona.bridge.binary import VERSIONS, pack, unpack
from xiaozhi_persona.bridge.messages import (
    Abort,
    AudioParams,
    Face,
    Hello,
    Listen,
    Mcp,
    ProtocolError,
    Stt,
    Tts,
    Unknown,
    decode_device_message,
    decode_server_message,
    encode,
)

FIRMWARE_HELLO = {
    "type": "hello",
    "version": 1,
    "features": {"mcp": True, "aec": False},
    "transport": "websocket",
    "audio_params": {"format": "opus", "sample_rate": 16000, "channels": 1, "frame_duration": 60},
}


def test_hello_of_the_firmware() -> None:
    hello = decode_device_message(json.dumps(FIRMWARE_HELLO))
    assert hello == Hello(1, audio=AudioParams(16000, 60), features=frozenset({"mcp"}))


def test_hello_without_any_field_as_the_web_page_sends_it() -> None:
    hello = decode_device_message('{"type":"hello","device_id":"x"}')
    assert hello == Hello(version=0, transport="", audio=None, device_id="x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type":"listen","state":"start","mode":"manual"}', Listen("start", "manual")),
        ('{"type":"listen","state":"start"}', Listen("start", "auto")),
        ('{"type":"listen","state":"stop","session_id":""}', Listen("stop")),
        ('{"type":"listen","state":"detect","text":"你好小智"}', Listen("detect", text="你好小智")),
        ('{"type":"abort","reason":"wake_word_detected"}', Abort("wake_word_detected")),
        ('{"type":"abort"}', Abort()),
        ('{"type":"mcp","payload":{"id":1}}', Mcp({"id": 1})),
        ('{"type":"iot","states":[]}', Unknown("iot")),
    ],
)
def test_messages_of_devices(text: str, message: object) -> None:
    assert decode_device_message(text) == message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"hello"',
        "{}",
        '{"type":5}',
        '{"type":"listen"}',
        '{"type":"listen","state":3}',
        '{"type":"listen","state":"pause"}',
        '{"type":"listen","state":"start","mode":"sideways"}',
        '{"type":"listen","state":"detect","text":{}}',
        '{"type":"abort","reason":[]}',
        '{"type":"mcp","payload":"x"}',
        '{"type":"hello","version":"one"}',
        '{"type":"hello","version":true}',
        '{"type":"hello","version":1.5}',
        '{"type":"hello","version":NaN}',
        '{"type":"hello","audio_params":[]}',
        '{"type":"hello","audio_params":{"sample_rate":"16k"}}',
        '{"type":"hello","features":7}',
        "[" * 100_000,
    ],
)
def test_what_does_not_follow_the_protocol_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_device_message(text)


@given(
    st.text()
    | st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text()).map(
        json.dumps
    )
)
def test_no_text_frame_raises_anything_else(text: str) -> None:
    for decode in (decode_device_message, decode_server_message):
        with contextlib.suppress(ProtocolError):
            decode(text)


@pytest.mark.parametrize(
    "message",
    [
        Tts("start"),
        Tts("sentence_start", "今天“真好”\n"),
        Tts("stop"),
        Stt("你好"),
        Face("happy", "🙂"),
        Mcp({"jsonrpc": "2.0"}),
        Hello(2, "abc", AudioParams(24000, 60)),
    ],
)
def test_what_the_server_sends_a_client_reads(message: Tts) -> None:
    text = encode(message, "abc")
    assert json.loads(text)["session_id"] == "abc"
    assert decode_server_message(text) == message


def test_the_server_hello_has_the_transport_that_the_firmware_needs() -> None:
    fields = json.loads(encode(Hello(1, "abc", AudioParams(24000, 60))))
    assert fields["transport"] == "websocket"
    assert fields["audio_params"] == {
        "format": "opus",
        "sample_rate": 24000,
        "channels": 1,
        "frame_duration": 60,
    }


@pytest.mark.parametrize("version", VERSIONS)
@given(packet=st.binary(min_size=1, max_size=3000), timestamp=st.integers(0, 2**40))
def test_a_packed_packet_unpacks_to_itself(version: int, packet: bytes, timestamp: int) -> None:
    assert unpack(pack(packet, version, timestamp), version) == packet


@pytest.mark.parametrize("version", VERSIONS)
@given(frame=st.binary(max_size=64))
def test_any_frame_is_read_or_refused(version: int, frame: bytes) -> None:
    try:
        assert len(unpack(frame, version)) <= len(frame)
    except ProtocolError:
        assert version > 1


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_wrong_length_is_refused(version: int, change: int) -> None:
    frame = pack(b"12345678", version)
    frame = frame[:change] if change < 0 else frame + b"x"
    with pytest.raises(ProtocolError, match="长度"):
        unpack(frame, version)


def test_other_refusals() -> None:
    with pytest.raises(ProtocolError, match="版本"):
        unpack(bytes([0, 1]) + pack(b"x", 2)[2:], 2)
    with pytest.raises(ProtocolError, match="类型"):
        unpack(b"\x01" + pack(b"x", 3)[1:], 3)
    with pytest.raises(ProtocolError, match="65535"):
        pack(b"x" * 65536, 3)
    with pytest.raises(ProtocolError, match="空"):
        pack(b"", 1)
    assert unpack(b"", 2) == b""  # the web page sends one when its recording stops
