"""A log that nobody can fill: lines that repeat are counted, and the count is told once a minute."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from xiaozhi_persona.language import tr

PERIOD_S = 60.0
LINES_A_PERIOD = 60
"""How many different lines one place in the code may write in a period: what the turns of a few devices need."""


@dataclass
class _Place:
    """What one logging call has written since `began_s`."""

    began_s: float
    written: set[int] = field(default_factory=set)  # hashes of the texts
    left_out: int = 0
    last: dict[str, object] = field(default_factory=dict)
    """Of the last record that was left out, what makes a line; not its traceback, which holds on to what failed."""


class LimitedHandler(logging.StreamHandler):  # type: ignore[type-arg]  # Python 3.10 cannot subscribe it
    """Writes a text that comes again within a minute only once, and at most 60 texts of one logging call.

    How many were left out is told when the minute is over and anything is written, and at the end. What is below info
    is written as it is.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        self._places: dict[tuple[str, int], _Place] = {}  # the oldest first

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it."""
        now_s = self._clock()
        self._tell_left_out(now_s - PERIOD_S)
        if record.levelno < logging.INFO or self._has_room(record, now_s):
            super().emit(record)

    def close(self) -> None:
        """Tell what was left out, and end."""
        self.acquire()
        try:
            self._tell_left_out(math.inf)
        finally:
            self.release()
        super().close()

    def _has_room(self, record: logging.LogRecord, now_s: float) -> bool:
        place = self._places.setdefault((record.pathname, record.lineno), _Place(now_s))
        try:
            text = record.getMessage()
        except Exception:
            return True  # `emit` reports that the arguments do not fit
        if hash(text) not in place.written and len(place.written) < LINES_A_PERIOD:
            place.written.add(hash(text))
            return True
        place.left_out += 1
        place.last = {"levelno": record.levelno, "levelname": record.levelname, "msg": text}
        return False

    def _tell_left_out(self, until_s: float) -> None:
        """End the periods that began by then."""
        while self._places:
            key, place = next(iter(self._places.items()))
            if place.began_s > until_s:
                return
            del self._places[key]
            if place.left_out:
                line = tr(
                    "{value}（一分钟里还有 {left_out} 行这样的）",
                    value=place.last["msg"],
                    left_out=place.left_out,
                )
                super().emit(logging.makeLogRecord({**place.last, "msg": line}))
