"""`transcribe` with several files, with each engine, and its comparison of models."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from fakes.funasr_server import FunasrServer
from fakes.parts import silence

from xiaozhi_persona.audio.wav import write_wav
from xiaozhi_persona.cli import xiaozhi_persona
from xiaozhi_persona.commands.transcribe_bench import character_error_rate
from xiaozhi_persona.errors import SettingsError

SPEECH = Path(__file__).parent / "data" / "speech"
TEXTS: dict[str, str] = json.loads((SPEECH / "texts.json").read_text(encoding="utf-8"))


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three recordings in the current folder; two have their texts beside them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").touch()
    for name in ("speech1.wav", "speech2.wav"):
        shutil.copy(SPEECH / name, tmp_path)
    (tmp_path / "speech1.txt").write_text(TEXTS["speech1.wav"] + "！", encoding="utf-8-sig")
    (tmp_path / "speech2.txt").write_text("我叫小红", encoding="utf-8")
    write_wav(tmp_path / "silence.wav", silence(1.0), 16000)
    return ["speech1.wav", "speech2.wav", "silence.wav"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(xiaozhi_persona, ["transcribe", *arguments], standalone_mode=False)


def lines_of(result: Result) -> list[dict[str, object]]:
    assert not result.exception, result.exception
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def server() -> Iterator[FunasrServer]:
    """A FunASR server on a loop of its own: the command has its own too."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = FunasrServer()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(5)
    yield server
    asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


# Several files.


def test_each_file_has_its_line(recordings: list[str]) -> None:
    assert run(*recordings).stdout.splitlines() == [
        f"speech1.wav：{TEXTS['speech1.wav']}",
        f"speech2.wav：{TEXTS['speech2.wav']}",
        "silence.wav：（没有听出话来）",
    ]


def test_each_file_has_its_json_line(recordings: list[str]) -> None:
    lines = lines_of(run("--json", *recordings))
    assert [line["file"] for line in lines] == recordings
    assert [line["text"] for line in lines] == [TEXTS["speech1.wav"], TEXTS["speech2.wav"], ""]
    assert lines[2]["audio_ms"] == 1000


def test_files_that_cannot_be_read_are_told_and_the_others_recognized(
    recordings: list[str], tmp_path: Path
) -> None:
    (tmp_path / "empty.wav").touch()
    result = run("gone.wav", *recordings, "empty.wav", str(tmp_path))
    assert result.return_value == 1 and len(result.stdout.splitlines()) == len(recordings)
    for part in ("gone.wav", "empty.wav 是空的", "是文件夹"):
        assert part in result.stderr
    assert isinstance(run("gone.wav").exception, SettingsError)


def test_who_gets_no_text_of_the_small_model_is_told_why(recordings: list[str]) -> None:
    assert "只认识演示的句子" in run(recordings[-1]).stderr
    assert not run(recordings[0]).stderr


def test_a_file_that_fails_does_not_stop_the_others(
    recordings: list[str], server: FunasrServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XZP_ASR__ENGINE", "funasr_server")
    monkeypatch.setenv("XZP_ASR__SERVER_URL", server.url)
    server.next_modes = ["close_midway", "close_midway"]  # the kept connection, and the new one
    result = run("--json", *recordings)
    first, second, third = lines_of(result)
    assert "断开" in str(first["error"]) and second["text"] == "你好，小智。" and third["text"] == ""
    assert result.return_value == 1 and "speech1.wav" in result.stderr


@pytest.mark.parametrize("rate_hz", [8000, 48000])
def test_other_rates_and_half_samples_are_read(tmp_path: Path, rate_hz: int) -> None:
    noise = np.random.default_rng(0).normal(0, 2000, rate_hz).astype(np.int16)
    write_wav(tmp_path / "a.wav", noise, rate_hz)
    with (tmp_path / "a.wav").open("ab") as file:
        file.write(b"\0")
    (line,) = lines_of(run("--json", str(tmp_path / "a.wav")))
    assert line["audio_ms"] == 1000 and line["text"] == ""


# Comparing models.


def test_models_are_compared_on_ones_own_recordings(recordings: list[str], server: FunasrServer) -> None:
    result = run("--json", "--bench", "funasr_onnx:", "--bench", server.url, "--bench", "./none", *recordings)
    embedded, remote, none = lines_of(result)
    # 8 letters, of which 小红 was heard as 小明: one is wrong.
    assert embedded["character_error_rate"] == pytest.approx(1 / 8)
    assert remote["character_error_rate"] == pytest.approx(3 / 8)
    assert isinstance(embedded["p50_ms"], float) and 0 < embedded["p50_ms"] <= 10_000
    assert float(str(embedded["peak_rss_mb"])) > 20 and float(str(embedded["loaded_in_ms"])) > 0
    assert "none" in str(none["error"]) and result.return_value == 1


def test_the_comparison_is_a_table_for_people(recordings: list[str]) -> None:
    result = run("--bench", "funasr_onnx:", *recordings)
    assert result.return_value == 0
    assert "funasr_onnx:" in result.stdout and "0.125" in result.stdout and "字错率" in result.stdout


@pytest.mark.parametrize(
    ("said", "heard", "rate"),
    [
        ("你好，小智。", "你好小智", 0.0),
        ("Hello World", "hello world!", 0.0),
        ("２０号", "20 号", 0.0),
        ("你好", "", 1.0),
        ("你好", "你号好", 0.5),
        ("你好吗", "好", 2 / 3),
        ("", "你好", None),
    ],
)
def test_the_error_rate_counts_letters(said: str, heard: str, rate: float | None) -> None:
    assert character_error_rate([(said, heard)]) == (rate if rate is None else pytest.approx(rate))
