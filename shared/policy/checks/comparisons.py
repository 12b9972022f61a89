"""Names in comparisons that nothing has: `tier == 'glod'`, `service in ['chekout']`.

They are sound by their types, and never true. What a record can have is known where Ladder itself decides it
(tiers, severities, states, teams): there such a comparison is an error. Services and kinds come with events,
also undeclared ones; levels and assignees are those of older policies, too: there it is a warning, and of
services and kinds only where some are declared.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, get_args

from shared.events import Severity, Status
from shared.policy import errors
from shared.policy.cel.syntax_tree import Node, Tree, literal
from shared.policy.errors import Finding, Path, nearest
from shared.policy.loading.dry_run import over_bodies, written
from shared.policy.model.bundle import Bundle

CLOSED: Final = "L130"  # compared with what it can never be
OPEN: Final = "L131"  # compared with a name that is not declared
_EQUAL: Final = frozenset({"_==_", "_!=_"})
_IN: Final = frozenset({"@in", "_in_", "in"})
_BESIDE_LEVELS: Final = ("finally", "assignee", "grace")
_PLAIN: Final = "incident"  # the kind of what says none
_MOST_LISTED: Final = 8
_MAPPED: Final = ("kind", "service", "tier")  # of what a mapping gives to an event


@dataclass(frozen=True, slots=True)
class Known:
    """What one name can be. `what`: in words, for one of them; `section`: where to declare another one."""

    what: str
    values: Sequence[str]
    section: str = ""
    closed: bool = False

    def holds(self, value: str) -> bool:
        return not value or value in self.values  # '' asks whether there is one


def known_in(bundle: Bundle) -> Mapping[str, Known]:
    """By name: what a record can have there. A name that may be anything is not in it."""
    levels = [level.name for policy in bundle.policies.values() for level in policy.levels]
    found = {
        "tier": Known("tier", bundle.tiers, "tiers", closed=True),
        "severity": Known("severity", get_args(Severity), closed=True),
        "status": Known("status", get_args(Status), closed=True),
        "team": Known("team", tuple(bundle.teams), "teams", closed=True),
        "level": Known("level of a policy", tuple(dict.fromkeys((*levels, *_BESIDE_LEVELS)))),
        "assignee": Known("user", tuple(bundle.users), "users"),
    }
    if bundle.services:
        found["service"] = Known("service", tuple(bundle.services), "services")
    if bundle.kinds:
        found["kind"] = Known("kind", tuple(dict.fromkeys((*bundle.kinds, _PLAIN))), "kinds")
    return found


def findings(bundle: Bundle) -> Iterator[Finding]:
    """Every comparison of the bundle with a name that is not known, and what mappings give that is not."""
    comparisons = Comparisons(bundle)
    for each in written(bundle):
        yield from comparisons.findings(each.source, each.path)
    for name, integration in bundle.integrations.items():
        for path, source in over_bodies(integration, ("integrations", name)):
            if path[-1] in _MAPPED:
                yield from comparisons.given(source, str(path[-1]), path)


class Comparisons:
    """Looks for them, in any number of expressions of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self._known: Final = known_in(bundle)
        self._mentions: Final = re.compile(rf"(?<![\w.])(?:{'|'.join(self._known)})(?!\w)")

    @cached_property
    def _env(self) -> Any:
        from cel_expr_python import cel  # noqa: PLC0415 - importing a bundle must not load the library

        return cel.NewEnv()

    def findings(self, source: str, path: Path) -> Iterator[Finding]:
        """Each with its place inside the text; none for what does not parse."""
        tree = self._tree(source) if self._mentions.search(source) else None
        if tree is not None:
            for name, node, value in _compared(tree.root, frozenset()):
                if name in self._known and not self._known[name].holds(value):
                    yield self._finding(name, value, tree.place(node), path)

    def given(self, source: str, field: str, path: Path) -> Iterator[Finding]:
        """Of an expression that says what an event has there: every literal that it may give."""
        tree = self._tree(source) if field in self._known else None
        if tree is not None:
            for node, value in _literals(tree.root, listed=False):
                if not self._known[field].holds(value):
                    yield self._finding(field, value, tree.place(node), path, given=True)

    def _tree(self, source: str) -> Tree | None:
        try:
            return Tree(self._env, source)
        except (RuntimeError, TypeError):
            return None

    def _finding(
        self, name: str, value: str, place: tuple[int, int], path: Path, *, given: bool = False
    ) -> Finding:
        known = self._known[name]
        closed = known.closed and not given  # what an event says wrongly is taken as something else
        severity: errors.Severity = "error" if closed else "warning"
        near = nearest(value, known.values)
        never = ", so this comparison never holds" if closed else ""
        listed = ", ".join(known.values[:_MOST_LISTED]) or "there is none"
        more = ", …" if len(known.values) > _MOST_LISTED else ""
        declare = f"declare it under `{known.section}`" if known.section else "use one of these"
        return Finding(
            path,
            hint=near,
            line=place[0],
            column=place[1],
            code=CLOSED if closed else OPEN,
            severity=severity,
            said=f"no {known.what} is called {value!r} ({listed}{more}){never}",
            mend="" if near else declare,
        )


def _compared(node: Node, bound: frozenset[str]) -> Iterator[tuple[str, Node, str]]:
    """Name, literal and its text, for each comparison of the two. `bound`: names that macros hide."""
    if node.kind == "call" and len(node.parts) == 2 and node.name in _EQUAL | _IN:
        first, second = node.parts
        for one, other in ((first, second), (second, first)):
            for name in _names(one, bound, listed=node.name in _IN):
                for found, value in _literals(other, listed=node.name in _IN):
                    yield name, found, value
    for number, part in enumerate(node.parts):
        hidden = bound | set(node.binds) if node.kind == "comprehension" and number >= 1 else bound
        yield from _compared(part, hidden)


def _names(node: Node, bound: frozenset[str], *, listed: bool) -> Iterator[str]:
    name = node.name.removeprefix(".")
    if node.kind == "name" and name not in bound:
        yield name
    elif node.kind == "list" and listed:
        for part in node.parts:
            yield from _names(part, bound, listed=False)


def _literals(node: Node, *, listed: bool) -> Iterator[tuple[Node, str]]:
    """The literals that a piece may be: itself, the branches of `? :`, the members of a list."""
    value = literal(node)
    if value is not None:
        yield node, value
    elif node.kind == "call" and node.name == "_?_:_" and len(node.parts) == 3:
        for part in node.parts[1:]:
            yield from _literals(part, listed=listed)
    elif node.kind == "list" and listed:
        for part in node.parts:
            yield from _literals(part, listed=False)
