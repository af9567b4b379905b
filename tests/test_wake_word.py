"""The wake word: who hears it, what the server gets then, and what is told where it cannot be heard."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from fakes.bridge import Rig, running
from fakes.live_card import FakeCard
from fakes.parts import make_parts
from fakes.xiaozhi_server import FakeXiaozhi, Session, tone

from xiaozhi_persona.audio.opus import OpusDecoder
from xiaozhi_persona.audio.resample import resample
from xiaozhi_persona.bridge.client.buttons.presses import Presses
from xiaozhi_persona.bridge.client.conversation import PRE_ROLL_S
from xiaozhi_persona.bridge.client.device import WAKE_WORD
from xiaozhi_persona.bridge.client.spoken import talk_by_microphone
from xiaozhi_persona.bridge.client.talk import TalkOptions
from xiaozhi_persona.bridge.client.timeline import Timeline, TurnEvent
from xiaozhi_persona.bridge.client.wake_word.hearing import COOLDOWN_S, hear_wake_word
from xiaozhi_persona.bridge.client.wake_word.spotter import Spotter, open_spotter
from xiaozhi_persona.bridge.messages import ListenMode
from xiaozhi_persona.errors import PackageMissing, SettingsError
from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip, Samples

PIECE = 160


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * 16000), np.int16)


async def say(text: str) -> Samples:
    """What eSpeak's English voice says, with silence around it."""
    pytest.importorskip("espeakng_loader")
    voice = EspeakSynthesizer(Settings().espeak.model_copy(update={"voice": "en"}))
    chunks = [chunk async for chunk in voice.synthesize(text, Clip())]
    sound = np.concatenate([resample(chunk.samples, chunk.sample_rate_hz, 16000) for chunk in chunks])
    return np.concatenate((silence(0.8), sound, silence(0.5)))


class LoudSpotter:
    """Takes a loud sample for the word."""

    word = "小智"

    def __init__(self) -> None:
        self.found = 0

    def feed(self, samples: Samples) -> bool:
        found = bool((np.abs(samples.astype(int)) > 15000).any())
        self.found += found
        return found


def called() -> Samples:
    """What LoudSpotter takes for the word."""
    sound = tone(0.4)
    sound[-1000:] *= 3
    return sound


async def answer_once(session: Session) -> None:
    await session.until(lambda: "listen start" in session.events)
    session._turns.clear()  # the wake word is no question
    await session.turn()
    await session.answer()


class Talk:
    """A device that stands by."""

    def __init__(self, url: str, spotter: Spotter, mode: ListenMode) -> None:
        self.card = FakeCard()
        self.turns: list[Timeline] = []
        self.events: list[TurnEvent] = []
        self.happened = asyncio.Event()
        self.connected = False
        self.presses = Presses()
        self.task = asyncio.create_task(
            talk_by_microphone(
                TalkOptions(url, mode=mode),
                self.card,
                self.note_turn,
                self.note,
                self.note,
                self.presses,
                spotter=spotter,
            )
        )

    def note(self, event: object) -> None:
        if isinstance(event, TurnEvent):
            self.events.append(event)
        else:
            self.connected = True
        self.happened.set()

    def note_turn(self, turn: Timeline) -> None:
        self.turns.append(turn)
        self.happened.set()

    async def until(self, what: Callable[[], object]) -> None:
        async def wait() -> None:
            while not what():
                self.happened.clear()
                await self.happened.wait()

        await asyncio.wait_for(wait(), 10)

    async def hear(self, *sounds: Samples) -> None:
        """Let it hear sounds in pieces of 10 ms, and have it take them."""
        for sound in sounds:
            for at in range(0, len(sound), PIECE):
                self.card.heard.put_nowait(sound[at : at + PIECE])
        await asyncio.wait_for(self.card.heard.join(), 10)

    async def stands_by(self) -> None:
        """Wait until its two ears are open: that of the wake word, and that of the microphone."""
        await self.until(lambda: self.connected)
        while self.card.heard.ears < 2:  # noqa: ASYNC110  nothing tells it
            await asyncio.sleep(0)

    @property
    def woken(self) -> list[str]:
        return [event.text for event in self.events if event.kind == "woken"]


@contextlib.asynccontextmanager
async def standing_by(
    url: str, spotter: Spotter | None = None, mode: ListenMode = "auto"
) -> AsyncIterator[Talk]:
    talk = Talk(url, spotter or LoudSpotter(), mode)
    try:
        await talk.stands_by()
        yield talk
    finally:
        talk.task.cancel()
        await asyncio.wait({talk.task})
        if not talk.task.cancelled():
            talk.task.result()


# The words that are found.


@pytest.mark.parametrize("word", ["okay_nabu", "Okay Nabu"])
async def test_a_packaged_word_is_found_as_often_as_it_is_said_and_no_other(word: str):
    pytest.importorskip("pymicro_wakeword")
    spotter = open_spotter(word, None)
    assert spotter.word == "Okay Nabu"
    said, other = await say("Okay nabu."), await say("What a nice day, Jack.")
    sounds = np.concatenate((said, other, said, other))
    found = [spotter.feed(sounds[at : at + 1280]) for at in range(0, len(sounds), 1280)]
    assert sum(found) == 2
    second = len(said) + len(other)
    assert [at * 1280 // second for at, one in enumerate(found) if one] == [0, 1]


async def test_a_word_said_once_wakes_once():
    card, words = FakeCard(), []
    hearing = asyncio.create_task(hear_wake_word(card, LoudSpotter(), words.append))
    loud = np.full(PIECE, 20000, np.int16)
    for _ in range(round(2.5 * COOLDOWN_S * 100)):
        card.heard.put_nowait(loud)
    await asyncio.wait_for(card.heard.join(), 10)
    hearing.cancel()
    await asyncio.wait({hearing})
    assert words == ["小智"] * 3


async def test_an_engine_that_fails_is_told_and_ends_nothing_else(caplog: pytest.LogCaptureFixture):
    class Broken(LoudSpotter):
        def feed(self, samples: Samples) -> bool:
            raise RuntimeError("bad model")

    card = FakeCard()
    card.heard.put_nowait(tone(0.1))
    await asyncio.wait_for(hear_wake_word(card, Broken(), lambda word: None), 10)
    assert "bad model" in caplog.text


# What the server gets.


@pytest.mark.parametrize("mode", ["auto", "realtime"])
async def test_nothing_is_sent_before_the_word_and_then_what_was_heard_with_it(mode: ListenMode):
    done = asyncio.Event()

    async def script(session: Session) -> None:
        await session.until(lambda: "listen start" in session.events)
        assert session.messages[-2]["text"] == "小智"
        # As the firmware: the sound ahead of the word, the word, and then the microphone.
        before, after = session.events[1:].index("listen detect"), session.events[1:].index("listen start")
        assert set(session.events[1 : before + 1]) == {"audio"}
        assert after == before + 1
        assert PRE_ROLL_S / 0.02 - 2 <= before <= PRE_ROLL_S / 0.02
        assert session.messages[-1]["mode"] == mode
        assert session._turns.pop() == "小智"
        await session.until(lambda: len(session.packets) >= before + 45)
        decoder = OpusDecoder(16000)
        heard = np.concatenate([decoder.decode(packet) for packet in session.packets])
        loud = np.flatnonzero(np.abs(heard.astype(int)) > 3000)
        assert np.diff(loud).max() < 100  # what was said in one breath has no hole where the device woke
        await session.turn()
        await session.answer("开灯")
        done.set()

    if mode == "realtime":
        pytest.importorskip("pywebrtc_audio")
    async with FakeXiaozhi(script) as server, standing_by(server.url, mode=mode) as talk:
        await talk.hear(silence(3.0), called())
        await talk.until(lambda: talk.woken)
        await talk.hear(tone(1.0), silence(0.3))
        await talk.until(lambda: talk.turns)
        await asyncio.wait_for(done.wait(), 5)
    assert talk.woken == ["小智"]
    assert [turn.heard for turn in talk.turns] == ["开灯"]


@pytest.mark.parametrize("mode", ["auto", "realtime"])
@pytest.mark.parametrize("by", ["word", "button"])
async def test_over_a_reply_it_stops_the_reply_and_listens(mode: ListenMode, by: str):
    async def script(session: Session) -> None:
        await session.until(lambda: "listen start" in session.events)
        await session.send("stt", text="讲个故事")
        await session.send("tts", state="start")
        await session.send_audio(tone(1.98, 24000))
        await session.until(lambda: session.events.count("listen start") == 2)
        abort = session.messages[-2]
        assert abort["type"] == "abort"
        assert abort.get("reason") == (WAKE_WORD if by == "word" else None)
        assert session.messages[-1]["mode"] == mode
        assert session.events.count("listen detect") == 1  # of the first time
        await session.send_audio(tone(0.96, 24000))  # was on its way
        await session.send("tts", state="stop")
        session._turns.clear()
        await session.turn()
        await session.answer("停")

    if mode == "realtime":
        pytest.importorskip("pywebrtc_audio")
    async with FakeXiaozhi(script) as server, standing_by(server.url, mode=mode) as talk:
        await talk.hear(called(), silence(COOLDOWN_S))
        await talk.until(lambda: any(event.kind == "first_audio" for event in talk.events))
        if by == "word":
            await talk.hear(called(), silence(0.1))
        else:
            talk.presses.down()
        await talk.until(lambda: len(talk.woken) == 2)
        assert "stop" in talk.card.player.log
        await talk.hear(tone(0.6), silence(0.4))
        await talk.until(lambda: len(talk.turns) == 2)
    assert talk.woken == ["小智", "小智" if by == "word" else ""]
    assert [turn.heard for turn in talk.turns] == ["讲个故事", "停"]
    assert talk.card.player.played <= 33 + 3  # nothing of what was on its way


async def test_while_it_listens_the_word_is_only_part_of_what_is_said():
    spotter = LoudSpotter()
    async with FakeXiaozhi(answer_once) as server, standing_by(server.url, spotter) as talk:
        await talk.hear(called(), silence(1.52))
        await talk.until(lambda: talk.woken)
        await talk.hear(called())
        while spotter.found < 2:  # noqa: ASYNC110  nothing tells it
            await asyncio.sleep(0)
        await talk.hear(silence(0.3))
        await talk.until(lambda: talk.turns)
    (session,) = server.sessions
    assert session.events.count("listen detect") == 1
    assert "abort" not in session.events
    assert talk.woken == ["小智"]


async def test_a_button_wakes_it_without_a_word():
    async with FakeXiaozhi(answer_once) as server, standing_by(server.url) as talk:
        await talk.hear(silence(0.5))
        talk.presses.down()
        await talk.until(lambda: talk.woken)
        await talk.hear(tone(0.6), silence(0.4))
        await talk.until(lambda: talk.turns)
    (session,) = server.sessions
    assert session.events[1] == "listen start"
    assert "listen detect" not in session.events


async def test_after_the_server_has_hung_up_it_stands_by_again():
    async def script(session: Session) -> None:
        await session.until(lambda: "listen start" in session.events)
        await session.websocket.close()

    async with FakeXiaozhi(script) as server, standing_by(server.url) as talk:
        for number in (1, 2):
            await talk.until(lambda number=number: len(server.sessions) == number)
            await talk.stands_by()
            await talk.hear(silence(COOLDOWN_S), called(), silence(0.1))
            await talk.until(lambda number=number: len(talk.woken) == number)
    assert "listen detect" in server.sessions[1].events


async def test_with_the_real_bridge_and_a_spoken_word_the_question_in_the_same_breath_is_answered():
    pytest.importorskip("pymicro_wakeword")
    spotter = open_spotter("okay_nabu", None)
    rig: Rig
    async with running(make_parts()) as rig, standing_by(rig.url, spotter) as talk:
        await talk.hear(await say("Okay nabu."))
        await talk.until(lambda: talk.woken)
        await talk.hear(tone(0.8), silence(0.6))
        await talk.until(lambda: talk.turns)
    assert talk.woken == ["Okay Nabu"]
    assert talk.turns[0].first_audio_ms is not None
    assert len(rig.turns) == 1  # the word itself was not taken for a question


# What cannot be heard.


def test_a_word_without_a_model_is_told_with_those_that_have_one():
    pytest.importorskip("pymicro_wakeword")
    with pytest.raises(SettingsError, match="Okay Nabu"):
        open_spotter("你好小智", None)


@pytest.mark.parametrize(
    ("package", "model"), [("pymicro_wakeword", None), ("sherpa_onnx", Path("a folder"))]
)
def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch, package: str, model: Path | None):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PackageMissing, match="pip install"):
        open_spotter("okay_nabu", model)


@pytest.mark.parametrize(
    ("config", "model"),
    [
        (None, b""),
        ("{", b""),
        ("[]", b""),
        ({"model": "a.tflite"}, b""),
        ({"wake_word": "a", "model": "b.tflite"}, b"\0\0\0\0TFL3"),
        ({"wake_word": "a", "model": "a.tflite"}, b"no model at all"),
        ({"wake_word": "a", "model": "a.tflite"}, b"\0\0\0\0TFL3"),
    ],
)
def test_a_model_that_is_none_is_told(tmp_path: Path, config: object, model: bytes):
    pytest.importorskip("pymicro_wakeword")
    if config is not None:
        text = config if isinstance(config, str) else json.dumps(config)
        (tmp_path / "a.json").write_text(text)
    (tmp_path / "a.tflite").write_bytes(model)
    with pytest.raises(SettingsError, match=r"a\.json"):
        open_spotter("a", tmp_path / "a.json")
