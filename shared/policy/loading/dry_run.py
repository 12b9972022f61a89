"""Trying every expression of a bundle: compiled, then evaluated on sample records of each kind.

Types alone cannot see that an attribute is a double (`attributes.budget * 2` fails on every record, `* 2.0`
does not). A sample agrees with what the expression compares, so that the right side of `&&` is reached; an
attribute that no kind declares is tried as a number, a text, a truth and a list, and only what fails as each
of them is an error.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.policy.cel.body_mapping import BodyMapping
from shared.policy.cel.constants import Constants
from shared.policy.cel.explanations import ExpressionError
from shared.policy.cel.expressions import (
    Activation,
    Condition,
    Expressions,
    Failed,
)
from shared.policy.cel.names import ABSENT, NUMBERS, reads_time
from shared.policy.errors import EXPRESSION, Finding, Path, dotted, shown
from shared.policy.model.bundle import ALWAYS, Bundle
from shared.policy.model.escalation import Policy
from shared.policy.model.integrations import Integration

_COMPARED: Final = re.compile(
    r"([A-Za-z_][\w.]*)\s*==\s*(?:'([^']*)'|\"([^\"]*)\"|(-?\d+(?:\.\d+)?)|(true|false))"
)
_TYPE_ERRORS: Final = ("No matching overloads", "gave ")
_SAMPLES: Final[Mapping[str, Any]] = {
    "number": 1.0,
    "string": "text",
    "datetime": "2026-01-05T08:00:00Z",
    "list": ["text"],
    "boolean": True,
    "object": {},
}
_UNDECLARED: Final = (1.0, "text", True, ["text"])
_MOST_UNDECLARED: Final = 3


@dataclass(frozen=True, slots=True)
class Written:
    """One expression, where it stands, and whether it may read the time."""

    path: Path
    source: str
    timeless: bool = False


def written(bundle: Bundle) -> Iterator[Written]:
    """Every condition of a bundle."""
    yield Written(("loud",), bundle.loud)
    for section in ("priorities", "slas", "routes", "grouping", "suppress", "subscriptions"):
        for index, row in enumerate(getattr(bundle, section)):
            yield Written((section, index, "when"), row.when)
    for index, suppression in enumerate(bundle.suppress):
        if suppression.while_open is not None:
            yield Written(("suppress", index, "while_open"), suppression.while_open)
    for name, user in bundle.users.items():
        for index, quiet in enumerate(user.quiet_hours or ()):
            if quiet.unless is not None:
                yield Written(("users", name, "quiet_hours", index, "unless"), quiet.unless)
    for name, policy in bundle.policies.items():
        yield from _of_policy(policy, ("policies", name))


def _of_policy(policy: Policy, path: Path) -> Iterator[Written]:
    for index, level in enumerate(policy.levels):
        if level.handles is not None:
            yield Written((*path, "levels", index, "handles"), level.handles)
    for index, point in enumerate(policy.points):
        if point.when is not None:
            yield Written((*path, "points", index, "when"), point.when, timeless=True)


def findings(bundle: Bundle) -> Iterator[Finding]:
    """What is wrong with the bundle's expressions."""
    expressions = Expressions(bundle.calendars, bundle.schedules)
    constants = Constants({*bundle.calendars, ALWAYS}, bundle.schedules)
    for each in written(bundle):
        try:
            condition = expressions.condition(each.source, dotted(each.path))
        except ExpressionError as err:
            yield _finding(each.path, each.source, err)
            continue
        faults = constants.faults(each.source)
        yield from (_finding(each.path, each.source, fault) for fault in faults)
        if each.timeless and reads_time(each.source):
            expected = "a condition that does not read the time (use `at`, `held_for`)"
            yield Finding(each.path, shown(each.source), expected, code=EXPRESSION)
        reason = "" if faults else _fails_everywhere(condition, bundle)  # a sample would tell it again
        if reason:
            advice = " (numbers in attributes are doubles: write 2.0)" if "int64" in reason else ""
            expected = f"a condition that can be evaluated: {reason}{advice}"
            yield Finding(each.path, shown(each.source), expected, code=EXPRESSION)
    for name, integration in bundle.integrations.items():
        yield from _of_integration(integration, ("integrations", name), constants)


def _of_integration(integration: Integration, path: Path, constants: Constants) -> Iterator[Finding]:
    for place, source in over_bodies(integration, path):
        try:
            BodyMapping([(source, {})])
        except ExpressionError as err:
            yield _finding(place, source, err)
            continue
        for fault in constants.faults(source, untyped=True):
            yield _finding(place, source, fault)


def over_bodies(integration: Integration, path: Path) -> Iterator[tuple[Path, str]]:
    """Every expression over what was sent, with its place."""
    for key in ("ignore", "each"):
        source = getattr(integration, key)
        if source is not None:
            yield (*path, key), source
    if isinstance(integration.map, dict):
        for field, source in integration.map.items():
            yield (*path, "map", field), source
        return
    for index, shape in enumerate(integration.map):
        yield (*path, "map", index, "when"), shape.when
        for field, source in shape.map.items():
            yield (*path, "map", index, "map", field), source


def _finding(path: Path, source: str, err: ExpressionError) -> Finding:
    expected = f"a valid expression: {err.message}"
    return Finding(path, shown(source), expected, line=err.line, column=err.column, code=EXPRESSION)


def _fails_everywhere(condition: Condition, bundle: Bundle) -> str:
    """Why the condition cannot be evaluated on some sample, whatever its undeclared attributes are; or ''."""
    if all(name.partition(".")[0] != "attributes" and name != "customer.value" for name in condition.names):
        return ""  # types have seen everything
    declared = {name: kind.attributes for name, kind in bundle.kinds.items()} or {"": {}}
    for (kind, attributes), record in itertools.product(declared.items(), _agreeing(condition.source)):
        reasons = {
            _type_error(condition, record | {"kind": record.get("kind") or kind, "attributes": each})
            for each in _attributes(condition, attributes, record)
        }
        if reasons and "" not in reasons:
            return min(reasons)
    return ""


def _type_error(condition: Condition, record: Mapping[str, Any]) -> str:
    outcome = condition.evaluate(Activation(record, open=lambda _: True, on_call=lambda _: "somebody"))
    failed = isinstance(outcome, Failed) and outcome.reason.startswith(_TYPE_ERRORS)
    return outcome.reason if isinstance(outcome, Failed) and failed else ""


def _agreeing(source: str) -> Iterator[dict[str, Any]]:
    """Records that agree with the expression's comparisons; of several values of one name each in turn."""
    compared: dict[str, list[Any]] = {}
    for name, single, double, number, truth in _COMPARED.findall(source):
        value: Any = truth == "true" if truth else single or double
        if number:
            value = int(number) if name in NUMBERS else float(number)
        compared.setdefault(name, []).append(value)
    for turn in range(max((len(values) for values in compared.values()), default=1)):
        record = {name: values[turn % len(values)] for name, values in compared.items()}
        usual = {name: value for name, value in record.items() if name in ABSENT}
        labels = {name[7:]: str(value) for name, value in record.items() if name.startswith("labels.")}
        sent = {name[11:]: value for name, value in record.items() if name.startswith("attributes.")}
        yield {"customer.value": 1.0, "priority": 1} | usual | {"labels": labels, "attributes": sent}


def _attributes(
    condition: Condition, declared: Mapping[str, str], record: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The attributes to try: declared ones of their type, the others of each type in turn."""
    used = [name.partition(".")[2] for name in condition.names if name.startswith("attributes.")]
    fixed = {name: _SAMPLES[kind] for name, kind in declared.items()} | record["attributes"]
    free = [name for name in used if name not in fixed]
    if len(free) > _MOST_UNDECLARED:
        return
    for values in itertools.product(_UNDECLARED, repeat=len(free)):
        yield fixed | dict(zip(free, values, strict=True))
