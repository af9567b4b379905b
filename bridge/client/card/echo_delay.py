"""Measures how long the loudspeaker's sound takes to come back by the microphone, at the start and from then on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from xiaozhi_persona.bridge.client.card.echo import EchoCanceller, chirp
from xiaozhi_persona.bridge.client.card.interface import Card
from xiaozhi_persona.bridge.client.link import cancel
from xiaozhi_persona.bridge.client.sound import MIC_RATE_HZ

_CHIRPS = 3
_CHIRP_HEARD_S = 1.4
_FOLLOWED_S = 2.0
_EVERY_S = 3.0
_SAME_S = 0.003
_PLAYING_DBFS = -50.0
_MOVED_S = 0.005

_log = logging.getLogger(__name__)


async def measure_delay(card: Card, echo: EchoCanceller) -> float | None:
    """Play a chirp, and return the delay that it shows, which counts from then on; None where it is not heard.

    A device that has just been opened may swallow the first.
    """
    for _ in range(_CHIRPS):
        card.sound(chirp(), MIC_RATE_HZ)
        await asyncio.sleep(_CHIRP_HEARD_S)
        measured = await asyncio.to_thread(echo.measure, _CHIRP_HEARD_S)
        if measured is not None:
            echo.delay_s = measured
            return measured
    return None


@contextlib.asynccontextmanager
async def following_delay(card: Card, echo: EchoCanceller) -> AsyncIterator[None]:
    """Measure again and again while something plays, until the block ends; what two measurements agree on counts.

    The delay moves when a driver has lost sound, or a Bluetooth loudspeaker has thought again.
    """
    following = asyncio.create_task(_follow(card, echo), name="echo-delay")
    try:
        yield
    finally:
        await cancel(following)


async def _follow(card: Card, echo: EchoCanceller) -> None:
    before: float | None = None
    while True:
        await asyncio.sleep(_EVERY_S)
        if card.levels.output_dbfs < _PLAYING_DBFS:
            continue
        measured = await asyncio.to_thread(echo.measure, _FOLLOWED_S)
        if measured is None:
            continue
        agreed = before is not None and abs(measured - before) < _SAME_S
        before = measured
        if agreed and abs(measured - echo.delay_s) > _MOVED_S:
            _log.debug("echo delay: %.0f -> %.0f ms", echo.delay_s * 1000, measured * 1000)
            echo.delay_s = measured
