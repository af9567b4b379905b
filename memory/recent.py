"""The last turns of each owner, in RAM: enough for a conversation, gone with the process."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from xiaozhi_persona.spine import Owner, Recollection, Turn

MAX_OWNERS = 1000
MAX_BYTES = 16 * 1024 * 1024
"""What all conversations together may hold."""
_TURN_BYTES = 400  # without its text


class RecentMemory:
    """Recalls the last things that were said, whatever the question."""

    def __init__(self, max_turns: int, max_chars: int = 8000) -> None:
        """Keep so many turns of an owner, the newest, with so many characters in all; of one turn, half of these."""
        self._max_turns = max_turns
        self._max_chars = max_chars
        self._turns: OrderedDict[str, list[Turn]] = OrderedDict()
        self._bytes = 0

    def knows(self, owner: Owner) -> bool:
        """Whether there is a conversation of this owner."""
        return owner.id in self._turns

    def begin(self, owner: Owner, turns: Sequence[Turn]) -> None:
        """Begin the conversation of an owner with turns that were said before."""
        self._keep(owner, turns)

    def ask_no_more(self, owner: Owner) -> None:
        """Nothing is asked back here."""

    def forget(self, whose: Callable[[Owner], bool]) -> None:
        """Drop what was said by these owners; their conversations go on empty."""
        for owner_id, turns in self._turns.items():
            if whose(Owner(owner_id)):
                self._bytes -= _size(turns)
                turns.clear()

    async def remember(self, owner: Owner, turns: Sequence[Turn]) -> str:
        """Keep the turns; the oldest go when there are too many."""
        self._keep(owner, turns)
        return ""

    async def recall(self, owner: Owner, question: str, now: datetime) -> Recollection:
        """Return the last turns as items, oldest first; they go before the question as they were said."""
        return Recollection(items=tuple(self._turns.get(owner.id, ())))

    def _keep(self, owner: Owner, turns: Sequence[Turn]) -> None:
        before = self._turns.pop(owner.id, [])
        kept = self._newest([*before, *turns])
        self._turns[owner.id] = kept
        self._bytes += _size(kept) - _size(before)
        while len(self._turns) > MAX_OWNERS or self._bytes > MAX_BYTES:
            # Devices that have said nothing make room first: ids are easily made up.
            goes = next(
                (owner_id for owner_id, said in self._turns.items() if not said), next(iter(self._turns))
            )
            self._bytes -= _size(self._turns.pop(goes))

    def _newest(self, turns: list[Turn]) -> list[Turn]:
        """Return the newest turns that fit; what was left out takes along the answer to it."""
        longest = self._max_chars // 2  # a question and its answer always fit
        turns = [
            replace(turn, text=turn.text[:longest]) if len(turn.text) > longest else turn for turn in turns
        ]
        first = max(0, len(turns) - self._max_turns)
        chars = sum(len(turn.text) for turn in turns[first:])
        while chars > self._max_chars:
            chars -= len(turns[first].text)
            first += 1
        while 0 < first < len(turns) and turns[first].who == "assistant":
            first += 1
        return turns[first:]


def _size(turns: Sequence[Turn]) -> int:
    """Return about how many bytes turns take."""
    return sum(_TURN_BYTES + sys.getsizeof(turn.text) for turn in turns)
