"""The memory at size: years of Chinese turns of one owner; questions, appends, opening; recall of the right turns.

Wall and CPU time, one thread, p50/p95, with 10,000, 100,000 and 1,000,000 turns: about two minutes, `--turns 10000` for less.
Beside it the usual way (memory_usual.py) on the same turns, in the same run.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from figures import options, percentiles, show
from growth_plot import growth_svg, print_growth
from memory_usual import load_jionlp, scan_days, write_days
from memory_years import END, TURNS_A_DAY, Question, Years, common_words, generate

from xiaozhi_persona.memory import diary, text_index, wall_clock
from xiaozhi_persona.memory.draft import Draft
from xiaozhi_persona.memory.recall import recall
from xiaozhi_persona.memory.store import FILE, OwnerStore, owner_folder
from xiaozhi_persona.memory.time_words import find_ranges
from xiaozhi_persona.memory.words import query_terms
from xiaozhi_persona.spine import Turn

QUESTIONS = 200
NOW = END.replace(tzinfo=None)
TIME_QUESTIONS = (
    "昨天我们聊了什么 上周三我答应了谁什么事 今天中午我吃了什么 去年国庆我去了哪里 三天前的晚上我干了什么 "
    "上个月我说想学什么 8月3号下午三点我在哪 前几天我是不是提过小王 你还记得去年夏天的事吗 我喜欢吃什么 "
    "给我讲个故事吧 我女儿三岁了 上上周末我跟谁出去玩了 《昨天》是谁唱的 中秋节那天晚上我们说了什么"
).split()
Figures = dict[str, dict[str, Any]]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--turns", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the growth with the turns")
    parser.add_argument("--extra-memory", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.extra_memory:
        print(extra_memory_mb(arguments.extra_memory))
        return
    words = time_words()
    speed: Figures = {}
    right: Figures = {}
    ranking: Figures = {}
    for turns in arguments.turns:
        folder = Path(tempfile.mkdtemp(prefix="memory-scale-"))
        try:
            measure(turns, folder, speed, right, ranking)
        finally:
            shutil.rmtree(folder)
    show(arguments.json, "Time words: microseconds for one question", words)
    show(arguments.json, "Memory: milliseconds for one question or turn", speed)
    show(arguments.json, "Recall of the right turns and facts", right)
    show(arguments.json, "Share of questions whose right turn is among the first k", ranking)
    if arguments.plot:
        arguments.plot.write_text(growth_svg(speed), encoding="utf-8")
    if not arguments.json:
        print_growth(speed)


def measured(
    job: Callable[[int], Any], times: int, target: tuple[float, float] | None = None, unit_s: float = 1e-3
) -> dict[str, Any]:
    """Run a job and return its wall and CPU time in units of `unit_s`; `target` is that for p50 and p95."""
    wall, cpu = [], []
    gc.collect()
    gc.freeze()  # the turns of the benchmark are not part of the program that is measured
    for number in range(times):
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        job(number)
        cpu.append((time.process_time() - cpu_s) / unit_s)
        wall.append((time.perf_counter() - wall_s) / unit_s)
    told, used = percentiles(wall), percentiles(cpu)
    row = {"wall p50": told["p50"], "wall p95": told["p95"], "cpu p50": used["p50"], "cpu p95": used["p95"]}
    if target:
        met = all(share <= most for share, most in zip((told["p50"], told["p95"]), target, strict=True))
        row |= {"target": f"{target[0]:g}/{target[1]:g}", "met": "yes" if met else "no"}
    return row


def time_words() -> Figures:
    long = ("我昨天和小王聊了很多事情，后来上周三又说起去年国庆的旅行，今天中午吃饭时还提到" * 30)[:1000]
    find_ranges(long + " last week", NOW)  # the English rules are made when they are first needed
    rows = {
        "ours": measured(
            lambda n: find_ranges(TIME_QUESTIONS[n % len(TIME_QUESTIONS)], NOW), 3000, (20, 50), 1e-6
        ),
        "ours, 1,000 characters": measured(lambda n: find_ranges(long, NOW), 200, (1000, 1000), 1e-6),
    }
    started = time.perf_counter()
    parse = load_jionlp()
    if not parse:
        return rows | {"jionlp is not installed": {}}
    parse("昨天", NOW)
    loaded_ms = round((time.perf_counter() - started) * 1000)
    rows[f"jionlp ({loaded_ms} ms to load)"] = measured(
        lambda n: parse(TIME_QUESTIONS[n % len(TIME_QUESTIONS)], NOW), 3000, unit_s=1e-6
    )
    return rows


def measure(turns: int, folder: Path, speed: Figures, right: Figures, ranking: Figures) -> None:
    chance = random.Random(turns)
    years = generate(turns, chance)
    home = owner_folder(folder, "bench")
    store = OwnerStore(home, "bench")
    started = time.perf_counter()
    for start in range(0, len(years.entries), 2000):
        store.append(years.entries[start : start + 2000])
    import_us = (time.perf_counter() - started) / turns * 1e6
    store.close()
    size_mb = sum(path.stat().st_size for path in home.iterdir()) / 1e6

    def reopen(_: int) -> None:
        OwnerStore(home, "bench").close()

    days = min(turns // TURNS_A_DAY, 360)
    asked = [f"{day.month}月{day.day}号" for day in (NOW - timedelta(days=n) for n in range(1, days))]

    def on_day(number: int) -> str:
        return asked[number * 37 % len(asked)]

    def ask(text: str) -> Draft:
        draft = Draft()
        recall(store.reader, text, END, draft, max_tokens=800)
        return draft

    top = turns >= 1_000_000
    word_target = (3.0, 8.0) if top else (1.0, 3.0)
    of = f"{turns:,}: "
    speed[f"{of}open"] = measured(reopen, 20, (150, 150))
    store = OwnerStore(home, "bench")
    jobs: dict[str, tuple[tuple[float, float], Callable[[int], Any]]] = {
        "a day": ((0.5, 1.5), lambda n: ask(f"{on_day(n)}我们聊了什么")),
        "a day and words": ((0.5, 1.5), lambda n: ask(f"{on_day(n)}我和小王去了哪里吃火锅")),
        "last month": ((0.5, 1.5), lambda n: ask("上个月我们聊了什么")),
        "a fact": (word_target, lambda n: ask("我住在哪里")),
        "rare words": (word_target, lambda n: ask(years.questions[n % len(years.questions)].text)),
        "common words": (word_target, lambda n: ask(common_words(chance))),
    }
    for name, (target, job) in jobs.items():
        speed[of + name] = measured(job, QUESTIONS, target)
    usual_way(of, folder / "usual", years, on_day, speed)
    right[f"{of}file {size_mb:.0f} MB, import {import_us:.0f} µs a turn"] = {
        "extra memory MB": float(
            subprocess.run(
                [sys.executable, __file__, "--extra-memory", str(folder)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        ),
        **exact_ranges(store, years.entries, chance, turns // TURNS_A_DAY),
        "newest fact": newest_facts(store, years),
    }
    for label, neighbours in (("with neighbours", True), ("without", False)):
        ranking[of + label] = found_share(store, years.questions, neighbours)
    texts = [entry.text for entry in years.entries[:1000]]
    speed[f"{of}append"] = measured(
        lambda n: store.append([diary.entry(Turn("user", texts[n], END + timedelta(seconds=n)))]),
        1000,
        (0.15, 0.5),
    )
    store.close()

    def reopen_from_disk(number: int) -> None:
        drop_from_cache(home / FILE)
        reopen(number)

    speed[f"{of}open, not in the disk cache"] = measured(reopen_from_disk, 5, (150, 150))
    gc.unfreeze()


def usual_way(of: str, folder: Path, years: Years, on_day: Callable[[int], str], speed: Figures) -> None:
    write_days(folder, years.entries[-360 * TURNS_A_DAY :])
    parse = load_jionlp()
    if not parse:
        speed[f"{of}the usual way: jionlp is not installed"] = {}
        return
    for name, rest in (("a day", "我们聊了什么"), ("a day and words", "我和小王去了哪里吃火锅")):

        def ask(number: int, rest: str = rest) -> str:
            question = on_day(number) + rest
            start, end = parse(question, NOW) or (NOW - timedelta(days=1), NOW)
            return scan_days(folder, question, start, end)

        row = measured(ask, QUESTIONS)
        row["to ours"] = f"{row['cpu p50'] / speed[of + name]['cpu p50']:.1f}x"
        speed[f"{of}the usual way, {name}"] = row


def drop_from_cache(file: Path) -> None:
    """Have the system read a file from the disk again; does nothing where it cannot be told to."""
    if hasattr(os, "posix_fadvise"):
        number = os.open(file, os.O_RDONLY)
        os.fsync(number)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(number)


def extra_memory_mb(folder: Path) -> float:
    """Return by how much this process grows with the open memory, its questions and its answers."""

    def now_mb() -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024

    find_ranges("昨天 last week", NOW)
    before = now_mb()
    store = OwnerStore(owner_folder(folder, "bench"), "bench")
    chance = random.Random(1)
    for number in range(100):
        day = NOW - timedelta(days=1 + number % 30)
        for text in (common_words(chance), f"{day.month}月{day.day}号我们聊了什么", "我住在哪里"):
            recall(store.reader, text, END, Draft(), max_tokens=800)
    after = now_mb()
    store.close()
    return round(after - before, 1)


def exact_ranges(
    store: OwnerStore, entries: list[diary.Entry], chance: random.Random, days: int
) -> dict[str, float]:
    """Return the share of ranges for which exactly the turns said in them come back: of any bounds, and of those
    named in words, where the text may show a part of them, but none from elsewhere.
    """
    times = [entry.local_ms for entry in entries]

    def said(start: datetime, end: datetime) -> list[str]:
        low, high = (bisect_left(times, wall_clock.to_local_ms(bound)) for bound in (start, end))
        return [entry.id for entry in entries[low:high]]

    any_bounds = in_words = 0
    for _ in range(QUESTIONS):
        start = NOW - timedelta(days=chance.randrange(1, days), hours=chance.randrange(24))
        end = start + timedelta(hours=chance.choice([1, 6, 24, 72, 168]))
        any_bounds += [entry.id for entry in diary.in_range(store.reader, start, end)] == said(start, end)
        day = (NOW - timedelta(days=chance.randrange(1, min(days, 360)))).replace(hour=0, minute=0)
        part, first, last = chance.choice([("", 0, 24), ("上午", 8, 12), ("下午", 12, 18), ("晚上", 18, 24)])
        wanted = said(day + timedelta(hours=first), day + timedelta(hours=last))
        draft = Draft()
        recall(store.reader, f"{day.month}月{day.day}号{part}我们聊了什么", END, draft, max_tokens=800)
        shown = {turn.id for turn in draft.turns}
        in_words += draft.turns_in_range == len(wanted) and shown <= set(wanted) and bool(shown or not wanted)
    return {"exact ranges": any_bounds / QUESTIONS, "ranges in words": in_words / QUESTIONS}


def newest_facts(store: OwnerStore, years: Years) -> float:
    """Return the share of facts that are answered by their newest value alone, asked soon after each change."""
    right = 0
    for change in years.changes:
        draft = Draft()
        recall(store.reader, change.question, change.at + timedelta(minutes=3), draft, max_tokens=800)
        right += [fact.value for fact in draft.facts] == [change.value]
    return right / len(years.changes)


def found_share(store: OwnerStore, questions: list[Question], neighbours: bool) -> dict[str, Any]:
    """Return recall@k of the turn that was said and, beside it, of the turn that has the answer."""
    said = {5: 0, 10: 0, 20: 0}
    answer = dict(said)
    for question in questions:
        hits = text_index.search(store.reader, query_terms(question.text), 20, neighbours=neighbours)
        turns = diary.by_seq(store.reader, [hit.seq for hit in hits])
        names = [turns[hit.seq].id for hit in hits]
        for k in said:
            said[k] += bool(question.said & set(names[:k]))
            answer[k] += question.answer in names[:k]
    total = len(questions)
    return {f"said @{k}": round(said[k] / total, 3) for k in said} | {
        f"answer @{k}": round(answer[k] / total, 3) for k in answer
    }


if __name__ == "__main__":
    main()
