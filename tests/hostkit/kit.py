"""The stand-in: our own tree of the host's modules, run by a thread of the test process."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import shutil
import sys
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostkit.device import Device
from hostkit.device_tools import DeviceTools
from hostkit.llm import Llm
from xiaozhi_persona.audio.opus import OpusDecoder

_TREE = Path(__file__).parent / "tree"
_ROOTS = ("core", "config", "plugins_func")
_END_S = 5.0


def unpack(server: Path, version: str) -> None:
    """Copy the tree and set its version."""
    shutil.copytree(_TREE, server, ignore=shutil.ignore_patterns("__pycache__"))
    number = "0.9.6" if version == "main" else version
    parts = tuple(map(int, number.split("."))) if version != "main" else (0, 9, 7)
    edits = [
        ("config/logger.py", 'SERVER_VERSION = "0.9.6"', f'SERVER_VERSION = "{number}"'),
        ("core/hostkit_version.py", "VERSION = (0, 9, 6)", f"VERSION = {parts}"),
    ]
    if parts < (0, 9, 3):  # where the doors look at the source, or at the signature
        named = "text, sentence_id=None):  # the last from 0.9.3 on"
        edits.append(("core/handle/sendAudioHandle.py", named, "text):\n    sentence_id = None"))
    for path, old, new in edits:
        text = (server / path).read_text(encoding="utf-8")
        assert old in text
        (server / path).write_text(text.replace(old, new), encoding="utf-8")


@dataclass
class KitHost:
    """The stand-in while it runs."""

    folder: Path
    version: str
    llm: Llm
    real = False
    _port: int = 0
    _server: Any = None
    _loop: asyncio.AbstractEventLoop | None = None
    _task: asyncio.Task[None] | None = None
    _listening: threading.Event = field(default_factory=threading.Event)
    _failure: BaseException | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}/xiaozhi/v1/"

    @property
    def connections(self) -> list[Any]:
        return list(self._server.hostkit_connections)

    @property
    def reports(self) -> list[Any]:
        return list(sys.modules["core.handle.reportHandle"].reports)

    def log(self) -> str:
        path = self.folder / "tmp/server.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @contextlib.asynccontextmanager
    async def connect(
        self,
        device_id: str = "aa:bb:cc:00:00:01",
        features: dict[str, Any] | None = None,
        tools: DeviceTools | None = None,
    ) -> AsyncIterator[Device]:
        before = len(self.connections)
        async with Device.connect(self.url, device_id, features=features, tools=tools) as device:
            mine = next(c for c in self.connections[before:] if c.session_id == device.session_id)
            assert await asyncio.to_thread(mine.hostkit_ready.wait, _END_S), "the parts were not set up"
            device.rate_hz = mine.sample_rate
            yield device

    def _run(self) -> None:
        """The host's main thread."""
        try:
            asyncio.run(self._main())
        except BaseException as exc:
            self._failure = exc
        finally:
            self._listening.set()

    async def _main(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        config = await importlib.import_module("config.config_loader").load_config()
        self._server = importlib.import_module("core.websocket_server").WebSocketServer(config)

        def ready(port: int) -> None:
            self._port = port
            self._listening.set()

        with contextlib.suppress(asyncio.CancelledError):
            await self._server.start(ready)

    def _end_threads(self) -> list[str]:
        """Wait for the threads of all connections; return the names of those that go on."""
        threads = [thread for connection in self.connections for thread in _threads(connection)]
        deadline = time.monotonic() + _END_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for thread in threads if thread.is_alive()]


@contextlib.asynccontextmanager
async def start(server: Path, version: str, llm: Llm) -> AsyncIterator[KitHost]:
    """Run the stand-in in `server`, which is the working directory meanwhile."""
    assert not _loaded(), f"modules of another host are loaded: {_loaded()}"
    OpusDecoder()  # finds libopus for opuslib_next, which the tree imports as the host does
    host = KitHost(server, version, llm)
    directory = Path.cwd()
    thread = threading.Thread(target=host._run, name="hostkit-main", daemon=True)
    left: list[str] = []
    sys.path.insert(0, str(server))
    os.chdir(server)
    try:
        thread.start()
        await asyncio.to_thread(host._listening.wait)
        if host._failure is not None:
            raise host._failure
        try:
            yield host
        finally:
            left = await asyncio.to_thread(_end, host, thread)
    finally:
        os.chdir(directory)
        sys.path.remove(str(server))
        for name in _loaded():
            del sys.modules[name]
        importlib.invalidate_caches()
    assert not left, f"threads of the host go on: {left}; log:\n{host.log()}"


def _end(host: KitHost, thread: threading.Thread) -> list[str]:
    assert host._loop is not None and host._task is not None
    for connection in host.connections:
        if not connection.stop_event.is_set():
            asyncio.run_coroutine_threadsafe(connection.close(), host._loop).result(_END_S)
    left = host._end_threads()
    host._loop.call_soon_threadsafe(host._task.cancel)
    thread.join(_END_S)
    left += host._end_threads()  # a connection that was still closing has started its last one meanwhile
    return [*left, thread.name] if thread.is_alive() else left


def _threads(connection: Any) -> list[threading.Thread]:
    tts = connection.tts
    names = ("tts_priority_thread", "audio_play_priority_thread")
    threads = [getattr(tts, name, None) for name in names]
    threads.append(getattr(connection, "asr_priority_thread", None))
    return [t for t in (*threads, *connection.hostkit_threads) if t is not None and t.ident is not None]


def _loaded() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in _ROOTS]
