"""Names that lead back to themselves: lines of managers, calendars, policies. Each circle is told once."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from shared.policy.errors import Finding, Path
from shared.policy.model.bundle import Bundle
from shared.policy.model.calendar_names import circle_of
from shared.policy.model.escalation import Policy


def of_managers(bundle: Bundle, name: str) -> Iterator[Finding]:
    """A line of managers that comes back to the user it began with: told at the first of them."""
    line = [name]
    while (above := bundle.users.get(line[-1])) is not None and above.manager is not None:
        line.append(above.manager)
        if above.manager == name and _is_first(line, bundle.users):
            path, circle = ("users", name, "manager"), " → ".join(line)
            yield Finding(path, f"a circle: {circle}", "a line of managers that ends")
        if above.manager in line[:-1]:
            return


def of_calendars(bundle: Bundle, name: str) -> Iterator[Finding]:
    """A calendar whose hours are its own, by way of others: told at the first of them."""
    circle = circle_of(name, bundle.calendars)
    if circle and _is_first(circle, bundle.calendars):
        expected = "hours that are not its own in the end"
        yield Finding(("calendars", name, "hours"), f"a circle: {' → '.join(circle)}", expected)


def _is_first(names: Sequence[str], known: Collection[str]) -> bool:
    """Whether the first of these names stands before the others."""
    return next(each for each in known if each in names) == names[0]


def of_policies(bundle: Bundle) -> Iterator[Finding]:
    """Points that lead back to a policy on the way: there the chain would end at `finally` instead."""
    onwards = {name: list(_escalations(policy)) for name, policy in bundle.policies.items()}
    order = list(onwards)
    for start in order:
        for path, way in _ways_back(start, onwards):
            if order.index(start) == min(map(order.index, way)):
                circle = " → ".join([*way, start])
                expected = "points that lead on: a policy that is entered twice goes to its `finally`"
                yield Finding(("policies", *path), f"a circle: {circle}", expected)


def _escalations(policy: Policy) -> Iterator[tuple[Path, str]]:
    """The policies that a policy's points lead to, and where they say so."""
    for number, point in enumerate(policy.points):
        for index, do in enumerate(point.do):
            if do.escalate is not None and do.escalate.policy is not None:
                yield ("points", number, "do", index, "escalate", "policy"), do.escalate.policy


def _ways_back(
    start: str, onwards: Mapping[str, Sequence[tuple[Path, str]]]
) -> Iterator[tuple[Path, list[str]]]:
    """For each escalation that closes a circle at `start`: its path, and the shortest way to it."""
    ways, waiting = {start: [start]}, [start]
    for name in waiting:  # it grows while it is read
        for path, following in onwards.get(name, ()):
            if following == start:
                yield (name, *path), ways[name]
            elif following not in ways:
                ways[following] = [*ways[name], following]
                waiting.append(following)
