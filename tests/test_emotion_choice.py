"""One decision for voice and face: tag, emoji, classifier, lexicon, default, in the role's order."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from pathlib import Path

import pytest

from xiaozhi_persona.providers.speech.classifier import TextClassifier
from xiaozhi_persona.providers.speech.emotion_choice import EmotionChoice
from xiaozhi_persona.providers.speech.lexicon import feeling_of
from xiaozhi_persona.roles.role import Role, load_role
from xiaozhi_persona.text.emotions import LABELS, Emotion, built_in_names
from xiaozhi_persona.text.reply import ReplyReader
from xiaozhi_persona.text.sentences import Segment

CLASSIFIER = Path(__file__).parent / "data" / "emotion_classifier"


def role(**sheet: object) -> Role:
    plain = load_role("xiaoyu")
    return replace(plain, sheet=plain.sheet.model_copy(update=sheet))


def segments(text: str) -> list[Segment]:
    reader = ReplyReader(built_in_names())
    return reader.feed(text) + reader.finish()


async def chosen(text: str, role: Role, classifier: object = None, wait_s: float = 5.0) -> list[str]:
    choice = EmotionChoice(role, classifier)  # type: ignore[arg-type]
    found = segments(text)
    for segment in found:
        choice.begin(segment)
    try:
        return [(await choice.clip(segment, wait_s)).emotion for segment in found]
    finally:
        await choice.aclose()


class FakeClassifier:
    """Says the same of every sentence, after a while."""

    def __init__(self, label: str, hold: asyncio.Event | None = None) -> None:
        self.label, self.hold, self.asked = label, hold, 0

    async def feeling_of(self, text: str) -> Emotion | None:
        self.asked += 1
        if self.hold:
            await self.hold.wait()
        return built_in_names().get(self.label)


async def test_the_tag_comes_first_and_the_classifier_is_not_even_asked() -> None:
    classifier = FakeClassifier("愤怒")
    assert await chosen("【高兴】太可惜了。", role(), classifier) == ["高兴"]
    assert classifier.asked == 0


async def test_without_marks_the_classifier_decides_and_without_it_the_lexicon() -> None:
    assert await chosen("太可惜了。", role(), FakeClassifier("愤怒")) == ["愤怒"]
    assert await chosen("太可惜了。", role()) == ["悲伤"]
    assert await chosen("明天是周一。", role()) == [""]
    assert await chosen("明天是周一。", role(default_emotion="舒适")) == ["舒适"]


async def test_the_roles_order_holds() -> None:
    emoji_last = role(emotion_sources=["tag", "lexicon", "emoji", "default"])
    assert await chosen("🙂太可惜了。", emoji_last) == ["悲伤"]
    assert await chosen("🙂明天是周一。", emoji_last) == ["高兴"]
    classifier_first = role(emotion_sources=["classifier", "tag", "default"])
    assert await chosen("【高兴】好。", classifier_first, FakeClassifier("愤怒")) == ["愤怒"]
    assert await chosen("【高兴】好。", role(emotion_sources=["lexicon"]), FakeClassifier("愤怒")) == [""]


async def test_a_slow_classifier_does_not_delay_speech() -> None:
    classifier = FakeClassifier("愤怒", asyncio.Event())
    started = time.monotonic()
    assert await chosen("太可惜了。", role(), classifier, wait_s=0.05) == ["悲伤"]
    assert time.monotonic() - started < 1


async def test_face_and_reference_come_from_the_same_decision() -> None:
    choice = EmotionChoice(role())
    clip = await choice.clip(segments("【悲伤】再见。")[0], 0)
    assert clip.face == "sad"
    assert clip.reference is not None and "悲伤" in clip.reference.path


async def test_a_real_onnx_classifier() -> None:
    classifier = TextClassifier(CLASSIFIER, built_in_names())
    felt = [await classifier.feeling_of(text) for text in ("笑笑", "哭", "气", "哇哇哇", "今天是周一")]
    assert [emotion and emotion.label for emotion in felt] == ["高兴", "悲伤", "愤怒", "惊讶", None]


async def test_a_broken_classifier_has_no_opinion_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    classifier = TextClassifier(tmp_path, built_in_names())
    with caplog.at_level(logging.WARNING, logger="xiaozhi_persona"):
        assert await classifier.feeling_of("笑") is None
        assert await classifier.feeling_of("笑") is None
    assert len(caplog.records) == 1 and "config.json" in caplog.text


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("太好了，我们赢了！", "高兴"),
        ("真可惜，下次吧。", "悲伤"),
        ("你太过分了！", "愤怒"),
        ("没想到是你。", "惊讶"),
        ("好可怕啊。", "恐惧"),
        ("我最喜欢你了。", "爱慕"),
        ("包在我身上。", "骄傲"),
        ("搞不懂你在说什么。", "困惑"),
        ("I'm so sad today.", "悲伤"),
        ("大好きだよ。", "爱慕"),
        ("不伤心。", None),
        ("太好了，可是好难过。", None),
        ("现在是三点。", None),
        ("", None),
    ],
)
def test_the_lexicon(text: str, label: str | None) -> None:
    felt = feeling_of(text)
    assert (felt and felt.label) == label


def test_the_choice_without_a_classifier_costs_under_a_millisecond() -> None:
    async def cost() -> float:
        choice = EmotionChoice(role())
        found = segments("今天的天气真的很不错，我们出去走走好不好呀，顺便买点东西吃吧。" * 2)
        started = time.process_time()
        for _ in range(50):
            for segment in found:
                await choice.clip(segment, 0)
        return (time.process_time() - started) / 50 / len(found)

    assert asyncio.run(cost()) < 0.001
    assert len(LABELS) == 15
