"""The tree of an expression, read from what cel-expr-python serializes: `cel.expr.ParsedExpr`.

The library gives its tree in no other way. What is needed of protobuf's wire format is a page; the messages
are those of https://github.com/google/cel-spec/blob/master/proto/cel/expr/syntax.proto. A piece of a tree
stays as the bytes that it was, so that the library itself evaluates it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal["constant", "name", "select", "call", "list", "struct", "comprehension"]
_KINDS: Final[dict[int, Kind]] = {
    3: "constant",
    4: "name",
    5: "select",
    6: "call",
    7: "list",
    8: "struct",
    9: "comprehension",
}
_PARSED: Final = b"type.googleapis.com/cel.expr.ParsedExpr"
_OUTSIDE: Final = frozenset({"open", "on_call"})  # functions whose answer is not the expression's own
_WORD: Final = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One piece: an operand, a call, a literal. `parts` stand in the text's order, a method's object first.

    `free` are the names that are read from outside, `open()` and `on_call()` among them. A comprehension's
    parts are its range, its first result, and three more in which it binds the names `binds`.
    """

    raw: bytes
    id: int
    kind: Kind
    name: str  # of a name, a function, a field
    parts: tuple["Node", ...]
    free: frozenset[str]
    binds: tuple[str, ...] = ()
    is_method: bool = False


class Tree:
    """An expression that parses, as a tree with places."""

    def __init__(self, env: Any, source: str) -> None:
        """`env` is the library's. Raises RuntimeError or TypeError for what does not parse."""
        self.source: Final = source
        parsed = _one(env.compile(source, disable_check=True).serialize(), 2)
        self.root: Final = _node(_one(parsed, 2))
        self._info: Final = _one(parsed, 3)

    @cached_property
    def _offsets(self) -> dict[int, int]:
        """Where the pieces stand, by id, in characters."""
        found: dict[int, int] = {}
        for number, entry in _fields(self._info):
            if number == 4:
                pair = dict(_fields(entry))
                found[pair.get(1, 0)] = pair.get(2, 0)
        return found

    def place(self, node: Node) -> tuple[int, int]:
        """Line and column, from 1, at which the text of this piece begins."""
        before = self.source[: self._begin(node)]
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1

    def _begin(self, node: Node) -> int:
        here = self._offsets.get(node.id, 0)
        if node.kind == "call" and not node.is_method and _WORD.fullmatch(node.name):
            before = self.source[:here].rstrip()  # the library names the bracket
            here = len(before) - len(node.name) if before.endswith(node.name) else here
        return min([here, *(self._begin(part) for part in node.parts if part.id in self._offsets)])

    def __iter__(self) -> Iterator[Node]:
        waiting = [self.root]
        while waiting:
            yield (node := waiting.pop())
            waiting.extend(node.parts)


def program(env: Any, raw: bytes) -> Any:
    """A piece as an expression of its own. Raises RuntimeError for one that the library refuses."""
    return env.deserialize(_field(1, _PARSED) + _field(2, _field(2, raw)))


def call(function: str, *arguments: bytes, of: bytes | None = None) -> bytes:
    """A call written anew around pieces; `of`: the object of a method."""
    target = b"" if of is None else _field(1, of)
    return _field(6, target + _field(2, function.encode()) + b"".join(_field(3, each) for each in arguments))


def text(value: str) -> bytes:
    """A literal."""
    return _field(3, _field(6, value.encode()))


def literal(node: Node) -> str | None:
    """The text of a literal; None for everything else."""
    if node.kind != "constant":
        return None
    for number, value in _fields(_one(node.raw, 3)):
        if number == 6:
            return bytes(value).decode()
    return None


def _node(raw: bytes) -> Node:
    node_id, kind, body = 0, _KINDS[3], b""
    for number, value in _fields(raw):
        if number == 2:
            node_id = value
        elif number in _KINDS:
            kind, body = _KINDS[number], value
    if kind == "constant":
        return Node(raw, node_id, kind, "", (), frozenset())
    if kind == "comprehension":
        return _comprehension(raw, node_id, body)
    fields = list(_fields(body))
    name = "".join(value.decode() for number, value in fields if number == _NAMES.get(kind))
    if kind == "name":
        return Node(raw, node_id, kind, name, (), frozenset({name.removeprefix(".")}))
    parts = tuple(map(_node, _parts(kind, fields)))
    own = {f"{name}()"} if kind == "call" and name in _OUTSIDE else set()
    is_method = kind == "call" and any(number == 1 for number, _ in fields)
    return Node(raw, node_id, kind, name, parts, frozenset(own).union(*_free(parts)), is_method=is_method)


_NAMES: Final[dict[Kind, int]] = {"name": 1, "select": 2, "call": 2}


def _parts(kind: Kind, fields: list[tuple[int, Any]]) -> Iterator[bytes]:
    if kind == "struct":
        entries = (_fields(value) for number, value in fields if number == 2)
        yield from (value for entry in entries for number, value in entry if number in (3, 4))
    else:
        wanted = {"select": (1,), "call": (1, 3), "list": (1,)}[kind]
        yield from (value for number, value in fields if number in wanted)


def _comprehension(raw: bytes, node_id: int, body: bytes) -> Node:
    fields = dict(_fields(body))
    binds = tuple(fields[number].decode() for number in (1, 8, 3) if number in fields)
    parts = tuple(_node(fields[number]) for number in (2, 4, 5, 6, 7))
    free = frozenset().union(*_free(parts[:2])) | (frozenset().union(*_free(parts[2:])) - set(binds))
    return Node(raw, node_id, "comprehension", "", parts, free, binds)


def _free(parts: tuple[Node, ...]) -> Iterator[frozenset[str]]:
    return (part.free for part in parts)


def _one(raw: bytes, wanted: int) -> bytes:
    return next((value for number, value in _fields(raw) if number == wanted), b"")


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a message: an int, or the bytes of text and inner messages."""
    at, end = 0, len(raw)
    while at < end:
        tag, at = _varint(raw, at)
        form = tag & 7
        if form == 0:
            value, at = _varint(raw, at)
            yield tag >> 3, value
            continue
        if form == 2:
            size, at = _varint(raw, at)
        else:
            size = {1: 8, 5: 4}[form]
        yield tag >> 3, raw[at : at + size]
        at += size


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while raw[at] & 0x80:
        value |= (raw[at] & 0x7F) << shift
        shift += 7
        at += 1
    return value | raw[at] << shift, at + 1


def _field(number: int, payload: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _written(len(payload)) + payload


def _written(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])
