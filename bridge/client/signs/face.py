"""A command that shows the device's face: it is run with the name of the emotion, whenever that changes."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence

from xiaozhi_persona.bridge.client.program import run_program
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.tasks import cancel_and_wait

MIN_INTERVAL_S = 0.2
TIMEOUT_S = 5.0
_OUTPUT_BYTES = 4096

_EMOTION = re.compile(r"[a-z][a-z_]{0,31}")

log = logging.getLogger(__name__)


class FaceCommand:
    """Runs the command, one at a time and not too often: of the faces that come meanwhile only the last is shown."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._wanted = self._shown = ""
        self._complaint = ""
        self._running: asyncio.Task[None] | None = None

    def show(self, emotion: str) -> None:
        """Show an emotion, soon. What is no name of one, which a server may send, is left out."""
        if not _EMOTION.fullmatch(emotion):
            return
        self._wanted = emotion
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="face-command")

    async def aclose(self) -> None:
        """End the command that runs."""
        if self._running is not None:
            await cancel_and_wait(self._running)

    async def _run(self) -> None:
        while self._wanted != self._shown:
            self._shown = self._wanted
            try:
                await run_program([*self._command, self._shown], timeout_s=TIMEOUT_S, max_bytes=_OUTPUT_BYTES)
            except PersonaError as exc:
                if str(exc) != self._complaint:
                    log.warning("--face-command: %s", exc)
                self._complaint = str(exc)
            await asyncio.sleep(MIN_INTERVAL_S)
