"""Which weights the programs on this machine have set on a server: a small file for each server, which they share.

So the bridge, the host's door and a command notice when another of them has changed the voice. Programs that are not
ours, and those on other machines or in other containers, write nothing here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import tempfile
from pathlib import Path

from xiaozhi_persona.providers.tts.gpt_sovits.utterance import Weights

_log = logging.getLogger(__name__)
_MAX_BYTES = 16 << 10


class HeldNote:
    """The note about one server."""

    def __init__(self, place: str) -> None:
        """`place` is the server's host and port."""
        place = place.replace("localhost", "127.0.0.1")
        name = "".join(character if character.isalnum() or character in ".-" else "_" for character in place)
        self._file = _folder() / f"{name[:100]}.json"
        self._seen = self._stamp()

    def is_by_another(self) -> bool:
        """Return, once, whether another program has set weights since we looked or wrote."""
        stamp = self._stamp()
        changed, self._seen = stamp != self._seen, stamp
        return changed

    def read(self) -> Weights | None:
        """Return what was set last, None when nothing is known."""
        try:
            if self._file.stat().st_size > _MAX_BYTES:
                return None
            data = json.loads(self._file.read_text(encoding="utf-8"))
            return Weights(str(data["gpt"]), str(data["sovits"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, weights: Weights) -> None:
        """Note what was set. What cannot be written is done without."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._file.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"gpt": weights.gpt, "sovits": weights.sovits}, file, ensure_ascii=False)
            os.replace(name, self._file)
        except OSError as exc:
            _log.debug("%s 写不了（%s）", self._file, exc)
        self._seen = self._stamp()

    def _stamp(self) -> tuple[int, int]:
        with contextlib.suppress(OSError):
            found = self._file.stat()
            return found.st_mtime_ns, found.st_ino
        return 0, 0


def _folder() -> Path:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    else:
        base = os.environ.get("XDG_CACHE_HOME")
    with contextlib.suppress(RuntimeError):
        return Path(base or Path.home() / ".cache") / "xiaozhi-persona" / "gpt-sovits"
    return Path(tempfile.gettempdir()) / "xiaozhi-persona" / "gpt-sovits"
