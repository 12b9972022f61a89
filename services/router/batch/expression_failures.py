"""Expressions that could not be evaluated, counted by place: in a metric, and for `GET /v1/policy`.

Each replica counts what it has committed and adds it to the database every few seconds, so that any of them
can report the counts of all. What a replica had not written when it died is lost; its decisions, whose
timelines name the reason, are not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import metrics
from shared.database.pool import Database
from shared.events import IncidentEvent
from shared.loops.repeat import for_ever
from shared.policy.cel.expressions import ExpressionPlace

MOST_SHOWN: Final = 100
_MOST_PLACES: Final = 1_000  # between two writes; the metric counts all of them
_REASON_LENGTH: Final = 500
_EVERY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Count:
    """How often an expression failed, and the latest reason."""

    reason: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Failing:
    """One expression that could not be evaluated. `policy` is the content hash of its bundle."""

    policy: str
    place: str
    reason: str
    count: int
    since: datetime
    last_at: datetime


def section(place: str) -> str:
    """The part of the language it belongs to, for the metric: `routes`, `handles`, `silences`, `map`."""
    first, _, rest = place.replace("[", ".").replace(" ", ".").partition(".")
    if first == "policies":
        return "handles" if rest.endswith("handles") else "points"
    return {"integrations": "map", "users": "quiet_hours"}.get(first, first)


def of_mapping(event: IncidentEvent, policy: str) -> dict[ExpressionPlace, str]:
    """What failed in the `map` of an event's integration, at intake."""
    base = f"integrations.{event.integration}.map"
    return {
        (policy, f"{base}{name if name.startswith('[') else f'.{name}'}"): why
        for name, why in event.unmapped.items()
    }


class ExpressionFailures:
    """Failures that this replica has seen and not yet written to the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: dict[ExpressionPlace, Count] = {}

    def add(self, failures: Mapping[ExpressionPlace, Count]) -> None:
        """Count failures in decisions that are committed."""
        for place, count in failures.items():
            metrics.EXPRESSION_FAILURES.labels(section(place[1])).inc(count.times)
            before = self._pending.get(place)
            if before is not None or len(self._pending) < _MOST_PLACES:
                self._pending[place] = Count(count.reason, count.times + (before.times if before else 0))

    async def store_once(self) -> int:
        """Add pending counts to the database; returns how many places."""
        pending, self._pending = self._pending, {}
        if not pending:
            return 0
        places = sorted(pending)  # in one order, so that replicas writing the same places do not deadlock
        given = {
            "policies": [policy for policy, _ in places],
            "places": [where for _, where in places],
            "reasons": [_storable(pending[each].reason) for each in places],
            "counts": [pending[each].times for each in places],
        }
        try:
            async with self._database.transaction() as connection:
                await connection.execute(_ADD, given)
        except BaseException:
            seen_meanwhile, self._pending = self._pending, pending
            for place, count in seen_meanwhile.items():
                before = self._pending.get(place)
                self._pending[place] = Count(count.reason, count.times + (before.times if before else 0))
            raise
        return len(places)

    async def run(self) -> None:
        """Write down for ever."""
        outage = self._database.outage
        await for_ever("router expression failures", self.store_once, outage, every=_EVERY_SECONDS)

    async def listed(self, connection: AsyncConnection, policy: str) -> Sequence[Failing]:
        """This policy's failures, and recent ones (one day) of earlier policies; the latest first in each.

        Includes what this replica has not written yet.
        """
        rows = (await connection.execute(_LIST, {"policy": policy, "most": MOST_SHOWN})).all()
        now: datetime = (await connection.execute(_NOW)).scalar_one()
        found = {
            (row.policy, row.place): Failing(row.policy, row.place, row.reason, row.times, row.since, row.at)
            for row in rows
        }
        for place, count in self._pending.items():
            before = found.get(place)
            since, times = (before.since, before.count) if before is not None else (now, 0)
            found[place] = Failing(*place, _storable(count.reason), times + count.times, since, now)
        latest = sorted(found.values(), key=lambda each: each.last_at, reverse=True)
        return sorted(latest, key=lambda each: each.policy != policy)[:MOST_SHOWN]


def _storable(reason: str) -> str:
    return reason.encode(errors="replace").decode().replace("\0", "�")[:_REASON_LENGTH]


_NOW: Final = text("SELECT transaction_timestamp()")
# Index expression_failure_pkey.
_ADD: Final = text("""
    INSERT INTO router.expression_failure AS f (policy, place, reason, count, since, at)
    SELECT g.policy, g.place, g.reason, g.count, transaction_timestamp(), transaction_timestamp()
    FROM unnest(CAST(:policies AS text[]), CAST(:places AS text[]), CAST(:reasons AS text[]),
                CAST(:counts AS bigint[])) AS g (policy, place, reason, count)
    ON CONFLICT (policy, place) DO UPDATE
    SET reason = excluded.reason, count = f.count + excluded.count, at = excluded.at
""")
# Indexes expression_failure_pkey and expression_failure_at.
_LIST: Final = text("""
    SELECT policy, place, reason, count AS times, since, at FROM router.expression_failure
    WHERE policy = :policy OR at > transaction_timestamp() - interval '1 day'
    ORDER BY policy <> :policy, at DESC LIMIT :most
""")
