"""Replies of which nothing can be said, and models that never begin: an apology instead, `tts stop`, and no hang."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from fakes.bridge import make_settings, messages, running
from fakes.openai_server import OpenAiServer
from fakes.parts import (
    FakeChatModel,
    FakeMemory,
    FakeRecognizer,
    FakeSynthesizer,
    make_parts,
    silence,
    speech,
)

from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.bridge.messages import Face, Listen, ListenMode, Tts
from xiaozhi_persona.providers.llm.openai import OpenAiChatModel
from xiaozhi_persona.settings import LlmSettings, Settings
from xiaozhi_persona.spine import ChatDelta, Clip, Message, Owner, PcmChunk, ToolCall

CHAT_FAILED = "抱歉，我现在连不上大脑，请稍后再试。"
VOICE_FAILED = "抱歉，我现在说不出话来。"
NOT_HEARD = "我没有听到你说话。"


class Deltas:
    """A chat model that writes these deltas, waiting where there is a number of seconds; `again`: for ever."""

    def __init__(self, *deltas: ChatDelta | str | float, again: bool = False) -> None:
        self.deltas = deltas
        self.again = again
        self.closed = 0

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> AsyncGenerator[ChatDelta, None]:
        try:
            while True:
                for delta in self.deltas:
                    if isinstance(delta, float):
                        await asyncio.sleep(delta)
                    else:
                        yield ChatDelta(delta) if isinstance(delta, str) else delta
                if not self.again:
                    return
                await asyncio.sleep(0.001)
        finally:
            self.closed += 1


class Voice:
    """A synthesizer that gives what `sound` makes of a sentence: samples, nothing, or an error."""

    def __init__(self, sound: Callable[[str], Any]) -> None:
        self.sound = sound

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        sound = self.sound(text)
        if isinstance(sound, Exception):
            raise sound
        if sound is not None:
            yield PcmChunk(sound, 24000)


def hurried(**llm: float) -> Settings:
    settings = make_settings()
    return settings.model_copy(update={"llm": settings.llm.model_copy(update=llm)})


async def told(device: DeviceConnection, text: str = "在吗") -> str:
    """Type a text, wait for the end of the answer, and return its subtitles."""
    before = len(messages(device))
    device.type_text(text)
    await device.until(lambda: Tts("stop") in messages(device)[before:])
    return "".join(m.text for m in messages(device)[before:] if isinstance(m, Tts))


def tone(text: str) -> Any:
    return (np.sin(np.arange(1440 * len(text)) / 9) * 8000).astype(np.int16)


@pytest.mark.parametrize(
    "deltas",
    [
        [],
        [ChatDelta(tool_call=ToolCall("1", "rm", "{}"))],
        ["  ", "\n\n", "\t"],
        ["……", "。！？"],
        ["😊", "🎉"],
        ["【高兴】", "[sad]"],
        ["<think>我想想。</think>"],
        ["<think>还没有想完。"],
        ["```python\nprint(1)\n```"],
    ],
    ids=["empty", "tools", "blanks", "marks", "emoji", "tags", "thoughts", "open thoughts", "code"],
)
async def test_a_reply_without_a_word_is_an_apology(deltas: list[ChatDelta | str]) -> None:
    memory = FakeMemory(max_turns=20)
    async with running(make_parts(Deltas(*deltas), memory=memory)) as rig, rig.device() as device:
        assert await told(device) == CHAT_FAILED
        assert device.model.playback.packets
        await device.until(lambda: device.state == "listening")
    said = (await memory.recall(Owner("02:00:00:00:00:01"), "", None)).items  # type: ignore[arg-type]
    assert [turn.who for turn in said] == ["user"]


@pytest.mark.parametrize(
    "sound",
    [
        lambda text: RuntimeError("espeak"),
        lambda text: None,
        lambda text: np.zeros(0, np.int16),
        lambda text: np.zeros(2400, np.int16),
    ],
    ids=["raises", "nothing", "empty", "zeros"],
)
async def test_without_any_voice_the_words_and_the_apology_are_shown(sound: Callable[[str], Any]) -> None:
    parts = make_parts(FakeChatModel("第一句。第二句。"), synthesizer=Voice(sound))
    async with running(parts) as rig, rig.device() as device:
        assert await told(device) == "第一句。第二句。" + VOICE_FAILED
        await device.until(lambda: device.state == "listening")
        assert await told(device) == "第一句。第二句。" + VOICE_FAILED
    assert [turn.outcome for turn in rig.turns] == ["done", "done"]


async def test_a_voice_that_fails_at_every_sentence_of_the_reply_may_still_apologize() -> None:
    voice = Voice(lambda text: tone(text) if text == VOICE_FAILED else None)
    async with running(make_parts(synthesizer=voice)) as rig, rig.device() as device:
        assert (await told(device)).endswith(VOICE_FAILED)
        await device.until(lambda: device.state == "listening")
        assert device.model.playback.packets


async def test_one_sentence_that_is_heard_is_enough() -> None:
    voice = Voice(lambda text: tone(text) if "二" in text else None)
    parts = make_parts(FakeChatModel("第一句。第二句。第三句。"), synthesizer=voice)
    async with running(parts) as rig, rig.device() as device:
        assert await told(device) == "第一句。第二句。第三句。"


@pytest.mark.parametrize(
    ("chat", "said"),
    [
        (Deltas("<think>", "嗯", again=True), CHAT_FAILED),
        (Deltas(" ", again=True), CHAT_FAILED),
        (Deltas("😊", "。", again=True), CHAT_FAILED),
        (Deltas(ChatDelta(tool_call=ToolCall("1", "rm", "{}")), again=True), CHAT_FAILED),
        (Deltas("<think>", 60.0), CHAT_FAILED),
        (Deltas(60.0), CHAT_FAILED),
        (Deltas("先说一句。", "<think>", 60.0), "先说一句。"),
        (Deltas("先说一半", 60.0), "先说一半"),
    ],
    ids=["thinks", "blanks", "marks", "tools", "stalls in thought", "stalls", "spoke", "spoke half"],
)
async def test_a_model_that_writes_nothing_to_say_is_given_up(chat: Deltas, said: str) -> None:
    async with running(make_parts(chat), hurried(speech_timeout_s=0.3)) as rig, rig.device() as device:
        assert await told(device) == said
        assert chat.closed == 1
        await device.until(lambda: device.state == "listening")
        rig.parts.chat_model = FakeChatModel("下一个。")
        assert await told(device) == "下一个。"


async def test_who_thinks_within_the_limit_and_who_speaks_slowly_is_heard_out() -> None:
    thinks = Deltas("<think>", 0.25, "嗯", 0.25, "</think>", "想好了。")
    speaks = Deltas("一句。", 0.45, "两句。", 0.45, "三句。")
    async with running(make_parts(thinks), hurried(speech_timeout_s=0.8)) as rig, rig.device() as device:
        assert await told(device) == "想好了。"
        rig.parts.chat_model = speaks
        assert await told(device) == "一句。两句。三句。"


async def test_the_request_of_a_model_that_never_stops_thinking_is_closed() -> None:
    async with OpenAiServer(reply=["<think>"] + ["嗯"] * 3, mode="keep_alive_midway") as server:
        model = OpenAiChatModel(LlmSettings(base_url=server.url, model="m"))
        parts = make_parts(model)
        parts.closers.append(model.aclose)
        async with running(parts, hurried(speech_timeout_s=1.5)) as rig, rig.device() as device:
            assert await told(device) == CHAT_FAILED
            await asyncio.wait_for(server.disconnected.wait(), 5)


@pytest.mark.parametrize("mode", ["auto", "realtime"])
async def test_without_words_who_listens_goes_on_listening(mode: ListenMode) -> None:
    recognizer = FakeRecognizer("")
    async with running(make_parts(recognizer=recognizer)) as rig, rig.device(mode) as device:
        await device.say(np.concatenate((speech(0.8), silence(0.3))))
        await recognizer.asked.wait()
        recognizer.text = "好"
        await device.say(speech(0.3))
        await device.until(lambda: Tts("start") in messages(device))
    assert NOT_HEARD not in [m.text for m in messages(device) if isinstance(m, Tts)]


async def test_who_held_the_button_and_was_not_heard_is_told() -> None:
    memory = FakeMemory(max_turns=20)
    parts = make_parts(recognizer=FakeRecognizer(""), memory=memory)
    async with running(parts) as rig, rig.device("manual") as device:
        await device.say(speech(0.7))
        await device.reply(10)
        assert messages(device)[1:] == [
            Tts("start"),
            Face("confused", "🙄"),
            Tts("sentence_start", NOT_HEARD),
            Tts("stop"),
        ]
        assert device.state == "idle" and device.model.playback.packets
    assert not (await memory.recall(Owner("02:00:00:00:00:01"), "", None)).items  # type: ignore[arg-type]


async def test_a_button_that_was_held_without_any_sound_is_answered_and_a_touch_of_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(make_parts(recognizer=FakeRecognizer(""))) as rig, rig.device("manual") as device:
        device.send(Listen("start", "manual"))
        device.send(Listen("stop"))
        await device.say(speech(0.2))
        await asyncio.wait_for(rig.parts.recognizer.asked.wait(), 5)  # type: ignore[attr-defined]
        assert await told(device) == "你好呀。今天真好！"  # nothing came before it
        monkeypatch.setattr("xiaozhi_persona.bridge.session.SHORT_PRESS_S", 0.0)
        await device.until(lambda: device.state == "idle")
        before = len(messages(device))
        device.send(Listen("start", "manual"))
        device.send(Listen("stop"))
        await device.until(lambda: Tts("stop") in messages(device)[before:])
    assert Tts("sentence_start", NOT_HEARD) in messages(device)[before:]


async def test_a_recognizer_that_breaks_in_an_unknown_way_is_apologized_for() -> None:
    recognizer = FakeRecognizer()
    recognizer.error = RuntimeError("onnx")  # type: ignore[assignment]
    async with running(make_parts(recognizer=recognizer)) as rig, rig.device("manual") as device:
        await device.say(speech(0.3))
        await device.reply(10)
    assert [m.text for m in messages(device) if isinstance(m, Tts) and m.text] == ["抱歉，我没有听清。"]


async def test_a_synthesizer_that_sounds_is_not_apologized_for() -> None:
    async with running(make_parts(synthesizer=FakeSynthesizer())) as rig, rig.device() as device:
        assert await told(device) == "你好呀。今天真好！"
