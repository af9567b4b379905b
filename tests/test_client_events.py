"""What the client tells while a turn goes on, and how it ends where the server heard nothing or has gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from fakes.xiaozhi_server import FakeXiaozhi, Session, tone

from xiaozhi_persona.audio.wav import write_wav
from xiaozhi_persona.bridge.client import connection
from xiaozhi_persona.bridge.client.talk import TalkOptions, talk
from xiaozhi_persona.bridge.client.timeline import Timeline, TurnEvent
from xiaozhi_persona.bridge.messages import CONNECTED_AGAIN
from xiaozhi_persona.errors import ServiceRejected, ServiceUnavailable


def ignore(_: Timeline) -> None:
    pass


@pytest.fixture
def wav(tmp_path) -> Path:
    path = tmp_path / "question.wav"
    write_wav(path, np.concatenate((tone(0.18), np.zeros(4800, np.int16))), 16000)
    return path


async def test_what_happens_is_told_while_it_happens(wav):
    told: list[TurnEvent] = []
    said_before_the_end = asyncio.Event()

    async def script(session: Session) -> None:
        await session.turn()
        await session.send("stt", text="你好")
        await session.send("tts", state="start")
        await session.send("llm", emotion="happy")
        await session.send("tts", state="sentence_start", text="你好呀。")
        await session.send_audio(tone(0.12, 24000))
        await asyncio.wait_for(said_before_the_end.wait(), 10)
        await session.send("tts", state="stop")

    def on_event(event: TurnEvent) -> None:
        told.append(event)
        if event.kind == "first_audio":
            said_before_the_end.set()

    async with FakeXiaozhi(script) as server:
        await talk(TalkOptions(server.url, wavs=(wav,)), ignore, on_event)
    assert [event.kind for event in told] == [
        *("speaking", "spoken", "heard", "start", "sentence", "first_audio", "stop", "played")
    ]
    assert told[4].text == "你好呀。" and told[4].emotion == "happy"
    times = [event.at_ms for event in told[1:]]
    assert times == sorted(times) and told[1].at_ms == 0


async def test_a_server_that_heard_no_words_is_not_waited_for(wav, monkeypatch):
    monkeypatch.setattr(connection, "_NO_WORDS_S", 0.05)

    async def script(session: Session) -> None:
        await session.turn()
        await session.send("stt", text="")

    told: list[str] = []
    async with FakeXiaozhi(script) as server:
        with pytest.raises(ServiceRejected, match="没有从录音里识别出文字"):
            await talk(TalkOptions(server.url, wavs=(wav,)), ignore, lambda event: told.append(event.kind))
    assert told == ["speaking", "spoken", "no_words"]


async def test_words_that_follow_on_a_part_without_any_are_heard(wav):
    async def script(session: Session) -> None:
        await session.turn()
        await session.send("stt", text="")
        await session.answer("你好", [("happy", "你好呀。")])

    async with FakeXiaozhi(script) as server:
        (turn,) = await talk(TalkOptions(server.url, wavs=(wav,)), ignore)
    assert turn.heard == "你好"


async def test_long_silence_is_told_while_it_is_waited_for(monkeypatch):
    monkeypatch.setattr(connection, "WAITING_S", 0.05)

    async def script(session: Session) -> None:
        await session.turn()
        await asyncio.wait_for(waited.wait(), 10)
        await session.answer("你好", [("happy", "你好呀。")])

    waited, told = asyncio.Event(), []

    def on_event(event: TurnEvent) -> None:
        told.append(event.kind)
        if event.kind == "waiting":
            waited.set()

    async with FakeXiaozhi(script) as server:
        await talk(TalkOptions(server.url, texts=("你好",)), ignore, on_event)
    assert told[:3] == ["typed", "waiting", "heard"]


async def test_a_second_device_with_the_same_id_is_told_of(wav):
    async def script(session: Session) -> None:
        await session.turn()
        await session.websocket.close(1000, CONNECTED_AGAIN)

    async with FakeXiaozhi(script) as server:
        with pytest.raises(ServiceUnavailable, match="--device-id"):
            await talk(TalkOptions(server.url, texts=("你好",)), ignore)


async def test_what_is_typed_goes_over_a_new_connection_where_the_server_closed_the_old_one():
    async def script(session: Session) -> None:
        await session.turn()
        await session.answer("你好", [("happy", "你好呀。")])
        if len(server.sessions) == 1:
            await session.websocket.close(1000, "idle")

    async def typed() -> AsyncIterator[str]:
        yield "一"
        await server.until_closed()
        yield "二"

    turns: list[str] = []
    async with FakeXiaozhi(script) as server:
        await talk(TalkOptions(server.url), lambda turn: turns.append(turn.asked), typed=typed())
        assert len(server.sessions) == 2
    assert turns == ["一", "二"]
