"""Times as people read them: the local time with its zone named, and how far away it is."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def local(at: datetime, zone: str) -> str:
    """`2026-03-29 14:05 CEST (Europe/Prague)`; an unknown zone falls back to UTC."""
    try:
        where = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        where = ZoneInfo("UTC")
    moment = at.astimezone(where)
    short = moment.strftime("%Z")
    named = f"{short} ({where.key})" if short != where.key and not short.startswith(("+", "-")) else where.key
    return f"{moment:%Y-%m-%d %H:%M} {named}"


def clock_time(at: datetime, zone: str) -> str:
    """`14:05`, beside a day that is known."""
    return local(at, zone)[11:16]


def shortly(at: datetime, now: datetime, zone: str) -> str:
    """`14:05 CEST, in 5 minutes`, with its day where that is another one: for where there is little room."""
    day, _, rest = local(at, zone).partition(" ")
    today = local(now, zone).partition(" ")[0]
    clock = rest.partition(" (")[0]
    return f"{clock if day == today else f'{day} {clock}'}, {relative(at, now)}"


def relative(at: datetime, now: datetime) -> str:
    """`in 5 minutes`, `in 3 seconds`, `40 seconds ago`; `now` until five seconds have passed."""
    distance = at - now
    seconds = abs(distance.total_seconds())
    if seconds < 0.5 or (seconds < 5 and distance < timedelta(0)):
        return "now"
    words = _rounded(seconds)
    return f"in {words}" if distance > timedelta(0) else f"{words} ago"


def _rounded(seconds: float) -> str:
    for unit, size, below in (
        ("second", 1, 59.5),
        ("minute", 60, 90 * 60),
        ("hour", 3_600, 36 * 3_600),
        ("day", 86_400, float("inf")),
    ):
        if seconds < below:
            count = max(1, round(seconds / size))
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    raise AssertionError("unreachable: the last unit has no upper bound")


def both(at: datetime, now: datetime, zone: str) -> str:
    """The local time, and how far away it is."""
    return f"{local(at, zone)}, {relative(at, now)}"


def rfc3339(at: datetime) -> str:
    """`2026-03-29T12:05:00.123456Z`, as in webhook bodies."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def lasting(seconds: float) -> str:
    """A length as people write it: `4 hours`, `1 hour 30 minutes`, `15 seconds`."""
    left, parts = round(seconds), list[str]()
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}" if count == 1 else f"{count} {unit}s")
    return " ".join(parts[:2]) or "0 seconds"
