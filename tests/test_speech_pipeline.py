"""From the text of a reply to Opus packets: order, synthesis ahead of playback, failures, and the end at any time."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from fakes.parts import FakeSynthesizer

from xiaozhi_persona.audio.opus import OpusDecoder
from xiaozhi_persona.errors import PackageMissing, ServiceBroken, ServiceUnavailable
from xiaozhi_persona.providers.speech.choices import EmotionChoices
from xiaozhi_persona.providers.speech.pipeline import (
    FRAME_MS,
    MAX_REPLY_CHARACTERS,
    SAMPLE_RATE_HZ,
    Sentence,
    SpeechPipeline,
)
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip, PcmChunk, Samples

FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000


class Steps:
    """A synthesizer that goes through the same steps for every sentence: sound, an Event to wait for, an error."""

    def __init__(
        self, *steps: Samples | asyncio.Event | Exception, sample_rate_hz: int = SAMPLE_RATE_HZ
    ) -> None:
        self.steps = steps
        self.sample_rate_hz = sample_rate_hz
        self.asked: list[str] = []
        self.reached: list[int] = []
        self.running = 0

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        self.asked.append(text)
        self.running += 1
        try:
            for number, step in enumerate(self.steps):
                self.reached.append(number)
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield PcmChunk(step, self.sample_rate_hz)
        finally:
            self.running -= 1


def tone(seconds: float, sample_rate_hz: int = SAMPLE_RATE_HZ, pitch_hz: float = 440) -> Samples:
    t = np.arange(int(sample_rate_hz * seconds)) / sample_rate_hz
    return (np.sin(2 * np.pi * pitch_hz * t) * 8000).astype(np.int16)


Piping = Callable[..., SpeechPipeline]


@pytest_asyncio.fixture
async def piping() -> AsyncIterator[Piping]:
    """Make a pipeline that speaks a reply; all of them are closed when the test ends."""
    made: list[SpeechPipeline] = []

    def make(
        synthesizer: Any, *chunks: str, timeout_s: float = 5.0, finish: bool = True, **more: Any
    ) -> SpeechPipeline:
        pipeline = SpeechPipeline(
            synthesizer, EmotionChoices(Casting(Settings()), Settings()).of(), timeout_s=timeout_s, **more
        )
        made.append(pipeline)
        for chunk in chunks:
            pipeline.feed(chunk)
        if finish:
            pipeline.finish()
        return pipeline

    yield make
    for pipeline in made:
        await pipeline.aclose()


async def packets_of(sentence: Sentence) -> list[bytes]:
    return [packet async for packet in sentence.packets()]


async def spoken(pipeline: SpeechPipeline) -> list[tuple[str, int]]:
    """Return each sentence with its number of packets."""
    return [(sentence.subtitle, len(await packets_of(sentence))) async for sentence in pipeline]


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop and its threads work until the condition holds."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.to_thread(lambda: None)


async def settle() -> None:
    """Let everything that can go on do so."""
    for _ in range(30):
        await asyncio.to_thread(lambda: None)


# What is spoken.


async def test_sentences_come_in_order_with_their_emotions(piping: Piping) -> None:
    synthesizer = FakeSynthesizer()
    pipeline = piping(synthesizer, "开始。【高", "兴】你好朋友！今天", "很好。[sad]再见。")
    sentences = [(s.subtitle, s.clip.emotion, s.clip.face, len(await packets_of(s))) async for s in pipeline]
    assert sentences == [
        ("开始。", "", "neutral", 3),
        ("你好朋友！", "高兴", "happy", 5),
        ("今天很好。", "高兴", "happy", 5),
        ("再见。", "悲伤", "sad", 3),
    ]
    assert [(text, clip.emotion) for text, clip in synthesizer.asked] == [(s[0], s[1]) for s in sentences]


async def test_a_sentence_is_spoken_before_the_reply_is_complete(piping: Piping) -> None:
    pipeline = piping(FakeSynthesizer(), "第一句话。第二", finish=False)
    sentence = await anext(pipeline)
    assert (sentence.subtitle, len(await packets_of(sentence))) == ("第一句话。", 5)
    pipeline.feed("句话。")
    pipeline.finish()
    assert await spoken(pipeline) == [("第二句话。", 5)]


@pytest.mark.parametrize("chunks", [(), ("",), ("", " \n", "")])
async def test_an_empty_reply_is_no_sentences(piping: Piping, chunks: tuple[str, ...]) -> None:
    synthesizer = FakeSynthesizer()
    assert await spoken(piping(synthesizer, *chunks)) == []
    assert not synthesizer.asked


async def test_what_cannot_be_spoken_is_not_asked_for(piping: Piping) -> None:
    synthesizer = FakeSynthesizer()
    reply = "……【高兴】\n***\n😀👨‍👩‍👧！\n```\ncode\n```\n<think>想一想。</think>好的。——"
    assert await spoken(piping(synthesizer, reply)) == [("好的。", 3)]


async def test_a_reply_without_end_is_cut_at_the_last_whole_sentence(
    piping: Piping, caplog: pytest.LogCaptureFixture
) -> None:
    synthesizer = Steps(np.zeros(100, np.int16))
    sentence = "一二三四五六七八九。"
    with caplog.at_level(logging.WARNING):
        pipeline = piping(synthesizer, "一二三四。", *[sentence * 500] * 4)
    texts = [text for text, _ in await spoken(pipeline)]
    assert texts == ["一二三四。", *[sentence] * 799]
    assert sum(map(len, texts)) <= MAX_REPLY_CHARACTERS
    assert len(caplog.records) == 1 and str(MAX_REPLY_CHARACTERS) in caplog.text


async def test_thinking_does_not_count_as_speech(piping: Piping) -> None:
    thoughts = "想一想。" * (MAX_REPLY_CHARACTERS // 4)
    assert await spoken(piping(FakeSynthesizer(), "<think>", thoughts, thoughts, "</think>", "你好。")) == [
        ("你好。", 3)
    ]


# The sound.


@pytest.mark.parametrize("sample_rate_hz", [16000, 22050, 24000, 32000, 48000])
async def test_the_packets_hold_the_sound_that_went_in(piping: Piping, sample_rate_hz: int) -> None:
    sound = tone(1.0, sample_rate_hz)
    steps = Steps(*np.array_split(sound, 7), sample_rate_hz=sample_rate_hz)
    (sentence,) = [sentence async for sentence in piping(steps, "你好。")]
    decoder = OpusDecoder(SAMPLE_RATE_HZ)
    heard = np.concatenate([decoder.decode(packet) for packet in await packets_of(sentence)])
    assert len(heard) == math.ceil(SAMPLE_RATE_HZ / FRAME_SAMPLES) * FRAME_SAMPLES
    middle = heard[4800:19200].astype(float)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * SAMPLE_RATE_HZ / len(middle) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(8000 / math.sqrt(2), rel=0.1)


@pytest.mark.parametrize(
    "samples", [1, FRAME_SAMPLES - 1, FRAME_SAMPLES, FRAME_SAMPLES + 1, 120 * FRAME_SAMPLES]
)
async def test_every_sample_is_in_a_packet(piping: Piping, samples: int) -> None:
    steps = Steps(*np.array_split(np.zeros(samples, np.int16), min(samples, 5)))
    assert await spoken(piping(steps, "你好。")) == [("你好。", math.ceil(samples / FRAME_SAMPLES))]


async def test_the_first_packets_do_not_wait_for_the_rest_of_the_sound(piping: Piping) -> None:
    more = asyncio.Event()
    pipeline = piping(Steps(tone(0.2), more, tone(0.2)), "你好。")
    sentence = await anext(pipeline)
    packets = sentence.packets()
    assert [len(await anext(packets)) > 0 for _ in range(3)] == [True] * 3
    more.set()
    assert len([packet async for packet in packets]) == 4  # 400 ms are six packets and two thirds


async def test_a_sentence_knows_when_it_was_asked_for_and_when_its_sound_came(piping: Piping) -> None:
    more = asyncio.Event()
    began = time.monotonic()
    sentence = await anext(pipeline := piping(Steps(more, tone(0.1)), "你好。"))
    await until(lambda: sentence.requested_at_s > 0)
    assert sentence.first_audio_at_s == 0
    more.set()
    await packets_of(sentence)
    assert began <= sentence.requested_at_s <= sentence.first_audio_at_s <= time.monotonic()
    assert await spoken(pipeline) == []


# Ahead of playback.


async def test_the_next_sentences_are_made_while_the_first_plays_but_at_most_three(piping: Piping) -> None:
    synthesizer = FakeSynthesizer()
    pipeline = piping(synthesizer, "".join(f"这是第{n}句话。" for n in "一二三四五六七"))
    first = await anext(pipeline)
    await until(lambda: len(synthesizer.asked) == 3)
    await settle()
    assert len(synthesizer.asked) == 3
    assert len(await packets_of(first)) == 7
    await anext(pipeline)
    await until(lambda: len(synthesizer.asked) == 4)
    await settle()
    assert len(synthesizer.asked) == 4
    assert len(await spoken(pipeline)) == 5


async def test_a_sentence_that_waits_for_its_turn_has_not_been_asked_for(piping: Piping) -> None:
    synthesizer = FakeSynthesizer()
    pipeline = piping(synthesizer, "第一句话。第二句话。第三句话。第四句话。")
    await until(lambda: len(synthesizer.asked) == 2)
    await settle()
    before = time.monotonic()
    sentences = [sentence async for sentence in pipeline]
    await packets_of(sentences[3])
    assert sentences[1].requested_at_s < before < sentences[2].requested_at_s


# What fails.


@pytest.mark.parametrize(
    "error",
    [ServiceUnavailable("坏了"), PackageMissing("没有装"), ValueError("a bug")],
)
async def test_a_sentence_that_fails_has_no_sound_and_the_next_is_spoken(
    piping: Piping, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(FakeSynthesizer):
        async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
            if "坏" in text:
                raise error
            async for chunk in super().synthesize(text, clip):
                yield chunk

    result = await spoken(piping(Failing(), "第一句话。坏的句子。第三句话。"))
    assert result == [("第一句话。", 5), ("坏的句子。", 0), ("第三句话。", 5)]
    (record,) = caplog.records
    assert "坏的句子" not in caplog.text  # what was said is in no log
    assert bool(record.exc_info) == isinstance(error, ValueError)  # a bug of ours shows where it is


async def test_what_came_before_it_broke_off_is_spoken(piping: Piping) -> None:
    steps = Steps(tone(0.3), ServiceBroken("断了"))
    assert await spoken(piping(steps, "第一句话。第二句话。")) == [("第一句话。", 5), ("第二句话。", 5)]
    assert steps.running == 0


@pytest.mark.parametrize("before", [[], [tone(0.3)]])
async def test_a_synthesizer_that_stalls_is_given_up(
    piping: Piping, before: list[Samples], caplog: pytest.LogCaptureFixture
) -> None:
    steps = Steps(*before, asyncio.Event())
    result = await spoken(piping(steps, "第一句话。第二句话。", timeout_s=0.05))
    assert result == [("第一句话。", 5 * len(before)), ("第二句话。", 5 * len(before))]
    assert steps.running == 0
    assert "tts.timeout_s" in caplog.text


@pytest.mark.parametrize("steps", [(), (np.zeros(0, np.int16),)])
async def test_a_synthesizer_without_sound_gives_a_sentence_without_packets(
    piping: Piping, steps: tuple[Samples, ...]
) -> None:
    assert await spoken(piping(Steps(*steps), "第一句话。第二句话。")) == [
        ("第一句话。", 0),
        ("第二句话。", 0),
    ]


# The end, at any time.


async def test_closing_before_anything_happened(piping: Piping) -> None:
    await piping(FakeSynthesizer(), finish=False).aclose()


async def test_closing_before_the_synthesis_began(piping: Piping) -> None:
    synthesizer = FakeSynthesizer()
    await piping(synthesizer, "第一句话。").aclose()
    assert not synthesizer.asked


@pytest.mark.parametrize(
    ("steps", "reached"),
    [((asyncio.Event(),), 0), ((tone(0.1), asyncio.Event()), 1), ((tone(60.0), asyncio.Event()), 0)],
    ids=["waiting for sound", "between two pieces of sound", "encoding"],
)
async def test_closing_ends_the_request(piping: Piping, steps: tuple[Any, ...], reached: int) -> None:
    synthesizer = Steps(*steps)
    pipeline = piping(synthesizer, "第一句话。第二句话。")
    sentence = await anext(pipeline)
    await until(lambda: reached in synthesizer.reached)
    assert synthesizer.running == 1
    await pipeline.aclose()
    assert synthesizer.running == 0
    assert (synthesizer.asked, synthesizer.reached[-1]) == (["第一句话。"], reached)
    await packets_of(sentence)  # who still reads is not left waiting


async def test_closing_while_sentences_wait_to_be_played(piping: Piping) -> None:
    synthesizer = FakeSynthesizer()
    pipeline = piping(synthesizer, "".join(f"这是第{n}句话。" for n in "一二三四五六七"))
    await until(lambda: len(synthesizer.asked) == 2)
    await settle()
    await pipeline.aclose()
    assert synthesizer.running == 0 and len(synthesizer.asked) == 2


async def test_closing_after_the_end_and_closing_twice(piping: Piping) -> None:
    pipeline = piping(FakeSynthesizer(), "第一句话。")
    assert len(await spoken(pipeline)) == 1
    await pipeline.aclose()
    await pipeline.aclose()


async def test_a_synthesizer_slow_to_end_is_waited_for(piping: Piping) -> None:
    ended, may_end = [], asyncio.Event()

    class SlowToEnd:
        async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
            try:
                yield PcmChunk(tone(0.1), SAMPLE_RATE_HZ)
                await asyncio.Event().wait()
            finally:
                await may_end.wait()
                ended.append(text)

    pipeline = piping(SlowToEnd(), "第一句话。")
    await anext((await anext(pipeline)).packets())
    closing = asyncio.ensure_future(pipeline.aclose())
    await settle()
    assert not closing.done()
    may_end.set()
    await closing
    assert ended == ["第一句话。"]


async def test_short_pieces_that_are_there_are_said_together(piping: Piping) -> None:
    steps = Steps(tone(0.1))
    assert [text for text, _ in await spoken(piping(steps, "哎哟。真的是。嗯。好。"))] == [
        "哎哟。真的是。",
        "嗯。好。",
    ]
    assert steps.asked == ["哎哟。真的是。", "嗯。好。"]


async def test_pieces_of_two_feelings_are_said_apart(piping: Piping) -> None:
    said = await spoken(piping(Steps(tone(0.1)), "【高兴】嗯。【悲伤】好。"))
    assert [text for text, _ in said] == ["嗯。", "好。"]


async def test_a_short_piece_does_not_wait_for_the_next(piping: Piping) -> None:
    steps = Steps(tone(0.1))
    pipeline = piping(steps, "好。", "我", finish=False)
    assert (await pipeline.__anext__()).subtitle == "好。"
    await until(lambda: steps.asked == ["好。"])


async def test_thinking_without_a_beginning_is_not_said_where_it_was_not_heard(piping: Piping) -> None:
    held = asyncio.Event()
    steps = Steps(held, tone(0.1))
    pipeline = piping(steps, "用户在打招呼。我要热情一点。他喜欢简短的话。", finish=False)
    first = await pipeline.__anext__()
    await until(lambda: steps.running == 1)
    pipeline.feed("</think>你好呀朋友。")
    pipeline.finish()
    held.set()
    assert not await packets_of(first)
    assert [(text, count > 0) for text, count in await spoken(pipeline)] == [("你好呀朋友。", True)]


async def test_a_sentence_that_is_being_heard_is_said_to_its_end(piping: Piping) -> None:
    held = asyncio.Event()
    pipeline = piping(Steps(tone(0.1), held, tone(0.1)), "用户在打招呼。我要热情一点。还有", finish=False)
    first = await pipeline.__anext__()
    packets = first.packets()
    await packets.__anext__()
    pipeline.feed("</think>你好呀朋友。")
    pipeline.finish()
    held.set()
    assert len([packet async for packet in packets]) > 1
    assert [text for text, _ in await spoken(pipeline)] == ["你好呀朋友。"]


async def test_a_phrase_of_ours_is_known_by_itself_and_not_by_its_words(piping: Piping) -> None:
    speech = piping(FakeSynthesizer(), finish=False)
    speech.aside("等一下。")
    speech.feed("好的我来看一看。")
    speech.feed("等一下。\n")
    speech.aside("等一下。")
    speech.finish()
    said = [(sentence.subtitle, sentence.is_aside) async for sentence in speech]
    assert said == [("等一下。", True), ("好的我来看一看。", False), ("等一下。", False), ("等一下。", True)]
    assert speech.characters == 12 and speech.is_idle


@pytest.mark.parametrize("is_answered", [False, True])
async def test_a_phrase_of_ours_is_no_reply(piping: Piping, is_answered: bool) -> None:
    speech = piping(FakeSynthesizer(), finish=False, phrases=Settings().phrases)
    speech.aside("等一下。")
    speech.feed("好。" * is_answered)
    speech.finish()
    said = [sentence.subtitle async for sentence in speech]
    assert ("连不上大脑" in "".join(said)) is not is_answered


async def test_a_phrase_of_ours_is_said_though_all_before_it_was_thinking(piping: Piping) -> None:
    held = asyncio.Event()
    steps = Steps(held, tone(0.1))
    speech = piping(steps, "用户在打招呼。我要热情一点。还有", finish=False)
    await until(lambda: steps.running == 1)
    speech.aside("等一下。")
    speech.feed("</think>你好呀朋友。")
    speech.finish()
    held.set()
    said = [(sentence.subtitle, sentence.is_aside) async for sentence in speech]
    assert said[1:] == [("等一下。", True), ("你好呀朋友。", False)]
