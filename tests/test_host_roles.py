"""Roles that are switched while a host talks to a device: the voice and the memory follow, each device its own."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakes.sovits_server import FakeSovits
from host_doors import host_with_doors
from hostkit import VERSIONS, HostUnderTest, Llm, ToolCall
from memory_kit import memory

from xiaozhi_persona.memory import diary
from xiaozhi_persona.providers.host.doors import MEMORY, ROLE
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.roles.role_tool import ROLE_TOOL
from xiaozhi_persona.settings import Settings

every_version = pytest.mark.parametrize("version", VERSIONS)

ONE, TWO = "aa:bb:cc:00:00:01", "aa:bb:cc:00:00:02"
OURS = "data/xiaozhi-persona"
TEACHER = """
from plugins_func.register import Action, ActionResponse, ToolType, register_function

@register_function("become_teacher", {"type": "function", "function": {"name": "become_teacher", "description": "老师",
    "parameters": {"type": "object", "properties": {}}}}, ToolType.CHANGE_SYS_PROMPT)
def become_teacher(conn, **more):
    conn.change_system_prompt("我是英语老师Lily")
    return ActionResponse(Action.RESPONSE, "done", "好了，我是英语老师")
"""
"""Does what the host's own change_role does."""
FILES = {
    f"{OURS}/config.yaml": "paths: {data: .}\nmemory: {recall_deadline_ms: 2000}\n",
    f"{OURS}/roles/mei/role.yaml": "name: 小梅\ngpt_weights: /mei.ckpt\nsovits_weights: /mei.pth\nspeed: 1.2\n",
    f"{OURS}/roles/lan/role.yaml": (
        "name: 阿兰\ngpt_weights: /lan.ckpt\nsovits_weights: /lan.pth\n"
        "memory: {own: true}\nemotions: {傲娇: {face: confident}}\n"
    ),
    f"{OURS}/roles/lan/lore/a.yaml": "豆豆: 豆豆是一只会飞的猫\n",
    f"{OURS}/roles/hua/role.yaml": (
        "name: 小花\nopenings: [【傲娇】哼，我来了。]\npersonality: 爱顶嘴\n"
        "gpt_weights: /hua.ckpt\nsovits_weights: /hua.pth\nemotions: {傲娇: {face: confident}}\n"
    ),
    "plugins_func/functions/become_teacher.py": TEACHER,
}
CONFIG = {
    "selected_module": {"Memory": "PersonaMemory", "Intent": "persona_intent"},
    "Intent": {"persona_intent": {"type": "persona_intent", "functions": ["persona_role", "become_teacher"]}},
    "Memory": {"PersonaMemory": {"type": "persona_memory"}},
    "delete_audio": True,
}


@contextlib.asynccontextmanager
async def host(version: str, folder: Path, sovits: FakeSovits, llm: Llm) -> AsyncIterator[HostUnderTest]:
    tts = {
        "type": "gpt_sovits_v2_stream",
        "url": f"{sovits.url}/tts",
        "role": "mei",
        "ref_audio_path": "/own.wav",
        "prompt_text": "我自己的。",
    }
    async with host_with_doors(version, folder, tts=tts, config=CONFIG, files=FILES, llm=llm) as server:
        if not server.real:  # this machine may be busy; the module is gone with its host
            for door, wait in ((ROLE, "_BLOCKING_S"), (MEMORY, "_ANSWER_S")):
                setattr(sys.modules[door.implementation.rpartition(".")[0]], wait, 5.0)
        yield server


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


def role_call(action: str, role: str = "") -> ToolCall:
    return ToolCall(ROLE_TOOL, {"action": action, "role": role})


@every_version
async def test_the_model_switches_and_the_new_role_greets_in_its_voice_and_its_prompt(
    version: str, tmp_path: Path
) -> None:
    llm = Llm("【傲娇】在呢。")
    async with (
        FakeSovits() as sovits,
        host(version, tmp_path, sovits, llm) as server,
        server.connect(ONE) as device,
    ):
        await device.say("我对花生过敏")
        llm.next = [["我去叫她。", role_call("switch", "小花")]]
        reply = await device.say("换个人来陪我吧，就小花")
        # Hosts before 0.9.6 wait 0.2 s for the tool; on a busy machine the model then greets in its own words.
        is_in_time = not server.real or version not in ("0.9.1", "0.9.3") or "哼，我来了。" in reply.sentences
        assert not is_in_time or reply.sentences == ["我去叫她。", "哼，我来了。"]
        assert reply.sentences[0] == "我去叫她。" and reply.faces[-1] == "confident"
        assert [seen.gpt for seen in sovits.requests][-2:] == ["/mei.ckpt", "/hua.ckpt"]
        reply = await device.say("你记得我对什么过敏吗")
        system = llm.requests[-1].system
        assert "爱顶嘴" in system and "小梅" not in system
        assert system.count("<memory>") == system.count("</memory>") == 1 and "花生" in told(llm)
        assert sovits.requests[-1].gpt == "/hua.ckpt" and reply.faces[-1:] in (["confident"], [])
        assert ROLE_TOOL in {item["function"]["name"] for item in llm.requests[-1].functions or ()}
        reply = await device.say("变回来")
        assert "小梅" in "".join(reply.sentences) and sovits.requests[-1].gpt == "/mei.ckpt"
        await device.say("你是哪一位啊")
        assert "小梅" in llm.requests[-1].system and "爱顶嘴" not in llm.requests[-1].system


@every_version
@pytest.mark.parametrize("asks_model", [True, False], ids=["tool", "intent"])
async def test_a_role_of_the_hosts_own_stays_until_it_is_changed_back(
    version: str, asks_model: bool, tmp_path: Path
) -> None:
    llm = Llm("好的。")
    async with (
        FakeSovits() as sovits,
        host(version, tmp_path, sovits, llm) as server,
        server.connect(ONE) as device,
    ):
        llm.next = [[ToolCall("become_teacher", {})]]
        await device.say("我想学点英语口语")
        await device.say("今天学点什么呢")
        assert "Lily" in llm.requests[-1].system
        if asks_model:
            llm.next = [[role_call("back")]]
        reply = await device.say("好了，你还是做你自己吧" if asks_model else "变回来")
        assert "小梅" in "".join(reply.sentences)
        await device.say("你是哪一位啊")
        assert "小梅" in llm.requests[-1].system and "Lily" not in llm.requests[-1].system
