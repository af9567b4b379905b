"""Spoken and typed turns over real sockets with real Opus, against engines that do as the test says."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
from fakes.bridge import make_settings, messages, running
from fakes.parts import FakeChatModel, FakeRecognizer, FakeSynthesizer, make_parts, silence, speech

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.bridge.messages import Abort, Face, Listen, ListenMode, Stt, Tts
from xiaozhi_persona.errors import ServiceRejected, ServiceUnavailable
from xiaozhi_persona.settings import Settings


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("mode", ["auto", "manual", "realtime"])
async def test_a_spoken_turn(mode: ListenMode, version: int) -> None:
    recognizer = FakeRecognizer("今天好吗")
    async with running(make_parts(recognizer=recognizer)) as rig, rig.device(mode, version) as device:
        await device.say(np.concatenate((silence(0.3), speech(0.4), silence(0.1))))
        timeline = await device.reply(10)
    assert messages(device)[1:] == [
        Stt("今天好吗"),
        Tts("start"),
        Face("happy", "🙂"),
        Tts("sentence_start", "你好呀。"),
        Tts("sentence_start", "今天真好！"),
        Tts("stop"),
    ]
    assert timeline.dropped == 0 and timeline.gaps == 0
    played_s = sum(packet.duration_s for packet in device.model.playback.packets)
    assert abs(played_s - 0.06 * (len("你好呀。今天真好！") + 1)) < 0.01  # the last packet clears the decoder
    heard_s = len(recognizer.heard[0]) / 16000
    assert 0.4 <= heard_s <= 1.2
    assert [turn.outcome for turn in rig.turns] == ["done"]


async def test_the_first_syllable_is_in_the_pre_roll() -> None:
    recognizer = FakeRecognizer()
    async with running(make_parts(recognizer=recognizer)) as rig, rig.device() as device:
        await device.say(np.concatenate((silence(1.0), speech(0.4))))
        await device.reply(10)
    loud = np.flatnonzero(np.abs(recognizer.heard[0]) > 1000)
    assert 0.2 <= loud[0] / 16000 <= 0.45
    assert (loud[-1] - loud[0]) / 16000 > 0.38


async def test_three_turns_on_one_connection_know_of_each_other() -> None:
    chat = FakeChatModel("【高兴】好的。")
    async with running(make_parts(chat)) as rig, rig.device() as device:
        for number in range(3):
            await device.say(speech(0.3))
            await device.reply(10)
            assert len(chat.asked) == number + 1
    roles = [message.role for message in chat.asked[-1]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert chat.asked[-1][2].content == "【高兴】好的。"


async def test_typed_text_is_answered_and_a_wake_word_is_not() -> None:
    recognizer, chat = FakeRecognizer(), FakeChatModel("好。")
    async with running(make_parts(chat, recognizer)) as rig, rig.device() as device:
        device.send(Listen("detect", text="你好，小智！"))
        device.type_text("在吗")
        await device.reply(10)
    assert not recognizer.heard
    assert [asked[-1].content for asked in chat.asked] == ["在吗"]


async def test_wake_word_audio_before_listen_start_is_no_utterance() -> None:
    recognizer = FakeRecognizer()
    async with running(make_parts(recognizer=recognizer)) as rig, rig.device() as device:
        encoder = OpusEncoder(16000, 60)
        for start in range(0, 16000, 960):
            device.send_frame(encoder.encode(np.resize(speech(1.0), 16320)[start : start + 960]))
        device.send(Listen("detect", text="你好小智"))
        await device.say(np.concatenate((silence(0.8), speech(0.3))))
        await device.reply(10)
    assert len(recognizer.heard) == 1
    assert np.abs(recognizer.heard[0][:1600]).max() < 1000


async def test_what_has_no_words_is_not_answered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "xiaozhi_persona")
    recognizer = FakeRecognizer("")
    async with running(make_parts(recognizer=recognizer)) as rig, rig.device() as device:
        await device.say(speech(0.3))
        await recognizer.asked.wait()
        recognizer.text = "现在有了"
        await device.say(speech(0.3))
        await device.reply(10)
    assert [m for m in messages(device) if isinstance(m, Tts)][0] == Tts("start")
    assert [m for m in messages(device) if isinstance(m, Stt)] == [Stt("现在有了")]
    assert [turn.outcome for turn in rig.turns] == ["done", "done"]
    assert caplog.text.count("没有识别出文字") == 1


async def test_a_client_that_asked_for_it_is_told_that_there_were_no_words() -> None:
    recognizer = FakeRecognizer("")
    async with running(make_parts(recognizer=recognizer)) as rig, rig.device() as device:
        device.send_frame('{"type":"hello","version":1,"features":{"no_words":true}}')
        await device.say(speech(0.3))
        with pytest.raises(ServiceRejected, match="没有从录音里识别出文字"):
            await device.reply(10)
    assert [m for m in messages(device) if isinstance(m, Stt)] == [Stt("")]


async def test_a_click_is_no_utterance() -> None:
    recognizer = FakeRecognizer()
    async with running(make_parts(recognizer=recognizer)) as rig, rig.device() as device:
        await device.say(np.concatenate((speech(0.05), silence(0.8), speech(0.4))))
        await device.reply(10)
    assert len(recognizer.heard) == 1
    assert len(recognizer.heard[0]) < 1.2 * 16000


async def test_abort_while_speaking_is_answered_with_stop_at_once() -> None:
    chat = FakeChatModel("这是很长很长很长很长很长的一句话。" * 4)
    synthesizer = FakeSynthesizer()
    async with running(make_parts(chat, synthesizer=synthesizer)) as rig, rig.device() as device:
        device.type_text("讲")
        await device.until(lambda: len(device.model.playback.packets) > 6)
        device.abort()
        before = len(device.received)
        await device.until(lambda: messages(device)[-1] == Tts("stop"))
        after = [r.content for r in list(device.received)[before:]]
        assert len([c for c in after if isinstance(c, bytes)]) <= 1
        await device.until(lambda: device.state == "listening")
        device.type_text("再讲")
        await device.until(lambda: device.state == "speaking")
        assert synthesizer.running <= 1
    assert rig.turns[0].outcome == "cancelled"
    assert synthesizer.running == 0


async def test_abort_without_a_turn_is_answered_too() -> None:
    async with running(make_parts()) as rig, rig.device() as device:
        device.send(Abort())
        await device.until(lambda: messages(device)[-1] == Tts("stop"))


async def test_speaking_into_the_answer_in_realtime_ends_it() -> None:
    chat = FakeChatModel("这是很长很长很长很长很长的一句话。" * 4)
    async with running(make_parts(chat)) as rig, rig.device("realtime") as device:
        await device.say(speech(0.3))
        await device.until(lambda: len(device.model.playback.packets) > 6)
        await device.say(speech(0.5))
        await device.until(lambda: len(chat.asked) == 2)
        kinds = [m.state for m in messages(device) if isinstance(m, Tts) and m.state != "sentence_start"]
    assert kinds[:3] == ["start", "stop", "start"]
    assert rig.turns[0].outcome == "cancelled"


async def test_pressing_the_button_again_is_a_new_question_without_a_stop_that_would_end_it() -> None:
    chat = FakeChatModel("这是很长很长很长很长很长的一句话。" * 4)
    recognizer = FakeRecognizer()
    async with running(make_parts(chat, recognizer)) as rig, rig.device("manual") as device:
        device.type_text("讲")
        await device.until(lambda: len(device.model.playback.packets) > 15)
        device.send(Listen("start", "manual"))  # py-xiaozhi sends no abort before it
        encoder = OpusEncoder(16000, 60)
        for start in range(0, 4800, 960):
            device.send_frame(encoder.encode(speech(0.3)[start : start + 960]))
        device.send(Listen("stop"))
        await asyncio.wait_for(recognizer.asked.wait(), 5)
        assert Tts("stop") not in messages(device)
    assert rig.turns[0].outcome == "cancelled"
    assert len(recognizer.heard[0]) == 4800


async def test_listen_start_that_comes_twice_loses_nothing_of_what_is_said() -> None:
    recognizer = FakeRecognizer()
    async with running(make_parts(recognizer=recognizer)) as rig, rig.device() as device:
        device.model.start_listening(0.0)
        device.send(Listen("start", "auto"))
        encoder = OpusEncoder(16000, 60)
        sound = np.concatenate((speech(0.6), silence(0.6)))
        for start in range(0, len(sound), 960):
            if start == 4800:
                device.send(Listen("start", "auto"))
            device.send_frame(encoder.encode(sound[start : start + 960]))
        await asyncio.wait_for(recognizer.asked.wait(), 5)
    assert len(recognizer.heard[0]) >= 9600


@pytest.mark.parametrize("mode", ["auto", "realtime"])
async def test_what_comes_while_the_first_part_is_recognized_joins_it(mode: ListenMode) -> None:
    recognizer = FakeRecognizer()
    recognizer.hold = asyncio.Event()
    async with running(make_parts(recognizer=recognizer)) as rig, rig.device(mode) as device:
        device.model.start_listening(0.0)
        device.send(Listen("start", mode))
        encoder = OpusEncoder(16000, 60)
        sound = np.concatenate((speech(0.6), silence(0.6), speech(0.6), silence(0.6)))
        for start in range(0, len(sound), 960):
            device.send_frame(encoder.encode(sound[start : start + 960]))
        while len(recognizer.heard) < 2:
            recognizer.asked.clear()
            await asyncio.wait_for(recognizer.asked.wait(), 5)
        recognizer.hold.set()
        await device.until(lambda: Tts("start") in messages(device))
    assert len(recognizer.heard[1]) >= 2 * 9600


async def test_the_web_page_gets_its_stop_later() -> None:
    async with running(make_parts()) as rig, rig.device() as device:
        device.send_frame('{"type":"hello","device_id":"page","features":{"mcp":true}}')
        device.type_text("在吗")
        timeline = await device.reply(10)
    assert timeline.tts_stop_ms is not None and timeline.playback_end_ms is not None
    assert 440 <= timeline.tts_stop_ms - timeline.playback_end_ms <= 700


async def test_audio_begins_after_the_start_gap_and_stop_comes_after_the_end() -> None:
    settings = make_settings(start_gap_ms=150, stop_margin_ms=100)
    async with running(make_parts(), settings) as rig, rig.device() as device:
        device.type_text("在吗")
        timeline = await device.reply(10)
    sent = rig.turns[0].marks_ms  # by the sender's clock: on the way the two may come closer
    assert sent["first_audio_ms"] - sent["tts_start_ms"] >= 149
    assert timeline.tts_stop_ms is not None and timeline.playback_end_ms is not None
    assert 60 <= timeline.tts_stop_ms - timeline.playback_end_ms <= 300


async def test_a_sentence_that_cannot_be_spoken_is_shown_and_the_next_is_spoken() -> None:
    chat = FakeChatModel("第一句话。坏的句子。第三句话。")
    async with running(make_parts(chat, synthesizer=FakeSynthesizer("坏"))) as rig, rig.device() as device:
        device.type_text("说")
        timeline = await device.reply(10)
    assert [s.text for s in timeline.sentences] == ["第一句话。", "坏的句子。", "第三句话。"]
    assert len(device.model.playback.packets) == 11  # the last one clears the decoder


@pytest.mark.parametrize("failing", ["first", "middle", "empty", "recognizer"])
async def test_whatever_fails_the_turn_ends_with_stop(failing: str) -> None:
    error = ServiceUnavailable("坏了")
    chat = {
        "first": FakeChatModel(error),
        "middle": FakeChatModel("说到一半。", error),
        "empty": FakeChatModel(),
    }
    recognizer = FakeRecognizer(error=error if failing == "recognizer" else None)
    async with running(make_parts(chat.get(failing), recognizer)) as rig, rig.device() as device:
        await device.say(speech(0.3))
        await device.until(lambda: Tts("stop") in messages(device))
    spoken = [m.text for m in messages(device) if isinstance(m, Tts) and m.text]
    phrases = Settings().phrases
    expected = {
        "first": phrases.chat_failed.removeprefix("[悲伤]"),
        "middle": "说到一半。",
        "empty": phrases.chat_failed.removeprefix("[悲伤]"),
        "recognizer": phrases.not_understood.removeprefix("[困惑]"),
    }
    assert "".join(spoken) == expected[failing]


async def test_the_turn_timeline_is_json() -> None:
    async with running(make_parts()) as rig, rig.device() as device:
        device.type_text("在吗")
        await device.reply(10)
    line = json.loads(json.dumps(rig.turns[0].to_json()))
    marks = [
        line[k] for k in ("stt_ms", "tts_start_ms", "first_token_ms", "first_sentence_ms", "first_audio_ms")
    ]
    assert marks == sorted(marks)
    assert line["outcome"] == "done"
