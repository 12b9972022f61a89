"""Cursors of lists: where a page ended, opaque to the caller, and refused when it was made up."""

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shared.http.problems import Fault, Problem


def cursor_of(place: Sequence[Any]) -> str:
    """The place as `next` shows it."""
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def place_of(cursor: str) -> list[Any]:
    """The place again, its members unchecked. Raises a 422 for what is no cursor."""
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError) as err:
        raise bad_cursor() from err
    if not isinstance(place, list):
        raise bad_cursor()
    return place


@contextmanager
def reading_cursor() -> Iterator[None]:
    """What a cursor holds is made sense of inside; whatever cannot be was made up. Raises a 422."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, OverflowError) as err:
        raise bad_cursor() from err


def moment_of(written: Any) -> datetime:
    """A moment in a cursor, for `reading_cursor`."""
    at = datetime.fromisoformat(written)
    if at.tzinfo is None:
        raise bad_cursor()
    return at.astimezone(UTC)


def moment_and_id(cursor: str) -> tuple[datetime, UUID]:
    """A cursor that is a moment and an id. Raises a 422 for what is none."""
    with reading_cursor():
        at, identity = place_of(cursor)
        return moment_of(at), UUID(identity)


def number_of(cursor: str) -> int:
    """A cursor that is a number. Raises a 422 for what is none."""
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 18:
        raise bad_cursor()
    return int(cursor)


def bad_cursor() -> Problem:
    fault = Fault("query:cursor", "not a cursor of this list: take `next` of the page before")
    return Problem(422, "invalid-request", "The request is not valid", faults=[fault])
