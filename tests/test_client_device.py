"""The model of the firmware: what each state accepts, the playback queue, and what it sends by itself."""

from __future__ import annotations

import numpy as np
import pytest

from xiaozhi_persona.audio.opus import OpusDecoder, OpusEncoder
from xiaozhi_persona.bridge.client.device import (
    QUEUE_PACKETS,
    WAKE_WORD,
    DeviceModel,
    DeviceState,
    Gap,
    packet_duration_s,
)
from xiaozhi_persona.bridge.messages import LISTEN_MODES, Abort, Listen, ListenMode

PACKET_S = 0.0625  # sums of it are exact


def device_in(state: DeviceState, mode: ListenMode = "auto") -> DeviceModel:
    """A device that reached `state` at time 0 and has sent what it had to."""
    device = DeviceModel(mode)
    if state != "idle":
        device.connect(0)
    if state in ("listening", "speaking"):
        device.start_listening(0)
    if state == "speaking":
        assert device.tts_start(0)
    assert device.state == state
    device.take_messages()
    return device


def feed(device: DeviceModel, at: float, packets: int) -> None:
    for _ in range(packets):
        device.audio(at, b"packet", PACKET_S)


@pytest.mark.parametrize(
    ("state", "mode", "mic_open"),
    [
        ("idle", "auto", False),
        ("connecting", "auto", False),
        ("listening", "auto", True),
        ("listening", "manual", True),
        ("listening", "realtime", True),
        ("speaking", "auto", False),
        ("speaking", "manual", False),
        ("speaking", "realtime", True),
    ],
)
def test_the_microphone_is_open_in_listening_and_in_realtime_also_while_speaking(state, mode, mic_open):
    assert device_in(state, mode).mic_open is mic_open


@pytest.mark.parametrize("state", ["idle", "connecting", "listening"])
def test_audio_is_dropped_and_counted_unless_speaking(state):
    device = device_in(state)
    assert device.audio(1, b"packet", PACKET_S) is None
    assert device.dropped_not_speaking == 1
    assert device.playback.packets == []


@pytest.mark.parametrize("mode", LISTEN_MODES)
def test_audio_is_played_at_once_in_speaking(mode):
    device = device_in("speaking", mode)
    played = device.audio(1, b"packet", PACKET_S)
    assert played is not None
    assert (played.packet, played.at, played.ends_at) == (b"packet", 1, 1 + PACKET_S)
    assert device.playback.packets == [played]


@pytest.mark.parametrize(
    ("state", "accepted", "then"),
    [
        ("idle", True, "speaking"),
        ("connecting", False, "connecting"),
        ("listening", True, "speaking"),
        ("speaking", False, "speaking"),
    ],
)
def test_tts_start(state, accepted, then):
    device = device_in(state)
    assert device.tts_start(1) is accepted
    assert device.state == then
    assert device.take_messages() == []


@pytest.mark.parametrize("state", ["idle", "connecting", "listening"])
def test_tts_stop_is_ignored_unless_speaking(state):
    device = device_in(state)
    assert device.tts_stop(1) is False
    assert device.state == state
    assert device.take_messages() == []


@pytest.mark.parametrize(
    ("mode", "then", "sent"),
    [
        ("auto", "listening", [Listen("start", "auto")]),
        ("manual", "idle", []),
        ("realtime", "listening", []),
    ],
)
def test_tts_stop_with_an_empty_queue(mode, then, sent):
    device = device_in("speaking", mode)
    assert device.tts_stop(1) is True
    assert device.state == then
    assert device.take_messages() == sent


def test_tts_start_while_speaking_does_not_empty_the_queue():
    device = device_in("speaking")
    feed(device, 1, 4)
    device.tts_start(1)
    assert len(device.playback.packets) == 4


def test_entering_speaking_empties_the_queue_but_for_the_packet_that_plays():
    device = device_in("speaking", "manual")
    feed(device, 1, 4)
    device.tts_stop(1)
    before = device.playback
    device.tts_start(1 + PACKET_S / 2)
    assert len(before.packets) == 1
    assert device.playback.packets == []
    played = device.audio(1 + PACKET_S / 2, b"packet", PACKET_S)
    assert played is not None
    assert played.at == 1 + PACKET_S
    assert device.playback.gaps == []


def test_the_41st_packet_is_dropped():
    device = device_in("speaking")
    feed(device, 1, QUEUE_PACKETS + 3)
    assert QUEUE_PACKETS == 40
    assert len(device.playback.packets) == 40
    assert device.playback.dropped == 3
    feed(device, 1 + PACKET_S, 2)  # one has been played: room for one
    assert len(device.playback.packets) == 41
    assert device.playback.dropped == 4
    assert device.playback.gaps == []


def test_the_queue_counts_packets_whatever_their_duration():
    device = device_in("speaking")
    for _ in range(41):
        device.audio(1, b"packet", 0.02)
    assert device.playback.dropped == 1
    assert device.playback.ends_at == pytest.approx(1.8)


def test_packets_play_one_behind_the_other():
    device = device_in("speaking")
    feed(device, 1, 3)
    assert [packet.at for packet in device.playback.packets] == [1, 1 + PACKET_S, 1 + 2 * PACKET_S]


def test_an_empty_queue_is_a_gap():
    device = device_in("speaking")
    feed(device, 1, 2)
    feed(device, 2, 1)
    feed(device, 2 + PACKET_S, 1)  # just in time
    feed(device, 3, 1)
    assert device.playback.gaps == [
        Gap(1 + 2 * PACKET_S, 1 - 2 * PACKET_S),
        Gap(2 + 2 * PACKET_S, 1 - 2 * PACKET_S),
    ]
    assert device.playback.packets[2].at == 2


def test_silence_before_the_first_packet_and_after_the_last_is_no_gap():
    device = device_in("speaking")
    feed(device, 5, 1)
    device.tts_stop(9)
    device.tts_start(10)
    feed(device, 12, 1)
    assert device.playback.gaps == []


def test_auto_listens_only_when_the_queue_has_run_dry():
    device = device_in("speaking")
    feed(device, 1, 4)
    assert device.tts_stop(1) is True
    assert device.drained_at == 1 + 4 * PACKET_S
    device.advance(1 + 3 * PACKET_S)
    assert device.state == "speaking"
    assert not device.mic_open
    assert device.take_messages() == []
    device.advance(1 + 4 * PACKET_S)
    assert device.state == "listening"
    assert device.mic_open
    assert device.take_messages() == [Listen("start", "auto")]
    assert len(device.playback.packets) == 4


def test_what_comes_while_draining_is_dropped_and_a_second_stop_ignored():
    device = device_in("speaking")
    feed(device, 1, 4)
    device.tts_stop(1)
    assert device.audio(1, b"late", PACKET_S) is None
    assert device.dropped_not_speaking == 1
    assert device.tts_stop(1) is False


def test_tts_start_while_draining_cuts_the_tail_and_begins_a_new_reply():
    device = device_in("speaking")
    feed(device, 1, 4)
    device.tts_stop(1)
    old = device.playback
    assert device.tts_start(1 + PACKET_S) is True
    assert len(old.packets) == 1
    assert device.playback is not old
    device.advance(9)
    assert device.state == "speaking"
    assert device.take_messages() == []


def test_a_late_call_does_first_what_fell_due_before():
    device = device_in("speaking")
    feed(device, 1, 4)
    device.tts_stop(1)
    assert device.tts_start(9) is True
    assert device.take_messages() == [Listen("start", "auto")]
    assert len(device.playback.packets) == 0


@pytest.mark.parametrize("mode", ["manual", "realtime"])
def test_manual_and_realtime_leave_speaking_at_once_and_play_on(mode):
    device = device_in("speaking", mode)
    feed(device, 1, 4)
    device.tts_stop(1)
    assert device.state == ("idle" if mode == "manual" else "listening")
    device.advance(9)
    assert device.playback.ends_at == 1 + 4 * PACKET_S
    assert device.take_messages() == []


def test_opening_the_microphone_empties_the_queue():
    device = device_in("speaking", "manual")
    feed(device, 1, 4)
    device.tts_stop(1)
    device.start_listening(1 + PACKET_S)
    assert len(device.playback.packets) == 1


def test_a_button_abort_leaves_the_device_speaking_until_tts_stop():
    device = device_in("speaking")
    device.abort(1)
    assert device.take_messages() == [Abort()]
    assert device.state == "speaking"
    assert device.audio(1, b"packet", PACKET_S) is not None
    assert device.tts_stop(2) is True
    assert device.state == "listening"


@pytest.mark.parametrize("mode", LISTEN_MODES)
def test_the_wake_word_ends_speaking_by_itself(mode):
    device = device_in("speaking", mode)
    device.abort(1, WAKE_WORD)
    assert device.take_messages() == [Abort(WAKE_WORD), Listen("start", mode)]
    assert device.state == "listening"
    assert device.mic_open
    assert device.tts_stop(2) is False
    assert device.audio(2, b"late", PACKET_S) is None


def test_after_the_wake_word_auto_drains_its_queue_first():
    device = device_in("speaking")
    feed(device, 1, 2)
    device.abort(1, WAKE_WORD)
    assert device.take_messages() == [Abort(WAKE_WORD)]
    device.advance(2)
    assert device.take_messages() == [Listen("start", "auto")]


def test_push_to_talk():
    device = DeviceModel("manual")
    device.connect(0)
    device.start_listening(1)
    device.start_listening(2)
    device.stop_listening(3)
    device.stop_listening(4)
    assert device.take_messages() == [Listen("start", "manual"), Listen("stop")]
    assert device.state == "idle"
    assert not device.mic_open


@pytest.mark.parametrize("state", ["connecting", "listening", "speaking"])
def test_a_lost_connection_makes_the_device_idle(state):
    device = device_in(state)
    feed(device, 1, 4)
    device.tts_stop(1)
    device.disconnect(1)
    device.advance(9)
    assert device.state == "idle"
    assert not device.mic_open
    assert device.take_messages() == []
    device.connect(10)
    assert device.state == "connecting"


def test_moves_that_the_firmware_does_not_make():
    with pytest.raises(RuntimeError):
        device_in("listening").connect(1)
    with pytest.raises(RuntimeError):
        device_in("speaking").start_listening(1)
    with pytest.raises(RuntimeError):
        device_in("listening").abort(1)


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60, 80, 100, 120])
@pytest.mark.parametrize("sample_rate_hz", [8000, 16000, 24000, 48000])
def test_the_duration_of_a_packet_is_that_of_its_sound(frame_ms, sample_rate_hz):
    encoder = OpusEncoder(sample_rate_hz, frame_ms)
    packet = encoder.encode((np.arange(encoder.frame_samples) % 50 * 200).astype(np.int16))
    assert packet_duration_s(packet) == pytest.approx(frame_ms / 1000)
    assert len(OpusDecoder(sample_rate_hz).decode(packet)) == encoder.frame_samples


@pytest.mark.parametrize("packet", [b"", b"\x03", b"\x03\x00", b"\xff\x3f"])
def test_what_is_no_packet_has_no_duration(packet):
    assert packet_duration_s(packet) == 0
