"""Vectors made in the background, for every turn that has none, and those of questions.

The model works in a thread of its own, a few texts at a time: a question comes first. What it cannot do is tried again
later; nothing waits for it.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory import schema, vectors
from xiaozhi_persona.memory.meaning import Meaning
from xiaozhi_persona.memory.store import OwnerStore
from xiaozhi_persona.memory.text_index import NEIGHBOUR_WEIGHTS
from xiaozhi_persona.spine import Embedder

log = logging.getLogger(__name__)

_BATCH_TURNS = 4
"""A question waits for so many at most."""
_AGAIN_S = 60.0
_LEFT_S = 0.01
"""What is left of a recall's time when it waits for the model no longer."""
Lend = Callable[[str], AbstractContextManager["OwnerStore | None"]]


class Embedding:
    """Keeps the vectors of all owners' turns. For any thread; every method but close() returns at once."""

    def __init__(
        self, embedder: Embedder, lend: Lend, change: Callable[[Callable[[], None]], Future[None]]
    ) -> None:
        """`lend` opens the memory of an owner that is there, and `change` runs a job in the writing thread."""
        self._embedder = embedder
        self._lend = lend
        self._change = change
        self._model = ThreadPoolExecutor(1, "memory-embed")
        self._lock = threading.Lock()
        self._known: dict[str, Meaning] = {}
        self._made: set[str] = set()  # owners for whom vectors were made here
        self._left_to_others: set[str] = (
            set()
        )  # owners whose vectors another process makes with another model
        self._waiting: dict[str, None] = {}  # owners whose turns may have no vector yet, in their order
        self._works = False
        self._failed_at_s = -_AGAIN_S
        self._retry: threading.Timer | None = None
        self._closed = False

    def near(self, owner_id: str, question: str, deadline_s: float) -> Callable[[], dict[int, float]]:
        """Begin to find out how near an owner's turns are to a question. Returns what waits for that and returns it, by
        the turns' numbers; it is empty when it takes longer than until a while before `deadline_s` (time.monotonic).
        """
        known = self._known.get(owner_id)
        if known is None or not len(known):
            return dict
        try:
            asked = self._model.submit(self._query, question[: vectors.MAX_CHARS])
        except RuntimeError:  # closed
            return dict

        def wait() -> dict[int, float]:
            try:
                vector = asked.result(max(0.0, deadline_s - _LEFT_S - time.monotonic()))
            except (TimeoutError, concurrent.futures.TimeoutError, CancelledError):
                asked.cancel()
                return {}
            return {} if vector is None else known.near(vector, NEIGHBOUR_WEIGHTS)

        return wait

    def look_after(self, owner_id: str) -> None:
        """Have vectors made for the turns of an owner that have none."""
        with self._lock:
            self._waiting[owner_id] = None
        self._work()

    def forget(self, owner_id: str) -> None:
        """Drop what is in RAM of an owner; what is left in the database is read again."""
        self._known.pop(owner_id, None)
        self.look_after(owner_id)

    def close(self) -> None:
        """End the threads. Blocks for one batch."""
        with self._lock:
            self._closed = True
            if self._retry:
                self._retry.cancel()
        self._model.shutdown(cancel_futures=True)
        self._embedder.close()

    def _work(self) -> None:
        with self._lock:
            if self._closed or self._works or not self._waiting:
                return
            wait_s = self._failed_at_s + _AGAIN_S - time.monotonic()
            if wait_s > 0:
                if self._retry is None or not self._retry.is_alive():
                    self._retry = threading.Timer(wait_s, self._work)
                    self._retry.name, self._retry.daemon = "memory-embed-retry", True
                    self._retry.start()
                return
            self._works = True
            owner_id = next(iter(self._waiting))
            del self._waiting[owner_id]
        with contextlib.suppress(RuntimeError):  # closed meanwhile
            self._model.submit(self._batch, owner_id)

    def _batch(self, owner_id: str) -> None:
        """Make some vectors, and have them written; then come the questions that wait, and the next batch."""
        try:
            texts = self._missing(owner_id)
            if texts:
                made = list(zip(texts, self._embedder.passages([one.text for one in texts]), strict=True))
                self._change(lambda: self._keep(owner_id, made))
                return
        except PersonaError as exc:
            self._failed(owner_id, str(exc))
        except Exception as exc:
            self._failed(owner_id, f"{type(exc).__name__} {exc}")
        self._go_on()

    def _missing(self, owner_id: str) -> list[vectors.Missing]:
        with self._lend(owner_id) as store:
            if store is None or store.readonly or owner_id in self._left_to_others:
                return []
            with contextlib.closing(schema.connect(store.file, readonly=True)) as db:
                if owner_id in self._made and vectors.is_of_another(db, self._embedder.name):
                    self._leave(owner_id)
                    return []
                if vectors.is_of(db, self._embedder.name):
                    known = self._known.get(owner_id)
                    if known is None:
                        self._known[owner_id] = Meaning(*vectors.read(db))
                    else:  # another process may have made some
                        known.add(*vectors.read(db, known.last))
                return vectors.missing(db, self._embedder.name, _BATCH_TURNS)

    def _leave(self, owner_id: str) -> None:
        """Let another process have its way: else each would make all vectors anew for ever."""
        self._left_to_others.add(owner_id)
        self._known.pop(owner_id, None)
        log.warning(
            "另一个程序用别的模型做了同一份记忆的向量，这里只按词找。请给两个程序写一样的 memory.embedder，再重启。"
        )

    def _keep(self, owner_id: str, made: list[tuple[vectors.Missing, NDArray[np.float32]]]) -> None:
        """In the writing thread."""
        try:
            with self._lend(owner_id) as store:
                if store:
                    with store.transaction() as db:
                        vectors.use_model(db, self._embedder.name)
                        kept = set(vectors.keep(db, made))
                    self._made.add(owner_id)
                    self._note(owner_id, [(turn.seq, vector) for turn, vector in made if turn.seq in kept])
                    with self._lock:
                        self._waiting[owner_id] = None
        except PersonaError as exc:
            self._failed(owner_id, str(exc))
        finally:
            self._go_on()

    def _note(self, owner_id: str, made: list[tuple[int, NDArray[np.float32]]]) -> None:
        known = self._known.get(owner_id)
        if not made:
            return
        if known is None or not len(known):  # it is read with the next batch
            self._known.pop(owner_id, None)
            return
        seqs = np.array([seq for seq, _ in made], np.int64)
        known.add(seqs, np.stack([vectors.packed(vector) for _, vector in made]))

    def _go_on(self) -> None:
        with self._lock:
            self._works = False
        self._work()

    def _failed(self, owner_id: str, why: str) -> None:
        with self._lock:
            self._failed_at_s = time.monotonic()
            self._waiting[owner_id] = None
        log.warning("现在按意思找不了（%s），先按词找，过一会儿再试。", why)

    def _query(self, text: str) -> NDArray[np.float32] | None:
        if time.monotonic() < self._failed_at_s + _AGAIN_S:
            return None
        try:
            return self._embedder.query(text)
        except Exception as exc:
            with self._lock:
                self._failed_at_s = time.monotonic()
            log.warning("现在按意思找不了（%s），先按词找，过一会儿再试。", exc)
            return None
