"""What a person sees and hears of the device: tones, a light, a face, a terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.xiaozhi_server import pitch_hz
from rich.console import Console

from xiaozhi_persona import language
from xiaozhi_persona.bridge.client.card.interface import SILENT_DBFS, Levels
from xiaozhi_persona.bridge.client.signs import earcons, face
from xiaozhi_persona.bridge.client.signs.face import FaceCommand
from xiaozhi_persona.bridge.client.signs.light import Light, pins_of
from xiaozhi_persona.bridge.client.signs.record import PHRASES
from xiaozhi_persona.bridge.client.signs.sign import Sign, Signs
from xiaozhi_persona.bridge.client.staying import LinkEvent
from xiaozhi_persona.bridge.client.timeline import EventKind, TurnEvent, TurnLog
from xiaozhi_persona.commands.talk.view import LiveView, PlainView, level_bar
from xiaozhi_persona.errors import PackageMissing, SettingsError
from xiaozhi_persona.spine import Samples

CONNECTED = LinkEvent("connected", "ws://x/")
LOST = LinkEvent("lost", "断了")
OFFLINE = LinkEvent("offline", "连不上")


class Shown:
    """Keeps what is shown and played."""

    def __init__(self, mode: Any = "auto") -> None:
        self.signs: list[Sign] = []
        self.faces: list[str] = []
        self.played: list[Samples] = []
        self.now = Signs(mode, [self.signs.append], [self], lambda sound, rate_hz: self.played.append(sound))

    def show(self, emotion: str) -> None:
        self.faces.append(emotion)

    def turn(self, *kinds: EventKind, emotion: str = "") -> None:
        for kind in kinds:
            self.now.turn_event(TurnEvent(kind, 0.0, "话", emotion))


# Signs.


def test_the_signs_of_a_conversation():
    shown = Shown()
    shown.now.link_event(CONNECTED)
    for _ in range(2):
        shown.turn("heard", "start", "first_audio")
        shown.turn("sentence", "sentence", emotion="happy")
        shown.turn("stop", "played")
    assert shown.signs == ["offline", "listening", *["thinking", "speaking", "listening"] * 2]
    assert shown.faces == ["happy", "neutral"] * 2
    assert [*map(id, shown.played)] == [id(earcons.ready_tone())]


def test_push_to_talk_waits_instead_of_listening():
    shown = Shown("manual")
    shown.now.link_event(CONNECTED)
    shown.turn("heard", "start", "played", "no_words")
    assert shown.signs == ["offline", "idle", "thinking", "speaking", "idle"]


def test_a_reply_that_is_cut_off_is_heard_and_offline_is_said_once_in_words():
    shown = Shown()
    shown.now.link_event(CONNECTED)
    shown.turn("heard", "start")
    shown.turn("sentence", emotion="sad")
    shown.now.link_event(LOST)
    shown.now.link_event(OFFLINE)
    shown.now.link_event(CONNECTED)
    assert shown.signs[-4:] == ["thinking", "speaking", "offline", "listening"]
    assert shown.faces == ["sad", "neutral"]
    sounds = [earcons.ready_tone(), earcons.error_tone(), earcons.offline_phrase(), earcons.ready_tone()]
    assert [*map(id, shown.played)] == [*map(id, sounds)]


def test_a_server_that_hangs_up_since_nobody_talks_makes_no_sound():
    shown = Shown()
    shown.now.link_event(CONNECTED)
    shown.played.clear()
    shown.now.link_event(LOST)
    shown.now.link_event(CONNECTED)
    assert shown.played == []
    assert shown.signs == ["offline", "listening"]


# Sounds.


def test_the_tones_rise_and_fall_and_do_not_click():
    for sound, rises in ((earcons.ready_tone(), True), (earcons.error_tone(), False)):
        first, second = np.array_split(sound, 2)
        assert (pitch_hz(first, earcons.RATE_HZ) < pitch_hz(second, earcons.RATE_HZ)) is rises
        assert abs(int(sound[0])) < 50 and abs(int(sound[-1])) < 50
        assert 3000 < np.abs(sound).max() < 8000


@pytest.mark.parametrize("code", PHRASES)
def test_the_phrase_is_there_in_each_language(code):
    language.set_language(code)
    earcons.offline_phrase.cache_clear()
    sound = earcons.offline_phrase()
    earcons.offline_phrase.cache_clear()
    assert 1 < len(sound) / earcons.RATE_HZ < 5
    assert 3000 < np.abs(sound.astype(int)).max() < 25000


# The face.


async def test_the_face_command_gets_the_emotion_and_only_the_last_of_many(tmp_path, monkeypatch):
    monkeypatch.setattr(face, "MIN_INTERVAL_S", 0.0)
    faces = tmp_path / "faces"
    code = f"import sys; open({str(faces)!r}, 'a').write(sys.argv[1] + '\\n')"
    command = FaceCommand([sys.executable, "-c", code])
    for emotion in ("happy", "sad", "angry", "angry"):
        command.show(emotion)
        await asyncio.sleep(0)
    assert command._running is not None
    await asyncio.wait_for(asyncio.shield(command._running), 20)
    assert faces.read_text().splitlines() == ["happy", "angry"]
    await command.aclose()


@pytest.mark.parametrize("emotion", ["", "--help", "a b", "开心", "x" * 40, "$(id)", "happy\n"])
async def test_what_is_no_name_of_an_emotion_reaches_no_command(emotion):
    command = FaceCommand(["/no/such/program"])
    command.show(emotion)
    assert command._running is None


async def test_a_face_command_that_hangs_or_fails_is_told_once_and_ends_with_the_device(monkeypatch, caplog):
    monkeypatch.setattr(face, "MIN_INTERVAL_S", 0.0)
    monkeypatch.setattr(face, "TIMEOUT_S", 0.3)
    command = FaceCommand([sys.executable, "-c", "import time; time.sleep(60)"])
    for emotion in ("happy", "sad"):
        command.show(emotion)
        assert command._running is not None
        await asyncio.wait_for(asyncio.shield(command._running), 20)
    assert len([record for record in caplog.records if "face-command" in record.getMessage()]) == 1
    command.show("angry")
    await command.aclose()
    assert command._running.done()


# The light.


@pytest.fixture
def pins() -> Iterator[Any]:
    """The pins of a made-up Raspberry Pi."""
    gpiozero = pytest.importorskip("gpiozero")
    from gpiozero.pins.mock import MockFactory

    before, gpiozero.Device.pin_factory = gpiozero.Device.pin_factory, MockFactory()
    yield gpiozero.Device.pin_factory
    gpiozero.Device.pin_factory.reset()
    gpiozero.Device.pin_factory = before


def test_the_colours_of_a_light(pins):
    light = Light([17, 27, 22])
    seen = {}
    for sign in ("idle", "listening", "speaking"):
        light.show(sign)
        seen[sign] = [int(pins.pin(number).state) for number in (17, 27, 22)]
    assert seen == {"idle": [0, 0, 0], "listening": [0, 0, 1], "speaking": [0, 1, 0]}
    light.show("thinking")  # blinks
    light.show("offline")
    light.show("idle")
    light.show("speaking")
    light.close()
    assert pins.pin(27).state == 0


def test_a_single_light(pins):
    light = Light([17])
    light.show("listening")
    assert pins.pin(17).state == 1
    light.show("speaking")  # blinks
    light.show("idle")
    assert pins.pin(17).state == 0
    light.close()


def test_pins_that_cannot_be_used_are_told(pins, monkeypatch):
    with pytest.raises(SettingsError, match="999"):
        Light([999])
    light = Light([17])
    with pytest.raises(SettingsError, match="17"):
        Light([17])
    light.close()
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    with pytest.raises(PackageMissing, match="pip"):
        Light([17])


def test_pins_are_read():
    assert pins_of("17") == [17]
    assert pins_of("17, 27,22") == [17, 27, 22]
    for wrong in ("", "a", "1,2", "1,2,3,4", "17;27;22"):
        with pytest.raises(SettingsError):
            pins_of(wrong)


# The terminal.


def turn_log(view: PlainView) -> TurnLog:
    return TurnLog("", False, 10.0, view.turn_event)


def talk(view: PlainView) -> None:
    view.link_event(CONNECTED)
    log = turn_log(view)
    log.stt(10.3, "今天天气怎么样")
    log.tts_start(10.4)
    log.face("happy")
    log.sentence(10.5, "晴天。")
    view.turn_ended(log.timeline())
    view.link_event(OFFLINE)


SAID = ["已连上 ws://x/", "你：今天天气怎么样", "它（高兴）：晴天。", "连不上，会一直试：连不上"]


def test_without_a_terminal_there_is_a_line_for_each_thing_that_was_said():
    lines: list[str] = []
    talk(PlainView(lines.append))
    assert lines == SAID


def test_a_terminal_shows_the_state_and_the_level_below_what_was_said(tmp_path: Path):
    with (tmp_path / "screen").open("w+", encoding="utf-8") as file:
        console = Console(file=file, force_terminal=True, width=80, highlight=False)
        view = LiveView(console, lambda: Levels(-30.0, SILENT_DBFS))
        with view.shown():
            view.show("listening")
            talk(view)
        file.seek(0)
        screen = file.read()
    assert "在听" in screen and "▮" * 10 + "▯" * 10 in screen
    at = [screen.index(line) for line in SAID]
    assert at == sorted(at)


def test_what_was_said_is_never_taken_for_markup(tmp_path: Path):
    with (tmp_path / "screen").open("w+", encoding="utf-8") as file:
        view = LiveView(Console(file=file, width=80), Levels)
        view.turn_event(TurnEvent("heard", 0.0, "[red]你好[/red] [/] :smile:"))
        file.seek(0)
        assert "[red]你好[/red] [/] :smile:" in file.read()


@pytest.mark.parametrize(("dbfs", "full"), [(SILENT_DBFS, 0), (-60.0, 0), (-30.0, 10), (0.0, 20), (-80.0, 0)])
def test_thelevel_bar(dbfs, full):
    assert level_bar(dbfs).count("▮") == full
