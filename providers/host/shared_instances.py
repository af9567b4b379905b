"""What the connections share: made once for the process, closed before our loop ends."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from xiaozhi_persona.providers.host.loop import at_close, submit

_KEPT = 1
"""How many stay that nobody uses: all devices of an agent may be away for a while."""


class Closable(Protocol):
    """Something that holds connections or threads."""

    async def aclose(self) -> None:
        """End them."""
        ...


_T = TypeVar("_T", bound=Closable)


class SharedInstances(Generic[_T]):
    """Things of one kind, each by the settings for which it was made. May be asked from any thread."""

    def __init__(self, *, write: bool = False) -> None:
        """`write`: they have something to write when they are closed."""
        self._write = write
        self._lock = threading.Lock()
        self._made: dict[str, _T] = {}
        self._users: dict[str, weakref.WeakSet[object]] = {}  # what was asked for last at the end

    def get(self, key: str, make: Callable[[], _T], user: object = None) -> _T:
        """Return the thing of this key, made when it is asked for the first time. Raises what `make` raises.

        With a `user` it is kept for as long as that lives, else for good. (The host keeps no settings that were
        changed: its new objects come with new ones, and the old objects go.)
        """
        with self._lock:
            if key not in self._made:
                made = make()
                if not self._made:
                    at_close(self._aclose, writes=self._write)
                self._made[key] = made
            if user is not None:
                self._users[key] = users = self._users.pop(key, weakref.WeakSet())
                users.add(user)
                self._close_unused()
            return self._made[key]

    def _close_unused(self) -> None:
        unused = [key for key, users in self._users.items() if not users]
        for key in unused[:-_KEPT]:
            del self._users[key]
            submit(self._made.pop(key).aclose())

    async def _aclose(self) -> None:
        with self._lock:
            made = list(self._made.values())
            self._made.clear()
            self._users.clear()
        await asyncio.gather(*(thing.aclose() for thing in made))
