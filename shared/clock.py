"""The one place where wall time is read. Only loops and the HTTP edge call it; everything else is told."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one reading that the ban points to
