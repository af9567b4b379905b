"""How often one address may ask."""

from __future__ import annotations

import time
from collections import OrderedDict

_WINDOW_S = 60.0
_MAX_KEPT = 1000


class Rates:
    """Counts what comes from each address within a minute. The address seen longest ago is forgotten first."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()  # since when, and how many

    def count(self, address: str) -> int:
        """Count one more, and return how many there are."""
        since_s, count = self._now(address)
        self._counts[address] = since_s, count + 1
        self._counts.move_to_end(address)
        if len(self._counts) > _MAX_KEPT:
            self._counts.popitem(last=False)
        return count + 1

    def counted(self, address: str) -> int:
        """Return how many there are."""
        return self._now(address)[1]

    def _now(self, address: str) -> tuple[float, int]:
        now_s = time.monotonic()
        since_s, count = self._counts.get(address, (now_s, 0))
        return (since_s, count) if now_s - since_s < _WINDOW_S else (now_s, 0)
