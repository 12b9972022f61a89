"""The outbox: what a transaction wants published, written in that transaction and sent by a relay after it.

The relay publishes in the order of ids, or from memory what its own process has just committed, and deletes
what the log acknowledged (shared.outbox.relay). A crash in between sends again; receivers drop the repeat by
its id. Records with one key stay in order because whoever writes for one incident holds its row lock while it
takes its outbox ids, and because nothing is published before what stood in the table when it was written: two
relays that published at once would repeat records, never overtake one by a later one.

What the log will never take is set aside in `outbox_refused`, and an incident of Ladder's own tells of it.
"""

import os
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.eventlog import Record
from shared.eventlog.packed_headers import pack
from shared.eventlog.placement import check_size
from shared.events import LARGEST_RECORD
from shared.outbox.memory import BEFORE, Row, Written

_process = uuid.uuid4().hex


def process() -> str:
    """Said with what this process hands over itself, so that only others are woken by it."""
    return _process


def _draw_anew() -> None:
    global _process  # noqa: PLW0603 - a forked process is another one
    _process = uuid.uuid4().hex


os.register_at_fork(after_in_child=_draw_anew)


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
    """The statement that writes the records of `columns`, for a caller that makes it the part `messages` of a
    larger one, which ends with `outcome`.
    """
    return f"""
        INSERT INTO {schema}.outbox (topic, key, value, headers)
        SELECT topic, key, value, headers
        FROM unnest(CAST(:topics AS text[]), CAST(:keys AS bytea[]),
                    CAST(:values AS bytea[]), CAST(:headers AS bytea[]))
             WITH ORDINALITY AS given (topic, key, value, headers, place)
        ORDER BY place
        RETURNING id
    """


def outcome(schema: str) -> str:
    """The end of a statement with `insertion`: what `written` reads; its commit wakes the relay."""
    return f"""
        SELECT ARRAY(SELECT id FROM messages ORDER BY id) AS ids,
               ARRAY(SELECT id FROM {schema}.outbox ORDER BY id LIMIT {BEFORE}) AS before,
               transaction_timestamp() AS at, pg_notify(:channel, :writer)
    """


def written(row: Any, records: Sequence[Record]) -> Written:
    """What a statement with `insertion` has written; `row` is its `outcome`."""
    rows = [Row(each, record, row.at) for each, record in zip(row.ids, records, strict=True)]
    return Written(rows, frozenset(row.before) if len(row.before) < BEFORE else None)


def columns(schema: str, records: Sequence[Record], *, writer: str | None = None) -> Mapping[str, object]:
    """What `insertion` and `outcome` are given. `writer`: None: this process, which hands it over.

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
        "writer": process() if writer is None else writer,
    }


async def add(connection: AsyncConnection, schema: str, records: Sequence[Record]) -> None:
    """Write the records into the outbox in the caller's transaction; its commit wakes the relay that leads.

    Raises RecordTooLargeError.
    """
    if records:
        await connection.execute(_adding(schema), columns(schema, records, writer=""))


async def write(connection: AsyncConnection, schema: str, records: Sequence[Record]) -> Written | None:
    """The same for a caller that hands what is written to the relay of its process after the commit.

    That is quicker (`Relay.hand`), and this process is not woken to read it. Raises RecordTooLargeError.
    """
    if not records:
        return None
    row = (await connection.execute(_adding(schema), columns(schema, records))).one()
    return written(row, records)


@cache
def _adding(schema: str) -> TextClause:
    return text(f"WITH messages AS ({insertion(schema)}) {outcome(schema)}")


def channel_of(schema: str) -> str:
    """The channel of NOTIFY by which what is written wakes the relay."""
    return f"{schema}_outbox"
