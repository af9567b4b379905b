"""`talk check` as it is typed: with a card, with a muted one, with none."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from xiaozhi_persona.bridge.client.card.sound_check import Echo, Recording, SoundCheck
from xiaozhi_persona.cli import xiaozhi_persona
from xiaozhi_persona.commands.talk import check
from xiaozhi_persona.errors import PersonaError

GOOD = SoundCheck(Recording(-20.0, -60.0, 0.0, False), Echo(60.0, -20.0), 0)
MUTED = SoundCheck(Recording(-100.0, -100.0, 0.0, True), None, 2)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[[SoundCheck], None]:
    def measure(found: SoundCheck) -> None:
        async def measure_it(audio: object) -> SoundCheck:
            return found

        monkeypatch.setattr(check, "_check", measure_it)

    return measure


def run(*words: str) -> Result:
    return CliRunner().invoke(xiaozhi_persona, ["talk", "check", *words])


def test_a_good_card_leaves_nothing_to_change(measured):
    measured(GOOD)
    done = run()
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-3:] == [
        "说话 -20 dBFS，安静时 -60 dBFS，削平 0.00 %",
        "喇叭传到话筒：60 毫秒，-20 dB；断了 0 次",
        "没有要改的。",
    ]


def test_what_is_to_be_changed_is_printed_and_the_exit_code_tells(measured):
    measured(MUTED)
    done = run()
    assert done.exit_code == 1
    assert "全是零" in done.stdout and "断了 2 次" in done.stdout


def test_machines_get_the_figures(measured):
    measured(MUTED)
    found = json.loads(run("--json").stdout)
    assert found["recording"]["silent"] is True and found["echo"] is None
    assert len(found["advice"]) == 2


def test_without_a_card_it_says_so(monkeypatch):
    class NoSystem:
        def devices(self) -> list[object]:
            return []

    monkeypatch.setattr(check, "PortAudio", NoSystem)
    done = run()
    assert isinstance(done.exception, PersonaError)
