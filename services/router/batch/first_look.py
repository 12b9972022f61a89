"""The first look of a batch: its time, the policy in force, which signals are new, and their incidents.

It is one statement if, judging by the previous batch, the policy does not group incidents: groups are locked
between the inbox and the incidents, and the policy says which. The statement sees one moment, the one before
it waited: if somebody was just deciding a part of the batch, what they opened is not in it. Then, and if the
policy groups by now, the transaction is taken back and begins anew, statement by statement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.batch.inbound import InboundSignal
from services.router.batch.incident_store import ORPHANS_KEPT
from services.router.policy.compiled_cache import IN_FORCE, Bundles, InForce, in_force_of, moment
from services.router.tables import SCHEMA
from shared.outbox import processed_messages


class InTurnError(Exception):
    """What was looked at at once has to be looked at in turn; `reason` is the retry's metric label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Seen:
    """Ids that were new, the incidents that are now locked, and remembered resolves by key."""

    fresh: frozenset[str]
    states: Sequence[str]
    resolves: Sequence[tuple[str, str, datetime]]


class FirstLook:
    """How a transaction for these signals begins; `seen` is what it saw beyond its time and its policy."""

    def __init__(self, signals: Sequence[InboundSignal], bundles: Bundles) -> None:
        self._signals = signals
        self._bundles = bundles
        self.seen: Seen | None = None
        self._looked = False

    async def begin(self, connection: AsyncConnection) -> tuple[datetime, InForce | None]:
        """The transaction's time and the policy in force; the rest, too, if no groups are needed.

        A second time it is looked at in turn, whatever the first one failed by.
        """
        self.seen = None
        if self._bundles.groups or self._looked:
            return await moment(connection)
        self._looked = True
        row = (await connection.execute(_LOOK, _columns(self._signals))).one()
        remembered = zip(row.integrations, row.dedup_keys, row.occurred, strict=True)
        self.seen = Seen(frozenset(row.fresh), row.states, list(remembered))
        return row.now, in_force_of(row)


def _columns(signals: Sequence[InboundSignal]) -> Mapping[str, object]:
    by_key = [(each.address, each.id) for each in signals if not isinstance(each.address, str)]
    by_id = [(each.address, each.id) for each in signals if isinstance(each.address, str)]
    return {
        "inbox_ids": sorted({each.id for each in signals if each.id}),
        "integrations": [address[0] for address, _ in by_key],
        "keys": [address[1] for address, _ in by_key],
        "key_messages": [message for _, message in by_key],
        "ids": [address for address, _ in by_id],
        "id_messages": [message for _, message in by_id],
        "kept": ORPHANS_KEPT,
    }


_NEW: Final = "(message = '' OR message IN (SELECT id FROM fresh))"
# Indexes incident_key and orphan_key. Every id stands in the inbox before an incident is locked: that counts
# them first. The incidents as in incident_store: which ids, then the rows by primary key, sorted, locked.
_LOOK: Final = text(f"""
    WITH fresh AS ({processed_messages.insertion(SCHEMA, at="transaction_timestamp()")}), wanted AS (
        SELECT DISTINCT integration, dedup_key
        FROM unnest(CAST(:integrations AS text[]), CAST(:keys AS text[]), CAST(:key_messages AS text[]))
            AS asked (integration, dedup_key, message)
        WHERE {_NEW}
    ), locked AS (
        SELECT ordinal, CAST(state AS text) AS state FROM router.incident
        WHERE (SELECT count(*) FROM fresh) >= 0 AND id = ANY(ARRAY(
            SELECT newest.id FROM wanted
            CROSS JOIN LATERAL (
                SELECT i.id FROM router.incident i
                WHERE i.integration = wanted.integration AND i.dedup_key = wanted.dedup_key
                ORDER BY i.ordinal DESC LIMIT 1
            ) AS newest
            UNION SELECT id FROM unnest(CAST(:ids AS uuid[]), CAST(:id_messages AS text[]))
                AS asked (id, message) WHERE {_NEW}
        ))
        ORDER BY id FOR UPDATE
    ), remembered AS MATERIALIZED (
        SELECT integration, dedup_key, max(least(o.occurred_at, o.at)) AS occurred
        FROM wanted JOIN router.orphan o USING (integration, dedup_key)
        WHERE o.action = 'resolve' AND o.occurred_at IS NOT NULL
          AND o.at > transaction_timestamp() - CAST(:kept AS interval)
        GROUP BY integration, dedup_key
    )
    SELECT {IN_FORCE},
           ARRAY(SELECT id FROM fresh) AS fresh,
           ARRAY(SELECT state FROM locked ORDER BY ordinal) AS states,
           ARRAY(SELECT integration FROM remembered) AS integrations,
           ARRAY(SELECT dedup_key FROM remembered) AS dedup_keys,
           ARRAY(SELECT occurred FROM remembered) AS occurred
    FROM router.office AS o LEFT JOIN router.policy_in_force p ON true
""")
