"""Turns that could not be written: they wait in RAM until they can be, and people are told of each cause once."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.disk import UnwritableStore

log = logging.getLogger(__name__)

MAX_BYTES = 4 * 1024 * 1024
"""What the waiting turns of all owners together may take."""
_ENTRY_BYTES = 400  # without its text
_SAY_AGAIN_S = 600.0
_MAX_CAUSES = 100
_NOTICE = (
    "用户刚才的话没能记下来，因为{cause}。不要说记住了；用户要你记住什么，就如实说现在记不住，并说出原因。"
)
_CAUSE = re.compile(re.escape(_NOTICE).replace(r"\{cause\}", r"([^。\n]{1,80})"))


class Unwritten:
    """Turns by owner, in the order in which they were said. Belongs to one thread."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._turns: dict[str, deque[Entry]] = {}
        self._sizes: dict[str, int] = {}

    def put(self, owner_id: str, turns: Sequence[Entry]) -> None:
        """Keep turns. When it becomes too much, the owner with the most loses the oldest."""
        if not turns:
            return
        self._turns.setdefault(owner_id, deque()).extend(turns)
        self._sizes[owner_id] = self._sizes.get(owner_id, 0) + sum(map(_size, turns))
        while sum(self._sizes.values()) > self._max_bytes:
            most = max(self._sizes, key=self._sizes.__getitem__)
            self._sizes[most] -= _size(self._turns[most].popleft())
            if not self._turns[most]:
                self.take(most)

    def take(self, owner_id: str) -> list[Entry]:
        """Return the turns of an owner, oldest first; they are kept no longer."""
        self._sizes.pop(owner_id, None)
        return list(self._turns.pop(owner_id, ()))

    def __contains__(self, owner_id: str) -> bool:
        return owner_id in self._turns

    def owners(self) -> list[str]:
        """Return whose turns there are."""
        return list(self._turns)


class Complaints:
    """Tells of each cause of trouble once in ten minutes, whoever's memory it concerns. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._again_s: dict[str, float] = {}  # by cause: until when it is not told again

    def tell(self, trouble: PersonaError) -> None:
        """Write it into the log, unless that was done for this cause."""
        cause = _cause(trouble) or str(trouble)
        with self._lock:
            if time.monotonic() < self._again_s.get(cause, 0.0):
                return
            if len(self._again_s) >= _MAX_CAUSES:
                self._again_s.clear()
            self._again_s[cause] = time.monotonic() + _SAY_AGAIN_S
        log.error("%s", trouble)

    def settled(self) -> None:
        """Note that writing works: what comes next is told anew."""
        with self._lock:
            had, self._again_s = bool(self._again_s), {}
        if had:
            log.info("记忆又写得进去了。")


def notice_of(trouble: PersonaError) -> str:
    """Return what the chat model is told when the user's words could not be kept."""
    return _NOTICE.format(cause=_cause(trouble) or "记忆出了故障")


def sorry_for(trouble: Exception, *, notes: bool) -> str:
    """Return what the user is told when the memory could not do as it was told; `notes`: it was to keep something."""
    if not isinstance(trouble, UnwritableStore):
        return "抱歉，我现在动不了记忆，请稍后再试。"
    return f"抱歉，{'没能记住' if notes else '没有办成'}：{trouble.cause}。"


def cause_told(prompt: str) -> str:
    """Return the cause that such a notice in a prompt names, "" when there is none."""
    match = _CAUSE.search(prompt)
    return match[1] if match else ""


def _cause(trouble: PersonaError) -> str:
    return trouble.cause if isinstance(trouble, UnwritableStore) else ""


def _size(turn: Entry) -> int:
    return _ENTRY_BYTES + sys.getsizeof(turn.text)
