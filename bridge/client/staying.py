"""Stays connected: looks for a server until there is one, and again when it is gone, as often as it takes.

All times are the event loop's, which no change of the machine's clock moves. A machine that has slept is told by the two
clocks of the kernel of which one stands still meanwhile.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from xiaozhi_persona.bridge.client.failures import TakenOver, gone
from xiaozhi_persona.bridge.client.handshake import NotReached
from xiaozhi_persona.bridge.client.servers import Connect, Device, Servers
from xiaozhi_persona.errors import ServiceError, ServiceUnavailable, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.tasks import cancel_and_wait

OFFLINE_AFTER_S = 3.0
"""A server that only starts anew is back by then, and nobody needs to hear of it."""
STEADY_S = 10.0
"""A connection that has lasted so long is one that works."""
_FIRST_DELAY_S = 0.1
_LONGEST_KNOCK_S = 0.9
"""Below the second within which a server is to be found again. A closed port costs neither side anything."""
_LONGEST_REFUSAL_S = 30.0
"""A server that answers, but not as it should, is to be left in peace."""
_TICK_S = 1.0
_SLEPT_S = 3.0


class Backoff:
    """How long to wait between attempts: the longer the more of them failed, and never in step with other devices."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        """`draw` returns random numbers from 0 to 1."""
        self._draw = draw
        self._refused = False
        self._failures = 0

    def next_s(self, refused: bool) -> float:
        """Return the next wait: after an attempt that was `refused`, or else reached nobody."""
        if refused is not self._refused:
            self.reset()
        self._refused = refused
        longest_s = _LONGEST_REFUSAL_S if refused else _LONGEST_KNOCK_S
        delay_s = min(_FIRST_DELAY_S * 2.0 ** min(self._failures, 16), longest_s)
        self._failures += 1
        return delay_s * (0.5 + 0.5 * self._draw())

    def reset(self) -> None:
        """Begin with the short waits again."""
        self._failures = 0


@dataclass(frozen=True)
class LinkEvent:
    """What happened to the connection.

    connected; lost: it ended; offline: no server could be reached for a while, told once until connected.
    """

    kind: Literal["connected", "lost", "offline"]
    text: str = ""
    """The server's address, or what went wrong."""


async def stay_connected(
    servers: Servers,
    connect: Connect[Device],
    converse: Callable[[Device], Coroutine[Any, Any, None]],
    on_link: Callable[[LinkEvent], None] = lambda event: None,
    backoff: Backoff | None = None,
) -> None:
    """Connect and `converse`; begin again with the first server whenever the connection is lost or none comes about.

    Ends when `converse` returns with the connection still open. Raises what it raises beside ServiceError; SettingsError
    for what is no address, and when the same device id has connected elsewhere: who takes it back is thrown out again.
    """
    backoff = backoff or Backoff()
    loop = asyncio.get_running_loop()
    lost_at, told = loop.time(), False
    while True:
        connected_at: float | None = None
        try:
            async with servers.first(connect) as device:
                connected_at, told = loop.time(), False
                on_link(LinkEvent("connected", device.url))
                await _unless_it_sleeps(converse(device))
                if device.ending is None:
                    return
                raise gone(device.url, device.ending, tr("重新连接"))
        except TakenOver as exc:
            raise SettingsError(str(exc)) from exc
        except ServiceError as exc:
            failure = exc
        now = loop.time()
        if connected_at is not None:
            on_link(LinkEvent("lost", str(failure)))
            lost_at = now
            if now - connected_at >= STEADY_S:
                backoff.reset()
        elif not told and now - lost_at >= OFFLINE_AFTER_S:
            told = True
            on_link(LinkEvent("offline", str(failure)))
        await asyncio.sleep(backoff.next_s(connected_at is None and not isinstance(failure, NotReached)))


def _asleep_s() -> float:
    """Return how long the machine has slept since it was started, to be compared with an earlier answer."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if clock is None else time.clock_gettime(clock) - time.clock_gettime(time.CLOCK_MONOTONIC)


async def _watch_for_sleep() -> None:
    """Return when the machine has slept."""
    before_s = _asleep_s()
    while _asleep_s() - before_s < _SLEPT_S:  # noqa: ASYNC110  nothing tells it
        await asyncio.sleep(_TICK_S)


async def _unless_it_sleeps(conversation: Coroutine[Any, Any, None]) -> None:
    """Await a conversation. Raises ServiceUnavailable when the machine has slept meanwhile: the server has long hung up."""
    talking = asyncio.create_task(conversation, name="conversation")
    watching = asyncio.create_task(_watch_for_sleep(), name="sleep-watch")
    try:
        await asyncio.wait({talking, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not talking.done():
            raise ServiceUnavailable(tr("这台机器刚才休眠了，重新连接"))
    finally:
        await asyncio.gather(cancel_and_wait(talking), cancel_and_wait(watching))
    talking.result()
