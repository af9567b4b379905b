"""A test that leaks a task or a thread fails."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from xiaozhi_persona import language, settings_files

# Threads that live as long as the event loop or the process.
_SHARED_THREADS = ("asyncio_", "MainThread", "pytest_timeout")

THREAD_ENDS_WITHIN_S = 2.0


@pytest.fixture(autouse=True)
def _no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    before = set(threading.enumerate())
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("_no_leaked_tasks")
    yield
    others = [
        thread
        for thread in set(threading.enumerate()) - before
        if not thread.name.startswith(_SHARED_THREADS)
    ]
    for thread in others:  # asyncio's own thread for a process ends just after the process
        thread.join(THREAD_ENDS_WITHIN_S)
    left = [thread.name for thread in others if thread.is_alive()]
    assert not left, f"threads left: {left}"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Outside of the project its own settings and data would count, which somebody may have made here; nor its language."""
    monkeypatch.setenv(settings_files.PROJECT_VARIABLE, ".")
    monkeypatch.setenv(language.VARIABLE, "zh")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path_factory.getbasetemp() / "cache"))
    language.set_language("zh")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Commands and the doors in the host set up our logger for their process."""
    ours = logging.getLogger("xiaozhi_persona")
    before = (ours.handlers[:], ours.level, ours.propagate)
    yield
    ours.handlers[:], level, ours.propagate = before
    ours.setLevel(level)


@pytest_asyncio.fixture
async def _no_leaked_tasks() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    for _ in range(
        10
    ):  # what was cancelled, or left to the loop as httpx leaves its generators, ends in its next rounds
        await asyncio.sleep(0)
    left = [
        task.get_name()
        for task in asyncio.all_tasks() - before
        if task is not asyncio.current_task() and not task.done()
    ]
    assert not left, f"tasks left: {left}"
