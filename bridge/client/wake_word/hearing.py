"""Listens for a wake word on the card's microphone, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from xiaozhi_persona.bridge.client.sound import MIC_RATE_HZ, Microphone
from xiaozhi_persona.bridge.client.wake_word.spotter import Spotter
from xiaozhi_persona.errors import first_line
from xiaozhi_persona.spine import Samples

COOLDOWN_S = 1.5
"""So long, by the sound heard, the word is not found a second time: it is said once."""
_BLOCK_SAMPLES = MIC_RATE_HZ * 80 // 1000
"""Handed to the thread at once: each way there and back costs as much as the smallest model itself."""

_log = logging.getLogger(__name__)


async def hear_wake_word(microphone: Microphone, spotter: Spotter, on_word: Callable[[str], None]) -> None:
    """Call `on_word` from the event loop whenever the word is heard, until cancelled.

    An engine that fails is told in the log, and then nothing is found any more.
    """
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1, "wake-word")
    block: list[Samples] = []
    heard, quiet_until = 0, 0.0
    try:
        async with contextlib.aclosing(microphone.listen()) as pieces:
            async for piece in pieces:
                block.append(piece)
                heard += len(piece)
                if sum(map(len, block)) < _BLOCK_SAMPLES:
                    continue
                samples, block = np.concatenate(block), []
                found = await loop.run_in_executor(thread, spotter.feed, samples)
                if found and heard >= quiet_until:
                    quiet_until = heard + COOLDOWN_S * MIC_RATE_HZ
                    on_word(spotter.word)
    except Exception as exc:
        _log.warning("唤醒词不再听了（%s）。重新运行 talk；还是这样就换一个模型", first_line(exc))
        _log.debug("the wake word's engine", exc_info=True)
    finally:
        thread.shutdown()  # what it does takes some thousandths of a second
