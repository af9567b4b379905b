"""What `talk` makes of a machine with or without a sound card."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner, Result
from fakes.sound_system import LOUDSPEAKER, MICROPHONE, FakeSystem

from xiaozhi_persona.bridge.client.card import portaudio
from xiaozhi_persona.bridge.client.card.devices import NoCard
from xiaozhi_persona.cli import xiaozhi_persona
from xiaozhi_persona.commands.talk import sound
from xiaozhi_persona.errors import PackageMissing
from xiaozhi_persona.settings import AudioSettings

AUDIO = AudioSettings()


def no_library() -> None:
    raise PackageMissing("sudo apt install libportaudio2")


def never() -> None:
    raise AssertionError("the sound driver was asked")


def test_the_microphone_is_used_where_there_is_a_card(monkeypatch: pytest.MonkeyPatch):
    system = FakeSystem()
    monkeypatch.setattr(sound, "PortAudio", lambda: system)
    assert sound.find_card(None, AUDIO) is system
    assert sound.find_card(True, AUDIO) is system


@pytest.mark.parametrize("present", [[], [MICROPHONE], [LOUDSPEAKER]])
def test_without_one_it_is_typed_unless_the_microphone_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, present: list
):
    monkeypatch.setattr(sound, "PortAudio", lambda: FakeSystem(present))
    assert sound.find_card(None, AUDIO) is None
    with pytest.raises(NoCard, match="list-devices"):
        sound.find_card(True, AUDIO)


def test_a_missing_library_is_told_with_the_line_to_type_only_where_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sound, "PortAudio", no_library)
    assert sound.find_card(None, AUDIO) is None
    with pytest.raises(PackageMissing, match="apt install libportaudio2"):
        sound.find_card(True, AUDIO)
    monkeypatch.setattr(sound, "PortAudio", never)
    assert sound.find_card(False, AUDIO) is None


@pytest.mark.parametrize(
    ("error", "advice"), [(ImportError, "pip install sounddevice"), (OSError, "apt install libportaudio2")]
)
def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch, error: type[Exception], advice: str):
    def failing(name: str, *rest: object, **more: object) -> object:
        if name == "sounddevice":
            raise error
        return importing(name, *rest, **more)  # type: ignore[arg-type]

    importing = __import__
    portaudio._sounddevice.cache_clear()
    monkeypatch.setattr("builtins.__import__", failing)
    try:
        with pytest.raises(PackageMissing, match=advice):
            portaudio.PortAudio()
    finally:
        portaudio._sounddevice.cache_clear()


def test_devices_are_listed_with_the_ones_that_are_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(sound, "PortAudio", FakeSystem)
    monkeypatch.setattr(sound, "_METERED_S", 0.001)
    sound.print_devices(AUDIO, as_json=True)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["name"], row["used"]) for row in rows] == [
        (MICROPHONE.name, ["input"]),
        (LOUDSPEAKER.name, ["output"]),
    ]
    sound.print_devices(AUDIO, as_json=False)
    table = capsys.readouterr().out
    assert "→ 1" in table
    assert MICROPHONE.name in table
    monkeypatch.setattr(sound, "PortAudio", lambda: FakeSystem([]))
    with pytest.raises(NoCard, match="/dev/snd"):
        sound.print_devices(AUDIO, as_json=False)


def test_microphone_and_files_do_not_go_together():
    result = CliRunner().invoke(xiaozhi_persona, ["talk", "--mic", "--text", "你好"])
    assert result.exit_code == 2
    assert "--mic" in result.output


def run_talk(monkeypatch: pytest.MonkeyPatch, *words: str, keys: bool = False) -> Result:
    monkeypatch.setattr(sound, "PortAudio", FakeSystem)
    monkeypatch.setattr(sound, "has_keys", lambda: keys)
    return CliRunner().invoke(xiaozhi_persona, ["talk", "--mic", *words])


def test_push_to_talk_without_keys_is_told(monkeypatch: pytest.MonkeyPatch):
    assert "终端" in str(run_talk(monkeypatch, "--mode", "manual").exception)


@pytest.mark.parametrize("keys", [True, False])
def test_a_wake_word_that_cannot_be_had_leaves_push_to_talk_where_there_is_a_key(
    monkeypatch: pytest.MonkeyPatch, keys: bool
):
    monkeypatch.setenv("XZP_AUDIO__WAKE_WORD", "okay_nabu")
    monkeypatch.setitem(sys.modules, "pymicro_wakeword", None)
    opened: list[str] = []

    def open_card(system: object, options: object) -> None:
        opened.append("card")
        raise NoCard("as far as the card")

    monkeypatch.setattr(sound.SoundCard, "open", open_card)
    result = run_talk(monkeypatch, keys=keys)
    assert bool(opened) is keys
    assert "pip install pymicro-wakeword" in (result.output if keys else str(result.exception))
    assert ("按键" in result.output) is keys


@pytest.mark.parametrize(
    ("dbfs", "shown"), [(None, "打不开"), (-100.0, "全是零"), (-30.0, "▮▮▮▮▮▮▯▯▯▯▯▯ -30")]
)
def test_the_level_meter(dbfs: float | None, shown: str):
    assert sound._bar(dbfs).startswith(shown)
