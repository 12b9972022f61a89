"""Constants of an expression that can never work, found before it may be in force.

`labels.host.matches('[')` is sound by its types, and no record has to reach it; it fails on each that does.
So every piece that reads no name is evaluated on its own, wherever it stands: behind `&&`, in a branch, in a
macro. Where a name stands beside a constant – `matches('[')` of a label, `getHours('Nowhere')` of a time –
the call is tried with the name's place filled. All is judged by the library that will evaluate it.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeAlias

from shared.policy.cel.explanations import ExpressionError, suggestion
from shared.policy.cel.names import FORMS, FUNCTIONS, MACROS, METHODS, USAGES, without_literals
from shared.policy.cel.syntax_tree import Node, Tree, call, program, text
from shared.policy.cel.text_functions import TextFunctions

# What could hold such a constant at all; most conditions compare names with literals and are not looked at.
_CALL: Final = re.compile(r"[A-Za-z_]\w*(?=\s*\()")
_HARMLESS: Final = frozenset(
    {
        "has",
        "size",
        "contains",
        "startsWith",
        "endsWith",
        "all",
        "exists",
        "exists_one",
        "map",
        "filter",
        "in",
    }
)
_OPERATORS: Final = re.compile(r"[-+*/%{]|[\])}]\s*\[")
_MOST_VALUES: Final = 50
_PLAIN: Final = frozenset({"STRING", "INT", "BOOL", "DOUBLE"})
_MOMENT: Final = call("timestamp", text("2026-01-01T00:00:00Z"))
_ZONED: Final = frozenset(name for name in USAGES if name.startswith("get"))
_ADVICE: Final = (
    ("invalid perl operator: (?", "; regular expressions are RE2's, without look-aheads and look-behinds"),
    ("to Duration", "; a duration is written '5m' or '1h30m'"),
    ("to Timestamp", "; a time is written '2027-01-31T08:00:00Z'"),
    ("Invalid timezone", "; a zone is written 'Europe/Prague' or '+02:00'"),
    ("Index error", "; counting begins at 0"),
)

Values: TypeAlias = Mapping[str, Any]
"""What is known of a macro's variables."""
_NOTHING: Final[Sequence[Values]] = ({},)


class Constants:
    """Looks for them, in any number of expressions."""

    def __init__(self, calendars: Collection[str] = (), schedules: Collection[str] = ()) -> None:
        """`calendars`: with `always`. Of what is asked by other than a literal the name is checked here."""
        self._known: Final = {"open": calendars, "on_call": schedules}
        self._told: Final[dict[tuple[str, bool], Sequence[ExpressionError]]] = {}
        self._text: Final = TextFunctions()

    @cached_property
    def _env(self) -> Any:
        from cel_expr_python import cel  # noqa: PLC0415 - importing a bundle must not load the library

        return cel.NewEnv(functions=self._text.declared(cel))

    def faults(self, source: str, *, untyped: bool = False) -> Sequence[ExpressionError]:
        """Each with its place inside the text, in its order; none for what does not parse.

        `untyped`: the expression is one whose functions nobody has looked up yet, as those of a mapping.
        """
        if (source, untyped) not in self._told:
            looks = untyped or _may_hold_any(source)
            self._told[source, untyped] = self._faults(source, untyped=untyped) if looks else ()
        return self._told[source, untyped]

    def _faults(self, source: str, *, untyped: bool) -> Sequence[ExpressionError]:
        try:
            tree = Tree(self._env, source)
        except (RuntimeError, TypeError):
            return ()
        found = dict(self._unknown_functions(tree)) if untyped else {}
        for node, why in self._look(tree.root, _NOTHING):
            if not any(each.id in found for each in _pieces(node)):
                found[node.id] = (node, why)
        told = [ExpressionError(why, *reversed(tree.place(node))) for node, why in found.values()]
        return sorted(told, key=lambda each: (each.line, each.column))

    def _unknown_functions(self, tree: Tree) -> Iterator[tuple[int, tuple[Node, str]]]:
        for node in tree:
            if node.kind == "call" and node.name.isidentifier():
                wrong = _form_of(node)
                if wrong:
                    yield node.id, (node, wrong)

    def _look(self, node: Node, known: Sequence[Values]) -> Iterator[tuple[Node, str]]:
        """What cannot work in a piece; of pieces inside each other the innermost."""
        inner = known
        below: list[tuple[Node, str]] = []
        for number, part in enumerate(node.parts):
            if node.kind == "comprehension" and number == 2 and not below:
                inner = self._bound(node, known)
            below += self._look(part, inner)
        yield from below
        if not below and node.kind not in ("constant", "name"):
            here = self._why(node, known)
            if here is not None:
                yield here

    def _why(self, node: Node, known: Sequence[Values]) -> tuple[Node, str] | None:
        beside = self._argument(node, known) if node.kind == "call" and len(node.parts) in (1, 2) else ""
        if beside:
            return node.parts[-1], beside
        if node.kind == "comprehension" and node.free:
            return None  # seen when what it stands in is evaluated; over and over would take too long
        outcomes = list(self._outcomes(node.raw, node.free, known))
        reasons = [why for _, why in outcomes if why]
        if reasons and len(reasons) == len(outcomes):
            return node, _never(reasons[0])
        return None

    def _argument(self, node: Node, known: Sequence[Values]) -> str:
        """Why the last argument cannot work, whatever stands before it; '' when it may."""
        last = node.parts[-1]
        if node.name == "matches":
            # Whatever list a pattern comes from, none is there to fail.
            tried = self._outcomes(call("matches", last.raw, of=text("")), last.free, known)
        elif node.name in _ZONED and node.is_method and len(node.parts) == 2:
            tried = self._outcomes(call(node.name, last.raw, of=_MOMENT), last.free, known)
        else:
            return self._value(node.name, last, known, alone=len(node.parts) == 1)
        return next((_never(why) for _, why in tried if why), "")

    def _value(self, function: str, last: Node, known: Sequence[Values], *, alone: bool) -> str:
        names = self._known.get(function) if alone else None
        if function not in ("_/_", "_%_", "_[_]") and names is None:
            return ""
        found = [value for value, why in self._outcomes(last.raw, last.free, known) if not why]
        if not found:
            return ""
        if names is not None:
            wrong = next((each for each in found if isinstance(each, str) and each not in names), None)
            kind = "calendar" if function == "open" else "schedule"
            return "" if wrong is None else f"no {kind} {wrong!r}{suggestion(wrong, names)}"
        whole = all(type(each) is int for each in found)
        if function == "_[_]":
            negative = whole and all(each < 0 for each in found)
            return "this can never work: counting begins at 0" if negative else ""
        return "this can never work: it divides by zero" if whole and not any(found) else ""

    def _outcomes(
        self, raw: bytes, free: frozenset[str], known: Sequence[Values]
    ) -> Iterator[tuple[Any, str]]:
        """Value or reason for each set of values that the piece can have; nothing where it reads a name."""
        if not known or not free <= known[0].keys():
            return
        sets = {tuple(values[name] for name in sorted(free)): values for values in known}
        try:
            made = program(self._env, raw)
        except RuntimeError as err:
            yield None, str(err)
            return
        for values in sets.values():
            yield self._evaluated(made, values)

    def _evaluated(self, made: Any, values: Values) -> tuple[Any, str]:
        self._text.begin()
        try:
            value = made.eval(self._env.Activation(dict(values)))
            plain = value.plain_value()
        except RuntimeError as err:
            return None, str(err)
        return (None, str(plain)) if value.type().name() == "ERROR" else (plain, "")

    def _bound(self, node: Node, known: Sequence[Values]) -> Sequence[Values]:
        """What is known inside a macro: with its variable too, where what it goes through is constant."""
        ranged, hidden = node.parts[0], set(node.binds)
        outer = [{name: value for name, value in each.items() if name not in hidden} for each in known]
        if not ranged.free <= known[0].keys() or len(node.binds) != 2:
            return outer
        found: list[Values] = []
        try:
            made = program(self._env, ranged.raw)
            for values, kept in zip(known, outer, strict=True):
                members = made.eval(self._env.Activation(dict(values))).value()
                if not isinstance(members, list) or not {each.type().name() for each in members} <= _PLAIN:
                    return outer
                found += [kept | {node.binds[0]: each.plain_value()} for each in members]
        except RuntimeError:
            return outer
        return found[:_MOST_VALUES] or outer


def _may_hold_any(source: str) -> bool:
    bare = without_literals(source)
    return bool(_OPERATORS.search(bare)) or not _HARMLESS.issuperset(_CALL.findall(bare))


def _form_of(node: Node) -> str:
    """Why no function is called in this way; '' when there is one."""
    name, is_method, arguments = node.name, node.is_method, len(node.parts) - node.is_method
    if is_method and node.parts[0].kind == "name" and f"{node.parts[0].name}.{name}" in USAGES:
        name, is_method = f"{node.parts[0].name}.{name}", False
    if (name, is_method, arguments) in FORMS:
        return ""
    usage = USAGES.get(name) or MACROS.get(name)
    if usage:  # a macro with the right arguments would be no call any more
        return f"{name!r} is written {usage}"
    kind, known = ("method", METHODS) if is_method else ("function", FUNCTIONS)
    return f"no {kind} {name!r}{suggestion(name, known)}"


def _pieces(node: Node) -> Iterator[Node]:
    yield node
    for part in node.parts:
        yield from _pieces(part)


def _never(reason: str) -> str:
    kind, colon, rest = reason.partition(": ")
    said = rest if colon and kind.replace("_", "").isupper() else reason
    said = re.sub(r" \[[A-Z_]+\]$", "", said)
    advice = next((each for sign, each in _ADVICE if sign in said), "")
    return f"this can never work: {said}{advice}"
