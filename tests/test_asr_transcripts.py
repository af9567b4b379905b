"""What models write, brought into a Transcript; and what is done with the sound before they hear it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fakes.parts import silence, speech
from hypothesis import given
from hypothesis import strategies as st

from xiaozhi_persona.providers.asr.transcripts import join_transcripts, join_words, read_tags
from xiaozhi_persona.providers.asr.utterance import (
    LONGEST_PIECE_S,
    RATE_HZ,
    count_pieces,
    has_sound,
    pieces_of,
)
from xiaozhi_persona.spine import Transcript
from xiaozhi_persona.text.emotions import FACES

# What the models write.


@pytest.mark.parametrize(
    ("output", "transcript"),
    [
        ("<|zh|><|HAPPY|><|Speech|><|withitn|>你好。", Transcript("你好。", "zh", "happy", "speech")),
        ("<|en|><|NEUTRAL|><|BGM|><|woitn|>hello", Transcript("hello", "en", "neutral", "bgm")),
        ("<|yue|><|SAD|><|Cry|><|withitn|>係", Transcript("係", "yue", "sad", "cry")),
        ("<|ja|><|ANGRY|><|Laughter|><|withitn|>はい", Transcript("はい", "ja", "angry", "laughter")),
        ("<|ko|><|SURPRISED|><|Applause|><|withitn|>네", Transcript("네", "ko", "surprised", "applause")),
        ("<|zh|><|FEARFUL|><|Cough|><|withitn|>啊", Transcript("啊", "zh", "shocked", "cough")),
        ("<|zh|><|DISGUSTED|><|Sneeze|><|withitn|>呸", Transcript("呸", "zh", "angry", "sneeze")),
        ("<|zh|><|EMO_UNKNOWN|><|Speech|><|withitn|>嗯", Transcript("嗯", "zh", "", "speech")),
        ("<|nospeech|><|EMO_UNKNOWN|><|Event_UNK|><|woitn|>", Transcript("")),
        ("<|nospeech|><|EMO_UNKNOWN|><|BGM|><|woitn|>The.", Transcript("", event="bgm")),
        ("<|zh|><|NEUTRAL|><|BGM|><|withitn|>。", Transcript("", "zh", "neutral", "bgm")),
        (
            "<|zh|><|NEUTRAL|><|Speech|><|withitn|>一， <|zh|><|SAD|><|BGM|><|withitn|>二。",
            Transcript("一，二。", "zh", "neutral", "speech"),
        ),
        (
            "<|zh|><|EMO_UNKNOWN|><|Event_UNK|><|woitn|>一<|en|><|HAPPY|><|Speech|><|woitn|>two",
            Transcript("一 two", "zh", "happy", "speech"),
        ),
        (
            "<|en|><|HAPPY|><|Speech|><|woitn|>hello<|en|><|HAPPY|><|Speech|><|woitn|>world",
            Transcript("hello world", "en", "happy", "speech"),
        ),
        ("<|zh|><|SOMETHING_NEW|><|Singing|><|withitn|>啦", Transcript("啦", "zh")),
        (
            "<|nospeech|><|EMO_UNKNOWN|><|BGM|><|woitn|>The.<|zh|><|NEUTRAL|><|Speech|><|withitn|>你好",
            Transcript("你好", "zh", "neutral", "bgm"),
        ),
        (
            "<|zh|><|NEUTRAL|><|Speech|><|withitn|>你好<|nospeech|><|EMO_UNKNOWN|><|Event_UNK|><|woitn|>Yeah.",
            Transcript("你好", "zh", "neutral", "speech"),
        ),
        ("<|<|zh|>|>好", Transcript("好", "zh")),
        ("<|" * 10000 + "|>" * 10000 + "好", Transcript("好")),
        ("没有标签", Transcript("没有标签")),
        ("a < b | c > d", Transcript("a < b | c > d")),
        ("", Transcript("")),
    ],
)
def test_tags_are_in_their_fields_and_never_in_the_text(output: str, transcript: Transcript) -> None:
    assert read_tags(output) == transcript


@given(st.text(alphabet="<|>zhenHAPPYSpeech 好。", max_size=60))
def test_whatever_is_written_no_whole_tag_is_left(output: str) -> None:
    transcript = read_tags(output)
    assert not re.search(r"<\|[^|<>]*\|>", transcript.text)
    assert transcript.emotion in {"", *FACES} and transcript.speaker == ""


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("你 好 小 智", "你好小智"),
        ("打 开 spotify music 好 吗", "打开 spotify music 好吗"),
        ("hello  world", "hello world"),
        ("はい そう です", "はいそうです"),
        ("네 안녕 하세요", "네 안녕 하세요"),
        ("今天 2 号", "今天 2 号"),
        ("你好 ， 世界", "你好，世界"),
        ("你<unk>好</s>", "你好"),
        (" \u3000", ""),
        ("。 ？", ""),
    ],
)
def test_english_words_stay_apart_and_chinese_ones_close(words: str, text: str) -> None:
    assert join_words(words) == text


def test_the_parts_of_a_recording_become_one() -> None:
    parts = [
        Transcript("今天", "", "", "speech"),
        Transcript("去 park", "zh", "happy", "bgm"),
        Transcript(""),
    ]
    assert join_transcripts(parts) == Transcript("今天去 park", "zh", "happy", "speech")
    assert join_transcripts([]) == Transcript("")


# The sound.


@pytest.mark.parametrize(
    ("sound", "heard"),
    [
        (silence(0.0), False),
        (silence(2.0), False),
        (silence(2.0) + np.int16(12000), False),  # a microphone with an offset
        (np.random.default_rng(1).normal(0, 5, 16000).astype(np.int16), False),
        (speech(0.09), False),
        (speech(0.2), True),
        (np.clip(speech(1.0).astype(np.int32) * 50, -32768, 32767).astype(np.int16), True),
        ((speech(1.0) // 100).astype(np.int16), True),
    ],
)
def test_silence_is_told_from_sound_wherever_the_wave_has_its_middle(sound: np.ndarray, heard: bool) -> None:
    assert has_sound(sound) is heard


@given(st.integers(0, 100 * RATE_HZ))
def test_the_pieces_of_a_recording_are_the_recording(samples: int) -> None:
    sound = (np.arange(samples) % 32768).astype(np.int16)
    pieces = list(pieces_of(sound))
    assert np.array_equal(np.concatenate(pieces), sound)
    assert all(len(piece) <= LONGEST_PIECE_S * RATE_HZ for piece in pieces)
    assert all(len(piece) >= 20 * RATE_HZ for piece in pieces[:-1])
    assert count_pieces(sound) >= 1


def test_a_long_recording_is_cut_where_it_is_quiet() -> None:
    sound = speech(70.0)
    for pause_s in (25.0, 52.0):
        start = int(pause_s * RATE_HZ)
        sound[start : start + RATE_HZ // 2] = 0
    cuts = np.cumsum([len(piece) for piece in pieces_of(sound)])[:-1] / RATE_HZ
    assert [25.0 < cuts[0] < 25.5, 52.0 < cuts[1] < 52.5] == [True, True] and len(cuts) == 2
