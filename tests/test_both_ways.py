"""The same conversations through the bridge and through a host: what is kept, answered and forgotten is the same."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.bridge import running
from fakes.parts import make_parts
from host_doors import host_with_doors
from hostkit import VERSIONS, Llm, Request
from hostkit import ToolCall as HostCall
from hostkit.host import real_folder
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from memory_kit import memory, turn
from test_hostkit import FILES

from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.tools import TOOL_NAMES
from xiaozhi_persona.providers.host.connection import is_chatting
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import ChatDelta, Clip, Message, PcmChunk, ToolCall

pytestmark = pytest.mark.skipif(real_folder() is not None, reason="it looks into the process of the host")

FOLDER = "data/xiaozhi-persona/memory"
PATIENT = {"data/xiaozhi-persona/config.yaml": "paths: {data: .}\nmemory: {recall_deadline_ms: 2000}\n"}
YESTERDAY = ("我对花生过敏", "小丽要搬家", *(f"第{n}个苹果" for n in range(7)))
OBEYED = re.compile("请用你的语气这样回答：([^\n<]*)")
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Step:
    """What the user says, and what the model makes of it."""

    text: str
    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    is_cut: bool = False
    """Whether the user interrupts while the model has not said anything."""
    hangs_up: bool = False
    """Whether the device connects anew before that."""
    slowness: int = 0
    """How many rounds of its loop each act of the memory takes longer."""


class Brain:
    """The chat model of both ways."""

    def __init__(self) -> None:
        self.step = Step("")
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()

    def answer(self, system: str, told: Sequence[str]) -> list[Any]:
        self.asked.set()
        if self.step.is_cut:
            return [self.gate, "收到。"]
        if obeyed := OBEYED.search(system):
            return [obeyed[1]]
        if self.step.tool and not told:
            call = TOOL_NAMES[self.step.tool], dict(self.step.arguments)
            # What was said before a tool that forgets is written in the host by then, and in the bridge not yet.
            return [call] if self.step.tool in ("forget", "off_record") else ["我看看。", call]
        return ["知道了。" if told else "收到。"]

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> AsyncGenerator[ChatDelta, None]:
        """Answer as the bridge's chat model."""
        told = [message.content for message in messages if message.role == "tool"]
        for piece in self.answer("", told):
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif isinstance(piece, tuple):
                yield ChatDelta(tool_call=ToolCall("a", piece[0], json.dumps(piece[1])))
            else:
                yield ChatDelta(piece)

    def of_host(self, request: Request) -> list[Any]:
        """Answer as the host's chat model."""
        last = max(n for n, message in enumerate(request.dialogue) if message["role"] == "user")
        told = [message["content"] for message in request.dialogue[last:] if message["role"] == "tool"]
        pieces = self.answer(request.system, told)
        return [HostCall(*piece) if isinstance(piece, tuple) else piece for piece in pieces]


class Beep:
    """A voice that says everything in one frame."""

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        yield PcmChunk(np.full(1440, 900, np.int16), 24000)


@dataclass
class Outcome:
    """What came of a conversation."""

    answered: list[str]
    kept: list[tuple[str, str]]
    known: set[tuple[str, str, str]]
    off_record: bool


def outcome(folder: Path, device_id: str, answered: list[str]) -> Outcome:
    with memory(folder, device_id) as store:
        kept: list[tuple[str, str]] = []
        for said in diary.latest(store.reader, 1000):
            if kept and kept[-1][0] == said.who == "assistant":  # the host tells the parts of an answer apart
                kept[-1] = ("assistant", kept[-1][1] + said.text)
            else:
                kept.append((said.who, said.text))
        found = reading.current(store.reader, diary.to_ms(datetime.now().astimezone()))
        return Outcome(
            answered, kept, {(fact.subject, fact.attribute, fact.value) for fact in found}, store.off_record
        )


def remember_yesterday(folder: Path, device_id: str) -> None:
    at = datetime.now().astimezone().replace(hour=12, minute=0) - timedelta(days=1)
    with memory(folder, device_id) as store:
        store.append([turn(text, at + timedelta(minutes=n)) for n, text in enumerate(YESTERDAY)])


def words(sentences: Sequence[str]) -> str:
    return re.sub("[^\\w]", "", "".join(sentences))


async def through_the_bridge(rig: Any, brain: Brain, steps: Sequence[Step], device_id: str) -> list[str]:
    answered = []
    async with contextlib.AsyncExitStack() as stack:
        device: DeviceConnection | None = None
        for step in steps:
            if device is None or step.hangs_up:
                await stack.aclose()
                device = await stack.enter_async_context(rig.device(device_id=device_id))
                device.model.start_listening(0.0)
                device._update()
            brain.step, brain.gate, turns = step, asyncio.Event(), len(rig.turns)
            brain.asked.clear()
            device.type_text(step.text)
            if step.is_cut:
                await asyncio.wait_for(brain.asked.wait(), PATIENCE_S)
                await device.until(lambda device=device: device.state == "speaking")
                device.abort()
            else:
                answered.append(words([s.text for s in (await device.reply(PATIENCE_S)).sentences]))
            await until(lambda turns=turns: len(rig.turns) > turns)
            await device.until(lambda device=device: device.state == "listening")
    await until(lambda: not rig.bridge._sessions)
    return answered


async def through_the_host(server: Any, brain: Brain, steps: Sequence[Step], device_id: str) -> list[str]:
    answered = []
    async with contextlib.AsyncExitStack() as stack:
        device: Any = None
        for step in steps:
            if device is None or step.hangs_up:
                await finished(server)
                await stack.aclose()
                device = await stack.enter_async_context(server.connect(device_id))
            brain.step, brain.gate = step, asyncio.Event()
            brain.asked.clear()
            reply = await device.ask(step.text)
            if step.is_cut:
                await asyncio.wait_for(brain.asked.wait(), PATIENCE_S)
                await device.abort()
                await until(lambda: server.connections[-1].client_abort)
                brain.gate.set()
            else:
                await reply.finished(PATIENCE_S)
                answered.append(words(reply.sentences))
            await until(lambda: not is_chatting(server.connections[-1]))
        await finished(server)
    return answered


async def finished(server: Any) -> None:
    """Wait until all that was said over the last connection is written."""
    if server.connections and (talk := getattr(server.connections[-1].memory, "_conversation", None)):
        writing = asyncio.run_coroutine_threadsafe(talk.finish(), talk._loop)
        await asyncio.wait_for(asyncio.wrap_future(writing), PATIENCE_S)


async def until(condition: Any) -> None:
    """Look again and again: what happens in the host's threads sends no events."""
    for _ in range(int(PATIENCE_S / 0.002)):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise TimeoutError


@contextlib.asynccontextmanager
async def both_ways(folder: Path, with_tools: bool) -> AsyncIterator[Any]:
    brain = Brain()
    intent = {"type": "function_call" if with_tools else "nointent", "functions": [*TOOL_NAMES.values()]}
    config = {
        "selected_module": {"Memory": "persona_memory", "Intent": "Mine"},
        "Memory": {"persona_memory": {"type": "persona_memory"}},
        "Intent": {"Mine": intent},
    }
    mind = PersonaMemory(MemorySettings(recall_deadline_ms=2000), folder / "bridge")
    parts = make_parts(brain, synthesizer=Beep(), memory=mind)
    parts.closers.append(mind.aclose)
    hosting = host_with_doors(
        VERSIONS[-1],
        folder,
        tts={"type": "plain", "lasts_s": 0.01},
        files=FILES | PATIENT,
        llm=Llm(brain.of_host),
        config=config,
    )
    async with hosting as server, running(parts) as rig:
        number = 0

        async def converse(steps: Sequence[Step]) -> list[Outcome]:
            nonlocal number
            number += 1
            device_id = f"aa:bb:cc:00:00:{number:02x}"
            remember_yesterday(folder / "bridge", device_id)
            remember_yesterday(server.folder / FOLDER, device_id)
            bridge = await through_the_bridge(rig, brain, steps, device_id)
            host = await through_the_host(server, brain, steps, device_id)
            return [
                outcome(folder / "bridge", device_id, bridge),
                outcome(server.folder / FOLDER, device_id, host),
            ]

        yield brain, converse


FLAWS = {"hangs_up": st.sampled_from([False, False, False, True]), "slowness": st.sampled_from([0, 0, 1, 5])}
TELLS = st.builds(
    Step,
    st.sampled_from(["我叫小明", "我喜欢草莓", "小丽明天来", "好的", "确定", "今天下雨了"]),
    is_cut=st.sampled_from([False, False, True]),
    **FLAWS,
)
COMMANDS = st.builds(
    Step,
    st.sampled_from(
        [
            "记住我的车停在B2层",
            "忘掉刚才那句话",
            "忘掉小丽的事",
            "忘掉关于苹果的事",
            "这段不要记",
            "可以记了",
            "确定",
            "忘掉全部记忆",
        ]
    ),
    **FLAWS,
)
ASKED = st.sampled_from(["你看着办吧", "对", "算了", "那件事你处理一下"])
CALLS = st.one_of(
    st.builds(Step, ASKED, st.just("recall"), st.builds(dict, query=st.just("昨天我们聊了什么")), **FLAWS),
    st.builds(
        Step, ASKED, st.just("note"), st.builds(dict, content=st.sampled_from(["钥匙在鞋柜", ""])), **FLAWS
    ),
    st.builds(
        Step,
        ASKED,
        st.just("correct"),
        st.builds(dict, attribute=st.sampled_from(["过敏", "住处"]), value=st.just("芒果")),
        **FLAWS,
    ),
    st.builds(
        Step,
        ASKED,
        st.just("forget"),
        st.builds(dict, what=st.sampled_from(["小丽", "苹果", "全部", "没有的"]), confirm=st.booleans()),
        **FLAWS,
    ),
    st.builds(
        Step,
        ASKED,
        st.just("off_record"),
        st.builds(dict, recording=st.sampled_from(["stop", "resume"])),
        **FLAWS,
    ),
)
FORGET = Step("你看着办吧", "forget", {"what": "小丽", "confirm": False})
CONFIRM = Step("对", "forget", {"what": "小丽", "confirm": True})
KNOWN = {
    False: [
        [Step("忘掉关于苹果的事"), Step("确定", hangs_up=True), Step("我喜欢草莓", is_cut=True)],
        [Step("忘掉关于苹果的事"), Step("我叫小明", is_cut=True), Step("确定")],
        [Step("这段不要记"), Step("我叫小明"), Step("可以记了", slowness=5), Step("今天下雨了")],
    ],
    True: [
        [FORGET, CONFIRM],
        [FORGET, Step("我叫小明"), CONFIRM, Step("小丽明天来")],
        [CONFIRM, Step("算了", "forget", {"what": "小丽", "confirm": True})],
        [Step("对", "off_record", {"recording": "stop"}), Step("我叫小明"), Step("今天下雨了", is_cut=True)],
    ],
}


@pytest.mark.parametrize("with_tools", [False, True])
def test_both_ways_come_to_the_same(
    with_tools: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.new_event_loop()
    meeting = both_ways(tmp_path, with_tools)
    brain, converse = loop.run_until_complete(meeting.__aenter__())
    for method in ("remember", "recall", "obey", "change"):
        _slow(monkeypatch, method, brain)
    steps = st.lists(st.one_of(TELLS, CALLS if with_tools else COMMANDS), min_size=2, max_size=5)

    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(steps)
    def come_to_the_same(steps: list[Step]) -> None:
        bridge, host = loop.run_until_complete(converse(steps))
        assert bridge == host

    for known in KNOWN[with_tools]:
        come_to_the_same = example(known)(come_to_the_same)
    try:
        come_to_the_same()
    finally:
        loop.run_until_complete(meeting.__aexit__(None, None, None))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def _slow(monkeypatch: pytest.MonkeyPatch, method: str, brain: Brain) -> None:
    done = getattr(PersonaMemory, method)

    async def slow(*args: Any) -> Any:
        for _ in range(brain.step.slowness):
            await asyncio.sleep(0)
        return await done(*args)

    monkeypatch.setattr(PersonaMemory, method, slow)
