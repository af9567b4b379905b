"""Ending tasks."""

from __future__ import annotations

import asyncio

import pytest

from xiaozhi_persona.tasks import cancel_and_wait


async def gives(value: str) -> str:
    await asyncio.sleep(0)
    return value


async def fails() -> None:
    await asyncio.sleep(0)
    raise ValueError("a bug")


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("xiaozhi_persona.tasks._PATIENCE_S", 0.01)
    swallowed = []

    async def stubborn() -> None:
        while len(swallowed) < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.append(True)
        await asyncio.Event().wait()

    task = asyncio.create_task(stubborn(), name="stubborn")
    await asyncio.sleep(0)
    await cancel_and_wait(task)
    assert task.cancelled() and len(swallowed) == 2


async def test_a_task_that_has_ended_is_no_matter() -> None:
    task = asyncio.create_task(gives("done"), name="done")
    await task
    await cancel_and_wait(task)
    failed = asyncio.create_task(fails(), name="failed")
    await asyncio.wait({failed})
    await cancel_and_wait(failed)
    assert isinstance(failed.exception(), ValueError)
