"""A bundle ready to decide by: conditions compiled, each list of rules evaluated in one go."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from services.router.domain.model.reason import Reason
from shared.policy import (
    AtShare,
    Bundle,
    Level,
    Point,
    Policy,
    PriorityRow,
    Route,
    Sla,
    Subscription,
    dump_json,
    hash_of,
    load_json,
)
from shared.policy.calendars.open_hours import Calendars, calendars_of
from shared.policy.cel.expressions import Activation, Condition, Conditions, Evaluation, Expressions, Failed
from shared.policy.cel.names import reads_time
from shared.policy.model.escalation import Grouping, Suppression
from shared.policy.model.people import User

Spec = TypeVar("Spec")
ALWAYS_TRUE = "true"
_COUNTED: Final = frozenset({"events", "reopened"})  # names whose values change with a mere repeat
_UPSTREAM_KEPT: Final = 50
_LOSERS_TOLD = 6  # nearest losers that a long list names; the rest are counted


@dataclass(frozen=True, slots=True)
class Rule(Generic[Spec]):
    """One rule of a list, with its place in the bundle; `condition` is None when it matches everything."""

    where: str
    spec: Spec
    condition: Condition | None

    def reason(self, activation: Activation, instead_of: Sequence[str] = ()) -> Reason:
        """Why this rule applies, with what its expression saw."""
        if self.condition is None:
            return Reason(self.where, "", {}, instead_of)
        return Reason(self.where, self.condition.source, activation.used(self.condition), instead_of)


class Chosen(msgspec.Struct, Generic[Spec], frozen=True):
    """The rule that applies (None: none did), and what those before it said."""

    rule: Rule[Spec] | None
    instead_of: tuple[str, ...]

    def reason(self, activation: Activation) -> Reason:
        assert self.rule is not None
        return self.rule.reason(activation, self.instead_of)


@dataclass(frozen=True, slots=True)
class Rules(Generic[Spec]):
    """An ordered list of rules, evaluated in one go. A condition that fails did not match (the safe side)."""

    rules: tuple[Rule[Spec], ...]
    conditions: Conditions
    numbered: tuple[int, ...]  # which rules the conditions belong to
    lost: tuple[tuple[str, ...], ...]  # by the winner's number: what is said of those before it

    def outcomes(self, activation: Activation) -> Sequence[Evaluation]:
        """One outcome a rule, in order."""
        count, rules = len(self.numbered), len(self.rules)
        if not count:
            return [True] * rules
        evaluated = self.conditions.evaluate(activation)
        if count == rules:
            return evaluated
        if self.numbered[-1] == count - 1:  # the usual case: the rule that matches everything comes last
            return [*evaluated, *[True] * (rules - count)]
        said: list[Evaluation] = [True] * rules
        for number, outcome in zip(self.numbered, evaluated, strict=True):
            said[number] = outcome
        return said

    def first(self, activation: Activation) -> Chosen[Spec]:
        """The first rule that matches."""
        outcomes = self.outcomes(activation)
        winner = outcomes.index(True) if True in outcomes else None
        before = outcomes[:winner]
        plain = before.count(False) == len(before)  # none of them failed
        lost = self.lost[len(before)] if plain else self._lost(before)
        return Chosen(None if winner is None else self.rules[winner], lost)

    def matching(self, activation: Activation) -> Iterable[Rule[Spec]]:
        """Every rule that matches."""
        outcomes = self.outcomes(activation)
        if True not in outcomes:
            return ()
        return [rule for rule, outcome in zip(self.rules, outcomes, strict=True) if outcome is True]

    def _lost(self, outcomes: Sequence[Evaluation]) -> tuple[str, ...]:
        told = [
            f"{self.rules[number].where}: could not be evaluated: {outcome.reason}"
            for number, outcome in enumerate(outcomes)
            if isinstance(outcome, Failed)
        ]
        nearest = range(max(0, len(outcomes) - _LOSERS_TOLD), len(outcomes))
        told += [_did_not_match(self.rules[number]) for number in nearest if outcomes[number] is False]
        return _with_the_rest(told, len(outcomes))


def _did_not_match(rule: Rule[Spec]) -> str:
    return f"{rule.where}: did not match"


def _with_the_rest(told: Sequence[str], count: int) -> tuple[str, ...]:
    silent = count - len(told)
    return tuple([f"{silent} rules before: did not match", *told] if silent > 0 else told)


def _losers(rules: Sequence[Rule[Spec]]) -> tuple[tuple[str, ...], ...]:
    texts = [_did_not_match(rule) for rule in rules]
    return tuple(
        _with_the_rest(texts[max(0, number - _LOSERS_TOLD) : number], number)
        for number in range(len(rules) + 1)
    )


@dataclass(frozen=True, slots=True)
class CompiledLevel:
    """One level with its condition of competence (None: it handles everything)."""

    index: int
    where: str
    spec: Level
    handles: Condition | None


@dataclass(frozen=True, slots=True)
class EscalationPolicy:
    """One policy, compiled."""

    name: str
    spec: Policy
    levels: tuple[CompiledLevel, ...]
    points: Rules[Point]  # the ones with `when`
    shares: tuple[Rule[Point], ...]  # the ones with `at`
    shares_of: Mapping[str, tuple[tuple[float, Rule[Point]], ...]]  # the same with their shares, by target
    names: tuple[str, ...]  # of the levels; past the last one stands `finally`

    def index_of(self, level: str) -> int | None:
        """The index of a level by its name."""
        return next((each.index for each in self.levels if each.spec.name == level), None)


@dataclass(frozen=True, slots=True)
class CompiledBundle:
    """One bundle, by its content hash."""

    hash: str
    spec: Bundle
    loud: Condition | None
    routes: Rules[Route]
    priorities: Rules[PriorityRow]
    slas: Rules[Sla]
    policies: dict[str, EscalationPolicy]
    calendars: Calendars
    rotating: tuple[tuple[str, str], ...]  # policy and level of each round_robin
    subscriptions: Rules[Subscription]
    heard: frozenset[str]  # events that some subscription wants
    names: frozenset[str]  # every name that a condition mentions: `priority`, `customer.id`, `attributes`, …
    restless: bool  # priorities or SLAs depend on values that change with a mere repeat
    grouping: Rules[Grouping]
    suppress: Rules[Suppression]  # by their `when`
    causes: Rules[Suppression]  # those with `while_open`, by that
    upstream: dict[str, tuple[str, ...]]  # by service: what it depends on, the nearest first
    customers: dict[str, str]  # id by name and by each `match`, in lower case; the first one wins
    listens: bool  # some integration's silence means something
    planned: bool  # some rule suppresses at planned times
    ends_by_silence: bool  # for one of them it means the end
    # by user: the quiet hours that have an `unless`, by their place; None: it is always true
    unless: dict[str, tuple[tuple[int, Condition | None], ...]]


class _Compiler:
    def __init__(self, bundle: Bundle, content_hash: str) -> None:
        self.bundle = bundle
        self.expressions = Expressions(bundle.calendars, bundle.schedules, content_hash)
        self.names: set[str] = set()

    def condition(self, source: str | None, where: str) -> Condition | None:
        if source is None or source.strip() == ALWAYS_TRUE:
            return None
        made = self.expressions.condition(source, where)
        self.names.update(_bases(made))
        return made

    def rules(self, listed: Sequence[tuple[str, Spec, str | None]]) -> Rules[Spec]:
        made = tuple(
            Rule(where, spec, self.condition(source, _path(where))) for where, spec, source in listed
        )
        conditions = self.expressions.conditions(
            [rule.condition for rule in made if rule.condition is not None]
        )
        numbered = tuple(number for number, rule in enumerate(made) if rule.condition is not None)
        return Rules(made, conditions, numbered, _losers(made))

    def unless(self, name: str, user: User) -> tuple[tuple[int, Condition | None], ...]:
        return tuple(
            (number, self.condition(quiet.unless, f"users.{name}.quiet_hours[{number}].unless"))
            for number, quiet in enumerate(user.quiet_hours or ())
            if quiet.unless is not None
        )

    def policy(self, name: str, spec: Policy) -> EscalationPolicy:
        place = f"policies.{name}"
        levels = tuple(
            CompiledLevel(
                index,
                f"{place}.levels[{index}]",
                level,
                self.condition(level.handles, f"{place}.levels[{index}].handles"),
            )
            for index, level in enumerate(spec.levels)
        )
        points = [(f"{place}.points[{n}]", point, point.when) for n, point in enumerate(spec.points)]
        shares = tuple(Rule(where, point, None) for where, point, _ in points if point.at is not None)
        return EscalationPolicy(
            name,
            spec,
            levels,
            self.rules([each for each in points if each[1].when is not None]),
            shares,
            _by_target(shares),
            (*(level.name for level in spec.levels), "finally"),
        )


def _by_target(points: Iterable[Rule[Point]]) -> dict[str, tuple[tuple[float, Rule[Point]], ...]]:
    found: dict[str, tuple[tuple[float, Rule[Point]], ...]] = {}
    for rule in points:
        if isinstance(rule.spec.at, AtShare):
            here = found.get(rule.spec.at.target, ())
            found[rule.spec.at.target] = (*here, (rule.spec.at.percent / 100, rule))
    return found


def _path(where: str) -> str:
    """Where a rule's condition stands: `slas[0] gold critical` → `slas[0].when`."""
    rule = where.partition(" ")[0]
    return rule if rule.endswith(".while_open") else f"{rule}.when"


def _bases(condition: Condition) -> Iterator[str]:
    for name in condition.names:
        base = name.partition(".")[0]
        yield base if base in {"attributes", "labels"} else name


def _changes_by_itself(rules: Rules[PriorityRow] | Rules[Sla]) -> bool:
    conditions = [rule.condition for rule in rules.rules if rule.condition is not None]
    return any(_COUNTED & set(each.names) or reads_time(each.source) for each in conditions)


def _upstream(bundle: Bundle, service: str) -> tuple[str, ...]:
    """What a service depends on, and what that depends on, breadth first and bounded."""
    found: dict[str, None] = {}
    row = [service]
    while row and len(found) < _UPSTREAM_KEPT:
        row = [
            needed
            for name in row
            if name in bundle.services
            for needed in bundle.services[name].depends_on
            if needed not in found and needed != service
        ]
        found.update(dict.fromkeys(row))
    return tuple(found)[:_UPSTREAM_KEPT]


def _by_name(bundle: Bundle) -> dict[str, str]:
    found: dict[str, str] = {}
    for customer_id, customer in bundle.customers.items():
        for known_as in (customer.name, *customer.match):
            found.setdefault(known_as.casefold(), customer_id)
    return found


def compile_policy(bundle: Bundle, content_hash: str) -> CompiledBundle:
    """Compile a checked bundle; for one that was never checked, raises shared.policy's ExpressionError."""
    make = _Compiler(bundle, content_hash)
    unless = {name: found for name, user in bundle.users.items() if (found := make.unless(name, user))}
    priorities = make.rules([(f"priorities[{n}]", row, row.when) for n, row in enumerate(bundle.priorities)])
    slas = make.rules([(f"slas[{n}] {row.name}", row, row.when) for n, row in enumerate(bundle.slas)])
    return CompiledBundle(
        hash=content_hash,
        spec=bundle,
        loud=make.condition(bundle.loud, "loud"),
        routes=make.rules([(f"routes[{n}]", row, row.when) for n, row in enumerate(bundle.routes)]),
        priorities=priorities,
        slas=slas,
        policies={name: make.policy(name, spec) for name, spec in bundle.policies.items()},
        calendars=calendars_of(bundle.calendars),
        rotating=tuple(
            (name, level.name)
            for name, policy in bundle.policies.items()
            for level in policy.levels
            if level.mode.kind == "round_robin"
        ),
        subscriptions=make.rules(
            [(f"subscriptions[{n}]", row, row.when) for n, row in enumerate(bundle.subscriptions)]
        ),
        grouping=make.rules([(f"grouping[{n}]", row, row.when) for n, row in enumerate(bundle.grouping)]),
        suppress=make.rules([(f"suppress[{n}]", row, row.when) for n, row in enumerate(bundle.suppress)]),
        causes=make.rules(
            [
                (f"suppress[{n}].while_open", row, row.while_open)
                for n, row in enumerate(bundle.suppress)
                if row.while_open is not None
            ]
        ),
        heard=frozenset(event for row in bundle.subscriptions for event in row.events),
        names=frozenset(make.names),  # after every condition above
        restless=_changes_by_itself(priorities) or _changes_by_itself(slas),
        upstream={name: upstream for name in bundle.services if (upstream := _upstream(bundle, name))},
        customers=_by_name(bundle),
        listens=any(each.silent_after is not None for each in bundle.integrations.values()),
        planned=any(row.window is not None for row in bundle.suppress),
        ends_by_silence=any(each.on_silence == "resolve" for each in bundle.integrations.values()),
        unless=unless,
    )


def compile_sized(bundle: Bundle) -> tuple[CompiledBundle, int]:
    """Compile a checked bundle; with it, how many bytes the bundle has as JSON."""
    raw = dump_json(bundle)
    return compile_policy(bundle, hash_of(raw)), len(raw)


def compile_json(raw: bytes, content_hash: str) -> CompiledBundle:
    """Compile a bundle as it is stored and published."""
    return compile_policy(load_json(raw), content_hash)
