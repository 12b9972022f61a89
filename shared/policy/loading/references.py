"""Names across the sections: everything that is named must exist, once, and nothing may lead in a circle."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from shared.policy.calendars.openings import unknown_holidays
from shared.policy.cel.names import ABSENT
from shared.policy.errors import Finding, Path, nearest, shown
from shared.policy.loading import addresses, circles
from shared.policy.model.bundle import ALWAYS, Bundle
from shared.policy.model.durations import SLA_TARGETS
from shared.policy.model.escalation import Policy
from shared.policy.model.people import DayWindow, Holidays, Layer
from shared.policy.model.targets import (
    AddressTarget,
    NextTarget,
    ScheduleTarget,
    SkillTarget,
    Target,
    TeamTarget,
    UserTarget,
    surface,
    within,
)

_SECTIONS: Final[Mapping[type[Any], tuple[str, str]]] = {
    UserTarget: ("users", "a user"),
    TeamTarget: ("teams", "a team"),
    ScheduleTarget: ("schedules", "a schedule"),
    NextTarget: ("schedules", "a schedule"),
}
_PLAIN_TARGETS: Final = (UserTarget, TeamTarget, ScheduleTarget, AddressTarget)


class References:
    """The names of one bundle.

    `tree` is the files' own: an entry of the wrong shape still has its name. Where the names themselves stand
    at a `wrong` path, nobody knows whether a name is known: nothing is said.
    """

    def __init__(self, bundle: Bundle, tree: Mapping[str, Any], wrong: Collection[Path] = ()) -> None:
        self._bundle: Final = bundle
        self._wrong: Final = wrong
        self._names: Final = {
            section: [*value] if isinstance(value, Mapping) else [] for section, value in tree.items()
        }
        self._skills: Final = {skill for user in bundle.users.values() for skill in user.skills}
        self._skills_wrong: Final = any(
            path[:1] == ("users",) and (len(path) < 3 or path[2] == "skills") for path in wrong
        )

    def findings(self) -> Iterator[Finding]:
        """Everything that is named and does not exist, or exists twice."""
        for check in (
            self._users,
            self._teams_and_schedules,
            self._customers_and_services,
            self._slas,
            self._policies,
            partial(circles.of_policies, self._bundle),
            self._routes,
            self._muting,
            self._integrations,
        ):
            yield from check()
        yield from self._last_resort()

    def _last_resort(self) -> Iterator[Finding]:
        path, targets = ("last_resort",), self._bundle.last_resort
        yield from self._targets(targets, path)
        if not any(isinstance(each, _PLAIN_TARGETS) for each in targets):
            expected = "a user, team, schedule or address: it is paged when no incident can be read"
            yield Finding(path, ", ".join(each.text for each in targets), expected)

    def _named(self, name: str | None, section: str, kind: str, path: Path) -> Iterator[Finding]:
        known = self._names.get(section, [])
        if name is not None and name not in known and not self._unsure(section, name):
            yield _unknown(name, known, kind, path)

    def _unsure(self, section: str, name: str) -> bool:
        return (section,) in self._wrong or (section, name) in self._wrong

    def _each(self, names: Iterable[str], section: str, kind: str, path: Path) -> Iterator[Finding]:
        for index, name in enumerate(names):
            yield from self._named(name, section, kind, (*path, index))

    def _targets(self, targets: Iterable[Target], path: Path) -> Iterator[Finding]:
        for index, target in enumerate(targets):
            yield from self._target(target, (*path, index))

    def _target(self, target: Target, path: Path) -> Iterator[Finding]:
        for each in within(target):
            if isinstance(each, SkillTarget):
                if each.skill not in self._skills and not self._skills_wrong:
                    yield _unknown(each.skill, self._skills, "a skill that some user has", path)
            elif isinstance(each, AddressTarget):
                yield from addresses.check_address(each.channel, each.address, path)
            elif isinstance(each, UserTarget | TeamTarget | ScheduleTarget | NextTarget):
                section, kind = _SECTIONS[type(each)]
                known = self._names.get(section, [])
                if each.name not in known and not self._unsure(section, each.name):
                    near = nearest(each.name, known)
                    hint = f"{each.text.partition(':')[0]}:{near}" if near else ""
                    yield Finding(path, shown(surface(each)), _listed(kind, known), hint)

    def _users(self) -> Iterator[Finding]:
        for name, user in self._bundle.users.items():
            path = ("users", name)
            yield from self._named(user.manager, "users", "a user", (*path, "manager"))
            yield from circles.of_managers(self._bundle, name)
            yield from addresses.check_contacts(user.contacts, path)
            for loudness in ("high", "low"):
                for index, step in enumerate(getattr(user.rules, loudness)):
                    if step.via not in user.contacts and (*path, "contacts") not in self._wrong:
                        where = (*path, "rules", loudness, index, "via")
                        yield _unknown(step.via, user.contacts, "one of the user's contacts", where)

            yield from self._windows(user.quiet_hours, (*path, "quiet_hours"))

    def _teams_and_schedules(self) -> Iterator[Finding]:
        for name, team in self._bundle.teams.items():
            yield from self._each(team.members, "users", "a user", ("teams", name, "members"))
            yield from self._named(team.lead, "users", "a user", ("teams", name, "lead"))
            yield from addresses.check_contacts(team.contacts, ("teams", name))
        for name, schedule in self._bundle.schedules.items():
            for index, layer in enumerate(schedule.layers):
                path = ("schedules", name, "layers", index)
                yield from self._each(layer.rotation, "users", "a user", (*path, "rotation"))
                yield from self._windows(layer.only, (*path, "only"))
                yield from _ends(layer, path)
                yield from _turns(layer, path)

    def _customers_and_services(self) -> Iterator[Finding]:
        tiers = self._bundle.tiers
        yield from _twice(tiers, lambda index: ("tiers", index))
        called: dict[str, str] = {}
        for name, customer in self._bundle.customers.items():
            path = ("customers", name)
            if customer.tier is not None and customer.tier not in tiers and not self._tiers_wrong():
                yield _unknown(customer.tier, tiers, "a tier", (*path, "tier"))
            yield from self._named(customer.owner, "users", "a user", (*path, "owner"))
            yield from addresses.check_contacts(customer.contacts, path)
            for index, other in enumerate(customer.match):
                first = called.setdefault(other.casefold(), name)
                if first != name:
                    found = f"{other!r}, which is {first} too"
                    yield Finding((*path, "match", index), found, "a name that is one customer's only")
        for name, service in self._bundle.services.items():
            yield from self._named(service.team, "teams", "a team", ("services", name, "team"))
            yield from self._each(
                service.depends_on, "services", "a service", ("services", name, "depends_on")
            )

    def _tiers_wrong(self) -> bool:
        return any(path[:1] == ("tiers",) for path in self._wrong)

    def _calendar(self, name: str | None, path: Path) -> Iterator[Finding]:
        if name != ALWAYS:
            yield from self._named(name, "calendars", "a calendar", path)

    def _windows(self, windows: Iterable[DayWindow] | None, path: Path) -> Iterator[Finding]:
        for index, window in enumerate(windows or ()):
            yield from self._calendar(window.calendar, (*path, index, "calendar"))

    def _slas(self) -> Iterator[Finding]:
        if ALWAYS in self._bundle.calendars:
            path = ("calendars", ALWAYS)
            yield Finding(path, "'always'", "another name: 'always' exists by itself", at_key=True)
        for name, calendar in self._bundle.calendars.items():
            path = ("calendars", name)
            yield from self._windows(calendar.hours, (*path, "hours"))
            yield from _holidays(calendar.holidays, (*path, "holidays"))
            for day, own in calendar.holidays.hours.items():
                yield from self._windows(own, (*path, "holidays", "hours", str(day)))
            yield from circles.of_calendars(self._bundle, name)
        yield from _twice([sla.name for sla in self._bundle.slas], lambda index: ("slas", index, "name"))
        for index, sla in enumerate(self._bundle.slas):
            yield from self._calendar(sla.calendar, ("slas", index, "calendar"))
            if all(sla.goal(target) is None for target in SLA_TARGETS):
                yield Finding(("slas", index), "no promise", f"one of {', '.join(SLA_TARGETS)}")

    def _policies(self) -> Iterator[Finding]:
        for name, policy in self._bundle.policies.items():
            path = ("policies", name)
            levels = [level.name for level in policy.levels]
            yield from _twice(levels, partial(_name_of, (*path, "levels")))
            yield from _twice([point.name for point in policy.points], partial(_name_of, (*path, "points")))
            for index, level in enumerate(policy.levels):
                yield from self._targets(level.notify, (*path, "levels", index, "notify"))
                yield from self._calendar(level.hold_until, (*path, "levels", index, "hold_until"))
            yield from self._targets(policy.finally_.notify, (*path, "finally", "notify"))
            yield from self._calendar(policy.finally_.hold_until, (*path, "finally", "hold_until"))
            if policy.close is not None:
                place = (*path, "close", "template")
                yield from self._named(policy.close.template, "templates", "a template", place)
            if policy.grace is not None:
                yield from self._named(policy.grace.call, "calls", "a call", (*path, "grace", "call"))
            yield from self._points(policy, levels, (*path, "points"))

    def _points(self, policy: Policy, levels: Collection[str], path: Path) -> Iterator[Finding]:
        for number, point in enumerate(policy.points):
            for index, do in enumerate(point.do):
                where = (*path, number, "do", index)
                yield from self._targets(do.notify or (), (*where, "notify"))
                yield from self._targets(do.inform or (), (*where, "inform"))
                if do.assign is not None:
                    yield from self._target(do.assign, (*where, "assign"))
                yield from self._named(do.call, "calls", "a call", (*where, "call"))
                if do.escalate is not None:
                    inner = (*where, "escalate")
                    yield from self._named(do.escalate.policy, "policies", "a policy", (*inner, "policy"))
                    if do.escalate.level is not None and _lacks(levels, do.escalate.level):
                        yield _unknown(do.escalate.level, levels, "a level of this policy", (*inner, "level"))
                if do.set is not None:
                    inner = (*where, "set")
                    yield from self._named(do.set.kind, "kinds", "a kind", (*inner, "kind"))
                    yield from self._named(do.set.service, "services", "a service", (*inner, "service"))

    def _routes(self) -> Iterator[Finding]:
        for index, route in enumerate(self._bundle.routes):
            path = ("routes", index)
            yield from self._named(route.policy, "policies", "a policy", (*path, "policy"))
            policy = self._bundle.policies.get(route.policy)
            levels = [level.name for level in policy.levels] if policy else []
            if route.start_at is not None and _lacks(levels, route.start_at):
                kind = f"a level of policy {route.policy}"
                yield _unknown(route.start_at, levels, kind, (*path, "start_at"))

    def _muting(self) -> Iterator[Finding]:
        for index, group in enumerate(self._bundle.grouping):
            for number, name in enumerate(group.by):
                base, _, key = name.partition(".")
                if name not in ABSENT and not (base in ("labels", "attributes") and key):
                    path = ("grouping", index, "by", number)
                    yield Finding(path, shown(name), "a name that expressions know", nearest(name, ABSENT))
        for index, suppression in enumerate(self._bundle.suppress):
            where = ("suppress", index, "window")
            yield from self._windows(suppression.window, where)
            for number, window in enumerate(suppression.window or ()):
                if window.timezone is None and window.calendar is None:
                    missing = (*where, number, "timezone")
                    yield Finding(missing, "nothing", "'timezone', which is required here", at_key=True)
        for index, subscription in enumerate(self._bundle.subscriptions):
            entry = ("subscriptions", index)
            yield from self._targets(subscription.who, (*entry, "who"))
            yield from self._named(subscription.template, "templates", "a template", (*entry, "template"))

    def _integrations(self) -> Iterator[Finding]:
        for name, key in self._bundle.api_keys.items():
            yield from self._named(key.acts_as, "users", "a user", ("api_keys", name, "acts_as"))
        for name, call in self._bundle.calls.items():
            yield from addresses.check_address("webhook", call.webhook, ("calls", name, "webhook"))
            yield from addresses.check_address("secret", call.secret or "", ("calls", name, "secret"))
        for name, heartbeat in self._bundle.heartbeats.items():
            path = ("heartbeats", name, "event")
            if not heartbeat.event.get("title"):
                yield Finding((*path, "title"), "nothing", "'title', which is required", at_key=True)
            yield from self._event(heartbeat.event, path)
        for name, integration in self._bundle.integrations.items():
            yield from self._event(integration.set, ("integrations", name, "set"))
            yield from addresses.check_integration(integration, ("integrations", name))

    def _event(self, event: Mapping[str, Any], path: Path) -> Iterator[Finding]:
        """Fixed values of an event: those that Ladder itself names must exist."""
        severity = event.get("severity", "error")
        if severity not in _SEVERITIES:
            yield _unknown(str(severity), _SEVERITIES, "a severity", (*path, "severity"))
        for name, section in (("service", "services"), ("kind", "kinds")):  # customers: the database has some
            value = event.get(name)
            if isinstance(value, str):
                yield from self._named(value, section, f"a {name}", (*path, name))


_SEVERITIES: Final = ("critical", "error", "warning", "info")


def _lacks(levels: Collection[str], name: str) -> bool:
    """Whether all levels have been read and none has this name."""
    return bool(levels) and all(levels) and name not in levels


def _name_of(path: Path, index: int) -> Path:
    return (*path, index, "name")


def _listed(kind: str, known: Iterable[str]) -> str:
    names = list(known)
    listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"{kind} ({listed})" if names else f"{kind} (there is none)"


def _unknown(name: str, known: Iterable[str], kind: str, path: Path) -> Finding:
    names = list(known)
    return Finding(path, shown(name), _listed(kind, names), nearest(name, names))


def _twice(names: Iterable[str], path: Callable[[int], Path]) -> Iterator[Finding]:
    seen: dict[str, int] = defaultdict(int)
    for index, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            yield Finding(path(index), f"{name!r} a second time", "a name of its own")


def _ends(layer: Layer, path: Path) -> Iterator[Finding]:
    """A layer that is over before it begins. Of one that could not be read nothing is said."""
    if isinstance(layer.ends, datetime) and isinstance(layer.starts, datetime) and layer.ends <= layer.starts:
        expected = f"a time later than its `starts`, {layer.starts.isoformat(timespec='minutes')}"
        yield Finding((*path, "ends"), shown(layer.ends.isoformat(timespec="minutes")), expected)


def _turns(layer: Layer, path: Path) -> Iterator[Finding]:
    """Turns in closed time are left out where nothing ever closes."""
    if layer.count == "open" and layer.only is None:
        yield Finding((*path, "count"), "'open'", "`only` beside it: without windows no turn is closed")


def _holidays(holidays: Holidays, path: Path) -> Iterator[Finding]:
    """Countries and their parts whose public holidays are not known."""
    unknown = unknown_holidays(holidays)
    if unknown is None:
        return
    key, said, known = unknown
    if key == "subdivision":
        yield _unknown(said, list(known), f"a part of {holidays.country}", (*path, key))
    elif said:
        expected = "a country whose public holidays are known, in two letters such as CZ"
        yield Finding((*path, key), shown(said), expected)
    else:
        yield Finding((*path, "subdivision"), shown(holidays.subdivision), "a country beside it")
