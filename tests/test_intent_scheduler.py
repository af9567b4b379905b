"""Timers and alarms: when they ring, at which device, and that a restart loses none."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.intent.router import Router
from xiaozhi_persona.providers.intent.scheduler import FILE, MAX_PER_OWNER, Scheduler, next_time

SHANGHAI = ZoneInfo("Asia/Shanghai")
WEDNESDAY = datetime(2025, 8, 20, 15, 30, tzinfo=SHANGHAI)


class Clock:
    def __init__(self) -> None:
        self.now = WEDNESDAY

    def __call__(self) -> datetime:
        return self.now

    def go(self, **more: int) -> None:
        self.now += timedelta(**more)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scheduler(tmp_path: Path, clock: Clock) -> Iterator[Scheduler]:
    made = Scheduler(tmp_path, clock)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("said", "due"),
    [
        ("七点叫我起床", "2025-08-21 07:00"), ("下午四点提醒我开会", "2025-08-20 16:00"), ("明早六点半的闹钟", "2025-08-21 06:30"), ("今天下午三点提醒我喝水", None),
        ("周三早上八点叫我", "2025-08-27 08:00"), ("周五早上八点叫我", "2025-08-22 08:00"), ("下周一早上八点叫我", "2025-08-25 08:00"), ("周三下午五点叫我", "2025-08-20 17:00"),
        ("每天早上七点叫我起床", "2025-08-21 07:00"), ("工作日晚上六点提醒我下班", "2025-08-20 18:00"), ("今晚十二点叫我", "2025-08-21 00:00"), ("后天中午十二点提醒我吃饭", "2025-08-22 12:00"),
    ],
)  # fmt: skip
def test_when_an_alarm_rings(said: str, due: str | None) -> None:
    match = Router().route(said)
    assert match and match.intent == "alarm_set"
    found = next_time(match.slots, WEDNESDAY)
    assert found == (datetime.fromisoformat(due).replace(tzinfo=SHANGHAI) if due else None)


def test_it_rings_at_its_device_once_somebody_is_there(scheduler: Scheduler, clock: Clock) -> None:
    timer = scheduler.set_timer("甲", "a", 600, "关火")
    scheduler.set_timer("乙", "b", 600)
    assert scheduler.next_due({"a"}) == timer.due and not scheduler.due({"a", "b"})
    clock.go(minutes=10)
    assert scheduler.due(set()) == [] and scheduler.next_due({"c"}) is None
    assert scheduler.due({"a"}) == scheduler.due({"a"}) == [timer]
    scheduler.rung(timer)
    assert not scheduler.due({"a"}) and len(scheduler.due({"b"})) == 1


def test_a_file_of_an_earlier_version_is_read_on(tmp_path: Path, clock: Clock) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as earlier, earlier:
        earlier.execute(
            "create table entry (id integer primary key, owner text not null, device text not null,"
            " kind text not null, label text not null, due_s real not null, again text not null default '')"
        )
        earlier.execute(
            "insert into entry values (7, '甲', 'a', 'alarm', '起床', ?, '')", (clock.now.timestamp(),)
        )
    for _ in range(2):
        with contextlib.closing(Scheduler(tmp_path, clock)) as scheduler:
            (entry,) = scheduler.due({"a"})
            assert (entry.id, entry.label, entry.length_s, entry.language) == (7, "起床", 0, "zh")
    with contextlib.closing(Scheduler(tmp_path, clock)) as scheduler:
        scheduler.rung(entry)
        assert scheduler.set_timer("甲", "a", 60, language="ja") in scheduler.pending("甲")


def test_a_restart_loses_nothing(tmp_path: Path, clock: Clock) -> None:
    first = Scheduler(tmp_path, clock)
    first.set_timer("甲", "a", 600, "关火")
    first.set_alarm("甲", "a", {"repeat": "daily", "hour": 7, "minute": 0}, "起床")
    first.close()
    clock.go(days=2)
    second = Scheduler(tmp_path, clock)
    late = second.due({"a"})
    assert [entry.label for entry in late] == ["关火", "起床"]
    assert clock.now - late[0].due == timedelta(days=2) - timedelta(minutes=10)
    for entry in late:
        second.rung(entry)
    assert [entry.due for entry in second.pending("甲")] == [datetime(2025, 8, 23, 7, tzinfo=SHANGHAI)]
    second.close()
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_what_repeats_rings_again_and_on_workdays_not_at_weekends(scheduler: Scheduler, clock: Clock) -> None:
    alarm = scheduler.set_alarm("甲", "a", {"repeat": "workdays", "hour": 7, "minute": 0})
    days = []
    for _ in range(4):
        (alarm,) = scheduler.pending("甲")
        clock.now = alarm.due
        assert scheduler.due({"a"}) == [alarm]
        scheduler.rung(alarm)
        days.append(alarm.due.day)
    assert days == [21, 22, 25, 26]


def test_only_ones_own_are_seen_and_cancelled(scheduler: Scheduler) -> None:
    scheduler.set_timer("甲", "a", 60)
    scheduler.set_timer("甲", "a", 30)
    scheduler.set_timer("乙", "a", 10)
    own = scheduler.pending("甲")
    assert [(entry.due - WEDNESDAY).seconds for entry in own] == [30, 60]
    assert scheduler.cancel(own[:1]) == 1 and scheduler.cancel(own) == 1 and scheduler.cancel(own) == 0
    assert scheduler.pending("甲") == [] and len(scheduler.pending("乙")) == 1


def test_there_are_not_too_many(scheduler: Scheduler) -> None:
    for _ in range(MAX_PER_OWNER):
        scheduler.set_timer("甲", "a", 60, "长" * 1000)
    with pytest.raises(PersonaError, match="先取消几个"):
        scheduler.set_timer("甲", "a", 60)
    assert scheduler.set_timer("乙", "a", 60) and len(scheduler.pending("甲")[0].label) == 100


def test_threads_may_share_it(scheduler: Scheduler) -> None:
    def work(owner: str) -> None:
        for _ in range(20):
            scheduler.cancel([scheduler.set_timer(owner, "a", 1)])

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scheduler.next_due({"a"}) is None


def test_a_broken_file_is_told(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 200)
    with pytest.raises(PersonaError, match="alarms.db"):
        Scheduler(tmp_path, clock)


@pytest.mark.parametrize("when", [{"hour": 2, "minute": 30}, {"repeat": "daily", "hour": 2, "minute": 30}])
def test_a_time_that_a_day_does_not_have_is_no_mistake(when: dict[str, Any]) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    night = datetime(2025, 3, 29, 23, 0, tzinfo=berlin)  # at two the clock goes on to three
    found = next_time(when, night)
    assert found and timedelta() < found - night < timedelta(hours=4)
