"""Makes what was sent into values that the event log and the database never refuse.

PostgreSQL takes no NUL in text, UTF-8 has no lone surrogates, JSON has no NaN, and a double ends near
1.8e308. Text is repaired (U+FFFD marks what was replaced); numbers and nesting are left to the format:
the native one refuses them and says where, foreign ones keep them as text.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from shared.http.problems import Fault
from shared.json_object import JsonObject
from shared.policy.cel.doubles import fits_double

REPLACEMENT: Final = "\ufffd"
DEPTH: Final = 8  # levels of attributes, the outermost included
ATTRIBUTE_BYTES: Final = 64 * 1024  # of attributes as compact JSON
_LEAST_SHARE: Final = 64  # bytes for each value, however many there are
_SPARE: Final = 64  # bytes: not every JSON writer needs only three for an ellipsis
_BOM: Final = b"\xef\xbb\xbf"
_SCRUB_DEPTH: Final = 16  # deeper than anything that is kept


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why something that was sent cannot be understood at all, in words for the sender."""

    reason: str


@dataclass(frozen=True, slots=True)
class Json:
    """A parsed body; `repaired` says in words what had to be replaced."""

    value: Any
    repaired: tuple[str, ...] = ()


def suspicious(body: bytes) -> bool:
    """Whether text in this JSON may hold a NUL (lone surrogates make msgspec refuse the body by itself)."""
    return b"\\u0000" in body or b"\0" in body


def read_json(body: bytes) -> Json | Unreadable:
    """Parse a JSON body as real senders write it: byte order marks, raw line breaks, lone surrogates.

    Strings and object keys come out clean. NaN and infinities come out as floats, for the caller to judge.
    """
    body = body.removeprefix(_BOM)
    if not body.strip():
        return Unreadable("the body is empty")
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        return Unreadable("the JSON is nested too deeply")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _read_by_standard(body)
    if suspicious(body):
        return Json(scrub(value), ("NUL characters were replaced",))
    return Json(value)


def _read_by_standard(body: bytes) -> Json | Unreadable:
    try:
        text, repaired = body.decode(), "text that cannot be kept was replaced"
    except UnicodeDecodeError:
        text, repaired = body.decode(errors="replace"), "text that was not UTF-8 was replaced"
    try:
        value = json.loads(text, strict=False, parse_int=_whole_number)
    except RecursionError:
        return Unreadable("the JSON is nested too deeply")
    except json.JSONDecodeError as err:
        return Unreadable(f"not JSON: {err.msg} at line {err.lineno} column {err.colno}")
    return Json(scrub(value), (repaired,))


def _whole_number(digits: str) -> int | float:
    """Python refuses to convert numbers of thousands of digits; such a number is out of range anyway."""
    return int(digits) if len(digits) <= 400 else math.copysign(math.inf, -1 if digits[0] == "-" else 1)


def clean(text: str) -> str:
    """The text with every NUL and every lone surrogate replaced."""
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def scrub(value: Any, depth: int = _SCRUB_DEPTH) -> Any:
    """The same tree with clean text, keys included; what lies deeper than anything kept is left alone."""
    if isinstance(value, str):
        return clean(value)
    if depth == 0:
        return value
    if isinstance(value, dict):
        return {clean(key): scrub(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [scrub(item, depth - 1) for item in value]
    return value


def flaws(value: Any, where: str, depth: int = DEPTH) -> Iterator[Fault]:
    """The faults of a JSON value that cannot be kept as it is, each with its place as a JSON pointer."""
    if isinstance(value, dict | list):
        if depth == 0:
            yield Fault(where, f"nested deeper than {DEPTH} levels")
            return
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if isinstance(item, int | float | dict | list):
                yield from flaws(item, f"{where}/{_escaped(key)}", depth - 1)
    elif isinstance(value, int | float) and not fits_double(value):
        yield Fault(where, "a number that is not finite or not between -1.7e308 and 1.7e308")


def _escaped(key: object) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def compact_size(value: Any) -> int:
    """How many bytes the value takes as compact JSON."""
    return len(msgspec.json.encode(value))


def as_text(value: Any) -> str:
    """Any JSON value as clean text: a string as it is, anything else as JSON with sorted names.

    Expressions give them in another order each time, and a key must come out the same.
    """
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    try:
        return msgspec.json.encode(value, order="sorted").decode()
    except (RecursionError, msgspec.MsgspecError, UnicodeEncodeError):
        return "(nested too deeply to be kept)"


def kept(value: Any, depth: int = DEPTH) -> Any:
    """The value as it can be stored: clean text; numbers out of range and parts too deep become text."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return value if fits_double(value) else str(value)
    if depth == 0:
        return cut(as_text(value), 1024)
    if isinstance(value, dict):
        return {clean(key): kept(item, depth - 1) for key, item in value.items()}
    return [kept(item, depth - 1) for item in value]


def cut(text: str, longest: int) -> str:
    """The text, cut to at most `longest` characters, the last of them an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def bounded(attributes: JsonObject, notes: list[str]) -> JsonObject:
    """Attributes of a foreign format, as they can be stored: every value kept, the largest cut to fit."""
    fitting: JsonObject = kept(attributes)
    if compact_size(fitting) <= ATTRIBUTE_BYTES:
        return fitting
    notes.append(f"attributes were cut to {ATTRIBUTE_BYTES // 1024} KiB")
    return _within(fitting, ATTRIBUTE_BYTES - _SPARE)


def _within(values: JsonObject, room: int) -> JsonObject:
    """Cut every value that is larger than its share, and leave out the last ones if they still do not fit."""
    sizes = {key: compact_size(key) + compact_size(value) + 2 for key, value in values.items()}
    share = max(_LEAST_SHARE, _share(sizes.values(), room - 2))
    result: JsonObject = {}
    total = 2
    for key, value in values.items():
        fits = sizes[key] <= share
        name = key if fits else cut(key, 255)
        item = value if fits else _cut_value(value, max(2, share - compact_size(name) - 2))
        total += compact_size(name) + compact_size(item) + 2
        if total > room:
            break
        result[name] = item
    return result


def _share(sizes: Iterable[int], room: int) -> int:
    """How large each may be so that all just fit: small ones leave their unused room to the others."""
    share, left = room, sorted(sizes)
    for number, size in enumerate(left):
        share = room // (len(left) - number)
        if size > share:
            break
        room -= size
    return share


def _cut_value(value: Any, room: int) -> Any:
    """An object keeps its shape, anything else becomes the beginning of its text."""
    return _within(value, room) if isinstance(value, dict) else _cut_bytes(as_text(value), room)


def _cut_bytes(text: str, size: int) -> str:
    """The text, cut until its JSON takes at most `size` bytes (or it is down to one character)."""
    while compact_size(text) > size and len(text) > 1:
        text = cut(text, max(1, len(text) * size // compact_size(text) - 1))
    return text
