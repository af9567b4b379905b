"""Turns found by what they mean: with an embedder of the tests that knows a few synonyms."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from memory_kit import ZONE
from numpy.typing import NDArray

from xiaozhi_persona.errors import ServiceUnavailable
from xiaozhi_persona.memory import vectors
from xiaozhi_persona.memory.meaning import Meaning
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.store import FILE, owner_folder
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Owner, Turn

ME = Owner("甲")
NOW = datetime(2025, 8, 20, 15, 30, tzinfo=ZONE)
SLOW = MemorySettings(recall_deadline_ms=2000)
SIZE = 64


class Synonyms:
    """An embedder: words of one line mean the same."""

    LINES = ("车 坐骑 地库 停放", "猫 喵星人 毛孩子", "面 拉面 午饭", "天气 下雨")

    def __init__(self, name: str = "synonyms") -> None:
        self.name = name
        self.asked: list[str] = []
        self.embedded: list[str] = []
        self.trouble: Exception | None = None
        self.held = threading.Event()
        self.held.set()
        self.closed = False

    def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.trouble:
            raise self.trouble
        self.embedded += texts
        return np.stack([self._vector(text) for text in texts])

    def query(self, text: str) -> NDArray[np.float32]:
        self.asked.append(text)
        self.held.wait(10)
        if self.trouble:
            raise self.trouble
        return self._vector(text)

    def close(self) -> None:
        self.closed = True

    def _vector(self, text: str) -> NDArray[np.float32]:
        vector = np.random.default_rng(len(text)).normal(0, 0.02, SIZE).astype(np.float32) + 1
        for place, line in enumerate(self.LINES):
            vector[place] += 3 * sum(word in text for word in line.split())
        return vector


@contextlib.asynccontextmanager
async def minded(
    folder: Path, embedder: Synonyms, settings: MemorySettings = SLOW
) -> AsyncIterator[PersonaMemory]:
    mind = PersonaMemory(settings, folder, embedder=embedder, recent_turns=0)
    try:
        yield mind
    finally:
        embedder.held.set()
        await mind.aclose()


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    await asyncio.wait_for(wait(), 10)


def kept(folder: Path) -> int:
    """Return how many vectors are on the disk."""
    with contextlib.closing(sqlite3.connect(owner_folder(folder, ME.id) / FILE)) as db:
        return int(db.execute("select count(*) from vector").fetchone()[0])


TALK = (
    "我把坐骑留在B2层了",
    "我家毛孩子今天打翻了杯子",
    "中午去吃了碗牛肉的",
    *(f"随便说说第{number}件事" for number in range(30)),
)


async def tell(mind: PersonaMemory, *texts: str) -> None:
    for number, text in enumerate(texts):
        await mind.remember(ME, [Turn("user", text, NOW - timedelta(days=9, minutes=-2 * number))])


async def text_of(mind: PersonaMemory, question: str) -> str:
    return (await mind.recall(ME, question, NOW)).text


async def test_a_question_finds_what_shares_no_word_with_it(tmp_path: Path) -> None:
    embedder = Synonyms()
    async with minded(tmp_path, embedder) as mind:
        await tell(mind, *TALK)
        await until(lambda: kept(tmp_path) == len(TALK))
    async with minded(tmp_path, embedder) as mind:  # read from the disk
        await mind.begin(ME)
        await ready(mind, tmp_path, len(TALK))
        assert "B2" in await text_of(mind, "爱车停放何处")
    assert sorted(embedder.embedded) == sorted(TALK)  # each once
    assert embedder.closed


async def test_without_an_embedder_nothing_changes(tmp_path: Path) -> None:
    mind = PersonaMemory(SLOW, tmp_path, recent_turns=0)
    try:
        await tell(mind, *TALK)
        assert "B2" not in await text_of(mind, "爱车停放何处")
        assert "坐骑" in await text_of(mind, "我的坐骑呢")
    finally:
        await mind.aclose()
    assert kept(tmp_path) == 0


async def ready(mind: PersonaMemory, folder: Path, count: int) -> None:
    await until(lambda: kept(folder) == count)
    embedding = mind._threads._embedding
    assert embedding is not None
    await until(lambda: len(embedding._known.get(ME.id) or ()) == count)


async def test_a_model_that_takes_long_is_not_waited_for(tmp_path: Path) -> None:
    embedder = Synonyms()
    settings = MemorySettings(recall_deadline_ms=200, embedder_deadline_ms=50)
    async with minded(tmp_path, embedder, settings) as mind:
        await tell(mind, *TALK)
        await ready(mind, tmp_path, len(TALK))
        embedder.held.clear()
        found = await text_of(mind, "我的坐骑停放何处")
        assert "坐骑" in found  # by its words


async def test_a_model_that_fails_is_told_of_once_and_words_find_as_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embedder = Synonyms()
    async with minded(tmp_path, embedder) as mind:
        await tell(mind, *TALK)
        await ready(mind, tmp_path, len(TALK))
        embedder.trouble = ServiceUnavailable("断了。请接上。")
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert "坐骑" in await text_of(mind, "我的坐骑停放何处")
        assert [record.getMessage() for record in caplog.records].count(
            "现在按意思找不了（断了。请接上。），先按词找，过一会儿再试。"
        ) == 1
        assert len(embedder.asked) == 1


async def test_what_is_forgotten_has_no_vector_any_more(tmp_path: Path) -> None:
    async with minded(tmp_path, Synonyms()) as mind:
        await tell(mind, *TALK)
        await ready(mind, tmp_path, len(TALK))
        await mind.forget_mention(ME, "坐骑")
        await ready(mind, tmp_path, len(TALK) - 1)
        assert "B2" not in await text_of(mind, "爱车停放何处")
        await mind.forget_all(ME)
        assert kept(tmp_path) == 0


async def test_another_model_makes_all_of_them_anew(tmp_path: Path) -> None:
    async with minded(tmp_path, Synonyms("one")) as mind:
        await tell(mind, *TALK)
        await ready(mind, tmp_path, len(TALK))
    other = Synonyms("other")
    async with minded(tmp_path, other) as mind:
        await mind.begin(ME)
        await until(lambda: len(other.embedded) == len(TALK))
        await ready(mind, tmp_path, len(TALK))
        assert "B2" in await text_of(mind, "爱车停放何处")


async def test_what_another_process_embeds_is_found_by_its_meaning_too(tmp_path: Path) -> None:
    async with minded(tmp_path, Synonyms()) as mind, minded(tmp_path, Synonyms()) as other:
        await tell(mind, *TALK[3:9])
        await until(lambda: kept(tmp_path) == 6)
        await tell(other, TALK[0])
        await until(lambda: kept(tmp_path) == 7)
        await tell(mind, "后来又说了一句")
        await until(lambda: kept(tmp_path) == 8)
        await until(lambda: len(mind._threads._embedding._known[ME.id]) == 8)  # type: ignore[union-attr]
        assert "坐骑" in await text_of(mind, "地库停放哪里")


async def test_two_processes_with_different_models_do_not_remake_each_others_vectors_for_ever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = Synonyms("one"), Synonyms("two")
    async with minded(tmp_path, one) as mind, minded(tmp_path, two) as other:
        await tell(mind, *TALK)
        await until(lambda: kept(tmp_path) == len(TALK))
        await tell(other, "另一个程序说了一句")
        await until(lambda: kept(tmp_path) == len(TALK) + 1 and len(two.embedded) == len(TALK) + 1)
        await tell(mind, "这边又说了一句")
        await until(lambda: "另一个程序用别的模型" in caplog.text)
        await tell(other, "那边也说了一句")
        await until(lambda: kept(tmp_path) == len(TALK) + 3)
        assert (len(one.embedded), len(two.embedded)) == (len(TALK), len(TALK) + 3)


async def test_what_the_model_gives_in_another_size_finds_nothing(tmp_path: Path) -> None:
    embedder = Synonyms()
    async with minded(tmp_path, embedder) as mind:
        await tell(mind, *TALK)
        await ready(mind, tmp_path, len(TALK))
        embedder.query = lambda text: np.ones(3, np.float32)  # type: ignore[method-assign]
        assert "坐骑" in await text_of(mind, "我的坐骑停放何处")


@pytest.mark.parametrize("count", [1, 100, 5000])
def test_the_nearest_are_found_as_by_comparing_all(count: int) -> None:
    random = np.random.default_rng(1)
    cone = random.normal(0, 1, 96) * 3
    all_ = (random.normal(0, 1, (count, 96)) + cone).astype(np.float32)
    data = np.stack([vectors.packed(vector) for vector in all_])
    meaning = Meaning(np.arange(1, 3 * count, 3)[:count], data)
    hits = 0
    for wanted in random.choice(count, min(count, 20), replace=False):
        question = all_[wanted] + random.normal(0, 0.5, 96).astype(np.float32)
        near = meaning.near(question.astype(np.float32), (0.5, 0.3))
        hits += max(near, key=lambda seq: near[seq]) == 1 + 3 * wanted
    assert hits == min(count, 20)


def test_those_beside_a_near_one_count_with_it_and_later_ones_are_added() -> None:
    random = np.random.default_rng(2)
    data = np.stack([vectors.packed(one) for one in random.normal(0, 1, (400, 64)).astype(np.float32)])
    meaning = Meaning(np.arange(1, 301), data[:300])
    meaning.add(np.arange(301, 401), data[300:])
    meaning.add(np.arange(1, 5), data[:4])  # known
    assert len(meaning) == meaning.last == 400
    question = data[350].astype(np.float32)
    alone, together = meaning.near(question, ()), meaning.near(question, (0.5, 0.3))
    assert max(alone, key=lambda seq: alone[seq]) == 351
    assert together[352] > alone[352]
    assert together[350] > alone[350]
    assert meaning.near(np.zeros(64, np.float32), (0.5,)) is not None
