"""Wall clock time as the database keeps it: naive, milliseconds since 1970."""

from __future__ import annotations

from datetime import datetime, timedelta

EPOCH = datetime(1970, 1, 1)
DAY_MS = 86_400_000


def to_local_ms(local: datetime) -> int:
    """Return a naive wall clock time as milliseconds since 1970."""
    return (local.replace(tzinfo=None) - EPOCH) // timedelta(milliseconds=1)


def from_local_ms(local_ms: int) -> datetime:
    """Return the naive wall clock time; the first or last there is when it lies beyond."""
    try:
        return EPOCH + timedelta(milliseconds=local_ms)
    except OverflowError:
        return datetime.min if local_ms < 0 else datetime.max


def whole_days(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Return the bounds of the days that a half-open range touches."""
    last = end - timedelta(milliseconds=1)
    midnight = {"hour": 0, "minute": 0, "second": 0, "microsecond": 0}
    return start.replace(**midnight), last.replace(**midnight) + timedelta(days=1)  # type: ignore[arg-type]
