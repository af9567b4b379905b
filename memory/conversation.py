"""What a turn does with the memory, in the bridge and in the host: obey, recall, remember, or leave off the record.

A command to the memory is carried out and what was said is kept, whatever becomes of the answer: an interruption ends
the answer, not these.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import anyio

from xiaozhi_persona.memory.clock import ConversationClock
from xiaozhi_persona.spine import Memory, Owner, Recollection, Turn
from xiaozhi_persona.tasks import cancel_and_wait

log = logging.getLogger(__name__)

_T = TypeVar("_T")

WRITE_FIRST_S = 0.2
"""How long an answer waits for the user's words to be written, so that it does not promise to remember what could not
be; they go on being written while it is given."""

_CLOSE_S = 5.0
_WHO = {"user": "用户说", "assistant": "设备答"}
_MOST_DONE = 6
_DONE_LATELY = timedelta(minutes=10)
"""What the device did by itself is told to the chat model for so long, and so many turns of it."""


@dataclass(eq=False)
class Exchange:
    """What the user said at one go, and what was answered."""

    number: int = 0
    """How often the user had spoken by then."""
    turns: list[Turn] = field(default_factory=list)
    """The user's words first, where there are any."""
    is_kept: bool = False
    """Whether the user's words are written, or will be by the question that was asked for them."""
    off_record: bool = False
    """Whether nothing more of it is to be kept."""
    aside: bool = False
    """Whether the device has done what the words ask for, without the chat model."""
    writing: asyncio.Task[str] | None = None
    """Writes the user's words, and returns what the chat model is to know when they could not be written."""

    @property
    def said(self) -> str:
        """The user's words."""
        return self.turns[0].text if self.turns and self.turns[0].who == "user" else ""

    @property
    def notice(self) -> str:
        """What the chat model is to know of the writing, as far as it is known."""
        return self.writing.result() if self.writing and self.writing.done() else ""


@dataclass(frozen=True)
class Consulted:
    """What the memory has to say to the user's words."""

    answer: str = ""
    """What is to be answered to a command, which was carried out; "" for any other words."""
    found: Recollection = Recollection()


class Conversation:
    """What is said over one connection, for one owner. All methods belong on one event loop."""

    def __init__(
        self, memory: Memory, owner: Owner, *, clock: ConversationClock | None = None, obeys: bool = True
    ) -> None:
        """`obeys`: whether spoken commands (记住, 忘掉, 不要记) are carried out; else a chat model's tools do it."""
        self.memory = memory
        self.owner = owner
        self.exchange = Exchange()
        """The user's last words, and what was said since."""
        self._clock = clock or ConversationClock()
        self._obeys = obeys
        self._unkept: list[Turn] = []  # the exchange before this one, where its answer is kept nowhere
        self._order = asyncio.Lock()
        self._writing: set[asyncio.Task[Any]] = set()  # of what was said
        self._doing: set[asyncio.Task[Any]] = set()  # what tools are asked for

    def now(self) -> datetime:
        """Return the time of the conversation's clock."""
        return self._clock.now()

    def hear(self, text: str, speaker: str = "", at: datetime | None = None) -> Exchange:
        """Begin an exchange with the user's words."""
        self._unkept = self.exchange.turns if self.exchange.off_record else []
        words = Turn("user", text, at or self.now(), speaker)
        self.exchange = Exchange(self.exchange.number + 1, [words])
        return self.exchange

    def carried_out(self, exchange: Exchange) -> None:
        """Note that the device does what the words ask for, without the chat model: they are kept, and the answer, too.

        Neither is shown to the chat model as a part of the conversation. An answer such as "the volume is at 60" without
        a call of a tool would teach it to say so without calling one; that it was done it is told among what it
        remembers. What the memory may have asked back is not what these words answer.
        """
        exchange.aside = exchange.is_kept = True
        exchange.turns[:] = [replace(turn, aside=True) for turn in exchange.turns]
        self.memory.ask_no_more(self.owner)
        for words in exchange.turns:
            self._start(self._keep_in_order(words, exchange))

    async def consult(
        self, exchange: Exchange, is_given_up: Callable[[], bool] = lambda: False, *, command: str = ""
    ) -> Consulted:
        """Do what the user's words tell the memory to do, or recall what helps to answer them and keep them.

        It goes on when the caller is cancelled. `is_given_up` tells whether what is returned comes too late. `command` is
        what they tell the memory, where somebody has taken it out of them (小智，帮我记住… is 记住…).
        """
        is_new, exchange.is_kept = not exchange.is_kept, True
        return await asyncio.shield(self._start(self._consult(exchange, is_new, is_given_up, command)))

    def keep_words(self, exchange: Exchange) -> None:
        """Keep the user's words for which the memory is not consulted."""
        if not exchange.is_kept:
            exchange.is_kept = True
            self._start(self._keep_in_order(exchange.turns[0], exchange))

    def answered(self, exchange: Exchange, text: str, at: datetime | None = None) -> None:
        """Keep what was answered."""
        answer = Turn("assistant", text, at or self.now(), aside=exchange.aside)
        exchange.turns.append(answer)
        self._start(self._keep_in_order(answer, exchange))

    def unheard(self) -> None:
        """Note that what the memory asked back was not heard: a yes that comes next is for something else."""
        self.memory.ask_no_more(self.owner)

    async def is_unkept(self, exchange: Exchange) -> bool:
        """Whether it is known by now that the user's words could not be written, which is waited for a little."""
        if exchange.writing:
            await asyncio.wait({exchange.writing}, timeout=WRITE_FIRST_S)
        return bool(exchange.notice)

    def do(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Have something done for a tool; it goes on when its caller is cancelled."""
        return _owned(work, "memory-tool", self._doing)

    async def finish(self) -> None:
        """Return when what was said so far is written."""
        while self._writing:
            await asyncio.wait(set(self._writing))

    async def aclose(self) -> None:
        """Finish what was begun; what takes too long is cancelled."""
        with anyio.move_on_after(_CLOSE_S):
            while self._doing or self._writing:
                await asyncio.wait({*self._doing, *self._writing})
        for task in (*self._doing, *self._writing):
            await cancel_and_wait(task)

    async def _consult(
        self, exchange: Exchange, is_new: bool, is_given_up: Callable[[], bool], command: str
    ) -> Consulted:
        words = exchange.turns[0]
        async with self._order:
            await self._begin()
            told = command or words.text
            if self._obeys and (answer := await self.memory.obey(self.owner, told, words.at)):
                exchange.off_record = True
                if is_given_up():
                    self.memory.ask_no_more(self.owner)
                return Consulted(answer)
            try:
                found = await self.memory.recall(self.owner, words.text, words.at)
            finally:
                if is_new:
                    exchange.writing = self._start(self._keep(words))
            if exchange.writing:
                await asyncio.wait({exchange.writing}, timeout=WRITE_FIRST_S)
        text = "\n".join(part for part in (found.text, _done_lately(found.items, words.at)) if part)
        items = self._with_unkept([turn for turn in found.items if not turn.aside])
        return Consulted(found=replace(found, text=text, items=items, notice=exchange.notice))

    def _with_unkept(self, items: Sequence[Turn]) -> Sequence[Turn]:
        """Add the last answer, for this once, to the words that it answered: a yes must have its question."""
        words = [turn for turn in self._unkept[:1] if turn.who == "user"]
        if words and items and items[-1].text == words[0].text:
            return (*items, *self._unkept[1:])
        return items

    async def _begin(self) -> None:
        """Make ready for a question."""

    def _start(self, writing: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        return _owned(writing, "remember", self._writing)

    async def _keep_in_order(self, turn: Turn, exchange: Exchange) -> None:
        async with self._order:
            if exchange.writing:
                await asyncio.wait({exchange.writing})
            if not exchange.off_record:  # which may turn out while a question before it is answered
                await self._keep(turn)

    async def _keep(self, turn: Turn) -> str:
        """Write a turn. Returns what the chat model is to know when it could not be written."""
        try:
            return await self.memory.remember(self.owner, [turn])
        except Exception:
            log.exception("写记忆时出错")
            return ""


def _done_lately(turns: Sequence[Turn], now: datetime) -> str:
    """Return what the device has done by itself a short while ago, for the chat model to know; "" for nothing."""
    done = [turn for turn in turns if turn.aside and now - turn.at < _DONE_LATELY][-_MOST_DONE:]
    lines = [f"- {turn.at:%H:%M} {_WHO[turn.who]}“{turn.text}”" for turn in done]
    return "\n".join(("刚才这些是设备自己办的：", *lines)) if lines else ""


def _owned(work: Coroutine[Any, Any, _T], name: str, owner: set[asyncio.Task[Any]]) -> asyncio.Task[_T]:
    task = asyncio.get_running_loop().create_task(work, name=name)
    owner.add(task)

    def ended(task: asyncio.Task[_T]) -> None:
        owner.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it gets it; nobody does when the turn was cut

    task.add_done_callback(ended)
    return task
