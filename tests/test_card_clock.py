"""What a card's clock is measured to be, and sound that follows it."""

from __future__ import annotations

import random

import numpy as np
import pytest
from fakes.xiaozhi_server import pitch_hz, tone

from xiaozhi_persona.bridge.client.card.clock import FollowingResampler, StreamClock


def run(clock: StreamClock, seconds: float, rate_hz: float, start_s: float, late_s: float = 0.0) -> float:
    """Let blocks of 20 ms pass; return when the last ends."""
    random.seed(1)
    at = start_s
    for _ in range(round(seconds * 50)):
        clock.tick(960, at + random.uniform(0, late_s))
        at += 960 / rate_hz
    return at


@pytest.mark.parametrize("ppm", [-200, 0, 200])
def test_a_clock_that_is_a_little_wrong_is_measured_although_callbacks_are_late(ppm: int):
    clock, rate_hz = StreamClock(48000), 48000 * (1 + ppm * 1e-6)
    end = run(clock, 60, rate_hz, 5000.0, late_s=0.02)
    assert (clock.rate_hz / 48000 - 1) * 1e6 == pytest.approx(ppm, abs=15)
    assert clock.time_of(clock.frames) == pytest.approx(end, abs=0.002)


def test_it_claims_what_the_card_claims_until_it_has_seen_enough():
    clock = StreamClock(44100)
    run(clock, 5, 44100 * 1.0002, 0.0)
    assert clock.rate_hz == 44100


def test_after_the_machine_slept_it_begins_anew():
    clock = StreamClock(48000)
    end = run(clock, 30, 48000 * 1.0002, 100.0)
    assert not clock.tick(960, end + 3600)
    run(clock, 5, 48000, end + 3600.02)
    assert clock.rate_hz == 48000
    assert clock.time_of(clock.frames) == pytest.approx(end + 3605, abs=0.1)


def test_a_rate_that_no_card_has_is_not_believed():
    clock = StreamClock(48000)
    run(clock, 30, 44100, 0.0)
    assert clock.rate_hz == 48000


@pytest.mark.parametrize("rates", [(48000, 16000), (44100, 16000), (24000, 48000), (16000, 44100)])
def test_resampling_follows_without_a_hole(rates: tuple[int, int]):
    in_hz, out_hz = rates
    resampler = FollowingResampler(in_hz, out_hz)
    sound = tone(20, in_hz)
    size = in_hz // 50
    pieces = []
    for number, at in enumerate(range(0, len(sound), size)):
        if number == 250:
            resampler.follow(in_hz * 1.0002, out_hz)
        pieces.append(resampler.feed(sound[at : at + size]))
    out = np.concatenate(pieces)
    expected = 5 * out_hz + 15 * out_hz / 1.0002
    assert len(out) == pytest.approx(expected, abs=0.03 * out_hz)
    assert pitch_hz(out[out_hz:], out_hz) == pytest.approx(500, abs=0.2)
    whole = out[out_hz : len(out) // out_hz * out_hz - out_hz]
    levels = np.abs(whole.reshape(-1, out_hz // 100)).max(axis=1)
    assert levels.min() > 7500
    assert levels.max() < 8500
