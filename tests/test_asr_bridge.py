"""The bridge with each kind of recognizer, and without one."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
from fakes.bridge import running
from fakes.funasr_server import FunasrServer
from fakes.heard import TEXTS, hear, hear_two, parts_of, settings_with, turn

from xiaozhi_persona.bridge.messages import ListenMode
from xiaozhi_persona.bridge.parts import build_parts
from xiaozhi_persona.errors import SettingsError


@pytest.mark.parametrize("mode", ["auto", "manual"])
async def test_the_embedded_model_hears_a_device(tmp_path: Path, mode: ListenMode) -> None:
    heard, said = await hear(settings_with(tmp_path), mode)
    assert heard == TEXTS["speech1.wav"] and said


@pytest.mark.parametrize("mode", ["auto", "manual"])
async def test_a_server_hears_a_device(tmp_path: Path, mode: ListenMode) -> None:
    async with FunasrServer("python") as server:
        server.parts = ["<|zh|><|HAPPY|><|Speech|><|withitn|>今天天气怎么样？"]
        settings = settings_with(tmp_path, engine="funasr_server", server_url=server.url)
        heard, said = await hear(settings, mode)
        assert heard == "今天天气怎么样？" and said
        (utterance,) = server.utterances
        assert len(utterance.pcm) > 16000


async def test_two_devices_that_speak_at_once_are_each_heard(tmp_path: Path) -> None:
    assert await hear_two(settings_with(tmp_path)) == [TEXTS["speech1.wav"], TEXTS["speech2.wav"]]


async def test_the_names_of_the_role_are_hot_words(tmp_path: Path) -> None:
    async with FunasrServer() as server:
        settings = settings_with(
            tmp_path, engine="funasr_server", server_url=server.url, hotwords=["咪咪"]
        ).model_copy(update={"role": "xiaoyu"})
        parts = await build_parts(settings)
        await parts.aclose()
        assert set(json.loads(server.quiet[0].opening["hotwords"])) >= {"咪咪", "小雨", "朋友"}


async def test_without_funasr_the_bridge_starts_and_says_that_it_has_not_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "funasr", None)
    settings = settings_with(tmp_path, engine="funasr")
    parts = await parts_of(settings)
    (line,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "pip install 'funasr[knf]' torch" in line.getMessage()
    assert any("现在用不了" in what for _, what, _ in parts.described)
    async with running(parts, settings) as rig, rig.device() as device:
        heard, said = await turn(device, "speech1.wav")
    assert heard == "" and said == "没听清。"


async def test_without_its_server_the_bridge_starts_and_hears_when_it_has_come(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with FunasrServer() as server:
        port = server.port
    settings = settings_with(tmp_path, engine="funasr_server", server_url=f"ws://127.0.0.1:{port}")
    parts = await parts_of(settings)
    assert any(str(port) in record.getMessage() for record in caplog.records)
    async with running(parts, settings) as rig, rig.device() as device:
        assert await turn(device, "speech1.wav") == ("", "没听清。")
        async with FunasrServer(port=port):
            assert (await turn(device, "speech1.wav"))[0] == "你好，小智。"


async def test_a_model_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"asr\.model"):
        await build_parts(settings_with(tmp_path, model="gone"))
