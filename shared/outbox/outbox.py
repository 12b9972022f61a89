"""The outbox: what a transaction wants published, written in that transaction and sent by a relay after it.

The relay publishes in the order of ids and deletes what the log acknowledged. A crash in between sends
again; receivers drop the repeat by its id. Records with one key stay in order because whoever writes for one
incident holds its row lock while it takes its outbox ids, and because every relay publishes from the oldest
row on: two that did so at once would repeat records, never overtake one by a later one.

What the log will never take is set aside in `outbox_refused`, and an incident of Ladder's own tells of it.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.eventlog import Record
from shared.eventlog.packed_headers import pack
from shared.eventlog.placement import check_size
from shared.events import LARGEST_RECORD


def ddl(schema: str) -> str:
    """The statement that makes the table `outbox`, for the owner's migration."""
    return f"""
        CREATE TABLE {schema}.outbox (
            id bigserial PRIMARY KEY,
            topic text NOT NULL,
            key bytea NOT NULL,
            value bytea NOT NULL,
            headers bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)
    """


def insertion(schema: str) -> str:
    """The statement that writes the records of `columns`, for a caller that makes it a part of a larger one.

    That one also has to say `WAKING`, so that its commit wakes the relay.
    """
    return f"""
        INSERT INTO {schema}.outbox (topic, key, value, headers)
        SELECT topic, key, value, headers
        FROM unnest(CAST(:topics AS text[]), CAST(:keys AS bytea[]),
                    CAST(:values AS bytea[]), CAST(:headers AS bytea[]))
             WITH ORDINALITY AS given (topic, key, value, headers, place)
        ORDER BY place
    """


WAKING: Final = "SELECT pg_notify(:channel, '')"


def columns(schema: str, records: Sequence[Record]) -> dict[str, Any]:
    """What `insertion` and `WAKING` are given.

    Raises RecordTooLargeError for a record that the log would refuse: it must not get behind the commit,
    where whoever asked for it is gone.
    """
    for record in records:
        check_size(record, LARGEST_RECORD)
    return {
        "topics": [record.topic for record in records],
        "keys": [record.key for record in records],
        "values": [record.value for record in records],
        "headers": [pack(record.headers) for record in records],
        "channel": channel_of(schema),
    }


async def add(connection: AsyncConnection, schema: str, records: Sequence[Record]) -> None:
    """Write the records into the outbox in the caller's transaction; its commit wakes the relay.

    Raises RecordTooLargeError.
    """
    if records:
        statement = text(f"WITH added AS ({insertion(schema)}) {WAKING}")
        await connection.execute(statement, columns(schema, records))


def channel_of(schema: str) -> str:
    """The channel of NOTIFY by which what is written wakes the relay."""
    return f"{schema}_outbox"
