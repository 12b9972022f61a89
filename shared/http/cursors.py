"""Cursors of lists: where a page ended, opaque to the caller, and refused when it was made up."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

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


def number_of(cursor: str) -> int:
    """A cursor that is a number. Raises a 422 for what is none."""
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 18:
        raise bad_cursor()
    return int(cursor)


def bad_cursor() -> Problem:
    fault = Fault("query:cursor", "not a cursor of this list: take `next` of the page before")
    return Problem(422, "invalid-request", "The request is not valid", faults=[fault])
