"""What the tests of the doors share: a host with our door files in it, and nothing of it left afterwards."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from hostkit import HostUnderTest, host

from xiaozhi_persona.installer.door_files import door_text
from xiaozhi_persona.providers.host import loop
from xiaozhi_persona.providers.host.doors import DOORS

_OURS = "xiaozhi_persona.providers.host."


@contextlib.asynccontextmanager
async def host_with_doors(version: str, folder: Path, **settings: Any) -> AsyncIterator[HostUnderTest]:
    """Start a host (see hostkit) with all our doors installed."""
    files = {str(door.path): door_text(door) for door in DOORS} | settings.pop("files", {})
    try:
        async with host(version, folder, files=files, **settings) as server:
            yield server
    finally:
        loop.close()
        for name in [name for name in sys.modules if name.startswith(_OURS)]:
            if any(part in ("core", "config", "plugins_func") for part in _imports(sys.modules[name])):
                del sys.modules[name]  # bound to the modules of that host


def host_that_hears(
    version: str, folder: Path, section: dict[str, Any] | None = None, **settings: Any
) -> contextlib.AbstractAsyncContextManager[HostUnderTest]:
    """Start a host whose recognizer is ours, with these settings of its section."""
    config = {
        "selected_module": {"ASR": "PersonaFunAsr"},
        "ASR": {"PersonaFunAsr": {"type": "persona_funasr", **(section or {})}},
    }
    tts = {"type": "gpt_sovits_v2_stream", "url": "http://127.0.0.1:9/tts"}
    return host_with_doors(version, folder, tts=tts, config=config, **settings)


def _imports(module: Any) -> set[str]:
    found = {str(getattr(value, "__module__", "")).partition(".")[0] for value in vars(module).values()}
    bases = {
        base.__module__.partition(".")[0]
        for v in vars(module).values()
        if isinstance(v, type)
        for base in v.__mro__
    }
    return found | bases
