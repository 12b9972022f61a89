"""What a template reads: fields that no message has, and whether a person's update is among them.

Read off Jinja's tree, so that a part which a sample does not reach is seen too. What a name holds is known
from the sample incident of `template_trial`: the fields of `incident`, `customer`, and of what `clocks`,
`links` and the like are made of. Labels and attributes may be anything.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Final, TypeAlias

from jinja2 import Environment, TemplateSyntaxError, meta, nodes

UPDATE: Final = "update"  # the event of which a person writes the text
_TEXT: Final = "text"  # the variable that holds it
_OF_JINJA: Final = frozenset(
    {"dict", "namespace", "joiner", "cycler", "range", "loop", "self", "caller", "varargs", "kwargs"}
)
_METHODS: Final = frozenset({*dir(dict), *dir(str)})  # `incident.items()`, `customer.upper()`
_ASKING: Final = frozenset({"defined", "undefined"})
_DEFAULTS: Final = frozenset({"default", "d"})

Shape: TypeAlias = "Mapping[str, Shape] | list[Shape] | None"
"""A mapping: the fields that there are. A list: of what. None: anything."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A field that no message has: where it stands in the text (from 1), of what, and what there is.

    `guarded`: the template asks whether it is there, or has something instead.
    """

    name: str
    of: str
    known: tuple[str, ...]
    line: int
    column: int
    guarded: bool = False


def unknown_fields(source: str, names: Mapping[str, Any]) -> list[Unknown]:
    """Each once, in the order of the text; none for what does not parse. `names`: a sample's."""
    tree = _parsed(source)
    if tree is None:
        return []
    undeclared = frozenset(meta.find_undeclared_variables(tree)) - _OF_JINJA
    walk = _Walk(source, undeclared, {name: _shape(value) for name, value in names.items()})
    walk.visit(tree, {})
    found = {(each.line, each.column): each for each in walk.found}
    guarded = {(each.of, each.name) for each in walk.found if each.guarded}
    return [replace(each, guarded=(each.of, each.name) in guarded) for _, each in sorted(found.items())]


def tells_the_update(*sources: str) -> bool:
    """Whether one of these texts writes what a person says in an `update`; True for what does not parse."""
    return any(tree is None or _reads_text(tree) for tree in map(_parsed, sources))


def _reads_text(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Name):
        return node.name == _TEXT and node.ctx == "load"
    if isinstance(node, nodes.If | nodes.CondExpr):
        return any(map(_reads_text, _branches(node)))
    return any(map(_reads_text, node.iter_child_nodes()))


def _branches(node: nodes.If | nodes.CondExpr) -> Iterator[nodes.Node]:
    """What an update may come to: without the branch that its event rules out. To ask for is not to write."""
    when = _of_update(node.test)
    if when is not False:
        yield from node.body if isinstance(node, nodes.If) else [node.expr1]
    if when is not True:
        rest = [*node.elif_, *node.else_] if isinstance(node, nodes.If) else [node.expr2]
        yield from (each for each in rest if each is not None)


def _of_update(test: nodes.Node) -> bool | None:
    """What a condition on the event alone says of an update; None: it asks for something else, too."""
    if not isinstance(test, nodes.Compare) or len(test.ops) != 1:
        return None
    operand = test.ops[0]
    try:
        sides = [_constant(test.expr), _constant(operand.expr)]
    except nodes.Impossible:
        return None
    match operand.op:
        case "eq":
            return bool(sides[0] == sides[1])
        case "ne":
            return bool(sides[0] != sides[1])
        case "in" | "notin" if isinstance(sides[1], list | tuple):
            return (sides[0] in sides[1]) is (operand.op == "in")
    return None


def _constant(node: nodes.Expr) -> Any:
    if isinstance(node, nodes.Name) and node.name == "event":
        return UPDATE
    return node.as_const()


@lru_cache(maxsize=256)
def _parsed(source: str) -> nodes.Template | None:
    try:
        return Environment(autoescape=False).parse(source)  # noqa: S701 - it is never rendered
    except (TemplateSyntaxError, RecursionError, ValueError, MemoryError):
        return None


def _shape(value: Any) -> Shape:
    if isinstance(value, SimpleNamespace):
        return {name: _shape(each) for name, each in vars(value).items()}
    if type(value) is dict:
        return {name: _shape(each) for name, each in value.items()}
    if isinstance(value, str) and type(value) is not str:
        return dict.fromkeys(type(value).__slots__)  # type: ignore[attr-defined]
    return [_shape(value[0])] if isinstance(value, tuple) and value else None


@dataclass(slots=True)
class _Walk:
    """Goes through a tree; `inner` are the shapes of the names that the template itself makes."""

    source: str
    undeclared: frozenset[str]
    shapes: Mapping[str, Shape]
    found: list[Unknown] = field(default_factory=list)

    def visit(self, node: nodes.Node, inner: Mapping[str, Shape], *, guarded: bool = False) -> None:
        match node:
            case nodes.For():
                self._loop(node, inner)
                return
            case nodes.Test(name=name) if name in _ASKING:
                guarded = True
            case nodes.Filter(name=name) if name in _DEFAULTS:
                guarded = True
            case nodes.Name(name=name, ctx="load") if name in self.undeclared and name not in inner:
                if name not in self.shapes:
                    marks = rf"(?<![\w.]){re.escape(name)}\b"
                    self._tell(Unknown(name, "", tuple(self.shapes), node.lineno, 1, guarded), marks)
            case nodes.Getattr(attr=name) | nodes.Getitem(arg=nodes.Const(value=str() as name)):
                self._field(node.node, name, node.lineno, inner, guarded=guarded)
        for each in node.iter_child_nodes():
            self.visit(each, inner, guarded=guarded)

    def _loop(self, node: nodes.For, inner: Mapping[str, Shape]) -> None:
        self.visit(node.iter, inner)
        of = self._shape_of(node.iter, inner)
        own = _bound(node.target, of[0] if isinstance(of, list) else None)
        for each in (*node.body, *node.else_, *([node.test] if node.test else [])):
            self.visit(each, {**inner, **own})

    def _field(
        self, of: nodes.Node, name: str, line: int, inner: Mapping[str, Shape], *, guarded: bool
    ) -> None:
        shape = self._shape_of(of, inner)
        if isinstance(shape, Mapping) and name not in {*shape, *_METHODS}:
            called = of.name if isinstance(of, nodes.Name) else ""
            marks = rf"(?:\.\s*|\[\s*['\"]){re.escape(name)}\b"
            self._tell(Unknown(name, called, tuple(shape), line, 1, guarded), marks)

    def _shape_of(self, node: nodes.Node | None, inner: Mapping[str, Shape]) -> Shape:
        match node:
            case nodes.Name(name=name):
                known = self.shapes.get(name) if name in self.undeclared else None
                return inner.get(name, known)
            case nodes.Getattr(attr=name) | nodes.Getitem(arg=nodes.Const(value=str() as name)):
                of = self._shape_of(node.node, inner)
                return of.get(name) if isinstance(of, Mapping) else None
            case nodes.Getitem() | nodes.Filter(name="first" | "last"):
                of = self._shape_of(node.node, inner)
                return of[0] if isinstance(of, list) else None
            case nodes.Filter(name="sort" | "reverse" | "list" | "unique" | "selectattr" | "rejectattr"):
                return self._shape_of(node.node, inner)
        return None

    def _tell(self, unknown: Unknown, marks: str) -> None:
        line, column = _place(self.source, unknown.line, marks, unknown.name)
        self.found.append(replace(unknown, line=line, column=column))


def _bound(target: nodes.Node, shape: Shape) -> dict[str, Shape]:
    if isinstance(target, nodes.Name):
        return {target.name: shape}
    return {each.name: None for each in target.find_all(nodes.Name)}


def _place(source: str, line: int, marks: str, name: str) -> tuple[int, int]:
    """Where a name stands, from the line on at which Jinja saw it."""
    lines = source.split("\n")
    for number, text in enumerate(lines[line - 1 :], line):
        hit = re.search(marks, text)
        if hit is not None:
            return number, hit.start() + hit[0].index(name) + 1
    return line, 1
