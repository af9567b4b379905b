"""No text freezes anything: every regular expression of ours takes time that grows with the text, and no faster."""

from __future__ import annotations

import ast
import asyncio
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from expressions import MODULES_WITH_EXPRESSIONS, Expression, expressions_of, slowest
from fakes.bridge import running
from fakes.parts import FakeChatModel, make_parts
from hypothesis import given
from hypothesis import strategies as st
from test_layout import MODULES

from xiaozhi_persona.memory import spoken
from xiaozhi_persona.memory.patterns import Words, followed
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.time_words import find_ranges
from xiaozhi_persona.settings import MemorySettings

NOW = datetime(2025, 8, 20, 15, 30)
FREEZING = ("把" + "全都" * 26, "忘掉昨天" + "谈话" * 40 + "鱼", "播放昨天" + "这是" * 40 + "鱼")
"""They take an expression that can read them in two ways seconds, and with some more characters years."""

MADE_WITHIN = {
    ("memory.patterns", "_Later"),  # compiles what stands at the top of modules when it is first needed
    ("text.markup", "_plain"),  # reads the emoji when the first reply comes, and keeps it
    ("memory.time_words.lexicon", "_words"),  # reads it out of the tree of all words of time, and keeps it
    ("memory.facts.clauses", "adding_to"),  # these three make tables, at the top of modules
    ("providers.llm.offline_facts", "_fact"),
    ("providers.llm.offline_rules", "_rows"),
}
"""Functions and classes that make expressions, each with a result that is found all the same."""


@pytest.mark.parametrize("module", MODULES_WITH_EXPRESSIONS)
def test_time_grows_with_the_text(module: str) -> None:
    for expression in expressions_of(module):
        slow = slowest(expression)
        assert slow is None, f"{expression.name} {expression.compiled.pattern}: {slow}"


@pytest.mark.parametrize(
    ("words", "methods"),
    [
        ("(?:请|你)*把(?P<a>.+?)(?:都|全部|全都|全|统统)*(?:忘掉|忘了)", "fullmatch"),
        (r"(?:[\s，和的]|我们?|聊|谈|话|谈话|对话)*", "fullmatch"),
        ("(?:是|就是|不是|这|这是|也是|是不是)+(?:歌|电影)", "match"),
        (r"\s*[\"'」]?\s*(?:的(?:歌|曲)\S{0,6})?\s*(?:[吧吗]|谢谢)*\s*(?:[,.]|$)", "match"),
        (r"(?:(?:不对|不不+|错了|哦)[，,\s]*)*我?(?:不是|不叫)(?P<wrong>[^，,。]{1,20}?)是", "fullmatch"),
        ("[^，。]*说过?[：:]", "sub"),
        ("等我.*(?:了|以后)$", "search"),
        ("[啊呀哦]+$", "sub"),
        ("(?:不想|没空)(?!.*了$)", "search"),
        ("[要该快就].*了", "search"),
    ],
)
def test_an_expression_that_freezes_is_found(words: str, methods: str) -> None:
    assert slowest(Expression("", "", re.compile(words), (methods,))) is not None


def made_within(path: Path) -> Iterator[str]:
    """Yield the functions and classes of a file that call functions of re, or make a pattern."""
    for part in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            calls = [ast.unparse(node.func) for node in ast.walk(part) if isinstance(node, ast.Call)]
            if any(call == "pattern" or (call.startswith("re.") and call != "re.escape") for call in calls):
                yield part.name


@pytest.mark.parametrize("module", MODULES_WITH_EXPRESSIONS)
def test_expressions_stand_where_they_are_found(module: str) -> None:
    name = module.partition(".")[2]
    found = {(name, part) for part in made_within(MODULES[module])} - MADE_WITHIN
    assert not found, "make it at the top of the module, with re.compile or memory.patterns.pattern"


@pytest.mark.parametrize("text", FREEZING)
def test_a_freezing_sentence_is_read_at_once(text: str) -> None:
    def took(read: Callable[[str], Any]) -> float:
        began = time.thread_time()
        read(text)
        return time.thread_time() - began

    for read in (spoken.parse_command, lambda said: find_ranges(said, NOW)):
        read("我")  # which compiles
        assert took(read) < 0.05


async def test_a_freezing_sentence_keeps_nobody_waiting(tmp_path: Path) -> None:
    memory = PersonaMemory(MemorySettings(), tmp_path)
    parts = make_parts(FakeChatModel("【高兴】好。"), memory=memory)
    parts.closers.append(memory.aclose)
    async with running(parts) as rig, rig.device(device_id="a") as one, rig.device(device_id="b") as other:
        for text in FREEZING:
            one.type_text(text)
            other.type_text("你好")
            replies = await asyncio.wait_for(asyncio.gather(one.reply(10), other.reply(10)), 10)
            assert all(reply.sentences for reply in replies)


WORDS = ("我", "们", "我们", "们我", "谈话", "话", "谈", "a")


@given(st.lists(st.sampled_from((*WORDS, "x", "鱼"))).map("".join))
def test_words_read_what_an_expression_of_them_reads(text: str) -> None:
    words, alternatives = Words("|".join(WORDS)), f"(?:{'|'.join(WORDS)})*"
    assert words.make_up(text) == bool(re.fullmatch(alternatives, text))
    lead, tail = words.lead(text), words.tail(text)
    assert re.fullmatch(alternatives, text[:lead])
    assert not any(re.fullmatch(alternatives, text[:end]) for end in range(lead + 1, len(text) + 1))
    assert re.fullmatch(alternatives, text[tail:])
    assert not any(re.fullmatch(alternatives, text[begin:]) for begin in range(tail))


def test_words_leave_as_much_as_they_are_told() -> None:
    assert Words("都|全部").tail("全部都", least=1) == 2
    assert Words("都").tail("都", least=1) == 1
    assert Words("都").tail("", least=1) == 0


@given(st.lists(st.sampled_from("要就了x\n")).map("".join))
def test_what_is_followed_is_found_as_the_plain_expression_finds_it(text: str) -> None:
    line = text.replace("\n", "")
    assert bool(re.search(followed("要|就", "了"), line)) == bool(re.search("(?:要|就).*了", line))
