"""Relations between incidents in the database: groups, causes, dependencies, merges.

Groups are locked before the incidents of the batch, sorted by rule and values; whoever opens one holds it
until the commit, so that two routers that open the same group at once make one parent. Nothing else here is
locked: what a decision sees of other incidents may be a moment old, and those concerned hear through the log.
A policy without such rules costs nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import fan_out_queue
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Cause, Group, MergeTarget
from services.router.domain.model.decision import Decision, Explains, Joined, Spread
from services.router.domain.model.incident import Incident
from services.router.domain.muting.suppression import AFTER_CAUSE
from shared.eventlog import codec
from shared.events import Upstream

_CAUSES_SEEN: Final = 5  # per rule; more would say nothing new
_UPSTREAM_SEEN: Final = 3  # open incidents per service


@dataclass(slots=True)
class Relations:
    """What a batch knows of other incidents, and what it has decided about them so far."""

    groups: dict[tuple[str, str], Group | None] = field(default_factory=dict)
    causes: dict[str, list[Cause]] = field(default_factory=dict)
    open_by_service: dict[str, list[Upstream]] = field(default_factory=dict)
    merge_targets: dict[str, MergeTarget] = field(default_factory=dict)
    joined: dict[tuple[str, str], tuple[Joined, datetime]] = field(default_factory=dict)
    explains: list[tuple[Incident, Explains]] = field(default_factory=list)
    spreads: list[Spread] = field(default_factory=list)

    def as_gathered(self) -> "Relations":
        """A copy to decide on, made before anything is decided."""
        return Relations(dict(self.groups), dict(self.causes), dict(self.open_by_service), self.merge_targets)

    def record(self, incident: Incident, decision: Decision) -> None:
        """Record a decision, so that later signals of the batch see it."""
        for joined in decision.joined:
            key = (joined.rule, joined.values)
            self.groups[key] = Group(joined.parent, joined.title, incident.decided_at)
            self.joined[key] = (joined, incident.decided_at)
        for explains in decision.explains:
            self.explains.append((incident, explains))
            self._explained(incident, explains)
        self.spreads.extend(decision.spreads)
        if self.groups and not incident.is_open:
            self._parent_ended(incident)
        if incident.service in self.open_by_service:
            self._service_changed(incident)

    def _explained(self, incident: Incident, explains: Explains) -> None:
        known = [each for each in self.causes.get(explains.rule, []) if each.incident_id != incident.id]
        cause = Cause(incident.id, incident.title, explains.ended, explains.opened_at, explains.under)
        self.causes[explains.rule] = [cause, *known] if cause.ended is None else [*known, cause]

    def _parent_ended(self, incident: Incident) -> None:
        for key, group in self.groups.items():
            if group is not None and group.parent == incident.id:
                self.groups[key] = None

    def _service_changed(self, incident: Incident) -> None:
        others = [each for each in self.open_by_service[incident.service] if each.id != incident.id]
        if incident.is_open:
            others.append(Upstream(id=incident.id, service=incident.service, title=incident.title))
        self.open_by_service[incident.service] = others


async def lock_groups(
    connection: AsyncConnection, keys: Iterable[tuple[str, str]], now: datetime
) -> dict[tuple[str, str], Group | None]:
    """Lock these groups; those that exist (their parent is open), None for the others."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    columns = {"rules": [key[0] for key in wanted], "values": [key[1] for key in wanted], "now": now}
    rows = (await connection.execute(_LOCK_GROUPS, columns)).all()
    parents = [row.parent for row in rows if row.parent is not None]
    # A second statement, to see a parent that was committed while this one waited for the lock.
    standing = set()
    if parents:
        standing = {row.id for row in await connection.execute(_STANDING, {"ids": parents})}
    return {
        (row.rule, row.by_values): Group(str(row.parent), row.title, row.at)
        if row.parent in standing
        else None
        for row in rows
    }


async def causes(connection: AsyncConnection, live: CompiledBundle, now: datetime) -> dict[str, list[Cause]]:
    """The causes of the policy's rules: those still open first, then those that ended a moment ago."""
    rules = sorted({rule.spec.name for rule in live.causes.rules})
    if not rules:
        return {}
    given = {"rules": rules, "since": now - AFTER_CAUSE, "most": _CAUSES_SEEN}
    found: dict[str, list[Cause]] = {}
    for row in await connection.execute(_CAUSES, given):
        cause = Cause(str(row.incident_id), row.title, row.ended, row.opened_at, tuple(row.under))
        found.setdefault(row.rule, []).append(cause)
    return found


async def open_by_service(connection: AsyncConnection, live: CompiledBundle) -> dict[str, list[Upstream]]:
    """The open incidents of every service that another one depends on, the newest of each."""
    services = sorted({name for upstream in live.upstream.values() for name in upstream})
    found: dict[str, list[Upstream]] = {name: [] for name in services}
    if services:
        given = {"services": services, "most": _UPSTREAM_SEEN}
        for row in await connection.execute(_TROUBLED, given):
            found[row.service].append(Upstream(id=str(row.id), service=row.service, title=row.title))
    return found


async def merge_targets(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, MergeTarget]:
    """Other incidents as they are now, by their ids."""
    if not ids:
        return {}
    return {
        str(row.id): MergeTarget(
            str(row.id), row.title, row.status, str(row.parent) if row.parent else "", bool(row.merged)
        )
        for row in await connection.execute(_MERGE_TARGETS, {"ids": list(ids)})
    }


async def write(connection: AsyncConnection, relations: Relations, now: datetime) -> None:
    """Store groups and causes, and queue what is to be told to many."""
    if relations.joined:
        await connection.execute(_JOIN, _joined_columns(relations.joined))
    if relations.explains:
        await connection.execute(_EXPLAIN, _explain_columns(relations.explains))
    if relations.spreads:
        await fan_out_queue.add(connection, relations.spreads, now)


def _joined_columns(joined: Mapping[tuple[str, str], tuple[Joined, datetime]]) -> Mapping[str, object]:
    listed = [joined[key] for key in sorted(joined)]
    return {
        "rules": [each.rule for each, _ in listed],
        "values": [each.values for each, _ in listed],
        "parents": [each.parent for each, _ in listed],
        "titles": [each.title for each, _ in listed],
        "ats": [at for _, at in listed],
        "kept": [at + each.within for each, at in listed],
    }


def _explain_columns(explains: Sequence[tuple[Incident, Explains]]) -> Mapping[str, object]:
    last = {(each.rule, incident.id): (incident, each) for incident, each in explains}
    listed = [last[key] for key in sorted(last)]
    return {
        "rules": [each.rule for _, each in listed],
        "ids": [incident.id for incident, _ in listed],
        "titles": [incident.title for incident, _ in listed],
        "opened": [incident.opened_at for incident, _ in listed],
        "under": [codec.json_text(each.under) for _, each in listed],
        "ended": [each.ended for _, each in listed],
    }


# Index incident_group_pkey.
_LOCK_GROUPS: Final = text("""
    INSERT INTO router.incident_group AS g (rule, by_values, at, kept_until)
    SELECT rule, by_values, :now, :now FROM unnest(CAST(:rules AS text[]), CAST(:values AS text[]))
        AS wanted (rule, by_values)
    ORDER BY rule, by_values
    ON CONFLICT (rule, by_values) DO UPDATE SET rule = excluded.rule
    RETURNING g.rule, g.by_values, g.parent, g.title, g.at
""")
# Index incident_pkey.
_STANDING: Final = text("""
    SELECT id FROM router.incident
    WHERE id = ANY(CAST(:ids AS uuid[])) AND status IN ('triggered', 'acknowledged')
""")
# Index incident_group_pkey: the rows are locked already.
_JOIN: Final = text("""
    INSERT INTO router.incident_group AS g (rule, by_values, parent, title, at, kept_until)
    SELECT * FROM unnest(CAST(:rules AS text[]), CAST(:values AS text[]), CAST(:parents AS uuid[]),
                         CAST(:titles AS text[]), CAST(:ats AS timestamptz[]), CAST(:kept AS timestamptz[]))
    ON CONFLICT (rule, by_values) DO UPDATE
    SET parent = excluded.parent, title = excluded.title, at = excluded.at, kept_until = excluded.kept_until
""")
# Index cause_standing, one walk a rule.
_CAUSES: Final = text("""
    SELECT c.* FROM unnest(CAST(:rules AS text[])) AS wanted (rule)
    CROSS JOIN LATERAL (
        SELECT rule, incident_id, title, opened_at, under, ended FROM router.cause
        WHERE rule = wanted.rule AND (ended IS NULL OR ended > :since)
        ORDER BY ended DESC NULLS FIRST, opened_at LIMIT :most
    ) AS c
""")
# Index cause_pkey: the rows go with incidents that are locked.
_EXPLAIN: Final = text("""
    INSERT INTO router.cause (rule, incident_id, title, opened_at, under, ended)
    SELECT rule, id, title, opened, ARRAY(SELECT json_array_elements_text(CAST(under AS json))), ended
    FROM unnest(CAST(:rules AS text[]), CAST(:ids AS uuid[]), CAST(:titles AS text[]),
                CAST(:opened AS timestamptz[]), CAST(:under AS text[]), CAST(:ended AS timestamptz[]))
        AS given (rule, id, title, opened, under, ended)
    ON CONFLICT (rule, incident_id) DO UPDATE
    SET title = excluded.title, under = excluded.under, ended = excluded.ended
""")
# Index incident_open_service, one walk a service.
_TROUBLED: Final = text("""
    SELECT i.* FROM unnest(CAST(:services AS text[])) AS wanted (service)
    CROSS JOIN LATERAL (
        SELECT id, service, title FROM router.incident
        WHERE service = wanted.service AND service <> '' AND status IN ('triggered', 'acknowledged')
        ORDER BY opened_at DESC LIMIT :most
    ) AS i
""")
# Index incident_pkey.
_MERGE_TARGETS: Final = text("""
    SELECT id, title, status, parent, CAST(state ->> 'merged' AS boolean) AS merged FROM router.incident
    WHERE id = ANY(CAST(:ids AS uuid[]))
""")
