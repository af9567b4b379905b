"""A sound card that is not as it should be: its clock, its rate and channels, unplugged, busy, blocked, mute."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import numpy as np
import pytest
from fakes.sound_system import LOUDSPEAKER, MICROPHONE, FakeStream, FakeSystem
from fakes.xiaozhi_server import pitch_hz, tone
from test_card_jitter import packets

from xiaozhi_persona.bridge.client.card import sound_card
from xiaozhi_persona.bridge.client.card.devices import Device, NoCard, choose_input, choose_output
from xiaozhi_persona.bridge.client.card.interface import Card, CardEvent
from xiaozhi_persona.bridge.client.card.sound_card import SoundCard


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_card, "_LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(sound_card, "_RETRY_S", 0.001)


async def heard(system: FakeSystem, card: SoundCard, seconds: float) -> np.ndarray:
    """Listen while time passes; return what came."""
    pieces: list[np.ndarray] = []
    listening = asyncio.create_task(_take(card, pieces))
    await asyncio.sleep(0)
    for _ in range(round(seconds * 10)):
        system.run(0.1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    listening.cancel()
    await asyncio.wait({listening})
    return np.concatenate(pieces)


async def _take(card: Card, pieces: list[np.ndarray]) -> None:
    async for piece in card.listen():
        pieces.append(piece)


def events_of(card: SoundCard) -> asyncio.Queue[CardEvent]:
    queue: asyncio.Queue[CardEvent] = asyncio.Queue()
    card.on_event = queue.put_nowait
    return queue


@pytest.mark.parametrize("ppm", [-200, 200])
async def test_both_directions_keep_the_machines_time_whatever_the_cards_clocks(ppm: int):
    system = FakeSystem(input_ppm=ppm, output_ppm=-ppm)
    async with system.card() as card:
        await heard(system, card, 60)
        drift_ppm = (card.input.clock.rate_hz / 48000 / (card.output.clock.rate_hz / 44100) - 1) * 1e6
        assert drift_ppm == pytest.approx(2 * ppm, abs=5)
        sound = await heard(system, card, 60)
        assert len(sound) == pytest.approx(60 * 16000, abs=16000 * 0.021)
        # The card makes 440 Hz by its own clock.
        assert pitch_hz(sound, 16000) == pytest.approx(440 * (1 + ppm * 1e-6), abs=0.02)
        card.player.begin(24000, system.now())
        for packet in packets(30):
            card.player.play(packet, system.now())
        card.player.end()
        expected = card.player.ends_at()
        first = len(system.output())
        system.run(32)
        played = np.flatnonzero(np.abs(system.output()[first:]) > 500)
        seconds = (played[-1] - played[0]) / (44100 * (1 - ppm * 1e-6))
        assert seconds == pytest.approx(30, abs=0.003)
        assert card.player.ends_at() == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("rate_hz", [8000.0, 16000.0, 44100.0, 48000.0, 96000.0])
@pytest.mark.parametrize("channels", [1, 2, 6])
async def test_whatever_a_microphone_gives_becomes_16_khz_mono(rate_hz: float, channels: int):
    def sound(at: np.ndarray) -> np.ndarray:
        rows = np.zeros((len(at), channels))
        rows[:, -1] = 3000 * np.sin(2 * np.pi * 440 * at)  # only the last one is connected
        return rows

    microphone = Device(7, "Array", channels, 0, rate_hz, default_input=True)
    system = FakeSystem([microphone, LOUDSPEAKER], heard=sound)
    async with system.card() as card:
        came = await heard(system, card, 2)
    assert len(came) == pytest.approx(32000, abs=1000)
    assert pitch_hz(came, 16000) == pytest.approx(440, abs=1)
    assert np.abs(came).max() == pytest.approx(3000, rel=0.05)


@pytest.mark.parametrize("rate_hz", [44100.0, 48000.0])
async def test_a_reply_is_on_every_channel_with_the_volume_that_is_set(rate_hz: float):
    system = FakeSystem([MICROPHONE, replace(LOUDSPEAKER, rate_hz=rate_hz)])
    async with system.card() as card:
        card.gain = 0.5
        begun: list[float] = []
        card.player.on_begin = begun.append
        card.player.begin(24000, system.now())
        for packet in packets(1):
            card.player.play(packet, system.now())
        card.player.end()
        at = system.now()
        ends_at = card.player.ends_at()
        system.run(2)
        await asyncio.sleep(0)
        played = np.concatenate(system.played)
        assert np.array_equal(played[:, 0], played[:, 1])
        assert pitch_hz(played[8000:40000, 0], round(rate_hz)) == pytest.approx(500, abs=2)
        assert np.sqrt(np.mean(played[15000:25000, 0] ** 2.0)) == pytest.approx(4000 / np.sqrt(2), rel=0.1)
        assert begun[0] - at == pytest.approx(
            0.05, abs=0.021
        )  # the device's latency; there is enough to begin at once
        assert ends_at - at == pytest.approx(1.0 + 0.05, abs=0.06)
        card.gain = 7
        assert card.gain == 1


async def test_sounds_of_its_own_are_mixed_and_counted_till_they_end():
    system = FakeSystem()
    async with system.card() as card:
        card.sound(tone(0.5, 16000), 16000)
        assert card.sounds_until() - system.now() == pytest.approx(0.5 + 0.05, abs=0.03)
        system.run(1)
        assert np.count_nonzero(np.abs(system.output()) > 100) == pytest.approx(0.5 * 44100, rel=0.05)
        assert card.sounds_until() < system.now()


async def test_silence_at_once_when_the_reply_is_stopped():
    system = FakeSystem()
    async with system.card() as card:
        card.player.begin(24000, system.now())
        for packet in packets(3):
            card.player.play(packet, system.now())
        system.run(1)
        card.player.stop()
        before = len(system.output())
        system.run(1)
        assert not system.output()[before:].any()
        assert card.player.ends_at() <= system.now()


async def test_unplugged_and_back_it_goes_on_by_itself():
    system = FakeSystem()
    async with system.card() as card:
        events = events_of(card)
        await heard(system, card, 1)
        system.unplug()
        event = await system.run_while(events.get(), 0.1)
        assert event.kind == "lost"
        assert "USB Mic" in event.text or "Headphones" in event.text
        gone_for_s = 30.0
        system.run(gone_for_s)
        await asyncio.sleep(0.01)
        system.present = [LOUDSPEAKER, MICROPHONE]  # in another order, under other numbers
        back_at = system.now()
        assert (await system.run_while(events.get())).kind == "opened"
        assert system.now() - back_at < 5
        assert len(await heard(system, card, 1)) == pytest.approx(16000, abs=1000)
        assert card.rounds >= 2


async def test_a_callback_that_is_blocked_for_a_while_does_no_harm():
    system = FakeSystem()
    async with system.card() as card:
        events = events_of(card)
        for stream in system.streams:
            stream.blocked = True
        system.run(0.6)
        for stream in system.streams:
            stream.blocked = False
            stream.due_s = system.now()
        assert len(await heard(system, card, 2)) == pytest.approx(32000, abs=1000)
        assert events.empty()


async def test_a_microphone_that_gives_only_zeros_is_told_once_and_when_it_is_back():
    system = FakeSystem(heard=np.zeros_like)
    async with system.card() as card:
        events = events_of(card)
        assert (await system.run_while(events.get(), 0.1)).kind == "silent_microphone"
        await heard(system, card, 10)
        assert events.empty()
        system.heard = lambda at: 100 * np.sin(at)
        assert (await system.run_while(events.get(), 0.1)).kind == "microphone_back"
        assert card.levels.input_dbfs > -60


async def test_a_speakerphone_that_is_silent_between_sentences_is_no_fault():
    system = FakeSystem()
    async with system.card() as card:
        events = events_of(card)
        await heard(system, card, 1)
        system.heard = np.zeros_like
        await heard(system, card, 15)
        await asyncio.sleep(0.005)
        assert events.empty()


async def test_who_does_not_take_what_is_heard_loses_the_oldest():
    system = FakeSystem()
    async with system.card() as card:
        listening = card.listen()
        first = asyncio.ensure_future(anext(listening))
        await asyncio.sleep(0)
        await heard(system, card, 0.1)
        await first
        await heard(system, card, 30)
        assert len(await anext(listening)) <= 16000 * 10
        await listening.aclose()


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ([], "没有话筒"),
        ([LOUDSPEAKER], "没有话筒"),
        ([MICROPHONE], "没有喇叭"),
    ],
)
async def test_what_is_missing_is_told(devices: list[Device], message: str):
    system = FakeSystem(devices)
    with pytest.raises(NoCard, match=message):
        async with system.card():
            pass


async def test_a_busy_card_is_told_and_nothing_stays_open():
    system = FakeSystem(busy=True)
    with pytest.raises(NoCard):
        async with system.card():
            pass
    assert all(stream.closed for stream in system.streams)


async def test_a_card_that_opens_and_does_not_run_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sound_card, "_START_S", 0.05)
    system = FakeSystem()
    with pytest.raises(NoCard, match="没有声音进出"):
        async with SoundCard.open(system, sound_card.CardOptions(), system.now):
            pass
    assert all(stream.closed for stream in system.streams)


async def test_a_driver_that_never_closes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sound_card, "_CLOSE_S", 0.01)
    system = FakeSystem()
    go_on, came_back = threading.Event(), threading.Event()

    def hang(stream: FakeStream) -> None:
        go_on.wait(10)
        came_back.set()

    async with system.card():
        system.streams[-1].on_close = hang
    assert not came_back.is_set()
    go_on.set()


def test_a_device_is_chosen_by_a_part_of_its_name():
    usb, other = MICROPHONE, Device(3, "USB Speaker", 1, 2, 48000.0)
    devices = [other, LOUDSPEAKER, usb]
    assert choose_input(devices, "usb mic") is usb
    assert choose_input(devices, "") is usb  # the system's own
    assert choose_input(devices, "USB Speaker") is other
    assert choose_output(devices, "headPHONES") is LOUDSPEAKER
    assert choose_output([other], "") is other  # none is the system's own
    with pytest.raises(NoCard, match=r"audio\.input.*ReSpeaker.*USB Speaker、USB Mic"):
        choose_input(devices, "ReSpeaker")
