"""Buttons to talk with: a pin of a made-up Raspberry Pi, a key of made-up devices, and what they do to a conversation."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from xiaozhi_persona.bridge.client.buttons import key, presses
from xiaozhi_persona.bridge.client.buttons.gpio import GpioButton
from xiaozhi_persona.bridge.client.buttons.key import Key
from xiaozhi_persona.bridge.client.buttons.presses import Presses
from xiaozhi_persona.bridge.client.spoken import _press, running
from xiaozhi_persona.errors import PackageMissing, SettingsError

EV_KEY, EV_REP = 1, 20
CODES = {"KEY_PLAYPAUSE": 164, "BTN_LEFT": 110}


async def next_press(pressed: Presses) -> str:
    return await asyncio.wait_for(anext(pressed), 5)


# A press, and holding.


async def test_a_short_press_counts_once_and_one_that_is_held_twice(monkeypatch: pytest.MonkeyPatch):
    pressed = Presses()
    pressed.down()
    pressed.up()
    pressed.down()
    monkeypatch.setattr(presses, "HELD_S", 0.0)
    pressed.up()
    assert [await next_press(pressed) for _ in range(3)] == ["down", "down", "up"]


async def test_who_hammers_on_a_button_fills_no_memory():
    pressed = Presses()
    for _ in range(1000):
        pressed.down()
    assert pressed._waiting.qsize() < 10


class FakeConversation:
    """What a button can do."""

    def __init__(self, mode: str) -> None:
        self.model = SimpleNamespace(mode=mode)
        self.state = "idle"
        self.done: list[str] = []

    def press(self) -> None:
        self.state = "listening"
        self.done.append("press")

    def release(self) -> None:
        self.state = "idle"
        self.done.append("release")

    def wake(self, word: str) -> bool:
        self.done.append("wake")
        return False


@pytest.mark.parametrize(
    ("mode", "what", "done"),
    [
        ("manual", ["down", "up"], ["press", "release"]),
        ("manual", ["down", "down"], ["press", "release"]),
        ("manual", ["down", "down", "up"], ["press", "release"]),
        ("manual", ["up"], []),
        ("auto", ["down", "up", "down"], ["wake", "wake"]),
    ],
)
async def test_what_presses_do_in_each_mode(mode: str, what: list[str], done: list[str]):
    async def pressed() -> AsyncIterator[Any]:
        for press in what:
            yield press

    device = FakeConversation(mode)
    await _press(device, pressed(), lambda event: None)  # type: ignore[arg-type]
    assert device.done == done


# A pin.


@pytest.fixture
def pins() -> Iterator[Any]:
    gpiozero = pytest.importorskip("gpiozero")
    from gpiozero.pins.mock import MockFactory

    before, gpiozero.Device.pin_factory = gpiozero.Device.pin_factory, MockFactory()
    yield gpiozero.Device.pin_factory
    gpiozero.Device.pin_factory.reset()
    gpiozero.Device.pin_factory = before


async def test_a_button_on_a_pin(pins: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(presses, "HELD_S", 0.0)
    pressed = Presses()
    with contextlib.closing(GpioButton(17, pressed)):
        for _ in range(2):
            await asyncio.to_thread(pins.pin(17).drive_low)  # pressed: connected to ground
            assert await next_press(pressed) == "down"
            await asyncio.to_thread(pins.pin(17).drive_high)
            assert await next_press(pressed) == "up"
        with pytest.raises(SettingsError, match="17"):
            GpioButton(17, pressed)
    GpioButton(17, pressed).close()  # it was left


async def test_without_gpiozero_it_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    with pytest.raises(PackageMissing, match="pip"):
        GpioButton(17, Presses())


# A key.


class FakeInput:
    """Stands in for evdev: devices with keys, which can be plugged in, pressed and unplugged."""

    def __init__(self) -> None:
        self.ecodes = SimpleNamespace(ecodes=CODES, EV_KEY=EV_KEY)
        self.keys: dict[str, list[int]] = {}
        self.opened: list[str] = []
        self.open: dict[str, Any] = {}
        self.came = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def list_devices(self) -> list[str]:
        return list(self.keys)

    def InputDevice(self, path: str) -> Any:  # noqa: N802  evdev's name
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self.opened.append(path)

        def read() -> Iterator[Any]:
            data = os.read(reading, 30)
            if not data:
                raise OSError(19, "No such device")
            for at in range(0, len(data), 3):
                yield SimpleNamespace(type=data[at], code=data[at + 1], value=data[at + 2])

        def close() -> None:
            os.close(reading)
            self.open.pop(path, None)

        def capabilities() -> dict[int, list[int]]:
            self._loop.call_soon_threadsafe(self.came.set)
            return {EV_KEY: self.keys[path], EV_REP: [0]}

        device = SimpleNamespace(path=path, fd=reading, read=read, close=close, capabilities=capabilities)
        device.writing = writing
        self.open[path] = device
        return device

    def happens(self, path: str, *events: tuple[int, int, int]) -> None:
        os.write(self.open[path].writing, bytes(byte for event in events for byte in event))

    def unplug(self, path: str) -> None:
        del self.keys[path]
        os.close(self.open[path].writing)


@pytest.fixture
async def evdev(monkeypatch: pytest.MonkeyPatch) -> FakeInput:
    fake = FakeInput()
    monkeypatch.setitem(sys.modules, "evdev", fake)
    monkeypatch.setattr(key, "LOOK_EVERY_S", 0.01)
    return fake


async def test_a_key_is_read_on_the_devices_that_have_it_also_when_they_come_back(
    evdev: FakeInput, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(presses, "HELD_S", 0.0)
    pressed = Presses()
    evdev.keys["/dev/input/event0"] = [1, 2]  # another keyboard
    async with running(Key("playpause", pressed).watch(), "key"):
        await asyncio.wait_for(evdev.came.wait(), 5)
        for _ in range(2):
            evdev.came.clear()
            evdev.keys["/dev/input/event1"] = [164]
            await asyncio.wait_for(evdev.came.wait(), 5)
            evdev.happens(
                "/dev/input/event1",
                (4, 4, 1),
                (EV_KEY, 1, 1),
                (EV_KEY, 164, 1),
                (EV_KEY, 164, 2),
                (EV_KEY, 164, 0),
            )
            assert [await next_press(pressed), await next_press(pressed)] == ["down", "up"]
            evdev.unplug("/dev/input/event1")
    assert evdev.opened.count("/dev/input/event0") == 1
    assert caplog.text.count("usermod") == 1
    assert not evdev.open.keys() - {"/dev/input/event1"}


@pytest.mark.parametrize("name", ["KEY_PLAYPAUSE", "playpause", " PlayPause ", "left", "BTN_LEFT"])
async def test_names_of_keys(evdev: FakeInput, name: str):
    assert Key(name, Presses())._code in CODES.values()


@pytest.mark.parametrize("name", ["KEY_NONE", "空格", "164"])
async def test_a_name_that_is_none_is_told(evdev: FakeInput, name: str):
    with pytest.raises(SettingsError, match="evtest"):
        Key(name, Presses())


async def test_without_evdev_it_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "evdev", None)
    with pytest.raises(PackageMissing, match="apt install python3-evdev"):
        Key("KEY_A", Presses())
