"""Turns by what they mean: the vectors of one owner in RAM, and which of them lie near a question's.

What is compared is the direction from the middle of all vectors: those of sentence models lie in a narrow cone. One bit a
component finds the candidates, which are then compared exactly: 50,000 turns take about 3 ms, on every numpy.
"""

from __future__ import annotations

import functools
import threading

import numpy as np
from numpy.typing import NDArray

_CANDIDATES = 160
_MIDDLE, _SAMPLE = 4096, 512
"""So many of the vectors tell where their middle is, and how near a question is to any."""
_LONGEST_STEP = 2


@functools.cache
def _ones() -> NDArray[np.uint8]:
    """Return how many bits of each 16 are set."""
    bytes_ = np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    counts: NDArray[np.uint8] = np.unpackbits(bytes_, axis=1).sum(axis=1, dtype=np.uint8)
    return counts


class Meaning:
    """The vectors of one model. For any thread."""

    def __init__(self, seqs: NDArray[np.int64], data: NDArray[np.int8]) -> None:
        """`seqs` are the numbers of the turns, ascending; `data` has a row for each, as vectors.packed() makes it."""
        self._lock = threading.Lock()
        self._seqs = seqs
        self._data = data
        some = _unit(data[:: max(1, len(data) // _MIDDLE)])
        self._middle = some.sum(axis=0, dtype=np.float32) / max(1, len(some))
        self._bits = self._signs(data)

    def __len__(self) -> int:
        return len(self._seqs)

    @property
    def last(self) -> int:
        """The number of the newest turn, 0 when there is none."""
        return int(self._seqs[-1]) if len(self._seqs) else 0

    def add(self, seqs: NDArray[np.int64], data: NDArray[np.int8]) -> None:
        """Add turns that come behind those that are there; others are left out."""
        with self._lock:
            new = seqs > self.last
            if new.any() and data.shape[1] == self._data.shape[1]:
                self._seqs = np.concatenate([self._seqs, seqs[new]])
                self._data = np.concatenate([self._data, data[new]])
                self._bits = np.concatenate([self._bits, self._signs(data[new])], axis=1)

    def near(self, question: NDArray[np.float32], falling: tuple[float, ...]) -> dict[int, float]:
        """Return by number how near turns are, those beside them counted with falling weight: in standard deviations
        above what is usual for this question. Turns that are not named are further away.
        """
        with self._lock:
            seqs, data, bits = self._seqs, self._data, self._bits
        if not len(seqs) or len(question) != data.shape[1]:
            return {}
        asked = question / (float(np.linalg.norm(question)) or 1.0) - self._middle
        asked /= float(np.linalg.norm(asked)) or 1.0
        sample = _unit(data[:: max(1, len(data) // _SAMPLE)]) @ asked - self._middle @ asked
        usual, spread = float(sample.mean()), float(sample.std()) or 1.0
        first = self._nearest(bits, asked)
        steps = np.arange(-_LONGEST_STEP, _LONGEST_STEP + 1)
        wanted = np.unique(np.clip(first[:, None] + steps, 0, len(seqs) - 1))
        found = seqs[wanted]
        own = ((_unit(data[wanted]) - self._middle) @ asked - usual) / spread
        scores = own.copy()
        for step, weight in enumerate(falling, 1):
            for one, other in (
                (slice(step, None), slice(None, -step)),
                (slice(None, -step), slice(step, None)),
            ):
                beside = np.abs(found[one] - found[other]) == step
                scores[one] += weight * own[other] * beside
        return dict(zip(found.tolist(), scores.tolist(), strict=True))

    def _nearest(self, bits: NDArray[np.uint16], asked: NDArray[np.float32]) -> NDArray[np.int64]:
        count = bits.shape[1]
        if count <= _CANDIDATES:
            return np.arange(count)
        ones = _ones()
        differ = np.zeros(count, np.uint16)
        for part, word in zip(bits, _words(asked[None] > 0)[0], strict=True):
            differ += ones.take(part ^ word)  # three times as fast as ones[bits ^ words].sum()
        return np.argpartition(differ, _CANDIDATES)[:_CANDIDATES]

    def _signs(self, data: NDArray[np.int8]) -> NDArray[np.uint16]:
        """Return a column for each vector: on which side of the middle its components lie, 16 in a number."""
        rows = np.concatenate(
            [
                _words(_unit(data[start : start + _MIDDLE]) > self._middle)
                for start in range(0, max(1, len(data)), _MIDDLE)
            ]
        )
        return np.ascontiguousarray(rows.T)


def _unit(data: NDArray[np.int8]) -> NDArray[np.float32]:
    vectors = data.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(lengths > 0, lengths, 1)
    return vectors


def _words(signs: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Return rows of bits, 16 in a number."""
    packed = np.packbits(signs, axis=1)
    if packed.shape[1] % 2:
        packed = np.pad(packed, ((0, 0), (0, 1)))
    return np.ascontiguousarray(packed).view(np.uint16)
