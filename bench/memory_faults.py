"""What the memory must never do: lose an acknowledged turn when it is killed, or show one owner another's turns.

1,000 rounds of kill -9 in a child that writes, one half at a moment by chance, one half at a step of SQLite's machine
by number; then 10,000 owners written to and asked in random order. `--quick` for 60 and 300. Needs fork: Linux, macOS.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from figures import options, show
from memory_years import END, ZONE

from xiaozhi_persona.memory import diary, text_index
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.store import FILE, OwnerStore, owner_folder
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Owner, Turn

_STEPS = 1500  # an append takes about 290: the child dies within one of its first five
_SECRET = re.compile(r"主人\d+")


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--quick", action="store_true", help="60 rounds and 300 owners")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--owners", type=int, default=10_000)
    arguments = parser.parse_args()
    rounds = 60 if arguments.quick else arguments.rounds
    owners = 300 if arguments.quick else arguments.owners
    rows: dict[str, dict[str, Any]] = {}
    for name, run in (
        (f"kill -9, {rounds:,} rounds", lambda folder: kill_rounds(folder, rounds)),
        (f"{owners:,} owners in random order", lambda folder: asyncio.run(many_owners(folder, owners))),
    ):
        folder = Path(tempfile.mkdtemp(prefix="memory-faults-"))
        started = time.perf_counter()
        try:
            for what, count in run(folder).items():
                rows[f"{name}: {what}"] = {"count": count}
        finally:
            shutil.rmtree(folder)
        rows[f"{name}: seconds"] = {"count": round(time.perf_counter() - started, 1)}
    show(arguments.json, "Faults of the memory: what is lost, broken or crossed must be 0", rows)
    faults = [
        row["count"]
        for name, row in rows.items()
        if re.search("lost|broken|crossed|too many|no answer", name)
    ]
    sys.exit(1 if any(faults) else 0)


def kill_rounds(folder: Path, rounds: int) -> dict[str, int]:
    chance = random.Random(9)
    home = owner_folder(folder, "bench")
    OwnerStore(home, "bench").close()
    acknowledged: set[str] = set()
    broken = lost = between = 0
    for number in range(rounds):
        step = chance.randrange(1, _STEPS) if number % 2 else 0
        lines = _killed_child(home, number, step, chance.uniform(0, 0.02))
        acknowledged.update(lines)
        between += bool(step)
        store = OwnerStore(home, "bench")
        told = {
            row[0] for row in store.reader.execute("select id from turn where id glob ?", (f"{number}-*",))
        }
        lost += len(set(lines) - told)
        broken += store.index_state != "ok"
        if number % 50 == 0 or number == rounds - 1:
            broken += _is_broken(store)
        store.close()
    store = OwnerStore(home, "bench")
    written = {entry.id for entry in diary.everything(store.reader)}
    store.close()
    return {
        "acknowledged": len(acknowledged),
        "killed within a statement": between,
        "lost": lost + len(acknowledged - written),
        "too many": max(0, len(written) - len(acknowledged) - rounds),
        "broken": broken,
    }


def _killed_child(home: Path, number: int, step: int, delay_s: float) -> list[str]:
    """Write in a child until it is killed; return what it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _write_until_killed(home, number, step, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        first = told.readline()  # it is writing, or dead already
        if not step:
            time.sleep(delay_s)
            os.kill(child, signal.SIGKILL)
        lines = [first, *told.readlines()]
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, f"the child ended by itself: {status}"
    return [line.decode().strip() for line in lines if line.endswith(b"\n")]


def _write_until_killed(home: Path, number: int, step: int, acknowledge: int) -> None:
    store = OwnerStore(home, "bench")
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        if steps == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    if step:
        store.writer.set_progress_handler(count, 1)
    for said in range(10_000):
        at = END + timedelta(minutes=number, milliseconds=said)
        entry = diary.entry(
            Turn("user", f"第{number}轮第{said}句，我喜欢第{said % 50}种水果", at), id=f"{number}-{said}"
        )
        store.append([entry])
        os.write(acknowledge, f"{entry.id}\n".encode())


def _is_broken(store: OwnerStore) -> int:
    """Return how many of the checks of the whole file fail."""
    failed = int(store.check() != []) + int(text_index.state(store.writer) != "ok")
    try:
        store.writer.execute("insert into turn_words (turn_words) values ('integrity-check')")
    except sqlite3.DatabaseError:
        failed += 1
    turns = store.writer.execute("select count(*) from turn").fetchone()[0]
    failed += diary.count(store.writer) != turns
    sources = store.writer.execute(
        "select count(*) from fact where source not in (select id from turn)"
    ).fetchone()[0]
    return failed + int(sources > 0)


async def many_owners(folder: Path, owners: int) -> dict[str, int]:
    """Tell each owner's memory a secret and ask for it, eight at a time, all mixed up."""
    chance = random.Random(3)
    memory = PersonaMemory(MemorySettings(recall_deadline_ms=2000), folder)
    jobs = [(number, turn) for number in range(owners) for turn in range(3)]
    chance.shuffle(jobs)
    told = [0] * owners
    waiting = iter(jobs)
    crossed = unanswered = recalls = 0
    clock = datetime(2025, 8, 20, 12, tzinfo=ZONE)

    async def work() -> None:
        nonlocal crossed, unanswered, recalls
        for number, turn in waiting:
            owner = Owner(f"device-{number}")
            at = clock + timedelta(minutes=turn)
            secret = Turn("user", f"我的暗号是主人{number}，这是第{turn}次", at)
            await memory.remember(owner, [secret, Turn("assistant", f"记住了，主人{number}", at)])
            told[number] += 1
            for question in (
                "我们说的暗号是什么",
                "今天我们聊了什么",
            ):  # the first is in the running conversation
                found = await memory.recall(owner, question, clock + timedelta(hours=1))
                recalls += 1
                shown = _SECRET.findall(found.text) + _SECRET.findall(str(found.items))
                crossed += any(secret != f"主人{number}" for secret in shown)
                unanswered += not shown

    await asyncio.gather(*(work() for _ in range(8)))
    await memory.aclose()
    rows = 0
    for number in range(owners):
        file = owner_folder(folder, f"device-{number}") / FILE
        with contextlib.closing(sqlite3.connect(file)) as db:
            texts = [row[0] for row in db.execute("select text from turn")]
        rows += len(texts)
        crossed += sum(set(_SECRET.findall(text)) != {f"主人{number}"} for text in texts)
    return {
        "rows": rows,
        "recalls": recalls,
        "rows lost": 2 * sum(told) - rows,
        "rows crossed": crossed,
        "no answer": unanswered,
    }


if __name__ == "__main__":
    main()
