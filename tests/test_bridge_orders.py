"""A session takes whatever a device sends, in any order: replies never overlap, each is ended, nothing stays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import anyio
import pytest
from fakes.bridge import make_settings
from fakes.parts import FakeChatModel, FakeRecognizer, FakeSynthesizer, make_parts, silence, speech
from fakes.wire import Conversation
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.bridge import session
from xiaozhi_persona.bridge.admission.admission import Standing
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.bridge.session import Session
from xiaozhi_persona.errors import ServiceUnavailable
from xiaozhi_persona.spine import Owner, Samples

_T = TypeVar("_T")


def packets(sound: Samples) -> list[bytes]:
    encoder = OpusEncoder(16000, 60)
    return [encoder.encode(sound[start : start + 960]) for start in range(0, len(sound), 960)]


LOUD, QUIET = packets(speech(0.3)), packets(silence(0.3))
MODES = st.sampled_from(["auto", "manual", "realtime"])
PATIENCE_S = 10.0


class Socket:
    """A websocket without a network: what is put in is received, what is sent is checked at once."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self.heard = Conversation()
        self.taken = 0
        self.transport = self

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while (frame := await self.inbox.get()) is not None:
            yield frame
            self.taken += 1

    async def send(self, frame: str | bytes) -> None:
        await asyncio.sleep(0)
        self.heard.take(frame)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.inbox.put_nowait(None)

    def abort(self) -> None:
        self.inbox.put_nowait(None)


class Admitted:
    """The visit of a device that is served with everything."""

    device_id, binary_version = "aa:bb", 1
    admitted_id = device_id
    standing = Standing("aa:bb", "aa:bb")
    owner = Owner("aa:bb")

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def enter(self, id_in_hello: str) -> Standing:
        return self.standing

    async def speak(self) -> tuple[Owner, Parts]:
        return Owner(self.device_id), self.parts


async def no_photos() -> None:
    """Of a device without MCP nobody asks."""


class Device(RuleBasedStateMachine):
    """One device, whose user and whose firmware do anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.socket = Socket()
        self.sent = 0
        self.gate = asyncio.Event()
        self.recognizer, self.synthesizer = FakeRecognizer(), FakeSynthesizer("坏")
        self.chat = FakeChatModel("好。【高兴】真好。")
        self.failures: list[str] = []

    @initialize(greets=st.sampled_from([True, True, True, False]))
    def connect(self, greets: bool) -> None:
        async def begin() -> None:
            self.loop.set_exception_handler(lambda loop, context: self.failures.append(str(context)))
            self.parts = make_parts(self.chat, self.recognizer, self.synthesizer)
            self.session = Session(
                self.socket,  # type: ignore[arg-type]
                Admitted(self.parts),  # type: ignore[arg-type]
                self.parts,
                make_settings(),
                on_turn=lambda timeline: None,
                on_entered=lambda session: None,
                photo_pass=no_photos,
            )
            self.serving = asyncio.create_task(self.session.run())

        self.run(begin())
        if greets:
            self.send(type="hello", version=1, transport="websocket")

    @rule()
    def hello(self) -> None:
        self.send(type="hello", version=1, transport="websocket")

    @rule(mode=MODES)
    def listen(self, mode: str) -> None:
        self.send(type="listen", state="start", mode=mode)
        if mode == "manual":
            self.socket.heard.speaking = False  # the press has ended it on the device

    @rule()
    def release(self) -> None:
        self.send(type="listen", state="stop")

    @rule(text=st.sampled_from(["在吗", "讲一个", "你好小智", "", "Alexa"]))
    def detect(self, text: str) -> None:
        self.send(type="listen", state="detect", text=text)

    @rule()
    def abort(self) -> None:
        self.send(type="abort")

    @rule(frames=st.lists(st.sampled_from([*LOUD[:2], QUIET[0], b"", b"\xff" * 9]), max_size=8))
    def any_sound(self, frames: list[bytes]) -> None:
        self.put(*frames)

    @rule()
    def utterance(self) -> None:
        self.put(*LOUD, *QUIET)

    @rule(
        text=st.sampled_from(
            ["{", "[]", '{"type":"sing"}', '{"type":"listen"}', '{"type":"mcp","payload":{}}']
        )
    )
    def nonsense(self, text: str) -> None:
        self.put(text)

    @rule(seconds=st.sampled_from([0.0, 0.005, 0.03, 0.15]))
    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(text=st.sampled_from(["", "好的", "再说"]))
    def hears(self, text: str) -> None:
        self.recognizer.text = text

    @rule(
        chunks=st.lists(
            st.sampled_from(["好。", "坏。", "<think>", "😊", ServiceUnavailable("断了"), RuntimeError("x")]),
            max_size=4,
        )
    )
    def writes(self, chunks: list[Any]) -> None:
        self.chat.chunks = tuple(chunks)

    @rule(where=st.sampled_from(["recognizer", "chat", "synthesizer"]))
    def hold(self, where: str) -> None:
        self.gate.clear()
        if where == "chat":
            self.chat.chunks = (self.gate, "终于。")
        else:
            getattr(self, where).hold = self.gate

    @rule()
    def let_go(self) -> None:
        self.recognizer.hold = self.synthesizer.hold = None
        self.run(self._open())

    @precondition(lambda self: not self.gate.is_set())
    @rule()
    def engines_go_on(self) -> None:
        self.run(self._open())

    @invariant()
    def one_turn_at_a_time(self) -> None:
        assert len(self.chat.asked) - self.chat.closed <= 1
        assert self.synthesizer.running <= 1
        assert not self.failures

    @invariant()
    def bounded(self) -> None:
        if hasattr(self, "session"):
            assert not self.serving.done()
            held = sum(map(len, self.session._hearing._held))
            assert held <= 31 * 16000 and len(self.session._link._complained) <= 20
            tasks = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
            assert len(tasks) < 12, tasks

    def teardown(self) -> None:
        try:
            if hasattr(self, "session"):
                self.recognizer.hold = self.synthesizer.hold = None
                self.run(self._open())
                self.run(self._end())
        finally:
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()

    async def _open(self) -> None:
        self.gate.set()

    async def _end(self) -> None:
        """Every reply that began has ended, and with the connection everything ends."""
        while self.session._turn_runs or (self.session._typed and not self.session._typed.done()):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        assert not self.socket.heard.speaking, "a reply without its end"
        packets = self.socket.heard.packets
        await asyncio.sleep(0.07)
        assert self.socket.heard.packets == packets
        self.socket.inbox.put_nowait(None)
        await self.serving
        await self.parts.aclose()
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        assert len(self.chat.asked) == self.chat.closed and self.synthesizer.running == 0

    def send(self, **message: Any) -> None:
        self.put(json.dumps(message))

    def put(self, *frames: str | bytes) -> None:
        """Send frames and let the session take them."""

        async def taken() -> None:
            for frame in frames:
                self.socket.inbox.put_nowait(frame)
            self.sent += len(frames)
            while self.socket.taken < self.sent and not self.serving.done():  # noqa: ASYNC110
                await asyncio.sleep(0)

        self.run(taken())

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        async def in_time() -> _T:
            with anyio.fail_after(PATIENCE_S):
                return await work

        return self.loop.run_until_complete(in_time())


def test_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "WAKE_WORD_S", 0.05)
    monkeypatch.setattr(session, "SHORT_PRESS_S", 0.02)
    run_state_machine_as_test(
        Device,
        settings=settings(
            max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
