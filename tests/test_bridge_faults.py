"""What devices do wrong and what breaks around them: every turn ends in `tts stop` or a closed socket, nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakes.bridge import make_settings, messages, running
from fakes.openai_server import Mode, OpenAiServer
from fakes.parts import FakeChatModel, FakeRecognizer, FakeSynthesizer, make_parts, silence, speech
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.bridge.binary import pack
from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.bridge.messages import Tts
from xiaozhi_persona.bridge.server import Bridge
from xiaozhi_persona.errors import ServiceUnavailable, SettingsError
from xiaozhi_persona.providers.llm.openai import OpenAiChatModel
from xiaozhi_persona.settings import LlmSettings, Settings
from xiaozhi_persona.tasks import cancel_and_wait

HELLO = '{"type":"hello","version":1,"transport":"websocket"}'
LONG_REPLY = "这是很长很长很长很长很长的一句话。" * 4


@contextlib.asynccontextmanager
async def raw(url: str, hello: bool = True, **more: object) -> AsyncIterator[ClientConnection]:
    async with connect(url, compression=None, **more) as websocket:  # type: ignore[arg-type]
        if hello:
            await websocket.send(HELLO)
            assert json.loads(await websocket.recv())["type"] == "hello"
        yield websocket


async def answered(websocket: ClientConnection, text: str = "在吗") -> list[str]:
    """Type a text; return the kinds of what came until `tts stop`."""
    await websocket.send('{"type":"listen","state":"start","mode":"auto"}')
    await websocket.send(json.dumps({"type": "listen", "state": "detect", "text": text}))
    kinds = []
    while True:
        frame = await asyncio.wait_for(websocket.recv(), 5)
        if isinstance(frame, bytes):
            kinds.append("audio")
        else:
            data = json.loads(frame)
            kinds.append(data.get("state", data["type"]))
            if kinds[-1] == "stop":
                return kinds


async def test_nonsense_does_not_end_the_connection() -> None:
    randomness = random.Random(7)
    async with running(make_parts()) as rig, raw(rig.url) as websocket:
        for text in (
            "",
            "{",
            "[]",
            '{"type":7}',
            '{"type":"listen","state":"start","mode":1}',
            '{"type":"goodbye"}',
        ):
            await websocket.send(text)
        await websocket.send('{"type":"listen","state":"start","mode":"auto"}')
        for _ in range(50):
            await websocket.send(randomness.randbytes(randomness.randrange(200)))
        assert "audio" in await answered(websocket)


@pytest.mark.parametrize("version", [2, 3])
async def test_truncated_and_forged_frames_are_ignored(version: int) -> None:
    packet = OpusEncoder(16000, 60).encode(speech(0.06))
    async with running(make_parts()) as rig, raw(rig.url) as websocket:
        await websocket.send(json.dumps({"type": "hello", "version": version}))
        await websocket.recv()
        await websocket.send('{"type":"listen","state":"start","mode":"auto"}')
        whole = pack(packet, version)
        for cut in (0, 1, 3, 4, 15, 16, len(whole) - 1):
            await websocket.send(whole[:cut])
        await websocket.send(b"\xff" * 40)
        assert "audio" in await answered(websocket)


async def test_messages_before_hello_are_ignored_and_no_hello_closes_the_connection() -> None:
    async with (
        running(make_parts(), make_settings(hello_timeout_s=1.0)) as rig,
        raw(rig.url, hello=False) as websocket,
    ):
        await websocket.send('{"type":"listen","state":"detect","text":"在吗"}')
        await websocket.send(b"\x00" * 20)
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(websocket.recv(), 5)
        assert websocket.close_code == 1008


async def test_a_silent_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings()
    quick = settings.session.model_copy(update={"idle_s": 0.2})
    settings = settings.model_copy(update={"session": quick})
    async with running(make_parts(), settings) as rig, raw(rig.url) as websocket:
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(websocket.recv(), 5)
        assert websocket.close_code == 1000


async def test_speech_that_nobody_answers_does_not_keep_what_the_device_gives_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("xiaozhi_persona.bridge.session.LONGEST_SILENCE_S", 1.5)
    recognizer = FakeRecognizer("")
    async with (
        running(make_parts(recognizer=recognizer)) as rig,
        rig.device("realtime") as device,
        contextlib.AsyncExitStack() as stack,
    ):
        talking = asyncio.create_task(_say_again_and_again(device))
        stack.push_async_callback(cancel_and_wait, talking)
        began = asyncio.get_running_loop().time()
        await asyncio.wait_for(_until(lambda: device.closed), 10)
        assert asyncio.get_running_loop().time() - began > 1
    assert recognizer.heard


async def _say_again_and_again(device: DeviceConnection) -> None:
    while True:
        await device.say(speech(0.3))
        await device.say(silence(0.3))


async def test_a_device_that_connects_again_ends_its_old_connection() -> None:
    synthesizer = FakeSynthesizer()
    parts = make_parts(FakeChatModel(LONG_REPLY), synthesizer=synthesizer)
    me, other = {"Device-Id": "aa:bb"}, {"Device-Id": "cc:dd"}
    async with (
        running(parts) as rig,
        raw(rig.url, additional_headers=me) as old,
        raw(rig.url, additional_headers=other) as stranger,
    ):
        await old.send('{"type":"listen","state":"start","mode":"auto"}')
        await old.send('{"type":"listen","state":"detect","text":"讲"}')
        while not isinstance(await asyncio.wait_for(old.recv(), 5), bytes):
            pass
        async with raw(rig.url, additional_headers=me) as new:
            with pytest.raises(ConnectionClosed):
                while True:
                    await asyncio.wait_for(old.recv(), 5)
            assert (old.close_code, old.close_reason) == (1000, "connected again")
            await asyncio.wait_for(_until(lambda: synthesizer.running == 0), 5)
            assert [turn.outcome for turn in rig.turns] == ["cancelled"]
            assert "audio" in await answered(stranger)
            assert "audio" in await answered(new)


async def test_a_connection_that_has_gone_dead_does_not_keep_the_device_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "xiaozhi_persona")
    me = {"Device-Id": "aa:bb"}
    async with running(make_parts()) as rig, raw(rig.url, additional_headers=me) as old:
        old.transport.pause_reading()  # nobody sees the goodbye
        async with raw(rig.url, additional_headers=me) as new:
            assert "audio" in await answered(new)
            await asyncio.wait_for(_until(lambda: "已断开" in caplog.text), 5)


async def test_the_log_tells_which_device(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "xiaozhi_persona")
    chat = FakeChatModel(ServiceUnavailable("坏了 100%"))
    headers = {"Device-Id": "aa:bb%s"}
    async with running(make_parts(chat)) as rig, raw(rig.url, additional_headers=headers) as websocket:
        await websocket.send('{"type":"sing"}')
        await answered(websocket)
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("xiaozhi_persona.bridge")]
    assert lines and all(line.startswith("[aa:bbs] ") for line in lines)
    for told in ("已连接", "不认识的消息类型 'sing'", "坏了 100%", "一轮", "已断开"):
        assert any(told in line for line in lines), told


@pytest.mark.parametrize("stage", ["recognizing", "waiting", "speaking"])
@pytest.mark.parametrize("how", ["abort", "disconnect"])
async def test_ending_a_turn_at_any_stage_leaves_nothing_running(stage: str, how: str) -> None:
    hold = asyncio.Event()
    recognizer = FakeRecognizer()
    chat = FakeChatModel(hold, LONG_REPLY) if stage == "waiting" else FakeChatModel(LONG_REPLY)
    synthesizer = FakeSynthesizer()
    if stage == "recognizing":
        recognizer.hold = hold
    async with running(make_parts(chat, recognizer, synthesizer)) as rig, rig.device("manual") as device:
        await device.say(speech(0.3))
        if stage == "recognizing":
            await asyncio.wait_for(recognizer.asked.wait(), 5)
        elif stage == "waiting":
            await asyncio.wait_for(chat.began.wait(), 5)
        else:
            await device.until(lambda: len(device.model.playback.packets) > 6)
        if how == "abort":
            device.send_frame('{"type":"abort"}')
            await device.until(lambda: messages(device)[-1] == Tts("stop"))
        else:
            await device.hang_up()
        await asyncio.wait_for(_until(lambda: len(rig.turns) == 1), 5)
    assert rig.turns[0].outcome == "cancelled"
    assert chat.closed == len(chat.asked)
    assert synthesizer.running == 0


async def _until(condition: object) -> None:
    while not condition():  # type: ignore[operator]  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "mode", ["refuse", "drop", "stall", "stall_midway", "break", "error", "empty", "keep_alive"]
)
async def test_a_real_chat_connection_that_misbehaves_ends_in_stop(mode: Mode) -> None:
    async with OpenAiServer(mode=mode) as server:
        settings = LlmSettings(base_url=server.url, model="m", first_token_timeout_s=1.0, token_timeout_s=1.0)
        chat = OpenAiChatModel(settings)
        async with running(make_parts(chat)) as rig, raw(rig.url) as websocket:
            assert (await answered(websocket))[-1] == "stop"
        await chat.aclose()


async def test_a_synthesizer_that_stalls_is_given_up_on() -> None:
    synthesizer = FakeSynthesizer()
    synthesizer.hold = asyncio.Event()
    settings = make_settings()
    settings = settings.model_copy(update={"tts": settings.tts.model_copy(update={"timeout_s": 0.1})})
    async with running(make_parts(synthesizer=synthesizer), settings) as rig, raw(rig.url) as websocket:
        kinds = await answered(websocket)
    assert "audio" not in kinds
    assert synthesizer.running == 0


async def test_two_devices_do_not_hear_each_other() -> None:
    chat = FakeChatModel("好。")
    async with (
        running(make_parts(chat)) as rig,
        rig.device(device_id="a") as one,
        rig.device(device_id="b") as two,
    ):
        one.type_text("我是甲")
        two.type_text("我是乙")
        await asyncio.gather(one.reply(10), two.reply(10))
        one.type_text("我是谁")
        await one.reply(10)
    contents = " ".join(message.content for message in chat.asked[-1])
    assert "甲" in contents and "乙" not in contents


async def test_a_wrong_path_and_a_wrong_token_are_refused() -> None:
    settings = make_settings()
    settings = settings.model_copy(update={"bridge": settings.bridge.model_copy(update={"token": "geheim"})})
    async with running(make_parts(), settings) as rig:
        for url, headers, status in (
            (rig.url.replace("v1", "v2"), {}, 404),
            (rig.url, {}, 401),
            (rig.url, {"Authorization": "Bearer falsch"}, 401),
        ):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(url, additional_headers=headers):
                    pass
            assert refused.value.response.status_code == status
        async with raw(rig.url, additional_headers={"Authorization": "Bearer geheim"}):
            pass


async def test_a_taken_port_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parts = make_parts()
    async with running(parts) as rig:
        taken = make_settings().bridge.model_copy(
            update={"websocket_port": rig.bridge.websocket_port, "http_port": 0}
        )
        settings = Settings().model_copy(update={"bridge": taken})
        with pytest.raises(SettingsError, match=r"端口 \d+ 已被占用.*xiaozhi-esp32-server"):
            async with Bridge(settings, parts):
                pass
        taken = taken.model_copy(update={"websocket_port": 0, "http_port": rig.bridge.http_port})
        with pytest.raises(SettingsError, match=f"端口 {rig.bridge.http_port} 已被占用"):
            async with Bridge(Settings().model_copy(update={"bridge": taken}), parts):
                pass


async def test_shutting_down_ends_a_reply() -> None:
    synthesizer = FakeSynthesizer()
    async with contextlib.AsyncExitStack() as stack:
        rig = await stack.enter_async_context(
            running(make_parts(FakeChatModel(LONG_REPLY), synthesizer=synthesizer))
        )
        websocket = await stack.enter_async_context(raw(rig.url))
        await websocket.send('{"type":"listen","state":"start","mode":"auto"}')
        await websocket.send('{"type":"listen","state":"detect","text":"讲"}')
        while not isinstance(await asyncio.wait_for(websocket.recv(), 5), bytes):
            pass
        await asyncio.wait_for(rig.bridge.__aexit__(), 5)
        assert synthesizer.running == 0
