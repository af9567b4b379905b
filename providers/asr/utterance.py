"""What is done with the sound of an utterance before a model hears it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xiaozhi_persona.spine import Samples

RATE_HZ = 16000
LONGEST_PIECE_S = 30
"""SenseVoice was trained with up to 30 s, and the memory that a model needs grows with the square of the length."""

_MIN_SAMPLES = RATE_HZ // 10  # with less there is no feature frame
_MIN_SPAN = 64  # from the lowest to the highest sample: -60 dB, wherever the middle of the wave lies
_CUT_SEARCH_S = 10
_WINDOW = RATE_HZ // 20


def has_sound(pcm16k: Samples) -> bool:
    """Whether there is anything to recognize: silence makes some models invent words."""
    return len(pcm16k) >= _MIN_SAMPLES and int(pcm16k.max()) - int(pcm16k.min()) >= _MIN_SPAN


def pieces_of(pcm16k: Samples) -> Iterator[Samples]:
    """Yield a recording in pieces of at most 30 s, cut where the end of a piece is quietest."""
    longest, search = LONGEST_PIECE_S * RATE_HZ, _CUT_SEARCH_S * RATE_HZ
    while len(pcm16k) > longest:
        tail = pcm16k[longest - search : longest].astype(np.float32)
        loudness = (tail.reshape(-1, _WINDOW) ** 2).mean(axis=1)
        cut = longest - search + int(loudness.argmin()) * _WINDOW + _WINDOW // 2
        yield pcm16k[:cut]
        pcm16k = pcm16k[cut:]
    yield pcm16k


def count_pieces(pcm16k: Samples) -> int:
    """Return how many pieces of 30 s a recording has, the last one begun."""
    return max(1, -(-len(pcm16k) // (LONGEST_PIECE_S * RATE_HZ)))
