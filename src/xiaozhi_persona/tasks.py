"""Ending tasks."""

from __future__ import annotations

import asyncio
from typing import Any

_PATIENCE_S = 1.0


async def cancel_and_wait(task: asyncio.Future[Any]) -> None:
    """Cancel a task and return when it has ended, whatever its outcome.

    It is cancelled again when it goes on: libraries may swallow a cancellation, as `asyncio.wait_for` did before
    Python 3.12 when it met a result (python/cpython issue 86296). Deadlines here are anyio's for that reason.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_PATIENCE_S)
