"""Pacing, on a clock of the test."""

from __future__ import annotations

import random

from xiaozhi_persona.bridge.pacing import Pacer


def send(pacer: Pacer, count: int, now: float = 0.0, stalls: dict[int, float] | None = None) -> list[float]:
    """Send packets as soon as they are due; `stalls` delays the one of that number."""
    times = []
    for number in range(count):
        now = max(now, pacer.due_s(now)) + (stalls or {}).get(number, 0.0)
        pacer.sent(now)
        times.append(now)
    return times


def test_the_lead_goes_out_at_once_and_the_rest_in_real_time() -> None:
    times = send(Pacer(60, 5), 50)
    assert times[:5] == [0.0] * 5
    assert [round(t, 3) for t in times[5:8]] == [0.06, 0.12, 0.18]
    assert abs(times[49] - 45 * 0.06) < 1e-9  # an absolute schedule: errors do not add up


def test_never_more_than_the_lead_ahead_of_playback() -> None:
    randomness = random.Random(1)
    stalls = {n: randomness.choice([0, 0, 0.02, 0.2, 0.5]) for n in range(500)}
    pacer = Pacer(60, 20)
    now = 0.0
    for number in range(500):
        now = max(now, pacer.due_s(now)) + stalls[number]
        pacer.sent(now)
        assert pacer.playback_end_s - now <= 20 * 0.06 + 1e-9


def test_a_lost_lead_is_won_back_gently() -> None:
    times = send(Pacer(60, 5), 100, stalls={20: 0.2})
    steps = [later - earlier for earlier, later in zip(times[20:60], times[21:61], strict=True)]
    assert min(steps) >= 0.06 / 1.1 - 1e-9
    assert abs((times[99] - times[98]) - 0.06) < 1e-9
    assert abs(times[99] - 95 * 0.06) < 1e-6  # back on the old schedule


def test_after_a_gap_the_lead_goes_out_at_once_again() -> None:
    pacer = Pacer(60, 5)
    times = send(pacer, 10)
    late = pacer.playback_end_s + 1.0
    again = send(pacer, 6, now=late)
    assert again[:5] == [late] * 5
    assert again[5] > late
    assert times[-1] < late


def test_playback_ends_with_the_last_packet() -> None:
    pacer = Pacer(60, 5)
    send(pacer, 50)
    assert abs(pacer.playback_end_s - 3.0) < 1e-9
