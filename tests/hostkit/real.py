"""The real host: app.py of a checkout, in a copy, as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hostkit.device import Device
from hostkit.device_tools import DeviceTools
from hostkit.llm import Llm

_ROOT = Path(__file__).parents[2]
_PACKAGE_FOLDERS = ("memory", "roles", "providers", "bridge")
"""Packages of ours that are not below src/xiaozhi_persona in the working copy."""
_START_S = 120.0
_SETUP_S = 30.0
_END_S = 15.0
# The last line of a connection's setup, and the one of a setup that ended early.
_READY = re.compile("构建增强提示词成功|构建增强提示词失败|实例化组件失败")


def version_of(checkout: Path) -> str:
    """Tell the release; the main branch keeps the number of the last one."""
    text = (checkout / "config/logger.py").read_text(encoding="utf-8")
    found = re.search(r'SERVER_VERSION = "([^"]+)"', text)
    assert found, f"{checkout} is no server folder"
    newer = "module_func_map" in (checkout / "plugins_func/register.py").read_text(encoding="utf-8")
    return "main" if newer else found[1]


def unpack(server: Path, version: str) -> None:
    """Copy the checkout; its own settings and sounds stay behind, its models are shared."""
    checkout = Path(os.environ["XIAOZHI_SERVER_DIR"])
    assert version == version_of(checkout)
    skipped = shutil.ignore_patterns("data", "tmp", "music", "test", "models", ".git")
    shutil.copytree(checkout, server, ignore=skipped)
    (server / "models").symlink_to(checkout / "models")
    (server / "data").mkdir()
    (server / "tmp").mkdir()


@dataclass
class RealHost:
    """The host while it runs."""

    folder: Path
    version: str
    llm: Llm
    process: subprocess.Popen[bytes]
    port: int
    real = True
    _one_setup: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a connection is set up: the log does not say whose line it is."""

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/xiaozhi/v1/"

    @property
    def connections(self) -> list[Any]:
        return []

    @property
    def reports(self) -> list[Any]:
        return []

    def log(self) -> str:
        return (self.folder / "tmp/stdout.txt").read_text(encoding="utf-8", errors="replace")

    @contextlib.asynccontextmanager
    async def connect(
        self,
        device_id: str = "aa:bb:cc:00:00:01",
        features: dict[str, Any] | None = None,
        tools: DeviceTools | None = None,
    ) -> AsyncIterator[Device]:
        async with contextlib.AsyncExitStack() as stack:
            async with self._one_setup:
                before = len(_READY.findall(self.log()))
                connecting = Device.connect(self.url, device_id, self._rate_hz(), features, tools)
                device = await stack.enter_async_context(connecting)
                await _until(lambda: len(_READY.findall(self.log())) > before, _SETUP_S, self)
            yield device

    def _rate_hz(self) -> int:
        own = yaml.safe_load((self.folder / "data/.config.yaml").read_text(encoding="utf-8"))
        return int(own.get("xiaozhi", {}).get("audio_params", {}).get("sample_rate", 24000))


@contextlib.asynccontextmanager
async def start(server: Path, version: str, llm: Llm) -> AsyncIterator[RealHost]:
    """Run app.py in `server`, with the Python of XIAOZHI_SERVER_PYTHON."""
    python = os.environ.get("XIAOZHI_SERVER_PYTHON", sys.executable)
    paths = [str(importable(server.parent / "site")), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
    own = yaml.safe_load((server / "data/.config.yaml").read_text(encoding="utf-8"))
    with (server / "tmp/stdout.txt").open("wb") as out:
        process = subprocess.Popen(  # noqa: ASYNC220
            [python, "app.py"],
            cwd=server,
            env=environment,
            stdin=subprocess.PIPE,  # the host reads it for as long as it runs
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    host = RealHost(server, version, llm, process, int(own["server"]["port"]))
    try:
        await _listening(host)
        yield host
    finally:
        await asyncio.to_thread(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdin is not None
    process.stdin.close()


def importable(site: Path) -> Path:
    """Lay out our package as it is installed, by links to the working copy."""
    package = site / "xiaozhi_persona"
    package.mkdir(parents=True)
    for path in (_ROOT / "src/xiaozhi_persona").iterdir():
        (package / path.name).symlink_to(path)
    for name in _PACKAGE_FOLDERS:
        (package / name).symlink_to(_ROOT / name)
    return site


async def _listening(host: RealHost) -> None:
    deadline = asyncio.get_running_loop().time() + _START_S
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", host.port)
        except OSError:
            assert host.process.poll() is None, f"the host ended:\n{host.log()[-4000:]}"
            assert asyncio.get_running_loop().time() < deadline, f"no start:\n{host.log()[-4000:]}"
            await asyncio.sleep(0.05)
        else:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return


async def _until(condition: Callable[[], bool], timeout_s: float, host: RealHost) -> None:
    """Look again and again: what happens in another process sends no events."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert host.process.poll() is None, f"the host ended:\n{host.log()[-4000:]}"
        assert asyncio.get_running_loop().time() < deadline, f"no setup:\n{host.log()[-4000:]}"
        await asyncio.sleep(0.02)
