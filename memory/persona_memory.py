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
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from xiaozhi_persona.errors import PersonaError, first_line
from xiaozhi_persona.memory import diary, forget, spoken
from xiaozhi_persona.memory.consent import Consents
from xiaozhi_persona.memory.draft import Draft
from xiaozhi_persona.memory.quiet import Quiet
from xiaozhi_persona.memory.quiet_work import AsksModel, QuietWork
from xiaozhi_persona.memory.recall import MAX_QUESTION_CHARACTERS
from xiaozhi_persona.memory.recent import RecentMemory
from xiaozhi_persona.memory.small_talk import is_small_talk
from xiaozhi_persona.memory.store import BusyStore, OwnerStore
from xiaozhi_persona.memory.threads import DiaryThreads
from xiaozhi_persona.memory.unwritten import notice_of, sorry_for
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Embedder, Owner, Recollection, Turn

log = logging.getLogger(__name__)

_T = TypeVar("_T")
MAX_TURN_CHARACTERS = 10_000
"""Of what one side says at one go no more is kept: speech ends before that (providers/speech/pipeline.py)."""
_MAX_SPEAKER_CHARACTERS = 100
_CONVERSATION_MINUTES = 30
"""After a start, the last conversation goes on when it is not older than this."""
_WRITE_DEADLINE_S = 2.0
_COMMAND_DEADLINE_S = 10.0
_TAG = re.compile("【[^】]{1,12}】")
_NOTHING = forget.Marked()


class Lore(Protocol):
    """What a role knows of its world."""

    def find(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """Return what the words of `texts`, the newest first, call for, up to `max_tokens` in all."""


class PersonaMemory:
    """Remembers what was said, and recalls what helps to answer. Neither ever raises an error of the disk."""

    def __init__(
        self,
        settings: MemorySettings,
        folder: Path,
        *,
        role_of: Callable[[Owner], tuple[str, Lore | None]] = lambda owner: ("", None),
        recent_turns: int = 20,
        recent_chars: int = 8000,
        on_forget: Callable[[], Awaitable[None]] | None = None,
        embedder: Embedder | None = None,
        asks_model: AsksModel | None = None,
    ) -> None:
        """Keep the memories in `folder`. Up to `recent_turns` of the running conversation, with up to `recent_chars`
        characters in all, go along with every recall.

        `role_of` tells the name of the role that an owner's device plays, and its lore book. `on_forget` clears
        what others keep of the conversations, such as spoken sentences. With an `embedder`, which is closed here, turns
        are found by what they mean, too. `asks_model` gives a chat model instructions and a text, and returns what it
        writes: with it facts are looked for once more when a conversation has been quiet (`memory.facts`).
        """
        self.consents = Consents()
        """What waits for a yes."""
        self._settings = settings
        self._role_of = role_of
        self._on_forget = on_forget
        self._recent_turns = recent_turns
        self._recent = RecentMemory(recent_turns, recent_chars)
        self._threads = DiaryThreads(folder, retention_days=settings.retention_days, embedder=embedder)
        more_ms = settings.embedder_deadline_ms if embedder else 0
        self._recall_s = (settings.recall_deadline_ms + more_ms) / 1000
        self.asks_model = asks_model
        self._quiet = Quiet(
            self._in_quiet, after_s=settings.read_after_s, at_most_an_hour=settings.reads_an_hour
        )
        self._opening: dict[str, _Opening] = {}
        self._closed = False

    def owner_id(self, owner: Owner) -> str:
        """Return whose memory a device uses: `memory.owners` of the settings may give several devices one owner."""
        return self._settings.owner_of(owner.id)

    async def open(self, owner: Owner) -> None:
        """Open the memory ahead of the first question, when the device connects. Others' questions come first."""
        await self._begin(owner, _WRITE_DEADLINE_S, ahead=True)

    async def begin(self, owner: Owner) -> None:
        """Open the memory at once: a question is about to come."""
        await self._begin(owner, _WRITE_DEADLINE_S)

    async def remember(self, owner: Owner, turns: Sequence[Turn]) -> str:
        """Write the turns; returns when they would survive the end of the process.

        Returns "", or what the chat model is to know when they could not be written. Then they are written later, if
        that becomes possible before the process ends.
        """
        turns = [
            replace(
                turn, text=turn.text[:MAX_TURN_CHARACTERS], speaker=turn.speaker[:_MAX_SPEAKER_CHARACTERS]
            )
            for turn in turns
            if turn.text.strip()
        ]
        if not turns or self._closed:
            return ""
        role, _ = self._role_of(owner)
        entries = [diary.entry(_as_said(turn), role=role, speaker=turn.speaker) for turn in turns]
        await self._begin(owner, _WRITE_DEADLINE_S)
        await self._recent.remember(owner, turns)
        if self._closed:  # meanwhile
            return ""
        written = self._threads.write(self.owner_id(owner), entries)
        if self.asks_model and (self._settings.diary or self._settings.facts != "rules"):
            self._quiet.spoke(self.owner_id(owner))
        if not await _within(written, _WRITE_DEADLINE_S):
            log.warning("记忆写得很慢：%.0f 秒还没有写完。", _WRITE_DEADLINE_S)
            return ""
        trouble = written.result()
        return notice_of(trouble) if trouble and not isinstance(trouble, BusyStore) else ""

    async def recall(self, owner: Owner, question: str, now: datetime) -> Recollection:
        """Return what helps to answer a question, within `recall_deadline_ms`: what is ready by then."""
        deadline_s = time.monotonic() + self._recall_s
        question = question[:MAX_QUESTION_CHARACTERS]
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
        asked = self.consents.take(owner, spoken.Command, now)
        if asked and command is None and spoken.is_yes(text):
            command, now = asked.what, asked.at
        if command is None or self._closed:
            return ""
        try:
            if command.kind == "forget_all" or (command.kind == "ask_forget_all" and command.sure):
                await self.forget_all(owner)
                return spoken.ALL_FORGOTTEN[command.language]
            done = asyncio.wrap_future(self._threads.obey(self.owner_id(owner), command, now))
            answer, forgotten, asks = await asyncio.wait_for(done, _COMMAND_DEADLINE_S)
        except asyncio.TimeoutError as exc:
            log.error("记忆没有及时写完。")
            return sorry_for(exc, notes=False)
        except PersonaError as exc:
            is_note = command.kind == "remember"
            if is_note:  # its words wait, as others do, until they can be written
                self._threads.write(self.owner_id(owner), [diary.entry(Turn("user", text, now))])
            return self.sorry(exc, notes=is_note)
        if forgotten:
            await self._forgotten(owner)
        if asks:
            self.consents.ask(owner, replace(command, sure=True), now)
        return answer

    def sorry(self, trouble: PersonaError, *, notes: bool = False) -> str:
        """Note a trouble in the log, once for each cause, and return what the user is told of it.

        `notes`: the user wanted something to be remembered.
        """
        self._threads.complaints.tell(trouble)
        return sorry_for(trouble, notes=notes)

    def ask_no_more(self, owner: Owner) -> None:
        """Note that what was asked back was not heard: a yes that comes next is for something else."""
        self.consents.drop(owner)

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
        return await self._change(self.owner_id(owner), how)

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
        await self._quiet.aclose()
        await asyncio.to_thread(self._threads.close)

    async def _in_quiet(self, owner_id: str) -> bool:
        """Have the chat model read once more what was said, then write the diary. Returns whether there is more to do."""
        asks = self.asks_model
        if asks is None or self._closed:
            return False
        work = QuietWork(asks, self._quiet.room, partial(self._change, owner_id))
        try:
            if self._settings.facts != "rules" and (done := await work.read_for_facts()):
                return done
            return self._settings.diary and await work.write_diary()
        except (PersonaError, asyncio.TimeoutError) as exc:
            log.warning("对话模型现在帮不了记忆（%s），下次安静时再做。", first_line(exc))
            return False

    async def _change(self, owner_id: str, how: Callable[[OwnerStore], _T]) -> _T:
        return await asyncio.wrap_future(self._threads.change(owner_id, how))

    async def _begin(self, owner: Owner, seconds: float, *, ahead: bool = False) -> bool:
        """Open the memory when it is not, and go on with its last conversation. Returns whether it is open.

        `ahead`: nobody has asked yet. What has not begun is given up when the time is over, or the caller goes.
        """
        if self._recent.knows(owner):
            return True
        opening = self._opening.get(owner.id)
        if opening is None or (opening.ahead and not ahead and opening.job.cancel()):
            job = self._threads.open(self.owner_id(owner), self._recent_turns, ahead=ahead)
            opening = self._opening[owner.id] = _Opening(job, ahead)
            job.add_done_callback(lambda _: self._opening.pop(owner.id, None))
        try:
            in_time = await _within(opening.job, seconds)
        finally:
            if ahead and opening.ahead:
                opening.job.cancel()
        if not in_time or opening.job.cancelled():
            return False
        if not self._recent.knows(owner):
            since = diary.to_ms(datetime.now().astimezone() - timedelta(minutes=_CONVERSATION_MINUTES))
            turns = [turn for turn in opening.job.result() if turn.at_ms >= since]
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
        in_time = await _within(asking, deadline_s - time.monotonic())
        if not in_time:
            asking.cancel()
        elif asking.result():
            await self._forgotten(owner)
            self._threads.noticed(self.owner_id(owner), asking.result())

    async def _forgotten(self, owner: Owner) -> None:
        """What was forgotten may stand in the running conversation, on any device of the owner, and elsewhere."""
        mine = self.owner_id(owner)
        self._recent.forget(lambda device: self.owner_id(device) == mine)
        if self._on_forget:
            await self._on_forget()


class _Opening(NamedTuple):
    """A memory that is being opened."""

    job: Future[list[diary.Entry]]
    ahead: bool


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
