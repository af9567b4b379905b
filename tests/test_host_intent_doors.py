"""Local intents in a host together with our voice and our memory: the role of the moment, goodbye, who obeys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes.sovits_server import FakeSovits
from host_doors import host_with_doors
from hostkit import VERSIONS, Llm, Speaker, ToolCall
from memory_kit import memory
from test_host_intents import words
from test_hostkit import until

from xiaozhi_persona.memory import diary
from xiaozhi_persona.providers.host.tool_names import TOOL_NAMES
from xiaozhi_persona.roles.role_tool import ROLE_TOOL

every_version = pytest.mark.parametrize("version", VERSIONS)

ONE = "aa:bb:cc:00:00:01"
OURS = "data/xiaozhi-persona"
FILES = {
    f"{OURS}/config.yaml": "paths: {data: .}\nmemory: {recall_deadline_ms: 2000}\n",
    f"{OURS}/roles/mei/role.yaml": "name: 小梅\ndescription: 你是爱画画的小梅。\nsovits_weights: /mei.pth\n",
    f"{OURS}/roles/lan/role.yaml": (
        "name: 阿兰\ndescription: 你是修钟表的阿兰。\nsovits_weights: /lan.pth\nopenings: [阿兰来了。]\n"
    ),
    "data/tpl.txt": "规矩在前。\n{{base_prompt}}\n规矩在后。\n<memory>\n</memory>\n",
}
CONFIG: dict[str, Any] = {
    "selected_module": {"Memory": "persona_memory", "Intent": "persona_intent"},
    "Memory": {"persona_memory": {"type": "persona_memory"}},
    "Intent": {"persona_intent": {"type": "persona_intent", "functions": [*TOOL_NAMES.values(), ROLE_TOOL]}},
    "prompt_template": "data/tpl.txt",
}


def start(version: str, folder: Path, sovits: FakeSovits, llm: Llm, config: dict[str, Any] = CONFIG) -> Any:
    tts = {
        "type": "gpt_sovits_v2_stream",
        "url": f"{sovits.url}/tts",
        "role": "mei",
        "ref_audio_path": "/own.wav",
        "prompt_text": "我自己的。",
    }
    return host_with_doors(version, folder, tts=tts, config=config, files=FILES, llm=llm)


def is_whole(system: str, name: str, other: str) -> bool:
    """Whether a prompt has the template around the character of one role only, and where the memory goes."""
    order = [system.find(part) for part in ("规矩在前", name, "规矩在后", "<memory>")]
    return order == sorted(order) and order[0] >= 0 and other not in system


@every_version
async def test_a_role_is_switched_with_its_prompt_and_its_voice(version: str, tmp_path: Path) -> None:
    llm = Llm("好的。")
    async with FakeSovits() as sovits, start(version, tmp_path, sovits, llm) as server:
        async with server.connect(ONE) as device:
            await device.say("你今天做什么")
            assert is_whole(llm.requests[-1].system, "爱画画", "修钟表")
            reply = await device.say("换成阿兰")
            assert reply.sentences == ["阿兰来了。"] and sovits.requests[-1].sovits == "/lan.pth"
            await device.say("你今天做什么呢")
            assert is_whole(llm.requests[-1].system, "修钟表", "爱画画")
            assert sovits.requests[-1].sovits == "/lan.pth"
        async with server.connect(ONE) as device:
            await device.say("你现在做什么")
            assert is_whole(llm.requests[-1].system, "修钟表", "爱画画")
            await device.say("变回来")
            await device.say("你明天做什么")
            assert is_whole(llm.requests[-1].system, "爱画画", "修钟表")
            llm.next = [[ToolCall(ROLE_TOOL, {"action": "switch", "role": "阿兰"})]]
            reply = await device.say("我想听修钟表的那位讲")
            assert reply.sentences == ["阿兰来了。"]  # its sound is kept: it stands in the pack
            assert {seen.sovits for seen in sovits.requests if "阿兰" in seen.text} == {"/lan.pth"}
            llm.next = ["后天我修钟。"]
            await device.say("你后天做什么")
            assert sovits.requests[-1].sovits == "/lan.pth"
            assert is_whole(llm.requests[-1].system, "修钟表", "爱画画")


@every_version
async def test_with_our_voice_and_memory_each_obeys_once(version: str, tmp_path: Path) -> None:
    llm, speaker = Llm("好的。"), Speaker()
    config = {**CONFIG, "Intent": {"persona_intent": {"type": "persona_intent"}}}
    async with FakeSovits() as sovits, start(version, tmp_path, sovits, llm, config) as server:
        tools = speaker.tools()
        async with server.connect(ONE, tools=tools) as device:
            await until(lambda: tools.is_listed)
            assert "30" in words(await device.say("音量调到三十")) and speaker.volume == 30
            await until(lambda: len(_turns(server.folder)) == 2)
            await device.say("我的车停在哪里")
            assert "刚才这些是设备自己办的" in str(llm.requests[-1].dialogue)
            assert not any("30" in str(m) for m in llm.requests[-1].dialogue if m["role"] == "assistant")
            await device.say("记住我的车停在B2")
            await until(lambda: "B2" in str(_turns(server.folder)) or "记" in str(llm.requests[-1].dialogue))
            assert len(llm.requests) == 2  # the model says in its own words that the memory has done it
            bye = await device.ask("再见")
            await bye._wait(lambda: bye.closed, 15)
            assert bye.closed and bye.stopped and bye.sentences and bye.packets
    kept = _turns(server.folder)
    assert kept[0] == "音量调到三十" and "30" in kept[1] and "再见" in kept


def _turns(server: Path) -> list[str]:
    with memory(server / OURS / "memory", ONE) as store:
        return [said.text for said in diary.latest(store.reader, 100)]
