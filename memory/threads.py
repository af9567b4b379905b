"""The threads in which diaries are read and written: one writes, one reads, two stand in the queue, two keep house.

They belong to no event loop. What is opened ahead of a question, and what makes a new diary, takes long and comes one
at a time: nobody waits for more than one such job of another owner. House-keeping is what nobody waits for: syncing to
the disk, reading whole files for damage, removing traces of what was forgotten, mending.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory import diary, disk, schema, spoken
from xiaozhi_persona.memory.draft import Draft
from xiaozhi_persona.memory.embedding import Embedding
from xiaozhi_persona.memory.forget import Forgotten, expire, forget_all, scrub
from xiaozhi_persona.memory.owners import Owners
from xiaozhi_persona.memory.queues import NewcomersLast, OneAtATime
from xiaozhi_persona.memory.recall import recall
from xiaozhi_persona.memory.store import (
    FORGOTTEN,
    BusyStore,
    DamagedStore,
    OwnerStore,
    delete_owner,
    set_aside,
)
from xiaozhi_persona.memory.sweep import sweep
from xiaozhi_persona.memory.unwritten import Complaints, Unwritten
from xiaozhi_persona.memory.warm_up import warm_up
from xiaozhi_persona.spine import Embedder

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_RETRY_S = 1.0
_RETRY_UNWRITTEN_S = 10.0
"""Somebody has to make room on the disk, or change the permissions."""


class DiaryThreads:
    """Hands work on diaries to threads; every method returns at once. Owners are ids, after `memory.owners`."""

    def __init__(self, folder: Path, *, retention_days: int = 0, embedder: Embedder | None = None) -> None:
        self._retention_days = retention_days
        self._owners = Owners(folder)
        self._writer = ThreadPoolExecutor(1, "memory-write")
        self._reader = ThreadPoolExecutor(1, "memory-read")
        self._opening_queue = OneAtATime(self._reader, "memory-open")
        self._write_queue = NewcomersLast(
            self._writer, "memory-make", lambda owner_id: owner_id in self._forgetting
        )
        self._keeper = ThreadPoolExecutor(2, "memory-keep")
        self._lock = threading.Lock()
        self._unsynced: set[str] = set()
        self._expired: dict[str, date] = {}
        self._unwritten = Unwritten()
        self._held: set[str] = set()  # whose turns wait in the pending file
        self._forgetting: dict[
            str, str
        ] = {}  # by owner with a diary: the last mark of forgetting that is known
        self._retry: threading.Timer | None = None
        self._closed = False
        self.complaints = Complaints()
        self._embedding = (
            Embedding(embedder, self._owners.use_existing, self._writer.submit) if embedder else None
        )
        self._submit(self._reader, warm_up)
        self._submit(self._keeper, self._tidy, folder)

    def open(self, owner_id: str, count: int, *, ahead: bool = False) -> Future[list[diary.Entry]]:
        """Open a diary and return its last turns; it is checked in the background. Never raises.

        `ahead`: nobody waits for it, and who asks meanwhile comes first.
        """
        queue = self._opening_queue if ahead else self._reader
        return queue.submit(self._latest, owner_id, count)

    def write(self, owner_id: str, turns: list[diary.Entry]) -> Future[PersonaError | None]:
        """Write turns; done when they would survive the end of the process. Never raises.

        Returns why they could not be written: then they wait in RAM.
        """
        return self._write_queue.submit(self._write, owner_id, turns)

    def find(
        self,
        owner_id: str,
        question: str,
        now: datetime,
        draft: Draft,
        *,
        max_tokens: int,
        deadline_s: float,
        skip: Sequence[str],
    ) -> Future[None]:
        """Fill the draft with what helps to answer a question. Never raises."""

        near = self._embedding.near(owner_id, question, deadline_s) if self._embedding else dict
        fill = partial(recall, max_tokens=max_tokens, deadline_s=deadline_s, skip=skip, near=near)

        def run() -> None:
            try:
                with self._owners.use_existing(owner_id) as store:
                    if store:
                        fill(store.reader, question, now, draft)
            except PersonaError as exc:
                self.complaints.tell(exc)
            except Exception:
                log.exception("回忆时出错")

        return self._reader.submit(run)

    def forgotten_elsewhere(self, owner_id: str) -> Future[str]:
        """Return a mark of what another process has forgotten of an owner, "" when nothing. Never raises."""
        return self._reader.submit(self._forgotten_elsewhere, owner_id)

    def noticed(self, owner_id: str, forgetting: str) -> None:
        """Take note that what has this mark is known to be forgotten."""
        self._forgetting[owner_id] = forgetting
        if self._embedding:
            self._embedding.forget(owner_id)

    def obey(self, owner_id: str, command: spoken.Command, now: datetime) -> Future[spoken.Done]:
        """Do what the owner said. Raises PersonaError."""
        return self._write_queue.submit(self._obey, owner_id, command, now)

    def change(self, owner_id: str, how: Callable[[OwnerStore], _T]) -> Future[_T]:
        """Do something else to a diary. Raises PersonaError."""
        return self._write_queue.submit(self._change, owner_id, how)

    def forget(self, owner_id: str, how: Callable[[OwnerStore], Forgotten]) -> Future[Forgotten]:
        """Forget: rows when it is done, their traces in the file soon after. Raises PersonaError."""
        return self._write_queue.submit(self._forget, owner_id, how)

    def forget_all(self, owner_id: str) -> Future[None]:
        """Forget everything of an owner. Raises PersonaError."""
        return self._write_queue.submit(self._forget_all, owner_id)

    def close(self) -> None:
        """Do what is left to do, and end the threads. Blocks."""
        with self._lock:
            self._closed = True
        if self._retry:
            self._retry.cancel()
            self._retry.join()
        self._opening_queue.shutdown(cancel_futures=True)
        self._write_queue.shutdown()
        self._submit(self._writer, self._write_again)
        if self._embedding:
            self._embedding.close()
        for pool in (self._reader, self._writer, self._keeper):
            pool.shutdown()
        self._owners.close()
        if lost := sum(len(self._unwritten.take(owner_id)) for owner_id in self._unwritten.owners()):
            log.error("有 %d 句话到最后也没有写进记忆，原因见上。", lost)

    # In the writing thread.

    def _write(self, owner_id: str, turns: list[diary.Entry], *, mended: bool = False) -> PersonaError | None:
        before = self._unwritten.take(owner_id)
        turns = before + turns
        lend = self._owners.use if turns else self._owners.use_existing
        try:
            with lend(owner_id) as store:
                if store is None:
                    return None
                if owner_id not in self._forgetting:  # it was not there when it was opened
                    self.noticed(owner_id, schema.get_meta(store.writer, FORGOTTEN))
                if store.off_record:
                    turns = before  # was said before that began
                try:
                    if turns or store.has_pending():
                        store.append(turns)
                    if before:
                        self.complaints.settled()
                except BusyStore:
                    if turns:
                        store.put_aside_for_later(turns)
                    self._held.add(owner_id)
                    self._try_again(_RETRY_S)
            if self._embedding and turns:
                self._embedding.look_after(owner_id)
            self._sync_soon(owner_id)
            self._expire_daily(owner_id)
        except DamagedStore as exc:
            log.error("%s", exc)
            self._unwritten.put(owner_id, turns)
            if not mended:
                self._recover(owner_id)
                return self._write(owner_id, [], mended=True)
            return exc
        except PersonaError as exc:
            self.complaints.tell(exc)
            self._unwritten.put(owner_id, turns)
            self._try_again(_RETRY_UNWRITTEN_S)
            return exc
        except Exception:
            log.exception("写记忆时出错")
        return None

    def _write_again(self) -> None:
        """Write what waits in the pending files and in RAM, for as long as the disk takes it."""
        held, self._held = self._held, set()
        for owner_id in held:
            self._write(owner_id, [])
        for owner_id in self._unwritten.owners():
            if isinstance(self._write(owner_id, []), disk.UnwritableStore):
                return

    def _try_again(self, after_s: float) -> None:
        """Write later what could not be written."""
        with self._lock:
            if self._closed or (self._retry and self._retry.is_alive()):
                return
            self._retry = threading.Timer(after_s, self._submit, (self._writer, self._write_again))
            self._retry.name = "memory-retry"
            self._retry.daemon = True
            self._retry.start()

    @staticmethod
    def _submit(pool: ThreadPoolExecutor, job: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # closed meanwhile: the next start does it
            pool.submit(job, *arguments)

    def _obey(self, owner_id: str, command: spoken.Command, now: datetime) -> spoken.Done:
        done = self._change(owner_id, lambda store: spoken.carry_out(store, command, now))
        if done.forgotten:
            self._forgotten(owner_id)
        return done

    def _change(self, owner_id: str, how: Callable[[OwnerStore], _T]) -> _T:
        self._write_what_waits(owner_id)
        with self._owners.use(owner_id) as store:
            return how(store)

    def _forget(self, owner_id: str, how: Callable[[OwnerStore], Forgotten]) -> Forgotten:
        self._write_what_waits(owner_id)
        with self._owners.use_existing(owner_id) as store:
            gone = how(store) if store else Forgotten()
        self._forgotten(owner_id)
        return gone

    def _write_what_waits(self, owner_id: str) -> None:
        if owner_id in self._unwritten:
            self._write(owner_id, [])

    def _forget_all(self, owner_id: str) -> None:
        self._unwritten.take(owner_id)
        off_record = False
        try:
            with self._owners.use_existing(owner_id) as store:
                if store:
                    off_record = store.off_record
                    forget_all(store)
        except DamagedStore:
            with self._owners.closed(owner_id) as folder:
                delete_owner(folder)
            with self._owners.use(owner_id) as store:
                store.set_off_record(off_record)
        self._forgotten(owner_id)

    def _forgotten(self, owner_id: str) -> None:
        """Have the traces removed; who asked for it clears the conversation without being told."""
        with contextlib.suppress(PersonaError), self._owners.use_existing(owner_id) as store:
            if store:
                self.noticed(owner_id, schema.get_meta(store.writer, FORGOTTEN))
                self._submit(self._keeper, self._scrub, owner_id)

    def _recover(self, owner_id: str) -> None:
        """Make a damaged index anew; set a damaged database aside and begin a new one."""
        try:
            with self._owners.use(owner_id) as store:
                try:
                    store.rebuild()
                    problems = store.check()
                except PersonaError as exc:
                    problems = [str(exc)]
            if problems:
                with self._owners.closed(owner_id) as folder:
                    set_aside(folder, owner_id)
        except (PersonaError, OSError) as exc:
            log.error("%s", exc)

    # In the reading thread.

    def _latest(self, owner_id: str, count: int) -> list[diary.Entry]:
        try:
            with self._owners.use_existing(owner_id) as store:
                if store is None:
                    return []
                if store.index_state != "ok" or store.has_pending():
                    self._submit(self._writer, self._mend, owner_id)
                if store.has_traces:  # the process ended before they were removed
                    self._submit(self._keeper, self._scrub, owner_id)
                self._forgetting.setdefault(owner_id, schema.get_meta(store.reader, FORGOTTEN))
                turns = diary.latest(store.reader, count)
            self._submit(self._keeper, self._check, owner_id)
            if self._embedding:
                self._embedding.look_after(owner_id)
            return turns
        except PersonaError as exc:
            self.complaints.tell(exc)
        except Exception:
            log.exception("打开记忆时出错")
        return []

    def _forgotten_elsewhere(self, owner_id: str) -> str:
        try:
            with self._owners.use_existing(owner_id) as store:
                if store is None:
                    return ""
                last = schema.get_meta(store.reader, FORGOTTEN)
            return last if last != self._forgetting.setdefault(owner_id, last) else ""
        except PersonaError as exc:
            self.complaints.tell(exc)
        except Exception:
            log.exception("读记忆时出错")
        return ""

    # In the threads that keep house.

    def _tidy(self, folder: Path) -> None:
        """Say at the start that nothing can be written, else remove what is empty."""
        if trouble := disk.obstacle(folder):
            self.complaints.tell(trouble)
        else:
            sweep(folder, lambda: self._closed)

    def _mend(self, owner_id: str) -> None:
        try:
            with self._owners.use_existing(owner_id) as store:
                if store:
                    store.mend()
        except PersonaError as exc:
            self.complaints.tell(exc)
        self._write(owner_id, [])

    def _check(self, owner_id: str) -> None:
        """Read the whole file once, and forget what is older than the settings keep."""
        try:
            with self._owners.use_existing(owner_id) as store:
                problems = store.check() if store else []
            if problems:
                log.error("记忆的数据库有损坏：%s", problems[0])
                self._submit(self._writer, self._recover, owner_id)
            self._expire_daily(owner_id)
        except PersonaError as exc:
            log.debug("没有检查记忆：%s", exc)

    def _expire_daily(self, owner_id: str) -> None:
        with self._lock:
            if not self._retention_days or self._expired.get(owner_id) == date.today():
                return
            self._expired[owner_id] = date.today()
        self._submit(self._writer, self._expire, owner_id)

    def _expire(self, owner_id: str) -> None:
        try:
            with self._owners.use_existing(owner_id) as store:
                now = datetime.now().astimezone()
                gone = expire(store, self._retention_days, now) if store else Forgotten()
            if gone.turns or gone.facts:
                self._submit(self._keeper, self._scrub, owner_id)
        except PersonaError as exc:
            self.complaints.tell(exc)

    def _scrub(self, owner_id: str) -> None:
        try:
            with self._owners.use_existing(owner_id) as store:
                if store:
                    scrub(store)
            self._submit(self._writer, self._write, owner_id, [])
        except PersonaError as exc:
            self.complaints.tell(exc)

    def _sync_soon(self, owner_id: str) -> None:
        with self._lock:
            if owner_id in self._unsynced:
                return
            self._unsynced.add(owner_id)
        self._submit(self._keeper, self._sync, owner_id)

    def _sync(self, owner_id: str) -> None:
        with self._lock:
            self._unsynced.discard(owner_id)
        with contextlib.suppress(PersonaError), self._owners.use_existing(owner_id) as store:
            if store:
                store.sync()
