"""A bundle in JSON: a sound one is read at once, one with errors with the place of every value.

8 MiB of YAML take minutes, of JSON seconds: whoever generates a bundle of that size writes JSON.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from json import loads
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]
from typing import Any, Final, NamedTuple

from shared.json_object import JsonObject

_TAG: Final = "tag:yaml.org,2002:"
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_SCALAR: Final = re.compile(
    r"(?P<null>null)|(?P<bool>true|false)|-?(?:0|[1-9]\d*)(?P<float>(?:\.\d+)?(?:[eE][+-]?\d+)?)"
)
_MOST_DIGITS: Final = 40
_DEEPEST: Final = 100  # more than any bundle may have


class Mark(NamedTuple):
    """A place in the text, counted from 0."""

    line: int
    column: int


@dataclass(slots=True, eq=False)
class Node:
    """What source.py looks at in a node of ruamel's; `value`: text, nodes, or pairs of them."""

    id: str
    tag: str
    value: Any
    start_mark: Mark
    style: str | None = None


def looks_like_json(text: str) -> bool:
    """Whether it begins as an object with a quoted key: YAML may as well, and is then read as YAML."""
    return re.match(r'\s*\{\s*["}]', text) is not None


def plain(text: str) -> JsonObject | None:
    """The values of a JSON object; None for what is none, or holds what no bundle may."""
    if not looks_like_json(text) or "\\u0000" in text:
        return None
    try:
        found: JsonObject = loads(
            text, object_pairs_hook=_once, parse_int=_whole, parse_float=_number, parse_constant=_no_number
        )
        if "\\u" in text:  # half a surrogate pair has no bytes
            str(found).encode()
    except (ValueError, RecursionError):
        return None
    return found


def _once(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key a second time")
    return found


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("no number that anybody means")
    return int(digits)


def _number(digits: str) -> float:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("no number that anybody means")
    return float(digits)


def _no_number(said: str) -> float:
    raise ValueError(f"{said} is no JSON")


def composed(text: str) -> Node:
    """The root node. Raises json's JSONDecodeError."""
    reader = _Reader(text)
    node, end = reader.value(reader.space(0), 0)
    end = reader.space(end)
    if end != len(text):
        raise JSONDecodeError("text behind the end", text, end)
    return node


class _Reader:
    def __init__(self, text: str) -> None:
        self._text: Final = text
        self._lines: Final = [0, *(match.end() for match in re.finditer("\n", text))]

    def space(self, at: int) -> int:
        """Where the blanks from here on end."""
        return _SPACE.match(self._text, at).end()  # type: ignore[union-attr]

    def value(self, at: int, depth: int) -> tuple[Node, int]:
        first = self._text[at : at + 1]
        if depth > _DEEPEST:
            raise JSONDecodeError("nesting beyond all measure", self._text, at)
        if first == '"':
            return self._string(at)
        if first == "{":
            return self._object(at, depth)
        if first == "[":
            return self._array(at, depth)
        match = _SCALAR.match(self._text, at)
        if match is None:
            raise JSONDecodeError("no value", self._text, at)
        kind = "null" if match["null"] else "bool" if match["bool"] else "float" if match["float"] else "int"
        return Node("scalar", _TAG + kind, match[0], self._mark(at)), match.end()

    def _string(self, at: int) -> tuple[Node, int]:
        value, end = scanstring(self._text, at + 1, True)
        return Node("scalar", f"{_TAG}str", value, self._mark(at), '"'), end

    def _object(self, begin: int, depth: int) -> tuple[Node, int]:
        pairs: list[tuple[Node, Node]] = []
        at = self.space(begin + 1)
        while self._text[at : at + 1] != "}":
            if pairs:
                at = self._past(",", at)
            if self._text[at : at + 1] != '"':
                raise JSONDecodeError("no quoted key", self._text, at)
            key, at = self._string(at)
            value, at = self.value(self._past(":", at), depth + 1)
            pairs.append((key, value))
            at = self.space(at)
        return Node("mapping", f"{_TAG}map", pairs, self._mark(begin)), at + 1

    def _array(self, begin: int, depth: int) -> tuple[Node, int]:
        values: list[Node] = []
        at = self.space(begin + 1)
        while self._text[at : at + 1] != "]":
            if values:
                at = self._past(",", at)
            value, at = self.value(at, depth + 1)
            values.append(value)
            at = self.space(at)
        return Node("sequence", f"{_TAG}seq", values, self._mark(begin)), at + 1

    def _past(self, sign: str, at: int) -> int:
        at = self.space(at)
        if self._text[at : at + 1] != sign:
            raise JSONDecodeError(f"no {sign!r}", self._text, at)
        return self.space(at + 1)

    def _mark(self, at: int) -> Mark:
        line = bisect_right(self._lines, at) - 1
        return Mark(line, at - self._lines[line])
