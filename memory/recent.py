"""The last turns of each owner, in RAM: enough for a conversation, gone with the process."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from datetime import datetime

from xiaozhi_persona.spine import Owner, Recollection, Turn

MAX_OWNERS = 1000


class RecentMemory:
    """Recalls the last things that were said, whatever the question."""

    def __init__(self, max_turns: int) -> None:
        self._max_turns = max_turns
        self._turns: OrderedDict[str, deque[Turn]] = OrderedDict()

    def knows(self, owner: Owner) -> bool:
        """Whether there is a conversation of this owner."""
        return owner.id in self._turns

    def begin(self, owner: Owner, turns: Sequence[Turn]) -> None:
        """Begin the conversation of an owner with turns that were said before."""
        self._keep(owner, turns)

    def forget(self, whose: Callable[[Owner], bool]) -> None:
        """Drop what was said by these owners; their conversations go on empty."""
        for owner_id, turns in self._turns.items():
            if whose(Owner(owner_id)):
                turns.clear()

    async def remember(self, owner: Owner, turns: Sequence[Turn]) -> None:
        """Keep the turns; the oldest go when there are more than `max_turns`."""
        self._keep(owner, turns)

    async def recall(self, owner: Owner, question: str, now: datetime) -> Recollection:
        """Return the last turns as items, oldest first; they go before the question as they were said."""
        return Recollection(items=tuple(self._turns.get(owner.id, ())))

    def _keep(self, owner: Owner, turns: Sequence[Turn]) -> None:
        kept = self._turns.setdefault(owner.id, deque(maxlen=self._max_turns))
        kept.extend(turns)
        self._turns.move_to_end(owner.id)
        while len(self._turns) > MAX_OWNERS:
            self._turns.popitem(last=False)
