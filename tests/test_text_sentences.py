"""Where a reply is cut, which emotion each piece has, and what holds for every reply and every chunking."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xiaozhi_persona.text.emotions import FACES, built_in_names
from xiaozhi_persona.text.markup import Markup
from xiaozhi_persona.text.reply import ReplyReader
from xiaozhi_persona.text.sentences import MAX_CHARACTERS, Segment


def read(chunks: Sequence[str]) -> list[Segment]:
    reader = ReplyReader(built_in_names())
    return [segment for chunk in chunks for segment in reader.feed(chunk)] + reader.finish()


def sentences(reply: str) -> list[str]:
    return [segment.text for segment in read([reply])]


def faces(reply: str) -> list[str | None]:
    return [segment.emotion.face if segment.emotion else None for segment in read([reply])]


def letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


@pytest.mark.parametrize(
    ("reply", "pieces"),
    [
        ("今天天气真好，我们走吧，好不好？", ["今天天气真好，", "我们走吧，好不好？"]),
        ("好的，我知道了。", ["好的，我知道了。"]),
        ("嗯，对，就是这样的，没错。", ["嗯，对，就是这样的，", "没错。"]),
        ("Hello, my friend, hi.", ["Hello,", "my friend, hi."]),
        ("一共12345,678元呢，很多。", ["一共12345,678元呢，", "很多。"]),
        ("共有12345, 很多", ["共有12345,", "很多"]),
        ("そうですね、散歩しましょう、はい。", ["そうですね、", "散歩しましょう、はい。"]),
        ("苹果、香蕉、橙子，都有。", ["苹果、香蕉、橙子，", "都有。"]),
        ("你好。今天天气真好，走吧。", ["你好。", "今天天气真好，走吧。"]),
    ],
)
def test_only_the_first_piece_ends_at_a_comma(reply: str, pieces: list[str]) -> None:
    assert sentences(reply) == pieces


@pytest.mark.parametrize(
    ("reply", "pieces"),
    [
        ("你好！！！世界?!好。", ["你好！！！", "世界?!", "好。"]),
        ("“你好。”他说。“再见。”", ["“你好。”", "他说。", "“再见。”"]),
        ('"Hello." he said. "Bye."', ['"Hello."', "he said.", '"Bye."']),
        ("「はい。」「いいえ。」", ["「はい。」", "「いいえ。」"]),
        ("（好的。）然后。", ["（好的。）", "然后。"]),
        ("It's fine. Don't worry.", ["It's fine.", "Don't worry."]),
        ("Wait... what? 等等……好。", ["Wait... what?", "等等……好。"]),
        ("你好\n\n世界\r\n再见", ["你好", "世界", "再见"]),
        ("。你好，", ["你好，"]),
        ("！？……\n“”\n😊", []),
        ("I said no. 5 people came. No. I won't.", ["I said no. 5 people came.", "No.", "I won't."]),
        ("在 2024. We went.", ["在 2024.", "We went."]),
        ("好的。https://a.com/b", ["好的。"]),
    ],
)
def test_pieces_end_at_sentence_ends_and_newlines(reply: str, pieces: list[str]) -> None:
    assert sentences(reply) == pieces


@pytest.mark.parametrize(
    "whole",
    [
        "圆周率是3.14吗",
        "一共1,234.56元",
        "现在10:30了",
        "版本v2.0.1发布",
        "e.g. this one",
        "Mr. Smith and Dr.Li",
        "The U.S. is big",
        "at 5 p.m. today",
        "No. 5 and Fig. 3",
        "J. K. Rowling wrote",
        "See Ph.D. et al. there",
        "Node.js和192.168.1.1",
        "了３．１４吧",
        "1. 苹果",
        "1.\n\n苹果",
        "1、苹果",
        "12) 苹果",
        "1.1. 概述",
        "II. Body",
        "步骤：1. 打开 2. 关闭 3. 重启",
    ],
)
def test_nothing_is_cut_inside(whole: str) -> None:
    assert [letters(piece) for piece in sentences(whole + "。还有。")] == [letters(whole), "还有"]


@pytest.mark.parametrize(
    "whole",
    [
        "3.14",
        "1,234.56",
        "10:30",
        "10：30",
        "v2.0.1",
        "３．１４",
        "Mr. Smith",
        "U.S.",
        "No. 5",
        "J. K. Li",
        "wonderful",
    ],
)
@pytest.mark.parametrize("filler", ["今", "今天，", "ab cd ", "好、", "今日は、"])
def test_nothing_is_cut_inside_where_a_long_piece_must_end(whole: str, filler: str) -> None:
    for length in range(MAX_CHARACTERS - 16, MAX_CHARACTERS + 2):
        pieces = sentences("你好。" + (filler * length)[:length] + f" {whole} 好的。还有")
        assert any(whole in piece for piece in pieces), pieces
        assert all(len(piece) <= MAX_CHARACTERS for piece in pieces)


@pytest.mark.parametrize(
    ("reply", "pieces"),
    [
        ("好" * 100, ["好" * 80, "好" * 20]),
        ("你好。" + "好" * 30 + "，" + "好" * 60, ["你好。", "好" * 30 + "，", "好" * 60]),
        ("a" * 200, ["a" * 80, "a" * 80, "a" * 40]),
        ("word " * 20, ["word " * 15 + "word", "word word word word"]),
        ("好" * 79 + "（好）", ["好" * 79, "（好）"]),
    ],
)
def test_a_long_piece_is_cut_at_a_comma_else_between_words(reply: str, pieces: list[str]) -> None:
    assert sentences(reply) == pieces


def test_list_numbers_stay_with_their_items_in_one_long_line() -> None:
    line = "：" + " ".join(f"{number}. 一种很好吃的水果" for number in range(1, 20))
    pieces = sentences("水果" + line)
    assert len(pieces) > 3
    assert not [piece for piece in pieces if piece.endswith(".")]


@pytest.mark.parametrize(
    ("reply", "pieces", "shown"),
    [
        ("[高兴]你好！今天好。[难过]再见。", ["你好！", "今天好。", "再见。"], ["happy", "happy", "sad"]),
        ("你[高兴]好[高兴]呀", ["你", "好呀"], [None, "happy"]),
        ("[高兴] [难过] 你好", ["你好"], ["sad"]),
        ("[高兴]“你好。”[难过]”再见", ["“你好。”", "再见"], ["happy", "sad"]),
        ("1. [高兴] 苹果\n2.[难过]梨", ["1. 苹果", "2.梨"], ["happy", "sad"]),
        ("1. 苹果 2. [高兴]梨", ["1. 苹果", "2. 梨"], [None, "happy"]),
        ("我有3. [高兴]你好", ["我有3.", "你好"], [None, "happy"]),
        ("😂你好。再见。", ["你好。", "再见。"], ["funny", "funny"]),
        ("你好😂。", ["你好。"], [None]),
        ("[高兴]", [], []),
    ],
)
def test_a_tag_holds_from_where_it_stands(reply: str, pieces: list[str], shown: list[str | None]) -> None:
    assert (sentences(reply), faces(reply)) == (pieces, shown)


def test_a_sentence_comes_out_one_character_after_its_end() -> None:
    reader = ReplyReader(built_in_names())
    assert not reader.feed("今天天气好。")
    assert [segment.text for segment in reader.feed("走")] == ["今天天气好。"]


def test_a_sentence_before_thinking_or_an_address_does_not_wait_for_its_end() -> None:
    for skipped in ("<think>", "https://a"):
        reader = ReplyReader(built_in_names())
        assert [segment.text for segment in reader.feed("好的。" + skipped)] == ["好的。"]


@pytest.mark.parametrize(
    "begun",
    [
        '{"emotion":"happy","text":"',
        '```json\n[{"mood": "happy", "reply": "',
        '好的。\n{"情绪":"开心","回复":"',
        "{'text': '",
    ],
)
def test_a_reply_in_json_is_heard_while_its_string_is_read(begun: str) -> None:
    reader = ReplyReader(built_in_names())
    reader.feed(begun)
    assert not reader.feed("今天天气好。")
    assert [segment.text for segment in reader.feed("走")] == ["今天天气好。"]


@pytest.mark.parametrize("pattern", ['{"', '{"text":"', '"', "\\u", '{"a":[', '"text":"",'])
@pytest.mark.parametrize("before", ["", '{"text":"', '[{"'])
def test_json_takes_time_that_grows_with_the_text(before: str, pattern: str) -> None:
    started = time.process_time()
    read([before + pattern * (20_000 // len(pattern))])
    assert time.process_time() - started < 1.5


PARTS = st.sampled_from(
    [
        *"[]【】()（）［］*_`~#|<>$!\\-+=^/&\"'“”‘’「」『』《》…—:：;；、，,。.．！？!?～ \t\n\r",
        *"😶🙂😔😂👍❤\u200d\ufe0f\u20e3\0\ud83d\u202e\u0301é你我的はカ한م²①Ⅷ１0123aZİß",
        *(
            "高兴",
            "难过",
            "happy",
            "sad",
            "[高兴]",
            "【难过】",
            "(happy)",
            "（害羞）",
            "[高兴",
            "👨‍👩‍👧",
            "🇨🇳",
            "1️⃣",
        ),
        *(
            "**",
            "```",
            "~~~",
            "$$",
            "\\(",
            "\\)",
            "](",
            "![",
            "- ",
            "# ",
            "1. ",
            "2) ",
            "No. ",
            "Mr. ",
            "U.S.",
            "e.g.",
        ),
        *(
            "https://a.b/c",
            "http://",
            "www.x",
            "<think>",
            "</think>",
            "<b>",
            '<a href="',
            "$x^2$",
            "$5",
            "3.14",
        ),
        *(
            "{",
            "}",
            '{"text":"',
            '"}',
            '","emotion":"sad"',
            "'",
            "{happy}",
            "<happy>",
            "</happy>",
            "<|",
            "|>",
            ":",
            ":joy:",
        ),
        *(
            "【/高兴】",
            "【动作】",
            "（歪头）",
            "*叹气*",
            "*",
            "(T_T)",
            "(´；ω；`)",
            "ノ",
            "o(",
            "T_",
            "Q",
            "|",
            "--- | ---",
            "|---|",
        ),
        *(
            "&amp;",
            "&",
            "\\n",
            "\\frac{",
            "\\boxed{",
            "[1]",
            "<br>",
            "<rt>",
            "</rt>",
            "◁think▷",
            "◁/think▷",
            "◁",
            "[think]",
        ),
        *(
            "1,234.56",
            "10:30",
            "v2.0.1",
            "今天天气真好",
            "そうですね、",
            "hello",
            "good word",
            "好" * 70,
            "x" * 50,
        ),
    ]
)


@st.composite
def chunked_replies(draw: st.DrawFn) -> list[str]:
    text = "".join(draw(st.lists(PARTS, min_size=1, max_size=40)))
    lengths = itertools.cycle(draw(st.lists(st.integers(1, 9), min_size=1, max_size=6)))
    chunks = []
    while text:
        length = next(lengths)
        chunks.append(text[:length])
        text = text[length:]
    return chunks


@settings(max_examples=1000, deadline=None)
@given(chunked_replies())
def test_any_chunking_gives_the_same_sentences_and_no_word_is_lost(chunks: list[str]) -> None:
    text = "".join(chunks)
    segments = read(chunks)
    assert segments == read([text]) == read(list(text))

    markup = Markup(built_in_names())
    tokens = [token for chunk in chunks for token in markup.feed(chunk)] + markup.finish()
    assert "".join(token.source for token in tokens) == text
    said = "".join(token.text for token in tokens)
    if "{" not in text and not any(token.effect in ("drop", "restart") for token in tokens):
        assert letters("".join(segment.text for segment in segments)) == letters(said)

    for segment in segments:
        assert letters(segment.text)
        assert len(segment.text) <= MAX_CHARACTERS
        assert segment.text == segment.text.strip()
        assert not set(segment.text) & set("😶🙂😔😂👍❤\u200d\ufe0f\0\ud83d")
        assert segment.emotion is None or segment.emotion.face in FACES


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_without_error(text: str) -> None:
    assert read([text]) == read(list(text))
