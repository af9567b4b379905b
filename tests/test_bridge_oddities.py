"""What clients written by hand do differently: odd hellos, other wake words, other framing, PCM."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from fakes.bridge import messages, running
from fakes.parts import FakeChatModel, FakeRecognizer, make_parts, silence, speech
from fakes.wire import Wire
from fakes.xiaozhi_server import HELLO as SERVER_HELLO
from fakes.xiaozhi_server import FakeXiaozhi
from websockets.asyncio.client import ClientConnection, connect

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.bridge import session
from xiaozhi_persona.bridge.binary import pack
from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.bridge.messages import Alert, Listen, Tts, encode
from xiaozhi_persona.spine import Samples

START = '{"type":"listen","state":"start","mode":"auto"}'
QUESTION = np.concatenate((speech(0.4), silence(0.6)))


@contextlib.asynccontextmanager
async def raw(url: str, hello: dict[str, Any], **headers: str) -> AsyncIterator[ClientConnection]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with connect(url, compression=None, additional_headers=named) as websocket:
        await websocket.send(json.dumps({"type": "hello", **hello}))
        answer = json.loads(await asyncio.wait_for(websocket.recv(), 5))
        assert answer["type"] == "hello" and answer["transport"] == "websocket"
        assert answer["audio_params"]["sample_rate"] == 24000
        yield websocket


async def until_stop(websocket: ClientConnection) -> list[dict[str, Any] | bytes]:
    came: list[dict[str, Any] | bytes] = []
    while True:
        frame = await asyncio.wait_for(websocket.recv(), 5)
        came.append(frame if isinstance(frame, bytes) else json.loads(frame))
        last = came[-1]
        if isinstance(last, dict) and last.get("state") == "stop":
            return came


async def send_sound(websocket: ClientConnection, sound: Samples, version: int = 1) -> None:
    encoder = OpusEncoder(16000, 60)
    for start in range(0, len(sound) - 959, 960):
        await websocket.send(pack(encoder.encode(sound[start : start + 960]), version))


@pytest.mark.parametrize(
    "hello",
    [
        {},
        {"version": "1", "transport": "websocket"},
        {"version": 1, "features": ["mcp"], "transport": "websocket"},
        {"audio_params": {"format": "opus", "sample_rate": "16000", "frame_duration": "60"}},
        {"audio_params": [], "session_id": 0},
        {"version": [], "features": 7, "audio_params": "x", "transport": {}, "session_id": None},
        {"version": 9},
    ],
)
async def test_an_odd_hello_is_answered_and_a_conversation_follows(hello: dict[str, Any]) -> None:
    async with running(make_parts()) as rig, raw(rig.url, hello) as websocket:
        await websocket.send(START)
        await send_sound(websocket, QUESTION)
        assert any(isinstance(frame, bytes) for frame in await until_stop(websocket))


@pytest.mark.parametrize(
    "odd",
    [
        {"version": "1"},
        {"session_id": 0},
        {"audio_params": []},
        {"audio_params": {"format": "opus", "sample_rate": "24000", "channels": 1, "frame_duration": 60}},
        {"features": ["mcp"]},
    ],
)
async def test_our_client_takes_an_odd_hello_of_a_server(odd: dict[str, Any]) -> None:
    async with (
        FakeXiaozhi(hello={**SERVER_HELLO, **odd}) as server,
        DeviceConnection.open(server.url) as device,
    ):
        await device.say(speech(0.3))
        timeline = await device.reply(10)
        assert timeline.sentences and device.audio.sample_rate_hz == 24000


# Wake words


@pytest.mark.parametrize("word", ["Alexa", "小爱同学", "讲个故事"])
async def test_a_word_behind_its_own_sound_only_wakes(word: str) -> None:
    recognizer, chat = FakeRecognizer("今天好吗"), FakeChatModel("好。")
    async with running(make_parts(chat, recognizer)) as rig, rig.device() as device:
        encoder = OpusEncoder(16000, 60)
        for start in range(0, 9600, 960):
            device.send_frame(encoder.encode(speech(0.6)[start : start + 960]))
        device.send(Listen("detect", text=word))
        await asyncio.sleep(1.2 * session.WAKE_WORD_S)  # the microphone opens late
        await device.say(speech(0.3))
        await device.reply(10)
    assert [asked[-1].content for asked in chat.asked] == ["今天好吗"]
    assert len(recognizer.heard) == 1


async def test_a_word_just_before_the_microphone_opens_only_wakes() -> None:
    recognizer, chat = FakeRecognizer("今天好吗"), FakeChatModel("好。")
    async with running(make_parts(chat, recognizer)) as rig, rig.device() as device:
        device.send(Listen("detect", text="Alexa"))
        await device.say(np.concatenate((silence(1.2 * session.WAKE_WORD_S), speech(0.3))))
        await device.reply(10)
    assert [asked[-1].content for asked in chat.asked] == ["今天好吗"]


@pytest.mark.parametrize("mode", ["auto", "manual", "realtime"])
async def test_what_is_typed_with_the_microphone_open_is_answered_at_once(
    mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "WAKE_WORD_S", 60.0)  # py-xiaozhi and the web page open it before
    chat = FakeChatModel("好。")
    async with running(make_parts(chat)) as rig, rig.device(mode) as device:
        for _ in range(2):
            device.type_text("Alexa")
            await device.reply(10)
    assert [asked[-1].content for asked in chat.asked] == ["Alexa", "Alexa"]


async def test_what_is_typed_and_followed_by_nothing_is_answered_a_little_later() -> None:
    async with running(make_parts()) as rig, raw(rig.url, {}) as websocket:
        await websocket.send(json.dumps({"type": "listen", "state": "detect", "text": "在吗"}))
        assert any(isinstance(frame, bytes) for frame in await until_stop(websocket))


async def test_of_two_texts_typed_at_once_the_last_is_answered() -> None:
    chat = FakeChatModel("好。")
    async with running(make_parts(chat)) as rig, raw(rig.url, {}) as websocket:
        for text in ("第一", "第二"):
            await websocket.send(json.dumps({"type": "listen", "state": "detect", "text": text}))
        await until_stop(websocket)
    assert [asked[-1].content for asked in chat.asked] == ["第二"]


async def test_a_text_that_waited_and_one_that_comes_while_the_turn_before_ends_do_not_both_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Slow(FakeChatModel):
        async def stream(self, *args: Any) -> AsyncIterator[Any]:
            async with contextlib.aclosing(super().stream(*args)) as deltas:
                try:
                    async for delta in deltas:
                        yield delta
                finally:
                    await asyncio.sleep(0.3)

    monkeypatch.setattr(session, "WAKE_WORD_S", 0.05)
    chat = Slow(asyncio.Event())
    async with running(make_parts(chat)) as rig, Wire.open(rig.url) as wire:
        await wire.hello()
        await wire.send(type="listen", state="detect", text="一")
        await asyncio.wait_for(chat.began.wait(), 5)
        chat.chunks = ("这是一句话，这又是一句话。",)
        await wire.send(type="listen", state="detect", text="二")
        await asyncio.sleep(0.1)
        await wire.send(type="listen", state="detect", text="三")
        await wire.until(lambda: chat.asked[-1][-1].content == "三" and wire.heard.starts == wire.heard.stops)
    assert len(rig.turns) == len(chat.asked)


async def test_a_text_that_waits_is_dropped_by_an_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "WAKE_WORD_S", 0.2)
    chat = FakeChatModel("好。")
    async with running(make_parts(chat)) as rig, Wire.open(rig.url) as wire:
        await wire.hello()
        await wire.send(type="listen", state="detect", text="在吗")
        await wire.send(type="abort")
        await wire.until(lambda: wire.heard.stops == 1)
        await asyncio.sleep(0.4)
    assert not chat.asked


async def test_who_leaves_with_a_text_waiting_leaves_nothing_running() -> None:
    chat = FakeChatModel("好。")
    async with running(make_parts(chat)) as rig, raw(rig.url, {}) as websocket:
        await websocket.send(json.dumps({"type": "listen", "state": "detect", "text": "在吗"}))
        await websocket.send("{}")
        await websocket.close()
        await asyncio.sleep(1.2 * session.WAKE_WORD_S)
    assert not chat.asked


# Sound


@pytest.mark.parametrize("version", [2, 3])
async def test_frames_of_another_version_than_the_hello_named_are_heard_and_answered_alike(
    version: int, caplog: pytest.LogCaptureFixture
) -> None:
    recognizer = FakeRecognizer()
    async with (
        running(make_parts(recognizer=recognizer)) as rig,
        raw(rig.url, {"version": 1, "transport": "websocket"}, Protocol_Version=str(version)) as websocket,
    ):
        await websocket.send(START)
        await send_sound(websocket, QUESTION, version)
        came = await until_stop(websocket)
    assert len(recognizer.heard[0]) >= 6400
    sound = [frame for frame in came if isinstance(frame, bytes)]
    begin = {2: b"\x00\x02\x00\x00", 3: b"\x00\x00"}[version]
    assert sound and all(frame.startswith(begin) for frame in sound)
    assert caplog.text.count(f"声音是二进制协议版本 {version} 的") == 1


async def test_who_says_pcm_is_told_and_its_sound_is_not_taken_for_opus(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recognizer = FakeRecognizer()
    hello = {"transport": "websocket", "audio_params": {"format": "pcm", "sample_rate": 16000}}
    async with running(make_parts(recognizer=recognizer)) as rig, raw(rig.url, hello) as websocket:
        alert = json.loads(await asyncio.wait_for(websocket.recv(), 5))
        assert alert["type"] == "alert" and "opus" in alert["message"].lower() and "pcm" in alert["message"]
        assert all(isinstance(alert[name], str) for name in ("status", "message", "emotion"))
        await websocket.send(START)
        for start in range(0, len(QUESTION), 960):
            await websocket.send(QUESTION[start : start + 960].tobytes())
        await websocket.send(json.dumps({"type": "listen", "state": "detect", "text": "在吗"}))
        assert any(isinstance(frame, bytes) for frame in await until_stop(websocket))
    assert not recognizer.heard
    assert "只收发 Opus" in caplog.text


async def test_a_wake_word_of_the_list_does_not_wait() -> None:
    async with running(make_parts()) as rig, rig.device() as device:
        device.send(Listen("detect", text="你好，小智！"))
        device.type_text("在吗")
        await device.until(lambda: Tts("stop") in messages(device))
    assert encode(Alert("a", "b"))  # what the firmware reads are texts
