"""The time of day of one conversation."""

from __future__ import annotations

import time
from datetime import datetime, timedelta


class ConversationClock:
    """The wall clock when it was made, and from there on a clock that nobody sets.

    What is said then stays in order, and as far apart as it was, when the wall clock is set meanwhile.
    """

    def __init__(self) -> None:
        self._began, self._began_s = datetime.now().astimezone(), time.monotonic()

    def now(self) -> datetime:
        """Return the time, with its zone."""
        return self._began + timedelta(seconds=time.monotonic() - self._began_s)
