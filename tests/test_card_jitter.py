"""The jitter buffer: bursts, stalls, packets of any duration, and what is no packet."""

from __future__ import annotations

import numpy as np
import pytest
from fakes.xiaozhi_server import pitch_hz, tone

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.bridge.client.card.jitter import (
    CONCEALED_MS,
    MOST_DELAY_MS,
    QUEUE_PACKETS,
    JitterBuffer,
    PlayoutDelay,
)

RATE_HZ = 24000


def packets(seconds: float, rate_hz: int = RATE_HZ, frame_ms: int = 60) -> list[bytes]:
    encoder = OpusEncoder(rate_hz, frame_ms)
    sound = tone(seconds, rate_hz)
    size = encoder.frame_samples
    return [encoder.encode(sound[at : at + size]) for at in range(0, len(sound) - size + 1, size)]


def pull(buffer: JitterBuffer, seconds: float, piece_ms: int = 20) -> np.ndarray:
    size = buffer.sample_rate_hz * piece_ms // 1000
    return np.concatenate([buffer.pull(size) for _ in range(round(seconds * 1000 / piece_ms))])


def loud(sound: np.ndarray) -> np.ndarray:
    """Of every 20 ms, whether there is sound."""
    return np.abs(sound[: len(sound) // 480 * 480].reshape(-1, 480)).max(axis=1) > 500


@pytest.mark.parametrize("frame_ms", [20, 40, 60])
@pytest.mark.parametrize("rate_hz", [16000, 24000, 48000])
def test_a_burst_is_played_whole(rate_hz: int, frame_ms: int):
    buffer = JitterBuffer(rate_hz, PlayoutDelay(240))
    for packet in packets(6, rate_hz, frame_ms):
        buffer.put(packet)
    assert buffer.kept_s == pytest.approx(6)
    buffer.end()
    sound = pull(buffer, 6)
    assert pitch_hz(sound, rate_hz) == pytest.approx(500, abs=1)
    assert np.abs(sound[rate_hz:-rate_hz].reshape(-1, rate_hz // 100)).max(axis=1).min() > 4000
    assert not buffer.done
    assert not pull(buffer, 0.1).any()
    assert buffer.done
    assert (buffer.holes_s, buffer.lost) == ([], 0)


def test_sound_starts_when_enough_is_kept_or_has_been_waited_for_or_the_reply_is_short():
    kept = JitterBuffer(RATE_HZ, PlayoutDelay(240))
    for packet in packets(0.18):
        kept.put(packet)
    assert not pull(kept, 0.1).any()
    kept.put(packets(0.06)[0])
    assert pull(kept, 0.1).any()

    slow = JitterBuffer(RATE_HZ, PlayoutDelay(240))
    slow.put(packets(0.06)[0])
    assert not pull(slow, 0.22).any()
    assert pull(slow, 0.1).any()

    short = JitterBuffer(RATE_HZ, PlayoutDelay(240))
    short.put(packets(0.06)[0])
    short.end()
    assert pull(short, 0.06).any()


def test_a_stall_is_concealed_then_silent_and_nothing_is_lost():
    delay = PlayoutDelay(240)
    buffer = JitterBuffer(RATE_HZ, delay)
    sent = packets(3)
    for packet in sent[:10]:
        buffer.put(packet)
    before = loud(pull(buffer, 0.6))
    assert before[1:].all()
    hole = pull(buffer, 1.0)
    assert loud(hole)[0]
    assert np.abs(np.diff(hole.astype(int))).max() < 1500  # no click: the tone itself has steps of 1,047
    assert not hole[CONCEALED_MS * RATE_HZ // 1000 :].any()
    for packet in sent[10:]:  # the network is back, all at once
        buffer.put(packet)
    buffer.end()
    assert loud(pull(buffer, 2.4))[1:].all()
    assert buffer.holes_s == [pytest.approx(1.0, abs=0.03)]
    assert not pull(buffer, 0.1).any()
    assert buffer.done
    assert delay.ms == 360


def test_no_hole_is_counted_where_the_reply_has_ended_and_its_stop_comes_later():
    delay = PlayoutDelay(240)
    buffer = JitterBuffer(RATE_HZ, delay)
    for packet in packets(0.6):
        buffer.put(packet)
    pull(buffer, 0.9)
    buffer.end()
    pull(buffer, 0.1)
    assert buffer.done
    assert buffer.holes_s == []
    assert delay.ms == 240


def test_the_delay_grows_with_holes_to_a_bound_and_shrinks_with_what_is_to_spare():
    delay = PlayoutDelay(240)
    for _ in range(20):
        delay.ran_dry()
    assert delay.ms == MOST_DELAY_MS
    delay.had_to_spare(100)
    assert delay.ms == MOST_DELAY_MS
    for _ in range(50):
        delay.had_to_spare(2000)
    assert delay.ms == 120
    shorter = PlayoutDelay(60)
    shorter.had_to_spare(1000)
    assert shorter.ms == 60


@pytest.mark.parametrize("broken", [b"", b"\xff", b"\xff\x00", b"\x03\x00"])
def test_what_is_no_packet_is_left_out(broken: bytes):
    buffer = JitterBuffer(RATE_HZ, PlayoutDelay(60))
    good = packets(0.6)
    for packet in [*good[:5], broken, *good[5:]]:
        buffer.put(packet)
    buffer.end()
    sound = pull(buffer, 0.6)
    assert loud(sound)[1:].all()
    assert buffer.lost == 1


def test_a_packet_that_does_not_decode_is_concealed():
    buffer = JitterBuffer(RATE_HZ, PlayoutDelay(60))
    good = packets(0.6)
    buffer.put(good[0])
    buffer.put(bytes([good[0][0] | 3, 0x82]) + b"\xff" * 9)  # two frames by its head, lengths that do not fit
    for packet in good[1:]:
        buffer.put(packet)
    buffer.end()
    sound = pull(buffer, 0.8)
    assert buffer.lost == 1
    assert np.count_nonzero(loud(sound)) >= 29


def test_it_is_bounded_and_keeps_what_is_to_be_played_first():
    buffer = JitterBuffer(RATE_HZ, PlayoutDelay(60))
    packet = packets(0.06)[0]
    for _ in range(QUEUE_PACKETS + 5):
        buffer.put(packet)
    assert buffer.lost == 5
