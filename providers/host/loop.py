"""The one event loop of ours inside the host: a daemon thread for the whole process.

The host runs every reply's speech in a loop of its own, so that no HTTP connection could be kept there.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401 (its hook for the end has to come first: the last is the first to run)
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

_T = TypeVar("_T")

_CLOSE_S = 3.0
_BREAK_OFF_S = 0.5

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_closers: list[Callable[[], Awaitable[None]]] = []
_writers: list[Callable[[], Awaitable[None]]] = []


def background_loop() -> asyncio.AbstractEventLoop:
    """Return the loop, started when it is asked for the first time and closed at the end of the process."""
    global _loop, _thread
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_loop.run_forever, name="xiaozhi-persona", daemon=True)
            _thread.start()
            _at_end()
        return _loop


def submit(work: Coroutine[Any, Any, _T]) -> Future[_T]:
    """Run a coroutine on the loop, from any thread; cancelling the future cancels it."""
    return asyncio.run_coroutine_threadsafe(work, background_loop())


def at_close(closer: Callable[[], Awaitable[None]], *, writes: bool = False) -> None:
    """Have something closed before the loop ends. What `writes` is closed while it still can, see _at_end()."""
    with _lock:
        (_writers if writes else _closers).append(closer)


def close() -> None:
    """Close what was opened on the loop, and end the loop. Blocks for a few seconds at most."""
    global _loop, _thread
    with _lock:
        loop, thread, closers = _loop, _thread, [*_writers, *_closers]
        _loop = _thread = None
        _closers.clear()
        _writers.clear()
    atexit.unregister(close)
    if loop is None or thread is None:
        return
    with contextlib.suppress(Exception):
        asyncio.run_coroutine_threadsafe(_close(closers), loop).result(_CLOSE_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_CLOSE_S)
    if not thread.is_alive():
        loop.close()


def _at_end() -> None:
    """Have the end of the process write what is left, and then end the loop.

    When it is atexit's turn, no thread pool takes work any more, so that nothing could be written. The hook that the
    pools use for that comes before it. The host's threads may still go on after the hook, and the loop goes on with
    them; what else is done on it is broken off: a reply that is being spoken, a model that is waited for.
    """
    atexit.register(close)
    with contextlib.suppress(AttributeError, RuntimeError):  # there is no such hook, or the end has begun
        threading._register_atexit(_close_writers)  # type: ignore[attr-defined]


def _close_writers() -> None:
    with _lock:
        loop, writers = _loop, list(_writers)
        _writers.clear()
    if loop is not None:
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(_run(writers), loop).result(_CLOSE_S)
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(_break_off(), loop).result(_BREAK_OFF_S)


async def _break_off() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _close(closers: list[Callable[[], Awaitable[None]]]) -> None:
    await _run(closers)
    await asyncio.get_running_loop().shutdown_default_executor()


async def _run(closers: list[Callable[[], Awaitable[None]]]) -> None:
    """Close all at the same time: one that hangs must not take the time of the others."""
    await asyncio.gather(*(closer() for closer in closers), return_exceptions=True)
