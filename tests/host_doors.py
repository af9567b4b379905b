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
_OF_HOST = ("core", "config", "plugins_func")


@contextlib.asynccontextmanager
async def host_with_doors(version: str, folder: Path, **settings: Any) -> AsyncIterator[HostUnderTest]:
    """Start a host (see hostkit) with all our doors installed."""
    files = {str(door.path): door_text(door) for door in DOORS} | settings.pop("files", {})
    try:
        async with host(version, folder, files=files, **settings) as server:
            yield server
    finally:
        loop.close()
        _forget_bound()


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


def _forget_bound() -> None:
    """Forget what is bound to the modules of the host, and what uses that."""
    bound: set[str] = set()
    ours = {name: _imports(sys.modules[name]) for name in sys.modules if name.startswith(_OURS)}
    while more := {
        name
        for name, used in ours.items()
        if name not in bound and any(one in bound or one.partition(".")[0] in _OF_HOST for one in used)
    }:
        bound |= more
    for name in bound:
        del sys.modules[name]


def _imports(module: Any) -> set[str]:
    """Return the modules of what a module holds."""
    found = {str(getattr(value, "__module__", "")) for value in vars(module).values()}
    bases = {base.__module__ for v in vars(module).values() if isinstance(v, type) for base in v.__mro__}
    return found | bases
