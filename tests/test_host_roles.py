"""Roles that are switched while a host talks to a device: the voice and the memory follow, each device its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes.sovits_server import FakeSovits
from host_doors import host_with_doors
from hostkit import VERSIONS, HostUnderTest, Llm
from memory_kit import memory

from xiaozhi_persona.memory import diary
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings

every_version = pytest.mark.parametrize("version", VERSIONS)

ONE, TWO = "aa:bb:cc:00:00:01", "aa:bb:cc:00:00:02"
OURS = "data/xiaozhi-persona"
FILES = {
    f"{OURS}/config.yaml": "paths: {data: .}\nmemory: {recall_deadline_ms: 2000}\n",
    f"{OURS}/roles/mei/role.yaml": "name: 小梅\ngpt_weights: /mei.ckpt\nsovits_weights: /mei.pth\nspeed: 1.2\n",
    f"{OURS}/roles/lan/role.yaml": (
        "name: 阿兰\ngpt_weights: /lan.ckpt\nsovits_weights: /lan.pth\n"
        "memory: {own: true}\nemotions: {傲娇: {face: confident}}\n"
    ),
    f"{OURS}/roles/lan/lore/a.yaml": "豆豆: 豆豆是一只会飞的猫\n",
}
CONFIG = {
    "selected_module": {"Memory": "PersonaMemory"},
    "Memory": {"PersonaMemory": {"type": "persona_memory"}},
    "delete_audio": True,
}


def host(version: str, folder: Path, sovits: FakeSovits, llm: Llm) -> Any:
    tts = {
        "type": "gpt_sovits_v2_stream",
        "url": f"{sovits.url}/tts",
        "role": "mei",
        "ref_audio_path": "/own.wav",
        "prompt_text": "我自己的。",
    }
    return host_with_doors(version, folder, tts=tts, config=CONFIG, files=FILES, llm=llm)


def casting_of(server: HostUnderTest) -> Casting:
    """The roles as another process has them."""
    return Casting(Settings.model_validate({"paths": {"data": str(server.folder / OURS)}, "role": "mei"}))


def turns_of(server: HostUnderTest, owner: str) -> list[str]:
    with memory(server.folder / OURS / "memory", owner) as store:
        return [f"{said.who}: {said.text}" for said in diary.latest(store.reader, 1000)]


def told(llm: Llm) -> str:
    """All that the model was given last."""
    return str(llm.requests[-1].dialogue)


@every_version
async def test_voice_pace_and_memory_follow_a_switch_from_anywhere(version: str, tmp_path: Path) -> None:
    llm = Llm("【傲娇】好的。")
    async with FakeSovits() as sovits, host(version, tmp_path, sovits, llm) as server:
        casting = casting_of(server)
        async with server.connect(ONE) as one, server.connect(TWO) as two:
            await one.say("我的猫叫咪咪")
            casting.switch(ONE, "阿兰")
            casting.set_pace(ONE, 1.45)
            await one.say("我的猫叫豆豆")
            assert "会飞的猫" in told(llm) and "咪咪" not in told(llm)
            await one.say("我的猫叫什么")
            assert "咪咪" not in told(llm) and "豆豆" in told(llm)
            await two.say("我也有猫")
            casting.switch(ONE, None)
            await one.say("我的猫叫什么呢")
            assert "豆豆" not in told(llm) and "咪咪" in told(llm)
        voices = [(seen.gpt, seen.body["speed_factor"]) for seen in sovits.requests]
        quick = ("/lan.ckpt", 1.45)
        assert voices[0] == ("/mei.ckpt", 1.2) and quick in voices
        async with server.connect(ONE) as one:
            await one.say("我的猫到底叫什么")
            assert "咪咪" in told(llm) and "豆豆" not in told(llm)
    shared = turns_of(server, ONE)
    assert shared[:2] == ["user: 我的猫叫咪咪", "assistant: 好的。"]
    assert not any("豆豆" in text for text in shared)
    assert turns_of(server, f"{ONE}‖lan") == [
        "user: 我的猫叫豆豆",
        "assistant: 好的。",
        "user: 我的猫叫什么",
        "assistant: 好的。",
    ]
