"""kill -9 at any moment of writing: nothing that was acknowledged is lost or there twice, and nothing is broken."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
from memory_kit import NOW, memory, turn

from xiaozhi_persona.memory import diary, digests, second_reader, text_index, vectors
from xiaozhi_persona.memory.store import OwnerStore

ROUNDS = 60


def _write_until_killed(root: Path, number: int, acknowledge: int) -> None:
    with memory(root) as store:
        for count in range(10_000):
            when = NOW + timedelta(minutes=number, milliseconds=count)
            told = turn(f"第{number}轮第{count}句，我喜欢第{count}种水果", when, id=f"{number}-{count}")
            store.append([told])
            os.write(acknowledge, f"{told.id}\n".encode())


def test_kill_9_loses_no_acknowledged_turn_and_breaks_nothing(tmp_path: Path) -> None:
    chance = random.Random(7)
    acknowledged: set[str] = set()
    with memory(tmp_path):
        pass
    for number in range(ROUNDS):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                _write_until_killed(tmp_path, number, writing)
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading, "rb") as told:
            first = told.readline()  # it is writing
            time.sleep(chance.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
            lines = [first, *told.readlines()]
        os.waitpid(child, 0)
        acknowledged.update(line.decode().strip() for line in lines if line.endswith(b"\n"))
    with memory(tmp_path) as store:
        written = {entry.id for entry in diary.everything(store.writer)}
        assert acknowledged
        assert acknowledged <= written
        assert len(written) - len(acknowledged) <= ROUNDS  # at most the turn being written in each round
        assert store.check() == []
        assert text_index.state(store.writer) == "ok"
        store.writer.execute("insert into turn_words (turn_words) values ('integrity-check')")
        assert store.writer.execute("select sum(turns) from day").fetchone() == (len(written),)
        facts = store.writer.execute("select count(*), count(distinct source) from fact").fetchone()
        assert facts == (len(written), len(written)) or facts[0] <= len(written)


def _work(root: Path, number: int, acknowledge: int) -> None:
    """Say something, have it read by a model, embedded and written up, again and again."""
    with memory(root) as store:
        for count in range(10_000):
            when = NOW + timedelta(days=7 * number + count % 6, milliseconds=count)
            told = turn(f"阿强迷上了{number}号玩具{count}", when, id=f"{number}-{count}")
            store.append([told])
            os.write(acknowledge, f"{told.id}\n".encode())
            _read_embed_and_write_up(store)


def _read_embed_and_write_up(store: OwnerStore) -> bool:
    """Do once what is done in the background. Returns whether there was anything to do."""
    part = second_reader.unread(store.writer)
    if part:
        found = [
            {"turn": place, "who": "阿强", "kind": "喜欢", "value": one.text.partition("迷上了")[2]}
            for place, one in enumerate(part.turns, 1)
        ]
        changes = second_reader.checked(json.dumps({"add": found}), part)
        assert changes
        with store.transaction() as db:
            second_reader.apply(db, part, changes)
    missing = vectors.missing(store.writer, "m", 4)
    if missing:
        with store.transaction() as db:
            vectors.use_model(db, "m")
            vectors.keep(db, [(one, np.full(8, len(one.text), np.float32)) for one in missing])
    wanted = digests.next_wanted(store.writer, (NOW + timedelta(days=60)).replace(tzinfo=None))
    if wanted:
        with store.transaction() as db:
            assert digests.keep(db, wanted, f"那天说了：{wanted.material[:200]}")
    return bool(part or missing or wanted)


def test_kill_9_while_it_reads_embeds_or_writes_up_leaves_nothing_out_and_does_nothing_twice(
    tmp_path: Path,
) -> None:
    chance = random.Random(11)
    acknowledged: set[str] = set()
    with memory(tmp_path):
        pass
    for number in range(8):
        reading_end, writing_end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                _work(tmp_path, number, writing_end)
            finally:
                os._exit(1)
        os.close(writing_end)
        with os.fdopen(reading_end, "rb") as told:
            lines = [told.readline() for _ in range(chance.randint(1, 60))]
            time.sleep(chance.uniform(0, 0.005))
            os.kill(child, signal.SIGKILL)
            lines += told.readlines()
        os.waitpid(child, 0)
        acknowledged.update(line.decode().strip() for line in lines if line.endswith(b"\n"))
    with memory(tmp_path) as store:
        while _read_embed_and_write_up(store):
            pass
        written = {entry.id for entry in diary.everything(store.writer)}
        assert acknowledged <= written
        assert store.check() == []
        facts = store.writer.execute("select source from fact").fetchall()
        assert sorted(source for (source,) in facts) == sorted(written)
        assert store.writer.execute("select count(*) from vector").fetchone() == (len(written),)
        days = store.writer.execute("select day from day where turns >= ?", (digests.MIN_TURNS,)).fetchall()
        entries = store.writer.execute("select day from digest where kind = 'day'").fetchall()
        assert sorted(entries) == sorted(days)
