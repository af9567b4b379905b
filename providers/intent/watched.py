"""A router that keeps up with what is on disk: the owner's files, and the names of the roles."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from xiaozhi_persona.providers.intent.router import Match, Router
from xiaozhi_persona.providers.intent.slots import Lists

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
"""How often one looks, so that what an owner writes counts soon."""


class WatchedRouter:
    """Routes at once, from any thread, by what was there when `look` looked the last time."""

    def __init__(self, data_dir: Path, role_names: Callable[[], Iterable[str]]) -> None:
        """The owner's files are in `data_dir`/intents; `role_names` tells what may be said for the roles. Blocks."""
        self._router = Router(data_dir / "intents")
        self._role_names = role_names
        self._lists: Lists = {}
        self._told: list[str] = []  # what is wrong in the owner's files
        self.look()

    def route(self, text: str) -> Match | None:
        """Return the intent of a sentence; None for what belongs to the chat model. Takes some tens of microseconds."""
        return self._router.route(text, self._lists)

    def look(self) -> None:
        """Look at what is on disk. What is wrong in the owner's files is logged, once. Blocks."""
        problems = self._router.refresh()
        for problem in problems:
            if problem not in self._told:
                log.error("%s", problem)
        self._told = problems
        self._lists = {"role": [*self._role_names()]}

    def warm(self) -> None:
        """See Router.warm. Blocks."""
        self._router.warm()
