"""How jobs come to a thread in turn: those that take long are handed over one at a time, and others come between."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")


class OneAtATime:
    """Hands jobs to a pool, the next one when the one before has ended. For any thread."""

    def __init__(self, pool: ThreadPoolExecutor, name: str) -> None:
        self._pool = pool
        self._hand = ThreadPoolExecutor(1, name)

    def submit(self, job: Callable[..., _T], *arguments: object) -> Future[_T]:
        """Have a job done; until it is handed over it can be cancelled."""
        return self._hand.submit(lambda: self._pool.submit(job, *arguments).result())

    def shutdown(self, *, cancel_futures: bool = False) -> None:
        """Hand over what is left, or cancel it; before the pool is shut down. Blocks."""
        self._hand.shutdown(cancel_futures=cancel_futures)


class NewcomersLast:
    """Does the jobs of each owner in their order; those of newcomers, which take long, one at a time. For any thread."""

    def __init__(self, pool: ThreadPoolExecutor, name: str, is_known: Callable[[str], bool]) -> None:
        self._pool = pool
        self._newcomers = OneAtATime(pool, name)
        self._is_known = is_known
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()  # jobs of newcomers, who may be known by now

    def submit(self, job: Callable[..., _T], owner_id: str, *arguments: object) -> Future[_T]:
        """Have a job done for an owner, who is its first argument."""
        with self._lock:
            if self._is_known(owner_id) and owner_id not in self._waiting:
                return self._pool.submit(job, owner_id, *arguments)
            self._waiting[owner_id] += 1
        later = self._newcomers.submit(job, owner_id, *arguments)
        later.add_done_callback(lambda _: self._done(owner_id))
        return later

    def shutdown(self) -> None:
        """Hand over what is left; before the pool is shut down. Blocks."""
        self._newcomers.shutdown()

    def _done(self, owner_id: str) -> None:
        with self._lock:
            self._waiting[owner_id] -= 1
            if not self._waiting[owner_id]:
                del self._waiting[owner_id]
