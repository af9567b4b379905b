"""Timers and alarms ring at the device, and it speaks first where it may: never into what is being said."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.bridge import Rig, make_settings, messages, running
from fakes.parts import FakeChatModel, make_parts
from fakes.scene import NOON
from test_bridge_intents import ask, said, until

from xiaozhi_persona.bridge.answering import Unasked
from xiaozhi_persona.bridge.messages import Tts
from xiaozhi_persona.bridge.wits.intents import Intents
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.providers.intent import ringing
from xiaozhi_persona.providers.intent.first_words import QUIET_S, FirstWords
from xiaozhi_persona.providers.intent.scheduler import Scheduler
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import MemorySettings, PathSettings, SpeakFirstSettings
from xiaozhi_persona.spine import Owner, Turn
from xiaozhi_persona.tasks import cancel_and_wait


class Clock:
    """The wall clock of timers and alarms."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at

    def go(self, **more: float) -> None:
        self.at += timedelta(**more)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(ringing, "QUIET_S", 0.05)
    monkeypatch.setattr(ringing, "TICK_S", 0.02)
    return Clock()


@contextlib.asynccontextmanager
async def rings(folder: Path, clock: Clock, chat: Any = None) -> AsyncIterator[Rig]:
    settings = make_settings().model_copy(update={"paths": PathSettings(data=str(folder))})
    parts = make_parts(chat or FakeChatModel("好。"))
    parts.casting = Casting(settings)
    parts.intents = await Intents.open(settings, parts.casting, clock)
    parts.closers.append(parts.intents.aclose)
    async with running(parts, settings) as rig:
        yield rig


def pending(rig: Rig) -> int:
    assert rig.parts.intents and rig.parts.intents.scheduler
    return len(rig.parts.intents.scheduler.pending("02:00:00:00:00:01"))


def due(rig: Rig) -> int:
    assert rig.parts.intents and rig.parts.intents.scheduler
    return len(rig.parts.intents.scheduler.due(["02:00:00:00:00:01"]))


async def test_a_timer_rings_at_the_connected_device_once(clock: Clock, tmp_path: Path) -> None:
    async with rings(tmp_path, clock) as rig, rig.device() as device:
        assert "连" in await ask(device, "三分钟后提醒我关火")
        clock.go(minutes=2)
        assert "1分钟" in await ask(device, "还剩多久")
        clock.go(minutes=1)
        await until(lambda: said(device)[-1] == "时间到了，该关火了。")
        await until(lambda: not pending(rig))
        await until(lambda: messages(device)[-1] == Tts("stop"))
        assert messages(device).count(Tts("start")) == 3
        assert rig.turns[-1].outcome == "done"


async def test_nothing_rings_over_a_reply_but_after_it(clock: Clock, tmp_path: Path) -> None:
    hold = asyncio.Event()
    tale = FakeChatModel("从前有座高山。", "山里有座大庙。", hold, "后来就讲完了。")
    async with rings(tmp_path, clock, tale) as rig, rig.device() as device:
        await ask(device, "set a timer for one minute")
        device.type_text("讲个故事")
        await until(lambda: said(device)[-1] == "从前有座高山。")
        clock.go(minutes=1)
        await asyncio.sleep(0.2)  # long enough to ring, if it did
        assert said(device)[-1] == "从前有座高山。"
        hold.set()
        await until(lambda: said(device)[-1] in ("Time's up.", "Your timer is done."))
        assert said(device)[-2] == "后来就讲完了。"
        await until(lambda: messages(device)[-1] == Tts("stop"))
        assert messages(device).count(Tts("start")) == messages(device).count(Tts("stop")) == 3


async def test_what_was_missed_rings_at_the_next_connection_and_says_how_late(
    clock: Clock, tmp_path: Path
) -> None:
    async with rings(tmp_path, clock) as rig, rig.device() as device:
        await ask(device, "十分钟后提醒我喝水")
        await ask(device, "三分钟后叫我")
    clock.at += timedelta(hours=1, minutes=3)
    async with rings(tmp_path, clock) as rig:  # after a restart
        assert pending(rig) == 2
        async with rig.device("realtime") as device:
            device.type_text("在吗")
            await until(lambda: not pending(rig))
            told = "".join(said(device))
            assert "晚了1小时：时间到" in told and "晚了53分钟：时间到了，该喝水了。" in told
            assert told.index("好。") < told.index("晚了")


async def test_an_alarm_that_repeats_rings_again(clock: Clock, tmp_path: Path) -> None:
    async with rings(tmp_path, clock) as rig, rig.device() as device:
        await ask(device, "每天早上七点叫我起床")
        for _ in range(2):
            before = len(said(device))
            clock.at = datetime.combine(clock.at.date() + timedelta(days=1), NOON.replace(hour=7).timetz())
            await until(lambda: len(said(device)) > before)  # noqa: B023
            await until(lambda: not due(rig))
        assert pending(rig) == 1


async def test_the_timers_of_one_are_not_told_to_another_who_has_come_under_his_id(
    clock: Clock, tmp_path: Path
) -> None:
    scheduler = Scheduler(tmp_path / "memory", clock)
    scheduler.set_timer("somebody else", "02:00:00:00:00:01", 60, "秘密")
    scheduler.close()
    async with rings(tmp_path, clock) as rig, rig.device() as device:
        await ask(device, "在吗")
        clock.go(minutes=1)
        await asyncio.sleep(0.2)
        assert said(device) == ["好。"]


async def test_a_file_that_cannot_be_read_is_told_once_and_read_again(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ringing, "AFTER_FAILURE_S", 0.2)
    scheduler, device = Scheduler(tmp_path, clock), Quiet()
    device.takes_aside = True
    scheduler.set_timer("小明", device.device_id, 60, "关火")
    clock.go(minutes=1)
    read = scheduler.due
    failures = [PersonaError("闹钟的文件用不了")]

    def due(devices: Any) -> Any:
        if failures:
            raise failures.pop()
        return read(devices)

    monkeypatch.setattr(scheduler, "due", due)
    task = asyncio.create_task(ringing.Ringing(scheduler, lambda: [device], clock).run())
    await until(lambda: device.said == ["时间到了，该关火了。"] and not scheduler.pending("小明"))
    await cancel_and_wait(task)
    scheduler.close()
    assert caplog.text.count("闹钟的文件用不了") == 1


class Quiet:
    """A connected device, as far as something can be said there."""

    owner_id = "小明"
    mind: tuple[PersonaMemory, Owner] | None = None

    def __init__(self, device_id: str = "02:00:00:00:00:01") -> None:
        self.device_id, self.quiet_s = device_id, 60.0
        self.said: list[str] = []
        self.listens = True
        self.takes_aside = False

    async def say_unasked(self, text: str, *, aside: bool) -> bool:
        if self.listens:
            assert aside == self.takes_aside
            self.said.append(text)
        return self.listens


class First:
    """Somebody's memory, and who speaks first to him."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.at = NOON
        self.mind = PersonaMemory(MemorySettings(), folder / "memory")
        self.scheduler = Scheduler(folder, lambda: self.at)
        self.device = Quiet()
        self.device.mind = self.mind, Owner("小明")
        self.words = FirstWords(
            SpeakFirstSettings(enabled=True, **settings),
            self.scheduler,
            lambda: [self.device],
            lambda: self.at,
        )

    async def tell(self, *texts: str) -> None:
        await self.mind.remember(Owner("小明"), [Turn("user", text, self.at) for text in texts])

    async def at_hour(self, hour: int, days: int = 0) -> list[str]:
        self.at = self.at.replace(hour=hour) + timedelta(days=days)
        before = len(self.device.said)
        await self.words.look()
        return self.device.said[before:]


@pytest.fixture
async def first(tmp_path: Path) -> AsyncIterator[First]:
    made = First(tmp_path)
    yield made
    await made.mind.aclose()
    made.scheduler.close()


async def test_tomorrows_plan_is_brought_up_in_the_evening_and_once(first: First) -> None:
    await first.tell("明天下午三点我要去看牙医")
    assert await first.at_hour(13) == []
    (told,) = await first.at_hour(18)
    assert "明天下午3点" in told and "看牙医" in told
    assert await first.at_hour(19) == []


async def test_a_birthday_is_brought_up_on_its_day_each_year(first: First) -> None:
    await first.tell("我妈妈的生日是12月2日", "我的生日是12月2日")
    assert await first.at_hour(12, days=1) == []
    told = await first.at_hour(12, days=1) + await first.at_hour(13)
    assert (
        len(told) == 2 and any("妈妈" in text for text in told) and any("生日快乐" in text for text in told)
    )
    assert await first.at_hour(14) == []
    assert len(await first.at_hour(12, days=365)) == 1


async def test_a_long_silence_ends_with_a_greeting(first: First) -> None:
    await first.tell("今天真热")
    assert await first.at_hour(12, days=2) == []
    (told,) = await first.at_hour(12, days=2)
    assert "好久" in told or "好几天" in told
    assert await first.at_hour(13) == []


async def test_it_says_nothing_out_of_hours_in_a_conversation_or_too_often(first: First) -> None:
    await first.tell("明天下午三点我要去看牙医", "明天晚上八点我要去开会", "明天早上九点我要去爬山")
    assert await first.at_hour(21) == []
    first.device.quiet_s = 0.0
    assert await first.at_hour(18) == []
    first.device.quiet_s = QUIET_S / 2
    assert await first.at_hour(18) == []
    first.device.quiet_s = QUIET_S
    first.device.listens = False
    assert await first.at_hour(18) == []
    first.device.listens = True
    assert len(await first.at_hour(18)) == 1  # what was not heard is said later
    assert len(await first.at_hour(19)) == 1
    assert await first.at_hour(20) == []  # two a day


async def test_who_cannot_prove_who_he_is_or_has_no_memory_is_not_spoken_to(first: First) -> None:
    await first.tell("明天下午三点我要去看牙医")
    first.device.device_id = ""
    assert await first.at_hour(18) == []
    first.device.device_id, first.device.mind = "02:00:00:00:00:01", None
    assert await first.at_hour(18) == []


def test_hours_that_go_over_midnight() -> None:
    late = SpeakFirstSettings(hours="22-6")
    assert [hour for hour in range(24) if late.allows(hour)] == [0, 1, 2, 3, 4, 5, 22, 23]
    assert not any(SpeakFirstSettings(hours="9-9").allows(hour) for hour in range(24))


async def test_what_it_says_first_is_a_part_of_the_conversation(clock: Clock, tmp_path: Path) -> None:
    chat = FakeChatModel("好。")
    async with rings(tmp_path, clock, chat) as rig, rig.device() as device:
        await ask(device, "在吗")
        (session,) = rig.bridge._sessions
        await until(lambda: session.quiet_since_s < math.inf)
        assert await session.say(Unasked("今天是你的生日，生日快乐！"))
        await until(lambda: len(said(device)) > 1 and device.model.state == "listening")
        await ask(device, "谢谢你记得")
        items = [(message.role, message.content) for message in chat.asked[-1][1:]]
        assert items[2][0] == "assistant" and items[2][1].endswith("今天是你的生日，生日快乐！")
