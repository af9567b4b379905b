"""The threads in which diaries are read and written: one writes, one reads, two keep house.

They belong to no event loop. House-keeping is what nobody waits for: syncing to the disk, reading whole files for
damage, removing traces of what was forgotten, mending.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory import diary, schema, spoken
from xiaozhi_persona.memory.fact_rules import find_facts
from xiaozhi_persona.memory.forget import Forgotten, expire, forget_all, scrub
from xiaozhi_persona.memory.owners import Owners
from xiaozhi_persona.memory.recall import Draft, recall
from xiaozhi_persona.memory.store import (
    FORGOTTEN,
    BusyStore,
    DamagedStore,
    OwnerStore,
    delete_owner,
    set_aside,
)
from xiaozhi_persona.memory.time_words import find_ranges

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_RETRY_S = 1.0
_MAX_UNWRITTEN = 1000


class DiaryThreads:
    """Hands work on diaries to threads; every method returns at once. Owners are ids, after `memory.owners`."""

    def __init__(self, folder: Path, *, retention_days: int = 0) -> None:
        self._retention_days = retention_days
        self._owners = Owners(folder)
        self._writer = ThreadPoolExecutor(1, "memory-write")
        self._reader = ThreadPoolExecutor(1, "memory-read")
        self._keeper = ThreadPoolExecutor(2, "memory-keep")
        self._lock = threading.Lock()
        self._unsynced: set[str] = set()
        self._expired: dict[str, date] = {}
        self._unwritten: dict[str, list[diary.Entry]] = {}
        self._forgetting: dict[str, str] = {}  # the mark of the last one that is known, by owner
        self._retry: threading.Timer | None = None
        self._closed = False
        self._submit(self._reader, _warm_up)

    def open(self, owner_id: str, count: int) -> Future[list[diary.Entry]]:
        """Open a diary and return its last turns; it is checked in the background. Never raises."""
        return self._reader.submit(self._latest, owner_id, count)

    def write(self, owner_id: str, turns: list[diary.Entry]) -> Future[None]:
        """Write turns; done when they would survive the end of the process. Never raises."""
        return self._writer.submit(self._write, owner_id, turns)

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

        def run() -> None:
            try:
                with self._owners.use(owner_id) as store:
                    recall(
                        store.reader,
                        question,
                        now,
                        draft,
                        max_tokens=max_tokens,
                        deadline_s=deadline_s,
                        skip=skip,
                    )
            except PersonaError as exc:
                log.error("%s", exc)
            except Exception:
                log.exception("回忆时出错")

        return self._reader.submit(run)

    def forgotten_elsewhere(self, owner_id: str) -> Future[str]:
        """Return a mark of what another process has forgotten of an owner, "" when nothing. Never raises."""
        return self._reader.submit(self._forgotten_elsewhere, owner_id)

    def noticed(self, owner_id: str, forgetting: str) -> None:
        """Take note that what has this mark is known to be forgotten."""
        self._forgetting[owner_id] = forgetting

    def obey(self, owner_id: str, command: spoken.Command, now: datetime) -> Future[spoken.Done]:
        """Do what the owner said. Raises PersonaError."""
        return self._writer.submit(self._obey, owner_id, command, now)

    def change(self, owner_id: str, how: Callable[[OwnerStore], _T]) -> Future[_T]:
        """Do something else to a diary. Raises PersonaError."""
        return self._writer.submit(self._change, owner_id, how)

    def forget(self, owner_id: str, how: Callable[[OwnerStore], Forgotten]) -> Future[Forgotten]:
        """Forget: rows when it is done, their traces in the file soon after. Raises PersonaError."""
        return self._writer.submit(self._forget, owner_id, how)

    def forget_all(self, owner_id: str) -> Future[None]:
        """Forget everything of an owner. Raises PersonaError."""
        return self._writer.submit(self._forget_all, owner_id)

    def close(self) -> None:
        """Do what is left to do, and end the threads. Blocks."""
        with self._lock:
            self._closed = True
        if self._retry:
            self._retry.cancel()
            self._retry.join()
        self._submit(self._writer, self._write_unwritten)
        for pool in (self._reader, self._writer, self._keeper):
            pool.shutdown()
        self._owners.close()

    # In the writing thread.

    def _write(self, owner_id: str, turns: list[diary.Entry], *, mended: bool = False) -> None:
        before = self._unwritten.pop(owner_id, [])
        turns = before + turns
        try:
            with self._owners.use(owner_id) as store:
                if store.off_record:
                    turns = before  # was said before that began
                try:
                    if turns or store.has_pending():
                        store.append(turns)
                except BusyStore:
                    store.put_aside_for_later(turns)
                    self._try_again(owner_id)
            self._sync_soon(owner_id)
            self._expire_daily(owner_id)
        except DamagedStore as exc:
            log.error("%s", exc)
            self._unwritten[owner_id] = turns[-_MAX_UNWRITTEN:]
            if not mended:
                self._recover(owner_id)
                self._write(owner_id, [], mended=True)
        except PersonaError as exc:
            log.error("%s", exc)
            self._unwritten[owner_id] = turns[-_MAX_UNWRITTEN:]
        except Exception:
            log.exception("写记忆时出错")

    def _write_unwritten(self) -> None:
        for owner_id in list(self._unwritten):
            self._write(owner_id, [])

    def _try_again(self, owner_id: str) -> None:
        """Write later what waits in the pending file."""
        with self._lock:
            if self._closed or (self._retry and self._retry.is_alive()):
                return
            self._retry = threading.Timer(_RETRY_S, self._submit_write, (owner_id,))
            self._retry.name = "memory-retry"
            self._retry.daemon = True
            self._retry.start()

    def _submit_write(self, owner_id: str) -> None:
        self._submit(self._writer, self._write, owner_id, [])

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
        if owner_id in self._unwritten:
            self._write(owner_id, [])
        with self._owners.use(owner_id) as store:
            return how(store)

    def _forget(self, owner_id: str, how: Callable[[OwnerStore], Forgotten]) -> Forgotten:
        gone = self._change(owner_id, how)
        self._forgotten(owner_id)
        return gone

    def _forget_all(self, owner_id: str) -> None:
        self._unwritten.pop(owner_id, None)
        off_record = False
        try:
            with self._owners.use(owner_id) as store:
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
        with contextlib.suppress(PersonaError), self._owners.use(owner_id) as store:
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
            with self._owners.use(owner_id) as store:
                if store.index_state != "ok" or store.has_pending():
                    self._submit(self._writer, self._mend, owner_id)
                if store.has_traces:  # the process ended before they were removed
                    self._submit(self._keeper, self._scrub, owner_id)
                self._forgetting.setdefault(owner_id, schema.get_meta(store.reader, FORGOTTEN))
                turns = diary.latest(store.reader, count)
            self._submit(self._keeper, self._check, owner_id)
            return turns
        except PersonaError as exc:
            log.error("%s", exc)
        except Exception:
            log.exception("打开记忆时出错")
        return []

    def _forgotten_elsewhere(self, owner_id: str) -> str:
        try:
            with self._owners.use(owner_id) as store:
                last = schema.get_meta(store.reader, FORGOTTEN)
            return last if last != self._forgetting.setdefault(owner_id, last) else ""
        except PersonaError as exc:
            log.error("%s", exc)
        except Exception:
            log.exception("读记忆时出错")
        return ""

    # In the threads that keep house.

    def _mend(self, owner_id: str) -> None:
        try:
            with self._owners.use(owner_id) as store:
                if store.index_state != "ok":
                    log.warning("记忆的索引要重建（%s）。", store.index_state)
                    store.rebuild()
        except PersonaError as exc:
            log.error("%s", exc)
        self._write(owner_id, [])

    def _check(self, owner_id: str) -> None:
        """Read the whole file once, and forget what is older than the settings keep."""
        try:
            with self._owners.use(owner_id) as store:
                problems = store.check()
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
            with self._owners.use(owner_id) as store:
                now = datetime.now().astimezone()
                gone = expire(store, self._retention_days, now)
            if gone.turns or gone.facts:
                self._submit(self._keeper, self._scrub, owner_id)
        except PersonaError as exc:
            log.error("%s", exc)

    def _scrub(self, owner_id: str) -> None:
        try:
            with self._owners.use(owner_id) as store:
                scrub(store)
            self._submit_write(owner_id)
        except PersonaError as exc:
            log.error("%s", exc)

    def _sync_soon(self, owner_id: str) -> None:
        with self._lock:
            if owner_id in self._unsynced:
                return
            self._unsynced.add(owner_id)
        self._submit(self._keeper, self._sync, owner_id)

    def _sync(self, owner_id: str) -> None:
        with self._lock:
            self._unsynced.discard(owner_id)
        with contextlib.suppress(PersonaError), self._owners.use(owner_id) as store:
            store.sync()


def _warm_up() -> None:
    """Have the rules compiled that are compiled when they are first needed: nobody should wait for that."""
    find_ranges("昨天 昨日 yesterday", datetime.now())
    find_facts("我", datetime.now())
    spoken.parse_command("我")
