"""The open memories: at most so many at once, the one used longest ago is closed first."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.disk import obstacle
from xiaozhi_persona.memory.readonly import lacks_last_turns
from xiaozhi_persona.memory.spellings import adopted_folder, is_remembered
from xiaozhi_persona.memory.store import BusyStore, DamagedStore, OwnerStore, set_aside

log = logging.getLogger(__name__)

MAX_OPEN = 16
_WAIT_S = 5.0


class Owners:
    """Opens the memory of an owner when it is needed. May be used from several threads."""

    def __init__(self, root: Path, max_open: int = MAX_OPEN) -> None:
        self._root = root
        self._max_open = max_open
        self._open: OrderedDict[str, OwnerStore] = OrderedDict()
        self._users: dict[str, int] = {}
        self._reserved: set[str] = set()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def use(self, owner_id: str) -> Iterator[OwnerStore]:
        """Lend the open memory of an owner, made where there is none; it stays open meanwhile.

        Raises PersonaError with the next step.
        """
        with self._changed:
            self._wait(lambda: owner_id not in self._reserved)
            known = self._open.get(owner_id)
            if known and (known.is_replaced or known.is_writable_again) and not self._users.get(owner_id):
                self._open.pop(owner_id).close()
            if owner_id not in self._open:
                self._reserved.add(owner_id)
                self._changed.release()  # opening may take long, and is no business of other owners
                try:
                    store = self._opened(owner_id)
                finally:
                    self._changed.acquire()
                    self._reserved.discard(owner_id)
                    self._changed.notify_all()
                self._open[owner_id] = store
            store = self._open[owner_id]
            self._open.move_to_end(owner_id)
            self._users[owner_id] = self._users.get(owner_id, 0) + 1
            self._close_old()
        try:
            yield store
        finally:
            with self._changed:
                self._users[owner_id] -= 1
                self._close_old()
                self._changed.notify_all()

    @contextlib.contextmanager
    def use_existing(self, owner_id: str) -> Iterator[OwnerStore | None]:
        """Lend the memory as `use` does, None where the owner has none: nothing is made on the disk."""
        if owner_id in self._open or is_remembered(self._root, owner_id):
            with self.use(owner_id) as store:
                yield store
        else:
            yield None

    @contextlib.contextmanager
    def closed(self, owner_id: str) -> Iterator[Path]:
        """Close the memory of an owner and keep it closed meanwhile; gives its folder. Raises BusyStore."""
        with self._changed:
            self._wait(lambda: owner_id not in self._reserved)
            self._reserved.add(owner_id)
            try:
                self._wait(lambda: not self._users.get(owner_id))
                store = self._open.pop(owner_id, None)
                if store:
                    store.close()
            except BaseException:
                self._reserved.discard(owner_id)
                raise
        try:
            yield adopted_folder(self._root, owner_id)
        finally:
            with self._changed:
                self._reserved.discard(owner_id)
                self._changed.notify_all()

    def close(self) -> None:
        """Close all. Nobody may be using one."""
        with self._changed:
            for store in self._open.values():
                store.close()
            self._open.clear()

    def _opened(self, owner_id: str) -> OwnerStore:
        folder = adopted_folder(self._root, owner_id)
        try:
            store = OwnerStore(folder, owner_id)
        except DamagedStore as exc:
            log.error("%s", exc)
            set_aside(folder, owner_id)
            store = OwnerStore(folder, owner_id)
        if lacks_last_turns(store):
            log.warning(
                "%s最近的话还在日志里没有合并，想不起来。",
                obstacle(folder) or tr("{folder} 只能读，不能写。", folder=folder),
            )
        return store

    def _close_old(self) -> None:
        for owner_id in list(self._open):
            if len(self._open) <= self._max_open:
                return
            if not self._users.get(owner_id):
                self._open.pop(owner_id).close()
                self._users.pop(owner_id, None)

    def _wait(self, condition: Callable[[], bool]) -> None:
        if not self._changed.wait_for(condition, _WAIT_S):
            raise BusyStore(tr("记忆正在整理，请过几秒再试。"))
