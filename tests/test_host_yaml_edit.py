"""Changes to the text of a settings file: what is changed, and that nothing else is."""

from __future__ import annotations

import difflib
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xiaozhi_persona.installer.yaml_edit import Items, UnsupportedText, put, take_back

CHANGES: dict[str, Any] = {
    "selected_module": {"TTS": "PersonaVoice"},
    "TTS": {"PersonaVoice": {"type": "gpt_sovits_v2_stream", "url": "http://127.0.0.1:9880/tts"}},
    "prompt_template": "data/xiaozhi-persona/prompt.txt",
}

TEXTS = {
    "comments at the end of a section": "TTS:\n  A:\n    type: edge  # 甲\n    # rate: 1\n\n# 模型\nLLM: {B: {type: openai}}\n",
    "four spaces": "selected_module:\n    TTS: A\nTTS:\n    A:\n        type: edge\n",
    "a list that is not indented": "TTS:\n  A:\n    refs:\n    - a\n    - b\nx: [1,\n 2]\n",
    "Windows line ends": '# 甲\r\nselected_module:\r\n  TTS: "A"  # 这里\r\n  LLM: x\r\n',
    "flow style": "{selected_module: {TTS: A}, TTS: {}}\n",
    "JSON": '{\n  "selected_module": {"TTS": "A"},\n  "TTS": {"A": {"type": "edge"}}\n}\n',
    "nothing but {}": "{}\n",
    "an empty value": "selected_module:\n  TTS:\n  LLM: x\n",
    "a document with marks": "---\na: 1\n...\n",
    "a section that stands twice": "TTS: {a: {type: x}}\nTTS:\n  b:\n    type: y\n",
    "an anchor that is used elsewhere": "d: &d\n  type: x\nTTS:\n  A: *d\n",
    "a long text at the end": "selected_module:\n  TTS: A\nprompt: |\n  你好\n  再见\n\n\n# 完\n",
    "a long text without a line end": "selected_module:\n  TTS: A\nprompt: |\n  你好\n  再见",
}


def merged(data: Any, changes: Any) -> Any:
    if not isinstance(changes, dict) or not isinstance(data, dict):
        return changes
    return {**data, **{key: merged(data.get(key), value) for key, value in changes.items()}}


@pytest.mark.parametrize("text", TEXTS.values(), ids=[*TEXTS])
def test_values_are_put_in_and_taken_back_to_the_byte(text: str) -> None:
    changed, edits = put(text, CHANGES)
    assert yaml.safe_load(changed) == merged(yaml.safe_load(text), CHANGES)
    assert put(changed, CHANGES) == (changed, [])
    assert take_back(changed, edits) == (text, [])


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if "{" not in text])
def test_only_the_lines_of_the_changed_values_differ(name: str) -> None:
    text = TEXTS[name]
    changed, _ = put(text, CHANGES)
    gone = [line for line in difflib.ndiff(text.split("\n"), changed.split("\n")) if line.startswith("- ")]
    assert len(gone) <= 1 and all("TTS:" in line for line in gone)
    assert ("\r\n" in text) == ("\r\n" in changed) and changed.count("\r") in (0, changed.count("\n"))


def test_quotes_comments_and_line_ends_stay_around_a_changed_value() -> None:
    changed, _ = put("selected_module:\r\n  TTS: 'A'   # 微软的\r\n", {"selected_module": {"TTS": "B"}})
    assert changed == "selected_module:\r\n  TTS: 'B'   # 微软的\r\n"


def test_new_keys_stand_behind_the_comments_of_their_section() -> None:
    text = "TTS:\n  A:\n    type: edge\n    # rate: 1\n\n  # B:\n  #   type: x\n\n# 模型\nLLM: {}\n"
    changed, _ = put(text, {"TTS": {"C": {"type": "y"}}})
    assert changed == text.replace("  #   type: x\n", "  #   type: x\n  C:\n    type: y\n")


def test_a_last_line_without_an_end_gets_one() -> None:
    changed, _ = put("a: 1", {"b": 2, "c": {"d": "no"}})
    assert changed == "a: 1\nb: 2\nc:\n  d: 'no'\n"


@pytest.mark.parametrize(
    "text",
    [
        "d: &d {TTS: A}\nselected_module: *d\n",
        "selected_module: [TTS]\n",
        "selected_module:\n  TTS: |\n    A\n",
        "a: &x A\nselected_module:\n  TTS: *x\n",
        "selected_module:\n  TTS: &x A\nb: *x\n",
        "- a\n",
        "a: [\n",
        "",
    ],
)
def test_what_cannot_be_changed_safely_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedText):
        put(text, CHANGES)


def test_values_that_were_changed_since_stay_and_are_told() -> None:
    changed, edits = put("selected_module:\n  TTS: A\n", CHANGES)
    mine = changed.replace("9880/tts", "1234/tts").replace("TTS: PersonaVoice", "TTS: EdgeTTS") + "# 我的\n"
    text, kept = take_back(mine, edits)
    assert kept == [("TTS", "PersonaVoice", "url"), ("selected_module", "TTS")]
    assert text == (
        "selected_module:\n  TTS: EdgeTTS\nTTS:\n  PersonaVoice:\n    url: http://127.0.0.1:1234/tts\n# 我的\n"
    )


def test_keys_that_others_added_beside_ours_stay() -> None:
    changed, edits = put("a: 1\n", CHANGES)
    mine = changed.replace("TTS:\n  PersonaVoice:\n", "TTS:\n  Mine:\n    type: edge\n  PersonaVoice:\n")
    text, kept = take_back(mine, edits)
    assert text == "a: 1\nTTS:\n  Mine:\n    type: edge\n" and kept == [("TTS", "Mine")]


def test_a_section_that_loses_its_last_key_is_still_a_section() -> None:
    changed, edits = put("TTS:\n  A:\n    type: edge\nb: 1\n", {"TTS": {"P": {"type": "x"}}})
    text, kept = take_back(changed.replace("  A:\n    type: edge\n", ""), edits)
    assert yaml.safe_load(text) == {"TTS": {}, "b": 1} and not kept


def test_edits_of_several_installs_are_taken_back_in_turn() -> None:
    first, edits = put("a: 1\n", {"TTS": {"P": {"type": "x"}}})
    second, more = put(first, {"TTS": {"P": {"role": "mei"}}})
    third, last = put(second, {"TTS": {"P": {"role": "xiaoyu"}}})
    assert take_back(third, [*edits, *more, *last]) == ("a: 1\n", [])
    assert take_back(third, [*edits, *more, *last, *last]) == ("a: 1\n", [])


LISTS = {
    "lines": "a: 1\nI:\n  f:\n    - p  # 甲\n    # - q\n\n# 乙\nb: 2\n",
    "dashes below the key": "I:\n  f:\n  - p\n  t: x\n",
    "Windows line ends": "I:\r\n  f:\r\n    - p\r\n    - q\r\n",
    "brackets": "I: {f: [p, 'q'], t: x}\n",
    "brackets over lines": "I:\n  f: [\n    p,  # 甲\n    q\n  ]\n",
    "empty brackets": "I:\n  f: []\n",
    "nothing": "I:\n  f:\n  t: x\n",
    "no list": "I:\n  t: x\n",
    "no section": "a: 1\n",
    "all but one": "I:\n  f:\n    - p\n    - one\n",
}


@pytest.mark.parametrize("text", LISTS.values(), ids=[*LISTS])
def test_items_are_put_behind_those_of_a_list_and_taken_back_to_the_byte(text: str) -> None:
    changes = {"I": {"f": Items(("one", "two"), ("base",))}}
    changed, edits = put(text, changes)
    there = (yaml.safe_load(text).get("I") or {}).get("f", [])
    before = there if there is not None and "f:" in text else ["base"]
    listed = yaml.safe_load(changed)["I"]["f"]
    assert listed == [*before, *(item for item in ("one", "two") if item not in before)]
    assert put(changed, changes) == (changed, [])
    assert take_back(changed, edits) == (text, [])


def test_a_list_without_a_line_end_gets_one() -> None:
    changed, edits = put("I:\n  f:\n    - p", {"I": {"f": Items(("one",))}})
    assert changed == "I:\n  f:\n    - p\n    - one\n"
    assert take_back(changed, edits) == ("I:\n  f:\n    - p\n", [])


def test_items_that_others_put_beside_ours_stay() -> None:
    changed, edits = put("I:\n  f:\n    - p\n", {"I": {"f": Items(("one", "two"))}})
    text = changed.replace("    - two\n", "    - mine\n")
    assert take_back(text, edits) == ("I:\n  f:\n    - p\n    - mine\n", [])
    changed, edits = put("a: 1\n", {"I": {"f": Items(("one",), ("base",))}})
    text = changed.replace("- one", "- mine")
    assert take_back(text, edits) == (text, [("I", "f")])


KEYS = st.sampled_from(
    ["TTS", "selected_module", "prompt_template", "PersonaVoice", "type", "甲", "yes", "1"]
)
LEAVES = st.one_of(st.text("a甲:#'\"\\ \n-", max_size=6), st.integers(), st.booleans())
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
MAPPINGS = st.recursive(
    st.dictionaries(KEYS, LEAVES, min_size=1, max_size=2),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=4,
)


@given(
    data=st.dictionaries(KEYS, VALUES, min_size=1, max_size=4),
    changes=MAPPINGS,
    indent=st.integers(2, 5),
    flow=st.sampled_from([None, False]),
    windows=st.booleans(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_changed_as_meant_or_refused(
    data: dict[str, Any], changes: dict[str, Any], indent: int, flow: bool | None, windows: bool
) -> None:
    text = yaml.safe_dump(data, allow_unicode=True, indent=indent, default_flow_style=flow)
    text = text.replace("\n", "\r\n") if windows else text
    data = yaml.safe_load(text)
    try:
        changed, edits = put(text, changes)
    except UnsupportedText:
        return
    assert yaml.safe_load(changed) == merged(data, changes)
    assert yaml.safe_load(take_back(changed, edits)[0]) == data
