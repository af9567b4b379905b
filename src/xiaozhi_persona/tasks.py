"""Ending tasks."""

from __future__ import annotations

import asyncio
from typing import Any

_PATIENCE_S = 1.0


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancel a task and return when it has ended, whatever its outcome.

    It is cancelled again when it goes on: before Python 3.12 `asyncio.wait_for` swallows a cancellation that
    meets a result (python/cpython issue 86296).
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_PATIENCE_S)
