"""What is done once a conversation has been quiet for a while, one owner after the other, and not too often."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from xiaozhi_persona.tasks import cancel_and_wait

log = logging.getLogger(__name__)

_HOUR_S = 3600.0


class Quiet:
    """Waits for quiet. All methods belong on one event loop."""

    def __init__(
        self, work: Callable[[str], Awaitable[bool]], *, after_s: float, at_most_an_hour: int
    ) -> None:
        """`work` does it for an owner, and returns whether there is more to do."""
        self._work = work
        self._after_s = after_s
        self._at_most = at_most_an_hour
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._spoke_at_s: dict[str, float] = {}
        self._done_at_s: deque[float] = deque()
        self._one_at_a_time = asyncio.Lock()

    def spoke(self, owner_id: str) -> None:
        """Note that something was said: the quiet begins anew."""
        self._spoke_at_s[owner_id] = time.monotonic()
        if owner_id not in self._waiting:
            task = asyncio.get_running_loop().create_task(self._wait(owner_id), name="memory-quiet")
            self._waiting[owner_id] = task
            task.add_done_callback(partial(self._ended, owner_id))

    async def room(self) -> None:
        """Wait until fewer than `at_most_an_hour` were made room for in the last hour: `work` calls it for each request."""
        while len(self._done_at_s) >= self._at_most:
            rest_s = self._done_at_s[0] + _HOUR_S - time.monotonic()
            if rest_s > 0:
                await asyncio.sleep(rest_s)
            else:
                self._done_at_s.popleft()
        self._done_at_s.append(time.monotonic())

    async def aclose(self) -> None:
        """End the waiting: the next start goes on."""
        for task in list(self._waiting.values()):
            await cancel_and_wait(task)

    async def _wait(self, owner_id: str) -> None:
        more = True
        while more:
            while (rest_s := self._spoke_at_s[owner_id] + self._after_s - time.monotonic()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(rest_s)
            async with self._one_at_a_time:
                began_s = time.monotonic()
                try:
                    more = await self._work(owner_id)
                except Exception:
                    log.exception("安静时整理记忆出错")
                    more = False
            more = more or self._spoke_at_s[owner_id] > began_s  # he spoke while that was done
        self._spoke_at_s.pop(owner_id, None)
        self._waiting.pop(owner_id, None)  # at once: who speaks next is waited for anew

    def _ended(self, owner_id: str, task: asyncio.Task[None]) -> None:
        if self._waiting.get(owner_id) is task:  # it was cancelled
            del self._waiting[owner_id]
