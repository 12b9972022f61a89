"""How a sentence states a duration or a time."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

_UNITS: Final = (("d", 86400, 10**6), ("h", 3600, 24), ("min", 60, 60), ("s", 1, 60))


@lru_cache(maxsize=4096)
def span(length: timedelta) -> str:
    """A duration as people write it: `5 min`, `1 h 30 min`, `15 s`."""
    seconds = round(length.total_seconds())
    parts = [f"{count} {unit}" for unit, size, most in _UNITS if (count := seconds // size % most)]
    return " ".join(parts[:2]) or "0 s"


def minute(at: datetime) -> str:
    """A time in UTC, to the minute: `2026-03-01 09:30 UTC`."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def second(at: datetime) -> str:
    """A time in UTC, to the second: `2026-03-01 09:30:15 UTC`."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
