"""Messages and binary frames: both directions, every version, and what does not follow the protocol."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xiaozhi_persona.bridge.binary import VERSIONS, pack, unpack, version_of
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
        "[" * 100_000,
    ],
)
def test_what_does_not_follow_the_protocol_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_device_message(text)


@pytest.mark.parametrize(
    ("field", "value", "hello"),
    [
        ("version", "1", Hello(1)),
        ("version", "3", Hello(3)),
        ("version", 2.0, Hello(2)),
        ("version", "one", Hello(0)),
        ("version", True, Hello(0)),
        ("version", 1.5, Hello(0)),
        ("version", float("nan"), Hello(0)),
        ("version", 10**400, Hello(0)),
        ("version", "²", Hello(0)),
        ("version", [], Hello(0)),
        ("features", ["mcp", 7, "aec"], Hello(features=frozenset({"mcp", "aec"}))),
        ("features", {"mcp": 1, "aec": True}, Hello(features=frozenset({"aec"}))),
        ("features", 7, Hello()),
        ("session_id", 0, Hello()),
        ("transport", 5, Hello(transport="")),
        ("audio_params", [], Hello()),
        ("audio_params", {"sample_rate": "16000"}, Hello(audio=AudioParams(16000, 60))),
        (
            "audio_params",
            {"sample_rate": "24000", "frame_duration": "20"},
            Hello(audio=AudioParams(24000, 20)),
        ),
        ("audio_params", {"sample_rate": 44100, "frame_duration": 1e9}, Hello(audio=AudioParams(16000, 60))),
        ("audio_params", {"format": "PCM"}, Hello(audio=AudioParams(16000, 60, "pcm"))),
        ("audio_params", {"format": 7}, Hello(audio=AudioParams(16000, 60))),
    ],
)
def test_a_hello_with_odd_fields_is_read_as_far_as_it_can_be(field: str, value: object, hello: Hello) -> None:
    text = json.dumps({"type": "hello", "transport": "websocket", field: value})
    assert decode_device_message(text) == hello
    of_server = decode_server_message(text)
    assert isinstance(of_server, Hello) and of_server.version == hello.version
    assert of_server.audio is None or of_server.audio.sample_rate_hz in (16000, 24000)


@pytest.mark.parametrize("version", VERSIONS)
@given(packet=st.binary(min_size=1, max_size=3000))
def test_the_version_of_a_frame_is_seen_from_its_header(version: int, packet: bytes) -> None:
    frame = pack(packet, version)
    assert version_of(frame) == (version if version > 1 else version_of(packet))


@pytest.mark.parametrize("version", [2, 3])
def test_a_damaged_header_tells_no_version(version: int) -> None:
    frame = pack(b"12345678", version)
    for damaged in (frame[:-1], frame + b"x", b"\x01" + frame[1:], frame[: len(frame) - 8], b""):
        assert version_of(damaged) == 1


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
