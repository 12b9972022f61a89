"""Records that the log will never take: kept whole in `outbox_refused`, and told by an incident."""

import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg
from prometheus_client import Counter

from shared import telemetry
from shared.eventlog import Record, codec
from shared.eventlog.packed_headers import pack
from shared.eventlog.placement import size_of
from shared.events import INCIDENTS, OWN_INTEGRATION, IncidentEvent
from shared.outbox.lease import STANDS, Lease
from shared.outbox.memory import Row

_TELLS: Final = "outbox-refused"  # the dedup keys of what tells of refused records begin with it

log = telemetry.logger(__name__)

REFUSED = Counter("ladder_outbox_refused_total", "Records that the log will never take", ["schema"])


async def set_aside(connection: asyncpg.Connection, schema: str, lease: Lease, row: Row, reason: str) -> bool:
    """Put the event that tells of it in the row's place, and the row elsewhere; whether the lease stood."""
    record = row.record
    told = _telling(schema, row.id, row.at, record, reason)
    stood: bool = await connection.fetchval(
        _SET_ASIDE.format(schema=schema),
        *lease.proof(),
        row.id,
        reason[:1000].replace("\0", "\N{REPLACEMENT CHARACTER}"),
        size_of(record),
        _sha256(record),
        [one.topic for one in told],
        [one.key for one in told],
        [one.value for one in told],
        [pack(one.headers) for one in told],
    )
    if stood:
        REFUSED.labels(schema).inc()
        log.error(
            "the log refused a record for good: kept in outbox_refused",
            action="record_refused",
            schema=schema,
            row=row.id,
            topic=record.topic,
            size=size_of(record),
            error=reason[:300],
        )
    return stood


_SET_ASIDE: Final = f"""
    WITH stands AS (SELECT WHERE {STANDS}), gone AS (
        DELETE FROM {{schema}}.outbox WHERE id = $3 AND EXISTS (SELECT FROM stands)
        RETURNING id, topic, key, value, headers, created_at
    ), kept AS (
        INSERT INTO {{schema}}.outbox_refused
            (id, topic, key, value, headers, created_at, reason, size, sha256)
        SELECT *, $4::text, $5::bigint, $6::text FROM gone
        ON CONFLICT DO NOTHING
    ), told AS (
        INSERT INTO {{schema}}.outbox (topic, key, value, headers)
        SELECT given.* FROM gone, unnest($7::text[], $8::bytea[], $9::bytea[], $10::bytea[]) AS given
    )
    SELECT EXISTS (SELECT FROM stands)
"""


def _sha256(record: Record) -> str:
    return hashlib.sha256(record.value).hexdigest()


def _telling(schema: str, row: int, at: datetime, record: Record, reason: str) -> Sequence[Record]:
    """The event that tells of a refused record; none for such an event itself."""
    if record.topic == INCIDENTS and record.key.startswith(f"{OWN_INTEGRATION}:{_TELLS}:".encode()):
        return ()
    event = IncidentEvent(
        event_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"ladder:{schema}:outbox:{row}:{_sha256(record)}")),
        integration=OWN_INTEGRATION,
        dedup_key=f"{_TELLS}:{record.topic}",
        received_at=at,
        title=f"The event log refuses a message of {record.topic} for good",
        description=(
            f"{reason}. It is kept in {schema}.outbox_refused, row {row} "
            f"(key {record.key[:200].decode(errors='replace')}, {size_of(record)} bytes, "
            f"sha256 {_sha256(record)}); what was to be sent by it was not."
        ).replace("\0", "\N{REPLACEMENT CHARACTER}"),
        severity="critical",
        source=schema,
    )
    return [codec.encode(event)]
