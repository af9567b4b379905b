"""What waits for the user's yes before it is done: the last thing that a device was asked, and for so long only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from xiaozhi_persona.spine import Owner

_T = TypeVar("_T")

ANSWER_WITHIN = timedelta(minutes=1)
"""How long the user may think about it: what is forgotten cannot be found again."""


@dataclass(frozen=True)
class Asked(Generic[_T]):
    """What the user was asked to agree to, and when."""

    what: _T
    at: datetime


class Consents:
    """What waits, by device. What waited before is given up when something else is asked."""

    def __init__(self) -> None:
        self._asked: dict[str, Asked[object]] = {}

    def ask(self, owner: Owner, what: object, now: datetime) -> None:
        """Note what is to be done after a yes."""
        self._asked = {device: asked for device, asked in self._asked.items() if _waits(asked, now)}
        self._asked[owner.id] = Asked(what, now)

    def take(self, owner: Owner, kind: type[_T], now: datetime) -> Asked[_T] | None:
        """Return what waits, if it is of this kind and not too old; then it waits no more."""
        asked = self._asked.get(owner.id)
        if asked is None or not isinstance(asked.what, kind):
            return None
        del self._asked[owner.id]
        return Asked(asked.what, asked.at) if _waits(asked, now) else None

    def drop(self, owner: Owner) -> None:
        """Note that the question was not heard: a yes that comes next is for something else."""
        self._asked.pop(owner.id, None)


def _waits(asked: Asked[object], now: datetime) -> bool:
    return timedelta() <= now - asked.at <= ANSWER_WITHIN
