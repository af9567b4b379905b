"""The check of microphone and loudspeaker: what it measures in a room that is known, and what it says to change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import numpy as np
import pytest

from xiaozhi_persona.bridge.client.card import sound_check
from xiaozhi_persona.bridge.client.card.interface import CardEvent
from xiaozhi_persona.bridge.client.card.sound_check import (
    Echo,
    Recording,
    SoundCheck,
    check_sound,
    chirp,
    find_echo,
    measure,
)
from xiaozhi_persona.errors import ServiceTimeout
from xiaozhi_persona.spine import Samples

RATE_HZ = 16000
GOOD = Recording(speech_dbfs=-20.0, noise_dbfs=-60.0, clipped=0.0, silent=False)
RANDOM = np.random.default_rng(1)


def noise(seconds: float, dbfs: float) -> Samples:
    level = 32768 * 10 ** (dbfs / 20)
    return np.clip(RANDOM.normal(0, level, round(seconds * RATE_HZ)), -32768, 32767).astype(np.int16)


def speech(dbfs: float = -20.0) -> Samples:
    """Half of it loud, half of it quiet."""
    return np.concatenate([noise(0.75, dbfs), noise(0.75, -60), noise(0.75, dbfs), noise(0.75, -60)])


# What is measured.


def test_the_levels_of_speech_and_noise():
    found = measure(speech())
    assert found.speech_dbfs == pytest.approx(-20, abs=1)
    assert found.noise_dbfs == pytest.approx(-60, abs=1)
    assert found.clipped == 0 and not found.silent


def test_a_microphone_with_an_offset_is_no_loud_one():
    assert measure((speech() + 2000).astype(np.int16)).noise_dbfs == pytest.approx(-60, abs=1)


def test_zeros_and_clipping_are_seen():
    assert measure(np.zeros(48000, np.int16)).silent
    assert measure(noise(3, -96)).silent
    assert measure(noise(3, 0.0)).clipped > 0.1


@pytest.mark.parametrize("delay_ms", [0.0, 37.5, 180.0, 900.0])
@pytest.mark.parametrize("level_db", [-6.0, -30.0])
def test_the_echo_is_found_to_the_millisecond_in_noise(delay_ms, level_db):
    heard = noise(1.5, -50).astype(np.float64)
    at = round(delay_ms * RATE_HZ / 1000)
    played = chirp()
    heard[at : at + len(played)] += played[: len(heard) - at] * 10 ** (level_db / 20)
    found = find_echo(heard.astype(np.int16), played, 0.0)
    assert found is not None
    assert found.delay_ms == pytest.approx(delay_ms, abs=0.2)
    assert found.level_db == pytest.approx(level_db, abs=1.0)


@pytest.mark.parametrize("heard", [noise(1.5, -20), np.zeros(24000, np.int16), speech()[:24000]])
def test_where_there_is_no_echo_none_is_found(heard):
    assert find_echo(heard, chirp(), 0.0) is None


def test_an_echo_that_two_walls_throw_back_is_the_first():
    heard = np.zeros(24000)
    for at, gain in ((1600, 0.5), (2400, 0.3)):
        heard[at : at + len(chirp())] += chirp() * gain
    found = find_echo(heard.astype(np.int16), chirp(), 0.0)
    assert found is not None and found.delay_ms == pytest.approx(100, abs=0.2)


# What is said.


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (SoundCheck(GOOD, Echo(60, -20), 0), []),
        (SoundCheck(replace(GOOD, silent=True), None, 0), ["全是零"]),
        (SoundCheck(replace(GOOD, clipped=0.1), Echo(60, -20), 0), ["削平"]),
        (SoundCheck(replace(GOOD, speech_dbfs=-50), Echo(60, -20), 0), ["太小"]),
        (SoundCheck(replace(GOOD, noise_dbfs=-25), Echo(60, -20), 0), ["听不出", "噪声大"]),
        (SoundCheck(GOOD, None, 0), ["没有听到喇叭"]),
        (SoundCheck(GOOD, Echo(60, 3), 0), ["太响"]),
        (SoundCheck(GOOD, Echo(400, -20), 3), ["蓝牙", "3"]),
    ],
)
def test_what_is_to_be_changed_is_said(check, said):
    advice = check.advice()
    assert len(advice) == len(said)
    assert all(word in line for word, line in zip(said, advice, strict=True))


# The whole check.


class Room:
    """A card in a room: somebody speaks, and the loudspeaker is heard after a while. Its time passes at once."""

    def __init__(self, echo_db: float | None = -12.0, delay_ms: float = 80.0) -> None:
        self.played: list[Samples] = []
        self._echo_db = echo_db
        self._delay = round(delay_ms * RATE_HZ / 1000)
        self._to_hear = speech()
        self.heard_by = self.on_event = lambda event: None

    async def listen(self) -> AsyncGenerator[Samples, None]:
        while True:
            piece, self._to_hear = self._to_hear[:160], self._to_hear[160:]
            if not len(piece):
                piece = noise(0.01, -60)
            yield piece
            await asyncio.sleep(0)

    def sound(self, samples: Samples, sample_rate_hz: int) -> None:
        assert sample_rate_hz == RATE_HZ
        self.played.append(samples)
        self._to_hear = noise(2.0, -60)
        self.on_event(CardEvent("underrun"))
        if self._echo_db is not None and len(self.played) == 2:
            heard = self._to_hear.astype(np.float64)
            heard[self._delay : self._delay + len(samples)] += samples * 10 ** (self._echo_db / 20)
            self._to_hear = heard.astype(np.int16)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    sleep = asyncio.sleep
    monkeypatch.setattr(sound_check.asyncio, "sleep", lambda seconds: sleep(0))


async def test_the_check_records_plays_that_and_listens_to_the_loudspeaker():
    room, steps = Room(), []
    before = room.on_event
    found = await check_sound(room, steps.append)
    assert len(steps) == 3
    assert len(room.played[0]) == 3 * RATE_HZ
    assert np.array_equal(room.played[1], chirp())
    assert found.recording.speech_dbfs == pytest.approx(-20, abs=1)
    assert found.echo is not None
    assert found.echo.level_db == pytest.approx(-12, abs=1)
    assert found.underruns == 2
    assert room.on_event is before


async def test_headphones_give_no_echo():
    assert (await check_sound(Room(echo_db=None), lambda step: None)).echo is None


async def test_a_microphone_that_gives_nothing_is_told(monkeypatch):
    class Dead(Room):
        async def listen(self) -> AsyncGenerator[Samples, None]:
            await asyncio.Event().wait()
            yield np.zeros(0, np.int16)

    monkeypatch.setattr(sound_check, "RECORD_S", 0.0)
    monkeypatch.setattr(sound_check, "_PATIENCE_S", 0.05)
    with pytest.raises(ServiceTimeout):
        await check_sound(Dead(), lambda step: None)
