"""The one event loop of ours inside the host: a daemon thread for the whole process.

The host runs every reply's speech in a loop of its own, so that no HTTP connection could be kept there.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

_T = TypeVar("_T")

_CLOSE_S = 3.0

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_closers: list[Callable[[], Awaitable[None]]] = []


def background_loop() -> asyncio.AbstractEventLoop:
    """Return the loop, started when it is asked for the first time and closed at the end of the process."""
    global _loop, _thread
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_loop.run_forever, name="xiaozhi-persona", daemon=True)
            _thread.start()
            atexit.register(close)
        return _loop


def submit(work: Coroutine[Any, Any, _T]) -> Future[_T]:
    """Run a coroutine on the loop, from any thread; cancelling the future cancels it."""
    return asyncio.run_coroutine_threadsafe(work, background_loop())


def at_close(closer: Callable[[], Awaitable[None]]) -> None:
    """Have something closed before the loop ends."""
    with _lock:
        _closers.append(closer)


def close() -> None:
    """Close what was opened on the loop, the newest first, and end the loop. Blocks for a few seconds at most."""
    global _loop, _thread
    with _lock:
        loop, thread, closers = _loop, _thread, _closers[::-1]
        _loop = _thread = None
        _closers.clear()
    atexit.unregister(close)
    if loop is None or thread is None:
        return
    with contextlib.suppress(Exception):
        asyncio.run_coroutine_threadsafe(_close(closers), loop).result(_CLOSE_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_CLOSE_S)
    if not thread.is_alive():
        loop.close()


async def _close(closers: list[Callable[[], Awaitable[None]]]) -> None:
    for closer in closers:
        with contextlib.suppress(Exception):
            await closer()
    await asyncio.get_running_loop().shutdown_default_executor()
