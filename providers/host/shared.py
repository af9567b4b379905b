"""What the connections share: made once for the process, closed before our loop ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from xiaozhi_persona.providers.host.loop import at_close


class Closable(Protocol):
    """Something that holds connections or threads."""

    async def aclose(self) -> None:
        """End them."""
        ...


_T = TypeVar("_T", bound=Closable)


class Shared(Generic[_T]):
    """Things of one kind, each by the settings for which it was made. May be asked from any thread."""

    def __init__(self, *, write: bool = False) -> None:
        """`write`: they have something to write when they are closed."""
        self._write = write
        self._lock = threading.Lock()
        self._made: dict[str, _T] = {}

    def get(self, key: str, make: Callable[[], _T]) -> _T:
        """Return the thing of this key, made when it is asked for the first time. Raises what `make` raises."""
        with self._lock:
            if key not in self._made:
                made = make()
                if not self._made:
                    at_close(self._aclose, writes=self._write)
                self._made[key] = made
            return self._made[key]

    async def _aclose(self) -> None:
        with self._lock:
            made = list(self._made.values())
            self._made.clear()
        for thing in made:
            await thing.aclose()
