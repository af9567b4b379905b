"""What is sent to GPT-SoVITS for numbers, units, dates and signs: in words where its own front end is known to fail."""

from __future__ import annotations

import csv
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xiaozhi_persona.providers.tts.gpt_sovits.reading import readable
from xiaozhi_persona.providers.tts.gpt_sovits.reading.chinese_numbers import cardinal, spelled
from xiaozhi_persona.providers.tts.gpt_sovits.utterance import utterance_of
from xiaozhi_persona.spine import Clip, Reference, Voice
from xiaozhi_persona.voice_settings import GptSovitsSettings

_HAN_OR_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u3400-\u9fff]")


def sentences() -> list[tuple[str, str, str]]:
    with (Path(__file__).parent / "data" / "reading.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(language, text, sent) for language, text, sent, _ in rows]


@pytest.mark.parametrize(("language", "text", "sent"), sentences())
def test_what_is_read_right_goes_as_written_and_the_rest_in_words(
    language: str, text: str, sent: str
) -> None:
    assert readable(text, language) == sent


@pytest.mark.parametrize(("language", "text", "sent"), sentences())
def test_what_is_in_words_is_not_touched_again(language: str, text: str, sent: str) -> None:
    assert readable(sent, language) == sent


def test_there_are_enough_sentences_of_each_language() -> None:
    languages = [language for language, _, _ in sentences()]
    assert min(languages.count("zh") // 2, languages.count("en"), languages.count("ja")) >= 30


@pytest.mark.parametrize(
    ("language", "text", "sent"),
    [
        ("yue", "今日25℃。", "今日二十五度。"),
        ("all_zh", "今天25℃。", "今天二十五度。"),
        ("auto", "今日は25℃です。", "今日は25度です。"),
        ("auto", "It is 25℃ today.", "It is 25 degrees Celsius today."),
        ("ja", "今日25℃。", "今日25度。"),
        ("zh", "２５℃，１２：３０见。", "二十五度，12:30见。"),
        ("ko", "오늘은 25℃입니다.", "오늘은 25℃입니다."),
        ("zh", "我叫小雨，很高兴认识你！", "我叫小雨，很高兴认识你！"),
        ("zh", "……", "……"),
        ("zh", "", ""),
        ("zh", "13:75", "十三比七十五"),
        ("zh", "2024-13-45", "二零二四杠十三杠四十五"),
    ],
)
def test_the_script_decides_where_the_language_is_open(language: str, text: str, sent: str) -> None:
    assert readable(text, language) == sent


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("0", "零"),
        ("10", "十"),
        ("12", "十二"),
        ("20", "二十"),
        ("100", "一百"),
        ("101", "一百零一"),
        ("110", "一百一十"),
        ("1001", "一千零一"),
        ("1010", "一千零一十"),
        ("10000", "一万"),
        ("10001", "一万零一"),
        ("10010", "一万零一十"),
        ("100000", "十万"),
        ("1000001", "一百万零一"),
        ("20030004", "二千零三万零四"),
        ("100000000", "一亿"),
        ("100010000", "一亿零一万"),
        ("1000000000000", "一万亿"),
        ("3.05", "三点零五"),
        ("007", "零零七"),
        ("12345678901234567", "幺二三四五六七八九零幺二三四五六七"),
    ],
)
def test_numbers_are_said_as_people_say_them(number: str, said: str) -> None:
    assert cardinal(number) == said


def _value(said: str) -> int:
    """Read a Chinese numeral, to compare with."""
    digits, tens = "零一二三四五六七八九", {"十": 10, "百": 100, "千": 1000}
    for unit, worth in (("万亿", 10**12), ("亿", 10**8), ("万", 10**4)):
        head, found, rest = said.partition(unit)
        if found:
            return _value(head) * worth + (_value(rest) if rest else 0)
    value, digit = 0, 1 if said.startswith("十") else 0
    for character in said:
        if character in tens:
            value, digit = value + digit * tens[character], 0
        else:
            digit = digits.index(character)
    return value + digit


@given(st.integers(0, 10**16 - 1))
def test_a_number_that_is_said_is_the_number(number: int) -> None:
    assert _value(cardinal(str(number))) == number


def test_digits_one_by_one() -> None:
    assert [spelled(digits) for digits in ("12", "110", "010-1234")] == ["一二", "幺幺零", "零幺零幺二三四"]


@settings(max_examples=300)
@given(
    st.text("0123456789:-~/.,%℃°$¥@_&#+×=²kmgABh 年月号第个，。今はです", max_size=40),
    st.sampled_from(["zh", "en", "ja", "auto"]),
)
def test_anything_can_be_read_and_no_character_is_lost(text: str, language: str) -> None:
    sent = iter(readable(text, language))
    assert all(character in sent for character in _HAN_OR_KANA.findall(text))
    assert bool(re.search(r"\w", text)) <= bool(re.search(r"\w", readable(text, language)))


@pytest.mark.parametrize(
    "part",
    ["1", "1-", "1.", "1,000", "a1", "a.", "a_", "1:", "1/", "1+", "A", "1km", "@a", "$1", "1 - ", "周一~"],
)
def test_a_long_sentence_takes_no_longer_for_each_character(part: str) -> None:
    def cost(length: int) -> float:
        text = part * (length // len(part)) + "今天。"
        began = time.process_time()
        readable(text, "zh")
        return time.process_time() - began

    cost(500)
    short, long = (min(cost(length) for _ in range(2)) for length in (2000, 8000))
    assert long < 0.05 or long < 10 * short


def test_the_sentence_and_the_reference_are_sent_so(tmp_path: Path) -> None:
    clip = Clip(reference=Reference("/a.wav", "昨天20℃。", "zh"), voice=Voice(language="zh"))
    utterance = utterance_of("今天25℃，打13812345678", clip, GptSovitsSettings(), {})
    assert utterance.text == "今天二十五度，打幺三八幺二三四五六七八。"
    assert utterance.prompt_text == "昨天二十度。"
    assert utterance_of("It is 25℃.", clip, GptSovitsSettings(), {}).text == "It is 25 degrees Celsius."
