"""Every fault at every stage of a turn: it ends, the device is told or cut off, nothing of it follows, the next works."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.bridge import Rig, make_settings, running
from fakes.parts import FakeChatModel, FakeRecognizer, FakeSynthesizer, make_parts, speech
from fakes.wire import Wire

from xiaozhi_persona.errors import ServiceBroken, ServiceTimeout, ServiceUnavailable
from xiaozhi_persona.memory import clock
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.store import OwnerStore
from xiaozhi_persona.settings import MemorySettings, Settings

STAGES = ("hello", "listening", "recognizing", "waiting", "first sentence", "speaking", "playing out", "idle")
RUNNING = STAGES[2:7]
"""Those in which a turn runs."""

LONG = "这是很长很长很长很长很长的一句话。"
SHORT = "好。"


@dataclass
class Scene:
    """A bridge, a device on it, and engines that stop where the stage wants them."""

    rig: Rig
    wire: Wire
    stage: str
    recognizer: FakeRecognizer
    chat: FakeChatModel
    synthesizer: FakeSynthesizer
    gate: asyncio.Event
    others: list[Wire] = field(default_factory=list)

    async def reach(self) -> None:
        """Bring the conversation to the stage."""
        if self.stage == "hello":
            return
        await self.wire.hello()
        if self.stage == "idle":
            await self.wire.type("在吗")
            await self.wire.until(lambda: self.wire.heard.stops == 1)
            return
        await self.wire.send(type="listen", state="start", mode="manual")
        await self.wire.say(speech(0.3))
        if self.stage == "listening":
            return
        await self.wire.send(type="listen", state="stop")
        heard = self.wire.heard
        if self.stage == "recognizing":
            await asyncio.wait_for(self.recognizer.asked.wait(), 5)
        elif self.stage == "waiting":
            await asyncio.wait_for(self.chat.began.wait(), 5)
        elif self.stage == "first sentence":
            await _until(lambda: self.synthesizer.running == 1)
        elif self.stage == "speaking":
            await self.wire.until(lambda: heard.packets > 6)
        else:
            await self.wire.until(lambda: heard.packets > len(SHORT))  # behind it one that clears the decoder

    def let_go(self) -> None:
        """Let the engines go on."""
        self.gate.set()
        self.recognizer.hold = self.synthesizer.hold = None

    async def ask(self, wire: Wire) -> None:
        """Ask something new, which must be answered with sound and an end."""
        self.rig.parts.chat_model, self.rig.parts.synthesizer = FakeChatModel(SHORT), FakeSynthesizer()
        before, packets = wire.heard.subtitles.count(SHORT), wire.heard.packets
        await wire.type("下一个")
        await wire.until(lambda: wire.heard.subtitles.count(SHORT) > before and not wire.heard.speaking)
        assert wire.heard.packets > packets

    async def nothing_runs(self) -> None:
        """Wait until no engine works and every turn that began has ended."""
        await _until(lambda: not self.synthesizer.running and self.chat.closed == len(self.chat.asked))


@contextlib.asynccontextmanager
async def scene(
    stage: str, *, memory: Any = None, failing: str = "", kind: str = "dead"
) -> AsyncIterator[Scene]:
    """Reach a stage. The engine `failing` fails when it is let go, or when it is asked after that."""
    gate = asyncio.Event()
    recognizer = _recognizer(kind) if failing == "recognizer" else FakeRecognizer()
    good = int(stage == "speaking")
    synthesizer = _FaultyVoice(kind, good) if failing == "synthesizer" else FakeSynthesizer()
    reply = SHORT if stage in ("playing out", "idle") else LONG
    said = (reply, SHORT) if stage in ("first sentence", "speaking") else ()  # what follows ends a sentence
    if failing == "chat model":
        chat = FakeChatModel(*said, gate, *_chat(kind).chunks)
    elif failing == "synthesizer":
        chat = FakeChatModel(*said, gate, SHORT)
    else:
        chat = FakeChatModel(gate, reply) if stage == "waiting" else FakeChatModel(reply)
    if stage == "recognizing":
        recognizer.hold = gate
    elif stage == "first sentence":
        synthesizer.hold = gate
    margin_ms = 600 if stage == "playing out" else 0
    parts = make_parts(chat, recognizer, synthesizer, memory)
    async with running(parts, make_settings(stop_margin_ms=margin_ms)) as rig, Wire.open(rig.url) as wire:
        made = Scene(rig, wire, stage, recognizer, chat, synthesizer, gate)
        await made.reach()
        yield made
        made.let_go()
        await asyncio.wait_for(made.nothing_runs(), 5)
        await wire.websocket.close()
        await asyncio.wait_for(_until(lambda: not rig.bridge._sessions), 5)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("politely", [True, False])
async def test_hanging_up(stage: str, politely: bool) -> None:
    async with scene(stage) as at:
        if politely:
            await at.wire.websocket.close()
        else:
            at.wire.websocket.transport.abort()
        await asyncio.wait_for(at.nothing_runs(), 5)
        await asyncio.wait_for(_until(lambda: not at.rig.bridge._sessions), 5)
        assert [turn.outcome for turn in at.rig.turns] == (
            ["cancelled"] if stage in RUNNING else ["done"] * (stage == "idle")
        )
        async with Wire.open(at.rig.url) as again:
            await again.hello()
            await at.ask(again)


@pytest.mark.parametrize("stage", STAGES[1:])
async def test_abort(stage: str) -> None:
    async with scene(stage) as at:
        stops = at.wire.heard.stops
        await at.wire.send(type="abort")
        await at.wire.until(lambda: at.wire.heard.stops == stops + 1)
        await asyncio.wait_for(at.nothing_runs(), 5)
        at.let_go()
        packets = at.wire.heard.packets
        await at.wire.send(type="abort")  # behind what the old turn could still have sent
        await at.wire.until(lambda: at.wire.heard.stops == stops + 2)
        assert at.wire.heard.packets == packets
        await at.ask(at.wire)
        assert at.wire.heard.stops == stops + 3


@pytest.mark.parametrize("stage", STAGES[1:])
async def test_a_new_question(stage: str) -> None:
    async with scene(stage) as at:
        await at.ask(at.wire)
        await asyncio.wait_for(at.nothing_runs(), 5)
        assert (
            at.wire.heard.starts
            == at.wire.heard.stops
            == 1 + (stage in ("waiting", "first sentence", "speaking", "playing out", "idle"))
        )
        outcomes = [turn.outcome for turn in at.rig.turns]
        assert outcomes[-1] == "done" and outcomes[:-1] == (
            ["cancelled"] if stage in RUNNING else ["done"] * (stage == "idle")
        )


@pytest.mark.parametrize("stage", STAGES)
async def test_a_second_connection_of_the_same_device(stage: str) -> None:
    async with scene(stage) as at, Wire.open(at.rig.url) as new:
        await new.hello()
        if stage == "hello":  # the former has not entered, and so is no device's yet
            await at.ask(new)
            assert not at.wire.closed
            return
        await at.wire.until(lambda: at.wire.closed)
        await asyncio.wait_for(at.nothing_runs(), 5)
        await at.ask(new)
        assert len(at.rig.bridge._sessions) == 1


@pytest.mark.parametrize("stage", STAGES)
async def test_the_bridge_is_stopped(stage: str) -> None:
    async with scene(stage) as at:
        await asyncio.wait_for(at.rig.bridge.__aexit__(), 5)
        await at.wire.until(lambda: at.wire.closed)
        assert not at.rig.bridge._sessions
        assert at.synthesizer.running == 0 and at.chat.closed == len(at.chat.asked)


@pytest.mark.parametrize("stage", STAGES[1:])
@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_device_that_stops_reading(
    stage: str, comes_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one socket holds is far more than a reply: the server goes on sending, or gives up where it holds less."""
    monkeypatch.setattr("xiaozhi_persona.bridge.link._SEND_TIMEOUT_S", 0.2)
    async with scene(stage) as at:
        at.wire.websocket.transport.pause_reading()
        if comes_back:
            at.let_go()
            await asyncio.sleep(0.3)
            at.wire.websocket.transport.resume_reading()
            await at.wire.until(lambda: not at.wire.heard.speaking)
            await at.ask(at.wire)
            return
        (session,) = at.rig.bridge._sessions
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(session._websocket, "send", lambda frame: asyncio.shield(never))
        await at.wire.send(type="abort")
        at.let_go()
        await asyncio.wait_for(_until(lambda: not at.rig.bridge._sessions), 5)
        never.cancel()
        async with Wire.open(at.rig.url) as again:
            await again.hello()
            await at.ask(again)


@pytest.mark.parametrize("stage", STAGES[1:])
@pytest.mark.parametrize("jump", [timedelta(hours=-5), timedelta(hours=5)])
async def test_the_wall_clock_jumps(stage: str, jump: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    class Jumped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + jump

    async with scene(stage) as at:
        monkeypatch.setattr(clock, "datetime", Jumped)
        at.let_go()
        if stage in RUNNING:
            await at.wire.until(lambda: at.wire.heard.stops == 1)
        await at.ask(at.wire)
        for recalled in at.rig.parts.memory._turns.values():  # type: ignore[attr-defined]
            times = [turn.at for turn in recalled]
            assert times == sorted(times) and times[-1] - times[0] < timedelta(minutes=1)


@pytest.mark.parametrize("stage", STAGES)
async def test_the_disk_is_full(stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise ServiceUnavailable("磁盘满了")

    memory = PersonaMemory(MemorySettings(), tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(memory.aclose)
        at = await stack.enter_async_context(scene(stage, memory=memory))
        with monkeypatch.context() as patch:
            patch.setattr(OwnerStore, "append", full)
            if stage == "hello":
                await at.wire.hello()
            at.let_go()
            if stage in RUNNING:
                await at.wire.until(lambda: at.wire.heard.stops == 1)
                assert at.wire.heard.packets
            await at.ask(at.wire)


def _recognizer(kind: str) -> Any:
    faulty = FakeRecognizer()
    if kind == "dead":
        faulty.error = ServiceUnavailable("没有")
    elif kind == "slow":
        faulty.error = ServiceTimeout("太慢")
    elif kind == "broken":
        faulty.error = RuntimeError("onnx")  # type: ignore[assignment]
    else:
        faulty.text = "\ud83d<|zh|>\x00" * 50
    return faulty


def _chat(kind: str) -> Any:
    return {
        "dead": FakeChatModel(ServiceUnavailable("没有")),
        "slow": FakeChatModel(ServiceTimeout("太慢")),
        "broken": FakeChatModel("说到", ServiceBroken("断了")),
        "garbage": FakeChatModel("\ud83d\x00【", "[" * 500, "<think>", RuntimeError("JSON")),
    }[kind]


class _FaultyVoice(FakeSynthesizer):
    def __init__(self, kind: str, good: int = 0) -> None:
        """Be faulty after so many good sentences."""
        super().__init__()
        self.kind, self.good = kind, good

    async def synthesize(self, text: str, clip: Any) -> Any:
        is_good = len(self.asked) < self.good
        async with contextlib.aclosing(super().synthesize(text, clip)) as chunks:
            async for chunk in chunks:
                if self.kind == "dead" and not is_good:
                    raise ServiceUnavailable("没有")
                if self.kind == "slow" and not is_good:
                    await asyncio.sleep(60)
                yield chunk
                if not is_good:
                    raise ServiceBroken("断了") if self.kind == "broken" else ValueError("garbage")


KINDS = ("dead", "slow", "broken", "garbage")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ["recognizer", "chat model", "synthesizer"])
@pytest.mark.parametrize("stage", ["listening", "idle"])
async def test_an_engine_fails(engine: str, kind: str, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(stage) as at:
        parts, stops = at.rig.parts, at.wire.heard.stops
        whole = parts.recognizer, parts.chat_model, parts.synthesizer
        if engine == "recognizer":
            parts.recognizer = _recognizer(kind)
        elif engine == "chat model":
            parts.chat_model = _chat(kind)
        else:
            monkeypatch.setattr(type(at.rig.bridge._settings), "sentence_timeout_s", 0.1)
            parts.synthesizer = _FaultyVoice(kind)
        if stage == "idle":
            await at.wire.send(type="listen", state="start", mode="manual")
            await at.wire.say(speech(0.3))
        at.chat.chunks = (SHORT,)
        await at.wire.send(type="listen", state="stop")
        await at.wire.until(lambda: at.wire.heard.stops == stops + 1)
        assert at.wire.heard.subtitles
        assert at.rig.turns[-1].outcome == "done"
        parts.recognizer, parts.chat_model, parts.synthesizer = whole
        await at.ask(at.wire)


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize(
    ("stage", "engine"),
    [("recognizing", "recognizer"), *itertools.product(RUNNING[:4], ("chat model", "synthesizer"))],
)
async def test_an_engine_fails_in_mid_turn(
    stage: str, engine: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "sentence_timeout_s", 0.3)
    async with scene(stage, failing=engine, kind=kind) as at:
        at.let_go()
        await at.wire.until(lambda: at.wire.heard.stops == 1)
        await asyncio.wait_for(at.nothing_runs(), 5)
        assert at.wire.heard.subtitles
        assert [turn.outcome for turn in at.rig.turns] == ["done"]
        at.rig.parts.recognizer = FakeRecognizer()
        await at.ask(at.wire)
