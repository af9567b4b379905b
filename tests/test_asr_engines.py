"""The table of recognizers: one line there is all that a new one needs of the bridge, doctor and the commands."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from fakes import made_up_ears
from fakes.bridge import running
from fakes.heard import parts_of, settings_with, turn

from xiaozhi_persona.commands import doctor
from xiaozhi_persona.commands.transcribe_bench import engine_for
from xiaozhi_persona.providers.asr.engine import ENGINES
from xiaozhi_persona.settings import AsrSettings, Settings

MADE_UP = "made_up"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that name an engine which stands in the table, and nowhere else."""
    monkeypatch.setitem(ENGINES, MADE_UP, made_up_ears.__name__)  # type: ignore[arg-type]
    monkeypatch.setattr(made_up_ears, "opened", [])
    settings = settings_with(tmp_path, model="你好", hotwords=["咪咪 小智", "咪咪"])
    return settings.model_copy(update={"asr": settings.asr.model_copy(update={"engine": MADE_UP})})


def test_the_settings_offer_what_stands_in_the_table() -> None:
    assert get_args(AsrSettings.model_fields["engine"].annotation) == tuple(ENGINES)


async def test_the_bridge_opens_names_and_hears_with_it(settings: Settings) -> None:
    parts = await parts_of(settings)
    assert [line[1:] for line in parts.described if line[0] == "语音识别"] == [
        (made_up_ears.MadeUpRecognizer.name, made_up_ears.MadeUpRecognizer.advice)
    ]
    async with running(parts, settings) as rig, rig.device() as device:
        assert (await turn(device, "speech1.wav"))[0] == "你好"
    (recognizer,) = made_up_ears.opened
    assert recognizer.loads == 1 and recognizer.is_closed
    assert recognizer.hotwords[:2] == ("咪咪", "小智") and recognizer.hotwords.count("咪咪") == 1


async def test_doctor_names_it_says_its_advice_and_checks_it(settings: Settings) -> None:
    checks = [check async for check in doctor.check_all(settings, None)]
    found = {check.what: check for check in checks}
    assert (found["语音识别"].found, found["语音识别"].step) == ("编出来的耳朵", "换成真的")
    assert found["语音识别"].status == "warning" and found["编出来的"].status == "ok"
    assert "听到“你好”" in found["语音识别一句"].found
    assert all(recognizer.is_closed for recognizer in made_up_ears.opened)


@pytest.mark.parametrize(
    ("given", "of_settings", "taken"),
    [
        ("ws://127.0.0.1:1", "funasr_onnx", "funasr_server"),
        ("models/mine", "funasr", "funasr"),
        ("models/mine", "funasr_server", "funasr_onnx"),
        ("made_up:models/mine", "funasr_onnx", MADE_UP),
        ("models/mine", MADE_UP, MADE_UP),
    ],
)
@pytest.mark.usefixtures("settings")
def test_the_comparison_of_models_finds_the_engine(given: str, of_settings: str, taken: str) -> None:
    engine, name = engine_for(given, of_settings)
    assert engine == taken and name == given.removeprefix("made_up:")
