"""Times as senders write them → aware UTC.

RFC 3339 with any number of digits, `+0000` without a colon, a blank before the zone, no zone at all (UTC),
seconds or milliseconds since 1970, and Go's zero time, which means "not set".
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.intake.formats.sanitize import Unreadable

_BLANK_BEFORE_ZONE: Final = re.compile(r"\s+(?=(?:[zZ]|UTC|GMT|[+-]\d{2}:?\d{2})$)")
_LEAP_SECOND: Final = re.compile(r"(?<=:\d\d:)60")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM: Final = 100_000_000_000  # read as seconds, this would be the year 5138
_YEARS: Final = range(1900, 3000)


def read_time(sent: Any) -> datetime | Unreadable | None:
    """The instant; None where the sender says "not set" (nothing, blank, the year 1)."""
    if sent is None or sent == "":
        return None
    if isinstance(sent, bool) or not isinstance(sent, str | int | float):
        return Unreadable("not a time")
    try:
        at = _from_text(sent) if isinstance(sent, str) else _from_number(sent)
        if at.year == 1:
            return None
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return Unreadable("not a time such as 2026-01-05T08:00:00Z")
    return at if at.year in _YEARS else Unreadable("a time outside the years 1900 to 2999")


def _from_text(sent: str) -> datetime:
    text = _BLANK_BEFORE_ZONE.sub("", sent.strip())
    if text.upper().endswith(("UTC", "GMT")):
        text = text[:-3] + "Z"
    if text.isdigit() and text.isascii() and len(text) > 8:
        return _from_number(int(text))
    return datetime.fromisoformat(_LEAP_SECOND.sub("59", text.upper()))


def _from_number(sent: float) -> datetime:
    seconds = sent / 1000 if abs(sent) >= _MILLISECONDS_FROM else sent
    return _EPOCH + timedelta(seconds=seconds)
