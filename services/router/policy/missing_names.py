"""Names that a bundle lacks but overrides, silences, maintenance or open incidents still use.

None of this stops a policy: people who are gone are passed over, and a condition on a missing name never
applies. But whoever applies the bundle should hear of it then, not when a page goes to somebody else.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.model.compiled_bundle import CompiledBundle, EscalationPolicy
from services.router.duty import override_store
from services.router.duty.overlay import broken
from services.router.duty.override_store import StoredOverride, Wanted
from services.router.policy.compiled_cache import Bundles
from shared.policy import Bundle, Location, PolicyError
from shared.policy.model.targets import (
    LeadOf,
    ManagerOf,
    NextTarget,
    ScheduleTarget,
    SkillTarget,
    Target,
    TeamTarget,
    UserTarget,
)
from shared.policy.oncall.roster import EVERY

STANDING: Final = "L150"  # the code for something that names what the policy lacks
_NOWHERE: Final = Location("", 0, 0)
_MOST_TOLD: Final = 50
_POLICIES_READ: Final = 20  # earlier versions that open incidents follow: those of most incidents
_QUOTED: Final = re.compile(r"""'([^'\\]{1,200})'|"([^"\\]{1,200})\"""")
_OF: Final = {"users": "user", "teams": "team", "schedules": "schedule", "services": "service"}


@dataclass(frozen=True, slots=True)
class Gone:
    """What the bundle in force had and the new one lacks, by section."""

    names: dict[str, frozenset[str]] = field(default_factory=dict)

    def __getitem__(self, section: str) -> list[str]:
        return sorted(self.names.get(section, ()))

    def __bool__(self) -> bool:
        return any(self.names.values())

    def kind(self, name: str) -> str:
        """`service` if the name was a service's, and so on; '' for one that is not gone."""
        return next((kind for section, kind in _OF.items() if name in self.names.get(section, ())), "")


def gone(before: Bundle | None, after: Bundle) -> Gone:
    """What the new bundle no longer has."""
    if before is None:
        return Gone()
    return Gone({each: frozenset(getattr(before, each)) - frozenset(getattr(after, each)) for each in _OF})


async def warnings(
    connection: AsyncConnection,
    after: CompiledBundle,
    now: datetime,
    before: Bundle | None = None,
    bundles: Bundles | None = None,
) -> list[PolicyError]:
    """One warning for each thing that names what this policy lacks.

    `before`: the bundle that it replaces. Without it, only what the new one alone shows is reported.
    """
    missing = gone(before, after.spec)
    conditions = (await connection.execute(_CONDITIONS)).all()  # compiled again: a millisecond each
    told = [
        *_of_overrides(await override_store.find(connection, Wanted(begins=now)), after.spec),
        *await asyncio.to_thread(lambda: list(_of_conditions(conditions, after, missing))),
        *[each async for each in _of_incidents(connection, after.spec, missing)],
    ]
    if missing and bundles is not None:
        told += await _of_policies(connection, after.spec, bundles)
    more = len(told) - _MOST_TOLD
    told = [*told[:_MOST_TOLD], f"and {more} more"] if more > 0 else told
    return [PolicyError(_NOWHERE, "", code=STANDING, severity="warning", said=each) for each in told]


async def ask_again(connection: AsyncConnection, before: Bundle | None, after: Bundle) -> None:
    """The new bundle may change who is on call: make what was asked through those schedules due."""
    if before is None:
        return
    if before.users.keys() - after.users.keys():
        await override_store.ask_duties(connection, EVERY)
        return
    schedules = before.schedules.items()
    changed = [name for name, schedule in schedules if after.schedules.get(name) != schedule]
    if changed:
        await override_store.ask_duties(connection, *changed)


def _of_overrides(standing: Sequence[StoredOverride], bundle: Bundle) -> Iterator[str]:
    for each in standing:
        for fault in faults_of(each, bundle):
            yield f"override {each.id}: {fault}"


def faults_of(one: StoredOverride, bundle: Bundle) -> Iterator[str]:
    """Why an override does not do what it says under this bundle."""
    if one.schedule and one.schedule not in bundle.schedules:
        yield f"there is no schedule {one.schedule} in the policy in force"
    if one.user and one.user not in bundle.users:
        yield f"{one.user} is no user of the policy in force: what lies beneath counts"
    if one.absent and one.absent not in bundle.users:
        yield f"{one.absent}, who is absent, is no user of the policy in force"


def _of_conditions(rows: Any, after: CompiledBundle, missing: Gone) -> Iterator[str]:
    """Warnings about silences and maintenance."""
    for row in rows:
        why = broken(after, row.when)
        if why:
            yield f"{row.kind} {row.id} does not apply any more: {why}"
            continue
        quoted = (first or second for first, second in _QUOTED.findall(row.when))
        for name in dict.fromkeys(quoted):
            kind = missing.kind(name)
            if kind:
                yield f"{row.kind} {row.id} names {kind} {name!r}, which this policy has no longer"


async def _of_incidents(connection: AsyncConnection, bundle: Bundle, missing: Gone) -> Any:
    given = {"users": sorted(bundle.users)}
    for row in await connection.execute(_ASSIGNED, given):
        yield f"{_open(row)} assigned to {row.name}, who is no user of this policy{_such_as(row)}"
    if missing["services"]:
        for row in await connection.execute(_SERVED, {"gone": missing["services"]}):
            yield f"{_open(row)} of service {row.name}, which this policy has no longer{_such_as(row)}"
    if missing["users"]:
        for row in await connection.execute(_PAGED, {"gone": missing["users"]}):
            yield f"{_open(row)} asked of {row.name}, who is no user of this policy{_such_as(row)}"


def _open(row: Any) -> str:
    return "1 open incident is" if row.count == 1 else f"{row.count} open incidents are"


def _such_as(row: Any) -> str:
    return f" ({row.first})" if row.count == 1 else f" (such as {row.first})"


async def _of_policies(connection: AsyncConnection, bundle: Bundle, bundles: Bundles) -> list[str]:
    """Warnings about open incidents, which keep the levels they began with (rule 17)."""
    rows = (await connection.execute(_FOLLOWED, {"most": _POLICIES_READ})).all()
    known = await bundles.get(connection, {row.policy_hash for row in rows})
    told: list[str] = []
    for row in rows:
        compiled = known[row.policy_hash]
        ladder = None if isinstance(compiled, Exception) else compiled.policies.get(row.name)
        if names := [*dict.fromkeys(_lacked(ladder, bundle))] if ladder is not None else []:
            version = f"policy {row.name} as of bundle {row.policy_hash[:12]}"
            none = "this one has none" if len(names) == 1 else "this one has none of them"
            told.append(f"{_open(row)} on {version}, which names {', '.join(names)}: {none}{_such_as(row)}")
    return told


def _lacked(ladder: EscalationPolicy, bundle: Bundle) -> Iterator[str]:
    spec = ladder.spec
    named = [*(target for level in spec.levels for target in level.notify), *spec.finally_.notify]
    for point in spec.points:
        for do in point.do:
            named += [*(do.notify or ()), *(do.inform or ()), *((do.assign,) if do.assign else ())]
    for target in named:
        yield from _lacks(target, bundle)


def _lacks(target: Target, bundle: Bundle) -> Iterator[str]:
    match target:
        case UserTarget(name):
            known = name in bundle.users
        case TeamTarget(name):
            known = name in bundle.teams
        case ScheduleTarget(name) | NextTarget(name):
            known = name in bundle.schedules
        case SkillTarget(_, among):
            yield from _lacks(among, bundle)
            return
        case ManagerOf(of) | LeadOf(of):
            if not isinstance(of, str):
                yield from _lacks(of, bundle)
            return
        case _:
            return
    if not known:
        yield target.text


_CONDITIONS: Final = text("""
    SELECT 'silence' AS kind, CAST(id AS text) AS id, "when" FROM router.silence
    WHERE until > transaction_timestamp()
    UNION ALL
    SELECT 'maintenance', name, "when" FROM router.maintenance
    WHERE until IS NULL OR until > transaction_timestamp()
    ORDER BY 1, 2 LIMIT 1000
""")
_ASSIGNED: Final = text("""
    SELECT assignee AS name, count(*) AS count, min(CAST(id AS text)) AS first FROM router.incident
    WHERE status IN ('triggered', 'acknowledged') AND assignee <> ''
      AND assignee <> ALL (CAST(:users AS text[]))
    GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50
""")
_SERVED: Final = text("""
    SELECT service AS name, count(*) AS count, min(CAST(id AS text)) AS first FROM router.incident
    WHERE status IN ('triggered', 'acknowledged') AND service = ANY (CAST(:gone AS text[]))
    GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50
""")
_PAGED: Final = text("""
    SELECT page ->> 'name' AS name, count(DISTINCT id) AS count, min(CAST(id AS text)) AS first
    FROM router.incident, json_array_elements(COALESCE(state -> 'pages', '[]')) AS page
    WHERE status = 'triggered' AND page ->> 'user' IS DISTINCT FROM 'false'
      AND page ->> 'name' = ANY (CAST(:gone AS text[]))
    GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50
""")
_FOLLOWED: Final = text("""
    SELECT policy_hash, policy AS name, count(*) AS count, min(CAST(id AS text)) AS first
    FROM router.incident WHERE status IN ('triggered', 'acknowledged') AND policy <> ''
    GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT :most
""")
