"""Functions on text for every expression: those of the CEL strings extension, and `json()`.

They are the extension's own in name, arguments and result (google/cel-spec: doc/extensions/strings.md), and
written here because what they cost must be bounded: `a.replace('', a)` is the square of what was sent. Each
call is paid for by what it reads and makes; an evaluation that has spent its units fails, and so does a
result beyond `LARGEST`. Positions count characters.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

LARGEST: Final = 1024 * 1024  # characters of one text that is made or read as JSON: those of a whole body
MOST_PARTS: Final = 10_000  # of a split
DEEPEST: Final = 32  # of JSON inside text
UNITS: Final = 16 * 1024 * 1024  # characters read and made in one evaluation
_CALL: Final = 64  # what a call costs beside them
_MOST_PRECISION: Final = 100
_DIRECTIVE: Final = re.compile(r"%(?:%|(?:\.(\d+))?([a-zA-Z])|.?)", re.DOTALL)
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_ESCAPES: Final = str.maketrans(
    {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        "\\": "\\\\",
        '"': '\\"',
    }
)


@dataclass(slots=True)
class TextFunctions:
    """The functions, and what the evaluation under way has spent. `begin` before each one."""

    left: int = UNITS
    _read: dict[str, object] = field(default_factory=dict)  # JSON that was read in this evaluation

    def begin(self) -> None:
        self.left = UNITS
        self._read.clear()

    def declared(self, cel: Any) -> list[Any]:
        """As the library takes them; `cel` is the library."""
        text, whole, kinds = cel.Type.STRING, cel.Type.INT, cel.Type
        texts, anything = kinds.List(text), kinds.List(kinds.DYN)
        methods: Mapping[str, Sequence[tuple[Any, list[Any], Callable[..., Any]]]] = {
            "charAt": [(text, [text, whole], self._char_at)],
            "format": [(text, [text, anything], self._format)],
            "indexOf": [(whole, [text, text], self._index_of), (whole, [text, text, whole], self._index_of)],
            "join": [(text, [texts], self._join), (text, [texts, text], self._join)],
            "lastIndexOf": [
                (whole, [text, text], self._last_index_of),
                (whole, [text, text, whole], self._last_index_of),
            ],
            "lowerAscii": [(text, [text], lambda of: self._paid(of).translate(_LOWER))],
            "replace": [
                (text, [text, text, text], self._replace),
                (text, [text, text, text, whole], self._replace),
            ],
            "reverse": [(text, [text], lambda of: self._paid(of)[::-1])],
            "split": [(texts, [text, text], self._split), (texts, [text, text, whole], self._split)],
            "substring": [
                (text, [text, whole], self._substring),
                (text, [text, whole, whole], self._substring),
            ],
            "trim": [(text, [text], lambda of: self._paid(of).strip())],
            "upperAscii": [(text, [text], lambda of: self._paid(of).translate(_UPPER))],
        }
        made = [
            cel.FunctionDecl(
                name,
                [
                    cel.Overload(f"{name}_{len(takes)}", gives, takes, True, body)
                    for gives, takes, body in overloads
                ],
            )
            for name, overloads in methods.items()
        ]
        for name, gives, function in (("json", kinds.DYN, self._json), ("strings.quote", text, self._quote)):
            overload = cel.Overload(f"{name.replace('.', '_')}_text", gives, [text], False, function)
            made.append(cel.FunctionDecl(name, [overload]))
        return made

    def _pay(self, size: int) -> None:
        self.left -= size + _CALL
        if self.left < 0:
            raise ValueError("it takes too many steps")

    def _paid(self, of: str) -> str:
        self._pay(2 * len(of))
        return of

    def _room(self, size: int) -> None:
        """Before something of this size is made."""
        if size > LARGEST:
            raise ValueError(f"a text of more than {LARGEST} characters")
        self._pay(size)

    def _char_at(self, of: str, position: int) -> str:
        self._pay(len(of))
        return of[_within(position, len(of), "charAt") :][:1]

    def _substring(self, of: str, start: int, end: int | None = None) -> str:
        self._pay(len(of))
        _within(start, len(of), "substring")
        if end is None:
            return of[start:]
        if _within(end, len(of), "substring") < start:
            raise ValueError(f"substring: {end} is before {start}")
        return of[start:end]

    def _index_of(self, of: str, part: str, start: int = 0) -> int:
        self._pay(len(of) + len(part))
        return of.find(part, _within(start, len(of), "indexOf"))

    def _last_index_of(self, of: str, part: str, until: int | None = None) -> int:
        self._pay(len(of) + len(part))
        if until is None:
            return of.rfind(part)
        return of.rfind(part, 0, _within(until, len(of), "lastIndexOf") + len(part))

    def _replace(self, of: str, old: str, new: str, most: int = -1) -> str:
        self._pay(len(of))
        found = of.count(old) if old else len(of) + 1
        times = found if most < 0 else min(most, found)
        self._room(len(of) + times * (len(new) - len(old)))
        return of.replace(old, new, times)

    def _split(self, of: str, between: str, most: int = -1) -> list[str]:
        self._pay(2 * len(of))
        if most == 0:
            return []
        pieces = (of.count(between) if between else max(len(of), 1) - 1) + 1
        pieces = pieces if most < 0 else min(most, pieces)
        if pieces > MOST_PARTS:
            raise ValueError(f"split: more than {MOST_PARTS} parts")
        self._pay(_CALL * pieces)
        if between:
            return of.split(between, pieces - 1)
        return [*of[: pieces - 1], of[pieces - 1 :]]

    def _join(self, of: list[Any], between: str = "") -> str:
        if not all(isinstance(each, str) for each in of):
            raise ValueError("join: a list of texts is needed")
        self._room(sum(map(len, of)) + len(of) * (len(between) + 1))
        return between.join(of)

    def _quote(self, of: str) -> str:
        self._pay(2 * len(of))
        return f'"{of.translate(_ESCAPES)}"'

    def _json(self, of: str) -> Any:
        if of not in self._read:
            self._room(len(of))
            self._read[of] = _parsed(of)
        self._pay(0)
        return self._read[of]

    def _format(self, of: str, values: list[Any]) -> str:
        self._pay(len(of))
        pieces: list[str] = []
        left, size, at = iter(values), 0, 0
        for found in _DIRECTIVE.finditer(of):
            pieces += [of[at : found.start()], self._formatted(found, left)]
            at = found.end()
            size += len(pieces[-1]) + len(pieces[-2])
            self._room(size)
        if next(left, self) is not self:
            raise ValueError("format: more values than places for them")
        return "".join([*pieces, of[at:]])

    def _formatted(self, found: re.Match[str], values: Iterator[Any]) -> str:
        precision, kind = found[1], found[2]
        if found[0] == "%%":
            return "%"
        if kind is None or kind not in "sdfebxXo":
            raise ValueError(f"format: no directive {found[0]!r}; there are %s %d %f %e %b %x %X %o %%")
        if precision is not None and int(precision[:4]) > _MOST_PRECISION:
            raise ValueError(f"format: at most {_MOST_PRECISION} digits")
        value = next(values, self)
        if value is self:
            raise ValueError("format: fewer values than places for them")
        digits = 6 if precision is None else int(precision)
        return _as_directed(value, kind, digits, self._shown)

    def _shown(self, value: Any, depth: int = 0) -> str:
        """A value as `%s` has it."""
        self._pay(8)
        if not isinstance(value, list | dict):
            return _plain(value)
        if depth == DEEPEST:
            raise ValueError("format: nested too deeply")
        if isinstance(value, list):
            return "[" + ", ".join(self._shown(each, depth + 1) for each in value) + "]"
        pairs = sorted((_plain(key), each) for key, each in value.items())
        return "{" + ", ".join(f"{key}: {self._shown(each, depth + 1)}" for key, each in pairs) + "}"


def _within(position: int, size: int, function: str) -> int:
    if not 0 <= position <= size:
        raise ValueError(f"{function}: {position} is outside of the text, which has {size} characters")
    return position


def _plain(value: Any) -> str:
    """What is neither a list nor a map."""
    match value:
        case bool():
            return "true" if value else "false"
        case bytes() | bytearray():
            return bytes(value).decode("utf-8", "replace")
        case float():
            return _double(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return f"{_double(value.total_seconds())}s"
    return "null" if value is None else str(value)


def _double(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _as_directed(value: Any, kind: str, digits: int, shown: Callable[[Any], str]) -> str:
    """Raises ValueError for a value that the directive does not take."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "s":
        return shown(value)
    if kind == "d" and number:
        return str(value) if isinstance(value, int) else _double(value)
    if kind in "fe" and number:
        return format(float(value), f".{digits}{kind}")
    if kind in "xX" and isinstance(value, str | bytes | bytearray):
        raw = value.encode() if isinstance(value, str) else bytes(value)
        return raw.hex().upper() if kind == "X" else raw.hex()
    if kind in "bxXo" and isinstance(value, int) and (number or kind == "b"):
        return format(int(value), kind)
    raise ValueError(f"format: %{kind} does not take {_named(value)}")


def _named(value: Any) -> str:
    names = {
        str: "a text",
        bool: "true or false",
        float: "a decimal",
        int: "a number",
        dict: "a map",
        list: "a list",
    }
    return "null" if value is None else names.get(type(value), "this value")


def _parsed(text: str) -> Any:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError):
        raise ValueError("json: this text is no JSON") from None
    except RecursionError:
        raise ValueError("json: nested too deeply") from None
    return _storable(value, DEEPEST)


def _storable(value: Any, depth: int) -> Any:
    """Whole numbers beyond 64 bits as doubles, without NUL; what nests too deep is refused."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict | list):
        if depth == 0:
            raise ValueError(f"json: nested deeper than {DEEPEST} levels")
        if isinstance(value, dict):
            return {key.replace("\0", "\ufffd"): _storable(each, depth - 1) for key, each in value.items()}
        return [_storable(each, depth - 1) for each in value]
    if type(value) is int and not -(2**63) <= value < 2**63:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return value
