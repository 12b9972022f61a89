"""Attributes that come through the API: only what the database, JSON and expressions can hold."""

from typing import Any, Final

from shared.policy.cel.doubles import fits_double

_DEPTH: Final = 8  # as deep as an event's may be


def flaw(value: Any, depth: int = _DEPTH) -> str:
    """Why this JSON value cannot be stored; '' when it can."""
    if isinstance(value, dict | list):
        if depth == 0:
            return f"nested deeper than {_DEPTH} levels"
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return next((found for part in parts if (found := flaw(part, depth - 1))), "")
    if isinstance(value, str):
        return "" if _is_storable(value) else "a text with a NUL or half a character"
    if isinstance(value, int | float):
        return "" if fits_double(value) else "a number that is not finite or not between -1.7e308 and 1.7e308"
    return ""


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
