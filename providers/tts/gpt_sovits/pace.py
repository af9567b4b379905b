"""How long the steps of a server take, and so when one that was abandoned has ended.

When a client hangs up, GPT-SoVITS finishes the step in progress (up to the next chunk, sentence or the whole text) and
starts no other; nothing tells the client when. A new request inside the first step of an abandoned one may be spoken
with its reference, since both load references into the same place.
"""

from __future__ import annotations

from collections import deque

import anyio

_REMEMBERED = 16
_UNKNOWN_STEP_S = 2.0
_MARGIN = 1.25
_MARGIN_S = 0.1
_LONGEST_WAIT_S = 5.0


class Pace:
    """The steps of one server: begin() when a request is sent, arrived() at each read of its answer."""

    def __init__(self) -> None:
        self._first_steps: deque[float] = deque(maxlen=_REMEMBERED)
        self._later_steps: deque[float] = deque(maxlen=_REMEMBERED)
        self._steps = self._first_steps
        self._step_began_at = 0.0

    def begin(self) -> None:
        """A request goes out: the first step loads the reference, reads the text and makes the first sound."""
        self._steps = self._first_steps
        self._step_began_at = anyio.current_time()

    def arrived(self) -> None:
        """A piece came: the server is already at the next one."""
        now = anyio.current_time()
        self._steps.append(now - self._step_began_at)
        self._steps = self._later_steps
        self._step_began_at = now

    def listener_took(self, seconds: float) -> None:
        """Nothing was read for a while, for reasons of our own: that is no part of the step."""
        self._step_began_at += seconds

    def step_ends_at(self) -> float:
        """Return when the step that is in progress will surely have ended, on anyio's clock.

        That is the longest step of the last 16, or this one so far where it is longer, with a quarter and 0.1 s added; it
        is never more than 5 s from now.
        """
        now = anyio.current_time()
        so_far = now - self._step_began_at
        known = max(self._steps, default=max(self._first_steps, default=_UNKNOWN_STEP_S))
        return min(self._step_began_at + _MARGIN * max(known, so_far) + _MARGIN_S, now + _LONGEST_WAIT_S)
