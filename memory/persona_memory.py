"""The memory of all owners, as the bridge and the host use it: a spine.Memory over the diaries on disk."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory import diary, forget, spoken
from xiaozhi_persona.memory.lore import LoreBook
from xiaozhi_persona.memory.recall import Draft
from xiaozhi_persona.memory.recent import RecentMemory
from xiaozhi_persona.memory.small_talk import is_small_talk
from xiaozhi_persona.memory.store import OwnerStore
from xiaozhi_persona.memory.threads import DiaryThreads
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Owner, Recollection, Turn

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_CONVERSATION_MINUTES = 30
"""After a start, the last conversation goes on when it is not older than this."""
_WRITE_DEADLINE_S = 2.0
_COMMAND_DEADLINE_S = 10.0
_ANSWER_WITHIN = timedelta(minutes=1)
_TAG = re.compile("【[^】]{1,12}】")
_NOTHING = forget.Marked()


class PersonaMemory:
    """Remembers what was said, and recalls what helps to answer. Neither ever raises an error of the disk."""

    def __init__(
        self,
        settings: MemorySettings,
        folder: Path,
        *,
        role_of: Callable[[Owner], tuple[str, LoreBook | None]] = lambda owner: ("", None),
        recent_turns: int = 20,
        on_forget: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Keep the memories in `folder`. `recent_turns` of the running conversation go along with every recall.

        `role_of` tells the name of the role that an owner's device plays, and its lore book. `on_forget` clears
        what others keep of the conversations, such as spoken sentences.
        """
        self._settings = settings
        self._role_of = role_of
        self._on_forget = on_forget
        self._recent_turns = recent_turns
        self._recent = RecentMemory(recent_turns)
        self._threads = DiaryThreads(folder, retention_days=settings.retention_days)
        self._opening: dict[str, Future[list[diary.Entry]]] = {}
        self._asked: dict[str, tuple[spoken.Command, datetime]] = {}  # what waits for a yes, by device
        self._closed = False

    def owner_id(self, owner: Owner) -> str:
        """Return whose memory a device uses: `memory.owners` of the settings may give several devices one owner."""
        return self._settings.owner_of(owner.id)

    async def open(self, owner: Owner) -> None:
        """Open the memory ahead of the first question, when the device connects."""
        await self._begin(owner, _WRITE_DEADLINE_S)

    async def remember(self, owner: Owner, turns: Sequence[Turn]) -> None:
        """Write the turns; returns when they would survive the end of the process."""
        turns = [turn for turn in turns if turn.text.strip()]
        if not turns or self._closed:
            return
        role, _ = self._role_of(owner)
        entries = [diary.entry(_as_said(turn), role=role, speaker=turn.speaker) for turn in turns]
        await self._begin(owner, _WRITE_DEADLINE_S)
        await self._recent.remember(owner, turns)
        if self._closed:  # meanwhile
            return
        written = self._threads.write(self.owner_id(owner), entries)
        if not await _within(written, _WRITE_DEADLINE_S):
            log.warning("记忆写得很慢：%.0f 秒还没有写完。", _WRITE_DEADLINE_S)

    async def recall(self, owner: Owner, question: str, now: datetime) -> Recollection:
        """Return what helps to answer a question, within `recall_deadline_ms`: what is ready by then."""
        deadline_s = time.monotonic() + self._settings.recall_deadline_ms / 1000
        draft = Draft()
        opened = not self._closed and await self._begin(owner, deadline_s - time.monotonic())
        if opened:
            await self._notice_forgetting(owner, deadline_s)
        items = (await self._recent.recall(owner, question, now)).items
        if opened and not is_small_talk(question):
            found = self._threads.find(
                self.owner_id(owner),
                question,
                now,
                draft,
                max_tokens=self._settings.recall_tokens,
                deadline_s=deadline_s,
                skip=[diary.entry(_as_said(turn)).id for turn in items],
            )
            await _within(found, deadline_s - time.monotonic())
            found.cancel()
        return Recollection(text=self._with_lore(owner, draft.text, question, items), items=items)

    async def obey(self, owner: Owner, text: str, now: datetime) -> str:
        """Do what a text tells the memory itself to do (记住, 忘掉, 这段不要记), and return what to answer.

        Returns "" for any other text. Neither such a command nor the answer is to be remembered as a turn. What asks
        back whether to forget so much waits for a yes in the text that comes next from the same device.
        """
        command = spoken.parse_command(text)
        asked = self._asked.pop(owner.id, None)
        if (
            asked
            and command is None
            and spoken.is_yes(text)
            and timedelta() <= now - asked[1] <= _ANSWER_WITHIN
        ):
            command, now = asked
        if command is None or self._closed:
            return ""
        try:
            if command.kind == "forget_all":
                await self.forget_all(owner)
                return "好，我全都忘掉了。"
            done = asyncio.wrap_future(self._threads.obey(self.owner_id(owner), command, now))
            answer, forgotten, asks = await asyncio.wait_for(done, _COMMAND_DEADLINE_S)
        except (PersonaError, asyncio.TimeoutError) as exc:
            log.error("%s", exc or "记忆没有及时写完。")
            return "抱歉，我现在动不了记忆，请稍后再试。"
        if forgotten:
            await self._forgotten(owner)
        if asks:
            self._asked[owner.id] = replace(command, sure=True), now
        return answer

    def ask_no_more(self, owner: Owner) -> None:
        """Note that what `obey` asks back was not heard: a yes that comes next is for something else."""
        self._asked.pop(owner.id, None)

    async def look_up(
        self,
        owner: Owner,
        question: str,
        now: datetime,
        *,
        max_tokens: int,
        seconds: float,
        skip: Sequence[Turn],
    ) -> Draft:
        """Return what answers a question as turns and facts: what is ready within `seconds`.

        `skip` are turns in which it is asked.
        """
        draft = Draft()
        deadline_s = time.monotonic() + seconds
        if not self._closed and await self._begin(owner, seconds):
            found = self._threads.find(
                self.owner_id(owner),
                question,
                now,
                draft,
                max_tokens=max_tokens,
                deadline_s=deadline_s,
                skip=[diary.entry(_as_said(turn)).id for turn in skip],
            )
            await _within(found, deadline_s - time.monotonic())
            found.cancel()
        return draft

    async def change(self, owner: Owner, how: Callable[[OwnerStore], _T]) -> _T:
        """Do something else to the memory, in its writing thread. Raises PersonaError with the next step."""
        return await asyncio.wrap_future(self._threads.change(self.owner_id(owner), how))

    async def forget_turns(
        self, owner: Owner, turns: Sequence[Turn], also: forget.Marked = _NOTHING
    ) -> forget.Forgotten:
        """Forget these turns, and what was marked. Raises PersonaError with the next step."""
        ids = [diary.entry(_as_said(turn)).id for turn in turns]

        def how(store: OwnerStore) -> forget.Forgotten:
            store.append([])  # takes in what waits in the pending file
            seqs = tuple(diary.seqs_of(store.writer, ids))
            return forget.forget_marked(store, forget.Marked(seqs) + also)

        return await self._forget(owner, how)

    async def forget_range(self, owner: Owner, start: datetime, end: datetime) -> forget.Forgotten:
        """Forget a local range [start, end). Raises PersonaError with the next step."""
        return await self._forget(owner, lambda store: forget.forget_range(store, start, end))

    async def forget_mention(self, owner: Owner, name: str) -> forget.Forgotten:
        """Forget a person or a thing. Raises PersonaError with the next step."""
        return await self._forget(owner, lambda store: forget.forget_mention(store, name))

    async def forget_facts(self, owner: Owner, ids: Sequence[int]) -> forget.Forgotten:
        """Forget facts by their ids. Raises PersonaError with the next step."""
        return await self._forget(owner, lambda store: forget.forget_facts(store, ids))

    async def forget_all(self, owner: Owner) -> None:
        """Forget everything of an owner. Raises PersonaError with the next step."""
        await asyncio.wrap_future(self._threads.forget_all(self.owner_id(owner)))
        await self._forgotten(owner)

    async def aclose(self) -> None:
        """Write and sync what is left, and end the threads."""
        self._closed = True
        await asyncio.to_thread(self._threads.close)

    async def _begin(self, owner: Owner, seconds: float) -> bool:
        """Open the memory when it is not, and go on with its last conversation. Returns whether it is open."""
        if self._recent.knows(owner):
            return True
        opening = self._opening.get(owner.id)
        if opening is None:
            opening = self._threads.open(self.owner_id(owner), self._recent_turns)
            self._opening[owner.id] = opening
        if not await _within(opening, seconds):
            return False
        self._opening.pop(owner.id, None)
        if not self._recent.knows(owner):
            since = diary.to_ms(datetime.now().astimezone() - timedelta(minutes=_CONVERSATION_MINUTES))
            turns = [turn for turn in opening.result() if turn.at_ms >= since]
            self._recent.begin(owner, [Turn(turn.who, turn.text, turn.at) for turn in turns])  # type: ignore[arg-type]
        return True

    def _with_lore(self, owner: Owner, text: str, question: str, items: Sequence[Turn]) -> str:
        _, book = self._role_of(owner)
        if book is None or is_small_talk(question):
            return text
        back = [turn.text for turn in reversed(items[-self._settings.lore_messages :])]
        found = book.find([question, *back], self._settings.lore_tokens)
        lore = "相关的设定：\n" + "\n".join(f"- {entry}" for entry in found) if found else ""
        return "\n".join(part for part in (lore, text) if part)

    async def _forget(self, owner: Owner, how: Callable[[OwnerStore], forget.Forgotten]) -> forget.Forgotten:
        gone = await asyncio.wrap_future(self._threads.forget(self.owner_id(owner), how))
        await self._forgotten(owner)
        return gone

    async def _notice_forgetting(self, owner: Owner, deadline_s: float) -> None:
        """Clear the conversation when another process has forgotten something: that may stand in it."""
        asking = self._threads.forgotten_elsewhere(self.owner_id(owner))
        if await _within(asking, deadline_s - time.monotonic()) and asking.result():
            await self._forgotten(owner)
            self._threads.noticed(self.owner_id(owner), asking.result())

    async def _forgotten(self, owner: Owner) -> None:
        """What was forgotten may stand in the running conversation, on any device of the owner, and elsewhere."""
        mine = self.owner_id(owner)
        self._recent.forget(lambda device: self.owner_id(device) == mine)
        if self._on_forget:
            await self._on_forget()


def _as_said(turn: Turn) -> Turn:
    """Return a turn without the emotion tags of a reply: they are not spoken, and not to be found as words."""
    if turn.who != "assistant" or "【" not in turn.text:
        return turn
    return replace(turn, text=_TAG.sub("", turn.text))


async def _within(future: Future[_T], seconds: float) -> bool:
    """Wait for a job. Returns whether it ended in time; it goes on when it did not."""
    if not future.done():
        await asyncio.wait({asyncio.wrap_future(future)}, timeout=max(seconds, 0))
    return future.done()
