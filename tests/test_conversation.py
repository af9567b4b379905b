"""Talking by a live microphone: when it is open, turns, push to talk, interruption, lost connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import numpy as np
import pytest
from fakes.live_card import LATENCY_S, FakeCard
from fakes.xiaozhi_server import FakeXiaozhi, Session, tone

from xiaozhi_persona.bridge.client.conversation import Conversation
from xiaozhi_persona.bridge.client.spoken import talk_by_microphone
from xiaozhi_persona.bridge.client.staying import LinkEvent
from xiaozhi_persona.bridge.client.talk import TalkOptions
from xiaozhi_persona.bridge.client.timeline import Timeline, TurnEvent
from xiaozhi_persona.bridge.messages import ListenMode


@contextlib.asynccontextmanager
async def conversing(
    server: FakeXiaozhi,
    card: FakeCard,
    turns: list[Timeline],
    events: list[TurnEvent],
    mode: ListenMode = "auto",
) -> AsyncIterator[Conversation]:
    async with Conversation.open(server.url, mode=mode, player=card.player, on_event=events.append) as device:
        task = asyncio.create_task(device.converse(card, turns.append), name="conversing")
        try:
            yield device
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()


async def test_three_turns_with_the_microphone_closed_until_the_loudspeaker_has_finished():
    done = asyncio.Event()

    async def script(session: Session) -> None:
        for number in range(3):
            await session.turn()
            assert len(session.heard_last) >= 0.5 * 16000
            sounds_before = session.events.count("audio")
            await session.answer(f"第{number}句")
            stopped_at = asyncio.get_running_loop().time()
            starts = session.events.count("listen start")
            await session.until(lambda starts=starts: session.events.count("listen start") > starts)
            # The server stops when its sound would have ended; buffer and device take longer.
            assert asyncio.get_running_loop().time() - stopped_at > LATENCY_S - 0.05
            assert session.events.count("audio") - sounds_before <= 3  # nothing was sent while it spoke
            if number < 2:
                card.speak()
        done.set()

    turns: list[Timeline] = []
    events: list[TurnEvent] = []
    card = FakeCard()
    async with FakeXiaozhi(script) as server, conversing(server, card, turns, events) as device:
        card.heard.put_nowait(np.zeros(1600, np.int16))
        card.speak()
        await asyncio.wait_for(done.wait(), 20)
        await device.until(lambda: len(turns) == 3)
    assert [turn.heard for turn in turns] == ["第0句", "第1句", "第2句"]
    for turn in turns:
        assert turn.first_audio_ms is not None
        assert turn.stt_ms is not None
        assert turn.first_audio_ms - turn.stt_ms > LATENCY_S * 1000 - 1
        assert turn.playback_end_ms == pytest.approx(turn.first_audio_ms + 180, abs=60)
        assert (turn.gaps, turn.gaps_ms) == (1, 250)
    assert [event.kind for event in events].count("played") == 3
    kinds = [event.kind for event in events if event.kind != "sentence"]
    assert kinds[:6] == ["spoken", "heard", "start", "first_audio", "stop", "played"]


async def test_push_to_talk_begins_ends_and_interrupts():
    async def script(session: Session) -> None:
        await session.turn()
        assert len(session.heard_last) >= 0.5 * 16000
        await session.send("stt", text="一")
        await session.send("tts", state="start")
        await session.send_audio(tone(1.98, 24000))
        await session.until(lambda: "abort" in session.events)
        await session.send_audio(tone(0.48, 24000))  # was on its way
        await session.until(lambda: session.events.count("listen start") == 2)
        await session.turn()
        await session.answer("二")

    turns: list[Timeline] = []
    events: list[TurnEvent] = []
    card = FakeCard()
    async with FakeXiaozhi(script) as server, conversing(server, card, turns, events, "manual") as device:
        await asyncio.sleep(0)
        assert device.state == "idle"
        card.speak()  # nobody holds the button
        await card.heard.join()
        device.press()
        card.heard.put_nowait(tone(0.6))
        await card.heard.join()
        device.release()
        await device.until(lambda: len(card.player.packets) > 20)
        device.press()
        assert device.state == "listening"
        assert card.player.log[-1] == "stop"
        played = len(card.player.packets)
        card.heard.put_nowait(tone(0.6))
        await card.heard.join()
        device.release()
        assert len(card.player.packets) == played
        await device.until(lambda: any(turn.heard == "二" for turn in turns))
    assert [turn.heard for turn in turns] == ["一", "二"]


async def test_an_interruption_silences_the_reply_and_what_is_still_on_its_way():
    async def script(session: Session) -> None:
        await session.until(lambda: "audio" in session.events)
        await session.send("stt", text="讲个故事")
        await session.send("tts", state="start")
        await session.send_audio(tone(3.0, 24000))
        await session.until(lambda: "abort" in session.events)
        await session.send_audio(tone(0.96, 24000))
        # The microphone stayed open.
        await session.until(lambda: "audio" in session.events[session.events.index("abort") :])
        assert session.events.count("listen start") == 1
        await session.send("tts", state="stop")
        await session.answer("停")

    turns: list[Timeline] = []
    events: list[TurnEvent] = []
    card = FakeCard()
    async with FakeXiaozhi(script) as server, conversing(server, card, turns, events, "realtime") as device:
        card.speak()
        await device.until(lambda: len(card.player.packets) > 30)
        device.interrupt()
        card.speak()
        await device.until(lambda: any(turn.heard == "停" for turn in turns))
    assert card.player.log.count("stop") == 1
    assert [turn.heard for turn in turns] == ["讲个故事", "停"]
    assert turns[1].first_audio_ms is not None


async def test_what_was_not_understood_is_told():
    async def script(session: Session) -> None:
        await session.until(lambda: "audio" in session.events)
        await session.send("stt", text="")
        await session.until(lambda: False)

    turns: list[Timeline] = []
    events: list[TurnEvent] = []
    card = FakeCard()
    async with FakeXiaozhi(script) as server, conversing(server, card, turns, events) as device:
        card.speak()
        await device.until(lambda: any(event.kind == "no_words" for event in events))
    assert turns == []


async def test_a_server_that_ends_the_connection_is_connected_to_again():
    connections = 0
    again = asyncio.Event()

    async def script(session: Session) -> None:
        nonlocal connections
        connections += 1
        if connections == 3:
            again.set()
            await session.until(lambda: False)
        await session.until(lambda: "listen start" in session.events)
        if connections == 2:  # in mid-sentence
            await session.send("tts", state="start")
            await session.send_audio(tone(0.96, 24000))
        await session.websocket.close()

    links: list[LinkEvent] = []
    async with FakeXiaozhi(script) as server:
        card = FakeCard()
        talking = asyncio.create_task(
            talk_by_microphone(
                TalkOptions(server.url), card, lambda turn: None, lambda event: None, links.append
            )
        )
        await asyncio.wait_for(again.wait(), 10)
        talking.cancel()
        await asyncio.wait({talking})
    assert [link.kind for link in links][:4] == ["connected", "lost"] * 2


async def test_a_server_that_is_not_there_at_first_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    """As a service the client is up before the network is."""
    monkeypatch.setattr("xiaozhi_persona.bridge.client.staying.OFFLINE_AFTER_S", 0.0)
    told = asyncio.Event()
    talking = asyncio.create_task(
        talk_by_microphone(
            TalkOptions("ws://127.0.0.1:9/xiaozhi/v1/"),
            FakeCard(),
            lambda turn: None,
            lambda event: None,
            lambda link: told.set(),
        )
    )
    await asyncio.wait_for(told.wait(), 10)
    assert not talking.done()
    talking.cancel()
    await asyncio.wait({talking})
