"""The recognizer door in a host, with our own tiny model: one for all devices, plain words for the chat model."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import weakref
from pathlib import Path
from typing import Any

import pytest
from fakes.funasr_server import FunasrServer
from host_doors import host_that_hears
from hostkit import VERSIONS, Llm

from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.roles.role import load_role

every_version = pytest.mark.parametrize("version", VERSIONS)
newest = VERSIONS[-1]
SPEECH = Path(__file__).parent / "data" / "speech"


@every_version
@pytest.mark.parametrize("mode", ["auto", "manual"])
async def test_speech_is_recognized_as_plain_words(version: str, mode: str, tmp_path: Path) -> None:
    llm = Llm("好的。")
    async with host_that_hears(version, tmp_path, llm=llm) as server, server.connect() as device:
        reply = await device.speak(read_wav(SPEECH / "speech4.wav", 16000), mode)
    assert reply.stopped and reply.heard
    assert llm.requests[-1].question.strip("。？！") == reply.heard
    assert "{" not in llm.requests[-1].question


async def test_two_devices_speak_at_once(tmp_path: Path) -> None:
    llm = Llm("好的。")
    async with (
        host_that_hears(newest, tmp_path, llm=llm) as server,
        server.connect() as one,
        server.connect("aa:bb:cc:00:00:02") as two,
    ):
        first, second = read_wav(SPEECH / "speech4.wav", 16000), read_wav(SPEECH / "speech2.wav", 16000)
        replies = await asyncio.gather(one.speak(first, "manual"), two.speak(second, "manual"))
    heard = [reply.heard for reply in replies]
    assert all(heard) and heard[0] != heard[1]


async def test_silence_is_no_question_and_the_device_can_speak_again(tmp_path: Path) -> None:
    import numpy as np

    llm = Llm("好的。")
    async with host_that_hears(newest, tmp_path, llm=llm) as server, server.connect() as device:
        nothing = await device.speak(np.zeros(16000, np.int16), "manual", timeout_s=2)
        reply = await device.speak(read_wav(SPEECH / "speech4.wav", 16000), "manual")
    assert not nothing.heard and reply.heard and len(llm.requests) == 1


async def test_the_model_stays_when_a_device_leaves(tmp_path: Path) -> None:
    async with host_that_hears(newest, tmp_path, llm=Llm("好的。")) as server:
        for _ in range(2):
            async with server.connect() as device:
                reply = await device.speak(read_wav(SPEECH / "speech4.wav", 16000), "manual")
                assert reply.heard
        assert server.log().count("语音识别好了") == 1


async def test_the_names_of_the_role_are_hot_words_as_in_the_bridge(tmp_path: Path) -> None:
    async with FunasrServer() as funasr:
        funasr.parts = ["今天天气怎么样？"]
        section = {"engine": "funasr_server", "server_url": funasr.url, "hotwords": ["咪咪"]}
        async with (
            host_that_hears(newest, tmp_path, section, llm=Llm("好的。")) as server,
            server.connect() as device,
        ):
            assert (await device.speak(read_wav(SPEECH / "speech4.wav", 16000), "manual")).heard
        role = load_role("default", tmp_path)
        assert set(json.loads(funasr.utterances[0].opening["hotwords"])) >= {"咪咪", role.name}


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"model_dir": "data/nowhere"}, "data/nowhere"),
        ({"device": "gpu"}, "device"),
        ({"engine": "funasr_server"}, "server_url"),
    ],
)
async def test_settings_that_cannot_be_used_are_told_and_the_host_runs(
    section: dict[str, Any], told: str, tmp_path: Path
) -> None:
    async with (
        host_that_hears(newest, tmp_path, section, llm=Llm("好的。")) as server,
        server.connect() as device,
    ):
        deaf = await device.speak(read_wav(SPEECH / "speech4.wav", 16000), "manual", timeout_s=2)
        typed = await device.say("在吗")
        log = server.log()
    assert not deaf.heard and typed.stopped and told in log


@pytest.mark.skipif(
    bool(os.environ.get("XIAOZHI_SERVER_DIR")), reason="the real host runs in another process"
)
async def test_models_of_settings_that_nobody_uses_any_more_go(tmp_path: Path) -> None:
    """As when the recognizer is edited in the console while devices come and go: each builds a door of its own."""
    async with host_that_hears(newest, tmp_path, llm=Llm("好的。")) as server:
        from core.providers.asr.persona_funasr import ASRProvider

        sound = read_wav(SPEECH / "speech4.wav", 16000).tobytes()
        first = ASRProvider({"type": "persona_funasr", "timeout_s": 20}, True)
        recognizers = weakref.WeakSet([first._recognizer])
        for edit in range(6):
            door = ASRProvider({"type": "persona_funasr", "timeout_s": 21 + edit}, True)
            recognizers.add(door._recognizer)
            assert (await door.speech_to_text([sound], "1", "pcm"))[0]
            del door
            gc.collect()
        async with server.connect() as device:
            reply = await device.speak(read_wav(SPEECH / "speech4.wav", 16000), "manual")
        assert reply.heard
        assert (await first.speech_to_text([sound], "1", "pcm"))[0]
        gc.collect()
        assert "已经关闭" not in server.log()
        assert first._recognizer in recognizers and len(recognizers) <= 3  # in use, one kept, and the last
