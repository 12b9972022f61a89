"""Retention: all tables of the router, how long their rows are kept and why; and those without a limit.

An open incident is never deleted, however old it is, nor a closed one to which an open one belongs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.batch.incident_store import ORPHANS_KEPT
from services.router.duty.silence_store import KEPT as QUIET_KEPT
from services.router.policy import store
from services.router.tables import SCHEMA
from shared.database.retention import Deleted, RetentionRule, older_rows
from shared.outbox import processed_messages

_HOUR: Final = timedelta(hours=1)
_ROWS_OF_ONE: Final = 10  # timeline rows that are assumed to go with an incident


@dataclass(frozen=True, slots=True)
class Keep:
    """The operator's choices (`LADDER_KEEP_…_DAYS`)."""

    incidents: timedelta = timedelta(days=400)
    reports: timedelta = timedelta(days=1_100)
    dead_letters: timedelta = timedelta(days=30)


DEFAULT: Final = Keep()
STAYS: Final[Mapping[str, str]] = {
    "timeline": "goes with its incident",
    "outbox": "a row goes when the log has acknowledged it",
    "outbox_lease": "one row",
    "oldest_code": "one row",
    "spread": "a row goes when everybody concerned has been told",
    "rotation": "a row a level of the policies there have been",
    "customer": "goes when somebody removes it",
    "customer_name": "goes with its customer",
    "customer_import": "goes with the import, and what an import left behind with the next one",
    "heartbeat": "a row a heartbeat of the policy in force",
    "heartbeat_watch": "one row",
    "office": "one row",
    "post": "a row an integration and outcome of the policies there have been",
    "calendar_end": "a row a schedule and holder whose address somebody ended: what was ended stays so",
    "last_resort": "one row",
    "policy_in_force": "one row",
    "sends": "one row",
    "planned_work": "a row a maintenance or window that is under way",
    "unsubscribed": "a row an address or person who left a subscription, until it is undone",
    "policy_source": "the hash of each content that a file brought: an old file never undoes a newer policy",
}
"""Tables without a limit, each with what bounds it."""


def tables(keep: Keep) -> Sequence[RetentionRule]:
    """The rules in the order of a round: incidents come before rows that may only go once they are gone."""
    reports = max(keep.reports, keep.incidents)
    return (
        processed_messages.retention_rule(SCHEMA),
        RetentionRule(
            "router.idempotency",
            timedelta(days=8),
            "answers to an Idempotency-Key: nobody tries the same again for longer",
            older_rows("router.idempotency", changes=False),
        ),
        RetentionRule(
            "router.canary",
            timedelta(days=1),
            "canaries, for whoever asks when one came through last",
            older_rows("router.canary", "taken_at"),
        ),
        RetentionRule(
            "router.orphan",
            ORPHANS_KEPT,
            "events that met no incident: a late trigger is held against them",
            older_rows("router.orphan", changes=False),
        ),
        RetentionRule(
            "router.incident_group",
            _HOUR,
            "groups, after the last moment at which somebody could join",
            older_rows("router.incident_group", "kept_until"),
        ),
        RetentionRule(
            "router.cause",
            _HOUR,
            "causes that are over: what they explained looks again within minutes",
            older_rows("router.cause", "ended"),
        ),
        RetentionRule(
            "router.silence",
            QUIET_KEPT,
            "what kept people quiet, and by whom, after its end",
            older_rows("router.silence", "until"),
        ),
        RetentionRule(
            "router.maintenance",
            QUIET_KEPT,
            "what kept people quiet, and by whom, after its end",
            older_rows("router.maintenance", "until"),
        ),
        RetentionRule(
            "router.incident",
            keep.incidents,
            "closed incidents with their timelines, after they were closed",
            _forget_incidents,
        ),
        RetentionRule(
            "router.set_aside",
            timedelta(days=30),
            "signals that could not be decided, of incidents that were closed all the same",
            older_rows(
                "router.set_aside",
                only="""NOT EXISTS (SELECT FROM router.incident AS i
                                    WHERE i.id = t.incident_id AND i.status <> 'closed')""",
            ),
        ),
        RetentionRule(
            "router.override",
            keep.incidents,
            "who stood in for whom, after it was over: as long as the incidents of that time",
            older_rows("router.override", "ends"),
        ),
        RetentionRule(
            "router.outcome",
            reports,
            "what reports are made of, since the incident was opened; as long as it is there in any case",
            older_rows("router.outcome", "opened_at", only=_WITHOUT_INCIDENT),
        ),
        RetentionRule(
            "router.stay",
            reports,
            "what reports are made of, since the incident was opened; as long as it is there in any case",
            older_rows("router.stay", "opened_at", only=_WITHOUT_INCIDENT),
        ),
        RetentionRule(
            "router.policy",
            keep.incidents,
            "bundles, since they were applied; as long as they are in force or an incident names them",
            _forget_policies,
        ),
        RetentionRule(
            "router.expression_failure",
            timedelta(days=30),
            "expressions that could not be evaluated, since they failed last",
            older_rows("router.expression_failure"),
        ),
        RetentionRule(
            "router.dead_letter",
            keep.dead_letters,
            "records that could not be used: to be looked at and replayed",
            older_rows("router.dead_letter"),
        ),
        RetentionRule(
            "router.outbox_refused",
            keep.dead_letters,
            "what the log refused for good: to be looked at",
            older_rows("router.outbox_refused", changes=False),
        ),
    )


async def _forget_incidents(
    connection: AsyncConnection, before: datetime, since: datetime, most: int
) -> Deleted:
    """A few hundred at a time with their timelines; a very long timeline goes in parts."""
    few = max(1, most // _ROWS_OF_ONE)
    given = {"before": before, "since": since, "most": few}
    found = (await connection.execute(_OLD_INCIDENTS, given)).all()
    ids = {"ids": [row.id for row in found]}
    entries = (await connection.execute(_ENTRIES, ids | {"most": most})).rowcount
    if entries >= most:
        return Deleted(entries, since)
    incidents = (await connection.execute(_INCIDENTS, ids)).rowcount
    return Deleted(entries + incidents, found[-1].closed_at if len(found) >= few else None)


async def _forget_policies(
    connection: AsyncConnection, before: datetime, since: datetime, most: int
) -> Deleted:
    """Only while nobody is switching: the policy about to come into force may be an old one."""
    if not await store.alone(connection):
        return Deleted(0, None)
    return await _UNNAMED_POLICIES(connection, before, since, most)


_WITHOUT_INCIDENT: Final = "NOT EXISTS (SELECT FROM router.incident AS i WHERE i.id = t.incident_id)"
_OLD_INCIDENTS: Final = text("""
    SELECT i.id, i.closed_at FROM router.incident AS i
    WHERE i.status = 'closed' AND i.closed_at < :before AND i.closed_at >= :since
      AND NOT EXISTS (SELECT FROM router.incident AS m WHERE m.parent = i.id AND m.status <> 'closed')
    ORDER BY i.closed_at LIMIT :most FOR UPDATE OF i SKIP LOCKED
""")
_ENTRIES: Final = text("""
    DELETE FROM router.timeline WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM router.timeline WHERE incident_id = ANY(CAST(:ids AS uuid[])) LIMIT :most
    ))
""")
_INCIDENTS: Final = text("DELETE FROM router.incident WHERE id = ANY(CAST(:ids AS uuid[]))")
# Whoever decided by the previous policy has long committed what names it.
_UNNAMED_POLICIES: Final = older_rows(
    "router.policy",
    "loaded_at",
    only="""NOT EXISTS (
                SELECT FROM router.policy_in_force AS p
                WHERE p.hash = t.hash OR p.at > transaction_timestamp() - interval '1 hour'
            )
            AND NOT EXISTS (
                SELECT FROM router.incident AS i WHERE i.policy_hash = t.hash AND i.status <> 'closed'
            )
            AND NOT EXISTS (
                SELECT FROM router.incident AS i WHERE i.policy_hash = t.hash AND i.status = 'closed'
            )""",
)
