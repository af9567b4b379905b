"""What is said in one conversation keeps its order and its distances when the wall clock is set meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from fakes.bridge import messages, running
from fakes.parts import FakeChatModel, FakeMemory, make_parts

from xiaozhi_persona.bridge.messages import Tts
from xiaozhi_persona.memory import clock
from xiaozhi_persona.spine import Owner, Turn


class SetClock(datetime):
    """datetime.now() of a machine whose clock is set."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + cls.ahead


@pytest.mark.parametrize("jump", [timedelta(hours=-3), timedelta(days=400)])
async def test_a_clock_that_is_set_does_not_reorder_a_conversation(
    monkeypatch: pytest.MonkeyPatch, jump: timedelta
) -> None:
    monkeypatch.setattr(clock, "datetime", SetClock)
    monkeypatch.setattr(SetClock, "ahead", timedelta())
    memory = FakeMemory(max_turns=20)
    async with running(make_parts(FakeChatModel("好。"), memory=memory)) as rig, rig.device() as device:
        for question in ("第一句", "第二句"):
            before = len(messages(device))
            device.type_text(question)
            await device.until(lambda before=before: Tts("stop") in messages(device)[before:])
            await device.until(lambda: device.state == "listening")
            SetClock.ahead = jump
    turns: list[Turn] = list((await memory.recall(Owner("02:00:00:00:00:01"), "", datetime.now())).items)
    assert [turn.text for turn in turns] == ["第一句", "好。", "第二句", "好。"]
    times = [turn.at for turn in turns]
    assert times == sorted(times)
    assert times[-1] - times[0] < timedelta(minutes=1)
    assert abs(times[0] - datetime.now().astimezone()) < timedelta(minutes=1)


async def test_the_next_conversation_has_the_new_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "datetime", SetClock)
    monkeypatch.setattr(SetClock, "ahead", timedelta())
    first = clock.ConversationClock()
    monkeypatch.setattr(SetClock, "ahead", timedelta(hours=2))
    assert clock.ConversationClock().now() - first.now() > timedelta(hours=1, minutes=59)
    assert first.now().tzinfo is not None
