"""/api/say: a connected device speaks without having been asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fakes.bridge import Rig, messages, running
from fakes.parts import FakeChatModel, make_parts

from xiaozhi_persona.bridge.http import say as say_module
from xiaozhi_persona.bridge.messages import Tts

DEVICE = "aa:bb:cc:dd:ee:ff"


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running(make_parts()) as rig:
        yield rig


async def say(rig: Rig, text: Any = "【高兴】饭好了。", device: Any = DEVICE) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30) as http:
        return await http.post(
            f"http://127.0.0.1:{rig.bridge.http_port}/api/say", json={"device": device, "text": text}
        )


def heard(device: Any) -> list[str]:
    return [m.text for m in messages(device) if isinstance(m, Tts) and m.state == "sentence_start"]


async def test_a_connected_device_says_it_however_its_id_is_written(rig: Rig) -> None:
    async with rig.device(device_id=DEVICE) as device:
        for written in (DEVICE, "AA-BB-CC-DD-EE-FF"):
            answer = await say(rig, device=written)
            assert answer.status_code == 200 and answer.json() == {"said": True, "device": DEVICE}
        assert heard(device) == ["饭好了。", "饭好了。"]
        assert [m.state for m in messages(device) if isinstance(m, Tts)].count("stop") == 2


async def test_one_that_is_not_there_is_told_at_once(rig: Rig) -> None:
    async with rig.device(device_id="11:22:33:44:55:66"):
        answer = await say(rig)
        assert answer.status_code == 404
        assert DEVICE in answer.json()["error"] and "devices list" in answer.json()["next_step"]


async def test_it_waits_for_the_end_of_a_turn_and_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    came = watch(monkeypatch)
    go_on = asyncio.Event()
    model = FakeChatModel("我在讲一个故事呢，你听好了。", go_on, "讲完了。")
    async with running(make_parts(model)) as rig, rig.device(device_id=DEVICE) as device:
        device.type_text("讲个故事")
        await asyncio.wait_for(model.began.wait(), 10)
        asking = []
        for text in ("第一句。", "第二句。"):
            asking.append(asyncio.create_task(say(rig, text)))
            await asyncio.wait_for(came.get(), 10)
        go_on.set()
        assert [(await task).status_code for task in asking] == [200, 200]
        assert heard(device)[-3:] == ["讲完了。", "第一句。", "第二句。"]


async def test_what_waits_for_a_client_that_has_gone_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    came = watch(monkeypatch)
    go_on = asyncio.Event()
    model = FakeChatModel("我在讲一个故事呢，你听好了。", go_on, "讲完了。")
    async with running(make_parts(model)) as rig, rig.device(device_id=DEVICE) as device:
        device.type_text("讲个故事")
        await asyncio.wait_for(model.began.wait(), 10)
        gone = asyncio.create_task(say(rig, "没有人要听。"))
        await asyncio.wait_for(came.get(), 10)
        gone.cancel()
        await asyncio.wait({gone})
        staying = asyncio.create_task(say(rig, "有人要听。"))
        await asyncio.wait_for(came.get(), 10)
        go_on.set()
        assert (await staying).status_code == 200
        assert heard(device)[-2:] == ["讲完了。", "有人要听。"]


async def test_one_that_leaves_while_something_waits_is_told() -> None:
    model = FakeChatModel("我在讲一个故事呢，你听好了。", asyncio.Event())
    async with running(make_parts(model)) as rig:
        async with rig.device(device_id=DEVICE) as device:
            device.type_text("讲个故事")
            await asyncio.wait_for(model.began.wait(), 10)
            asking = asyncio.create_task(say(rig))
            await asyncio.sleep(0)
        assert (await asking).status_code == 404


def watch(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[None]:
    """Return what tells of each request that was read, and is queued next."""
    came: asyncio.Queue[None] = asyncio.Queue()
    asked = say_module.asked

    async def read(*arguments: Any) -> Any:
        wanted = await asked(*arguments)
        came.put_nowait(None)
        return wanted

    monkeypatch.setattr(say_module, "asked", read)
    return came


async def test_too_many_and_too_long_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(say_module, "WAIT_S", 0.1)
    monkeypatch.setattr(say_module, "MAX_WAITING", 1)
    model = FakeChatModel("我在讲一个故事呢，你听好了。", asyncio.Event())
    async with running(make_parts(model)) as rig, rig.device(device_id=DEVICE) as device:
        device.type_text("讲个故事")
        await asyncio.wait_for(model.began.wait(), 10)
        answers = await asyncio.gather(say(rig, "一。"), say(rig, "二。"))
        assert sorted(answer.status_code for answer in answers) == [409, 429]
        assert all(answer.json()["next_step"] for answer in answers)


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("", DEVICE),
        (" ", DEVICE),
        ("字" * 1001, DEVICE),
        (5, DEVICE),
        ("你好", ""),
        ("你好", 5),
        ("你好", "x" * 300),
    ],
)
async def test_what_cannot_be_said_is_refused(rig: Rig, text: Any, device: Any) -> None:
    answer = await say(rig, text, device)
    assert answer.status_code == 400 and isinstance(answer.json()["error"], str)
