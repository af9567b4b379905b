"""Recordings of any length cut at their pauses into pieces that can be reference clips.

Only one piece of a recording is in memory at a time: its loudness is read first, then the pieces in a second pass.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.audio.recordings import Floats, Recording
from xiaozhi_persona.roles.sound import ClipSound

MIN_S, MAX_S = 3.05, 9.9
"""The lengths of pieces: a little inside api_v2's 3 to 10 s."""

FRAME_S = 0.02
_MARGIN_S = 0.15
_LONGEST_MARGIN_S = 0.6  # of silence around, where it takes that to make 3 s
_JOINED_PAUSE_S = 0.15  # shorter ones are within a word or between two
_SENTENCE_PAUSE_S = 0.8  # longer ones are not wanted inside a reference
_LEAST_SPEECH_S = 1.5
_CLICK_FRAMES = 3
_BLOCK_FRAMES, _BLOCKS_AROUND = 500, 3  # 10 s, judged by what is 30 s around
_QUIETEST_SPEECH_DB, _BELOW_LOUDEST_DB, _LEAST_RANGE_DB = -60.0, 35.0, 6.0
_ABOVE_FLOOR = 0.35  # of the range between noise and speech

Span = tuple[float, float]
"""From when to when, in seconds."""


def loudness_of(
    recording: Recording, told: Callable[[float], None] = lambda seconds: None
) -> NDArray[np.float32]:
    """Return the power of each 20 ms in dB; `told` hears of the seconds that were read. Raises SettingsError."""
    size = max(1, round(recording.sample_rate_hz * FRAME_S))
    rest, levels = np.zeros(0, np.float32), [np.zeros(0, np.float32)]
    for piece in recording.pieces():
        joined = np.concatenate((rest, piece))
        whole = len(joined) // size * size
        power = (joined[:whole].reshape(-1, size) ** 2).mean(axis=1)
        levels.append(10 * np.log10(power + 1e-12))
        rest = joined[whole:]
        told(len(piece) / recording.sample_rate_hz)
    return np.concatenate(levels)


def cut_at_pauses(level_db: NDArray[np.float32], *, keeps_whole: bool = False) -> tuple[list[Span], bool]:
    """Return the pieces of a recording that can be reference clips, and whether there is one that holds all its speech.

    `level_db` is loudness_of() the recording. With `keeps_whole` one that is short enough is not cut.
    """
    phrases = _phrases(level_db)
    if not phrases:
        return [], False
    most, edges = MAX_S - 2 * _MARGIN_S, (0.0, len(level_db) * FRAME_S)
    whole = _framed([(phrases[0][0], phrases[-1][1])], phrases, edges)
    is_one = phrases[-1][1] - phrases[0][0] <= most
    pieces = [] if is_one and keeps_whole else _framed(_joined(_split(phrases, most), most), phrases, edges)
    found = pieces or (whole if is_one else [])
    return found, is_one and found == whole


def sounds_of(
    recording: Recording, spans: Sequence[Span], told: Callable[[float], None] = lambda seconds: None
) -> Iterator[ClipSound]:
    """Yield the sound of each piece; they follow one another. Raises SettingsError."""
    rate_hz, waiting = recording.sample_rate_hz, list(spans)
    kept, at = np.zeros(0, np.float32), 0
    for piece in recording.pieces():
        if not waiting:
            break
        kept = np.concatenate((kept, piece))
        told(len(piece) / rate_hz)
        while waiting and round(waiting[0][1] * rate_hz) <= at + len(kept):
            yield _sound(kept, at, waiting.pop(0), recording)
        needless = max(0, min(len(kept), (round(waiting[0][0] * rate_hz) if waiting else at) - at))
        kept, at = kept[needless:], at + needless
    for span in waiting:  # the last frame is a broken one
        yield _sound(kept, at, span, recording)


def _sound(kept: Floats, at: int, span: Span, recording: Recording) -> ClipSound:
    begin, end = (max(0, round(second * recording.sample_rate_hz) - at) for second in span)
    return ClipSound(kept[begin:end].copy(), recording.sample_rate_hz, recording.channels, recording.bits)


def _phrases(level_db: NDArray[np.float32]) -> list[Span]:
    """Return from when to when somebody speaks, pauses within words left out."""
    spoken = np.concatenate(([False], _spoken(level_db), [False])).astype(np.int8)
    edges = np.flatnonzero(np.diff(spoken))
    joined: list[list[int]] = []
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if joined and (begin - joined[-1][1]) * FRAME_S < _JOINED_PAUSE_S:
            joined[-1][1] = end
        else:
            joined.append([begin, end])
    return [(begin * FRAME_S, end * FRAME_S) for begin, end in joined if end - begin >= _CLICK_FRAMES]


def _spoken(level_db: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell speech from the noise that is around it at that time."""
    spoken = np.zeros(len(level_db), np.bool_)
    reach = _BLOCKS_AROUND * _BLOCK_FRAMES
    for begin in range(0, len(level_db), _BLOCK_FRAMES):
        around = level_db[max(0, begin - reach) : begin + _BLOCK_FRAMES + reach]
        floor, loudest = np.percentile(around, (5, 99))
        if loudest - floor < _LEAST_RANGE_DB:
            continue
        least = max(
            floor + _ABOVE_FLOOR * (loudest - floor), loudest - _BELOW_LOUDEST_DB, _QUIETEST_SPEECH_DB
        )
        block = level_db[begin : begin + _BLOCK_FRAMES]
        spoken[begin : begin + _BLOCK_FRAMES] = block >= least
    return spoken


def _split(phrases: list[Span], most: float) -> list[Span]:
    """Cut where it is quiet for long, and what is too long then at its longest pauses, again and again."""
    ends = np.array([end for _, end in phrases[:-1]])
    pauses = np.array([begin for begin, _ in phrases[1:]]) - ends
    first = [0, *(np.flatnonzero(pauses > _SENTENCE_PAUSE_S) + 1).tolist()]
    last = [*(begin - 1 for begin in first[1:]), len(phrases) - 1]
    todo = list(zip(first, last, strict=True))[::-1]
    found: list[Span] = []
    while todo:
        a, b = todo.pop()
        begin, end = phrases[a][0], phrases[b][1]
        if end - begin <= most:
            found.append((begin, end))
        elif a < b:
            # A cut that leaves 3 s on both sides is as good as one at a pause half a second longer.
            whole = (ends[a:b] - begin >= MIN_S) & (end - ends[a:b] - pauses[a:b] >= MIN_S)
            at = a + int(np.argmax(pauses[a:b] + 0.5 * whole))
            todo += [(at + 1, b), (a, at)]
    return found


def _joined(spans: list[Span], most: float) -> list[Span]:
    """Join what is short with what follows it soon."""
    joined: list[Span] = []
    for span in spans:
        before = joined[-1] if joined else (0.0, -1.0)
        is_short = min(before[1] - before[0], span[1] - span[0]) < MIN_S
        if joined and is_short and span[0] - before[1] <= _SENTENCE_PAUSE_S and span[1] - before[0] <= most:
            joined[-1] = before[0], span[1]
        else:
            joined.append(span)
    return joined


def _framed(spans: list[Span], phrases: list[Span], edges: Span) -> list[Span]:
    """Return those that have enough speech, with their margins, where that makes 3 s."""
    framed = [_with_margins(span, phrases, edges) for span in spans if span[1] - span[0] >= _LEAST_SPEECH_S]
    return [span for span in framed if span[1] - span[0] >= MIN_S - 1e-6]


def _with_margins(span: Span, phrases: list[Span], edges: Span) -> Span:
    """Return the piece with a little silence around it, and more of it where it takes that to make 3 s."""
    begin, end = span
    before, behind = bisect_left(phrases, (begin, 0.0)) - 1, bisect_left(phrases, (end, 0.0))
    left = begin - (phrases[before][1] if before >= 0 else edges[0])
    right = (phrases[behind][0] if behind < len(phrases) else edges[1]) - end
    margins = [min(_MARGIN_S, left / 2 if begin - left > edges[0] else left)]
    margins += [min(_MARGIN_S, right / 2 if end + right < edges[1] else right)]
    for side, room in ((1, right), (0, left)):
        missing = MIN_S - (end - begin) - sum(margins)
        if missing > 0:
            margins[side] += max(0.0, min(missing, min(room - 0.05, _LONGEST_MARGIN_S) - margins[side]))
    return begin - margins[0], end + margins[1]
