"""What pydantic finds wrong with a request, in words for whoever sent it."""

from collections.abc import Mapping
from typing import Any, Final

from shared.http.problems import Fault

_WORDS: Final = {
    "missing": "it is required",
    "extra_forbidden": "there is no such field here",
    "model_attributes_type": "expected a JSON object, sent as application/json",
    "model_type": "expected an object",
    "dict_type": "expected an object",
    "string_type": "expected text",
    "string_unicode": "it holds half a character: not Unicode",
    "timezone_aware": "expected an offset such as Z or +02:00: without one the moment is not known",
}
_PATTERNS: Final = {
    r"^[^\x00]*$": "a NUL cannot be kept",
    r"^[^\x00-\x1f]+$": "expected text on one line, without control characters",
    "^[a-z0-9][a-z0-9_-]*$": "expected a name of a–z, 0–9, _ and - that begins with a letter or digit",
}


def reason_of(error: Mapping[str, Any]) -> str:
    """Why, of one of the errors that `ValidationError.errors()` lists."""
    kind, context = error["type"], error.get("ctx", {})
    message = str(error["msg"])
    if kind == "value_error":
        return str(context.get("error", message.removeprefix("Value error, ")))
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context.get("pattern", ""), message)
    if kind == "string_too_short" and context.get("min_length") == 1:
        return "it must not be empty"
    return _WORDS.get(kind) or message.replace("Input should be", "expected", 1)


def fault_of(error: Mapping[str, Any]) -> Fault:
    """The fault with its place: FastAPI's ("body", "events", 3) as /events/3, ("query", "q") as query:q."""
    if error["type"] == "json_invalid":  # its place is an offset, not a member
        return Fault("/", f"not JSON: {error['ctx']['error']} at character {error['loc'][-1]}")
    where, *rest = error["loc"] or ("body",)
    if error["type"] == "missing" and where == "body" and not rest:
        return Fault("/", "a body is required")
    path = "".join(f"/{part}" for part in rest)
    return Fault(path or "/" if where == "body" else f"{where}:{path.removeprefix('/')}", reason_of(error))
