"""Names of emotions: every label, face and synonym, in any case, width and spacing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xiaozhi_persona.text.emotions import (
    FACES,
    LABELS,
    Emotion,
    EmotionNames,
    built_in_names,
    emotion_of_emoji,
)
from xiaozhi_persona.text.reply import read_reply

NAMES = built_in_names()


def test_there_are_21_faces_and_15_labels() -> None:
    assert len(FACES) == len(set(FACES.values())) == 21
    assert len(LABELS) == 15


@pytest.mark.parametrize("label", LABELS)
def test_a_label_is_a_name_of_itself(label: str) -> None:
    emotion = NAMES.get(label)
    assert emotion is not None
    assert emotion.label == label
    assert emotion.face in FACES


@pytest.mark.parametrize("face", FACES)
def test_a_face_is_a_name_in_any_case_and_its_emoji_means_the_same(face: str) -> None:
    emotion = NAMES.get(face.upper())
    assert emotion is not None
    assert emotion.face == face
    assert emotion.label in LABELS
    assert emotion_of_emoji(FACES[face]) == emotion


@pytest.mark.parametrize(
    ("name", "label", "face"),
    [
        ("开心", "高兴", "happy"),
        ("开心 ", "高兴", "happy"),
        ("难 过", "悲伤", "sad"),
        ("生气", "愤怒", "angry"),
        ("普通", "中性", "neutral"),
        ("平静", "中性", "neutral"),
        ("大笑", "高兴", "laughing"),
        ("震惊", "惊讶", "shocked"),
        ("嬉しい", "高兴", "happy"),
        ("悲しい", "悲伤", "sad"),
        ("Joyful", "高兴", "happy"),
        ("ＨＡＰＰＹ", "高兴", "happy"),
        ("ﾜｸﾜｸ", "兴奋", "laughing"),
    ],
)
def test_names_in_three_languages(name: str, label: str, face: str) -> None:
    assert NAMES.get(name) == Emotion(label, face)


@pytest.mark.parametrize("word", ["", " ", "高", "高兴地", "happyish", "注", "1", "😶"])
def test_other_words_are_no_names(word: str) -> None:
    assert NAMES.get(word) is None


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("高兴你好", 2),
        ("高兴", 2),
        ("sadHello", 3),
        ("sad, he said", 3),
        ("Happiness你好", 9),
        ("自信満々です", 4),
    ],
)
def test_the_longest_name_at_the_start_is_found(text: str, length: int) -> None:
    found = NAMES.at_start(text)
    assert found is not None
    assert found[1] == length


@pytest.mark.parametrize("text", ["sadly he left", "coolest", "你高兴", ""])
def test_a_name_inside_a_word_is_not_found(text: str) -> None:
    assert NAMES.at_start(text) is None


def test_every_beginning_of_a_name_could_begin_one() -> None:
    assert all(NAMES.could_begin(label[:length]) for label in LABELS for length in range(len(label) + 3))
    assert NAMES.could_begin("高兴然后")
    assert not NAMES.could_begin("你好")


def test_a_roles_own_name_is_known() -> None:
    own = Emotion("害羞", "embarrassed")
    names = EmotionNames({"脸红 Red": own})
    assert names.get("脸红red") == own
    assert names.get("高兴") is None


@given(st.text(max_size=8))
def test_any_text_is_looked_up_without_error(text: str) -> None:
    found = NAMES.at_start(text)
    assert found is None or (NAMES.could_begin(text) and 0 < found[1] <= len(text))


LINGCHAT = "慌张 担心 尴尬 紧张 高兴 自信 害怕 害羞 认真 生气 无语 厌恶 疑惑 难为情 惊讶 情动 哭泣 调皮 羞耻 无奈 心动"
GOEMOTIONS = (
    "admiration amusement anger annoyance approval caring confusion curiosity desire disappointment disapproval disgust "
    "embarrassment excitement fear gratitude grief joy love nervousness optimism pride realization relief remorse sadness "
    "surprise neutral"
)
GOLANG_SERVER = (
    "angry comfort happy neutral serious excited apologetic encouraging curious warm sad amazed deep_shout trembling "
    "sarcastic dracula bored tired scornful shouting asmr panicked mischievous whisper reluctant crying very_slow very_fast"
)


@pytest.mark.parametrize("name", f"{LINGCHAT} {GOEMOTIONS} {GOLANG_SERVER}".split())
def test_the_tags_of_published_roles_are_silent_and_felt(name: str) -> None:
    for tag in (f"【{name}】", f"[{name}]", f"（{name}）"):
        segments = read_reply([f"{tag}今天就这样。"], NAMES)
        assert [segment.text for segment in segments] == ["今天就这样。"]
        assert segments[0].emotion is not None and segments[0].emotion.face in FACES


@pytest.mark.parametrize(
    ("tag", "face"),
    [
        ("非常开心", "happy"),
        ("开心地", "happy"),
        ("害羞、开心", "embarrassed"),
        ("高兴 0.8", "happy"),
        ("happily", "happy"),
        ("Gloomily", "sad"),
        ("a bit sad", "sad"),
        ("Happy, excited", "happy"),
        ("emotion: happy", "happy"),
        ("心情：开心", "happy"),
        ("嬉しそうに", "happy"),
        ("슬프게", "sad"),
    ],
)
def test_the_first_known_name_of_an_expression_decides(tag: str, face: str) -> None:
    emotion = NAMES.read(tag)
    assert emotion is not None and emotion.face == face


@pytest.mark.parametrize("text", ["水果", "不开心", "happy birthday", "very good", "note: happy", "0.8"])
def test_what_only_holds_a_name_is_no_expression_of_it(text: str) -> None:
    assert NAMES.read(text) is None


def test_a_phrase_is_searched_for_a_name() -> None:
    assert NAMES.within("用非常开心的语气说") == NAMES.get("开心")
    assert NAMES.within("不开心地低下头") is None
