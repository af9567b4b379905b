"""kill -9 at any moment of writing: nothing that was acknowledged is lost, and nothing is broken."""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import timedelta
from pathlib import Path

from memory_kit import NOW, memory, turn

from xiaozhi_persona.memory import diary, text_index

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
