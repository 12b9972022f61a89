"""Who publishes an outbox: a lease in one row, with an epoch.

A lease ends by the server's clock, whatever became of its holder's connection, machine or process. Every
change of holder makes a new epoch, which each deletion names: who lost the lease without noticing deletes
nothing. The holder for its part counts on the lease only as long as its own stopwatch allows, from before it
asked.
"""

import uuid
from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from shared.clock import stopwatch

SECONDS: Final = 5.0
_RENEWED_EVERY: Final = 1.0

FREED: Final = "free"  # what the others are told at once when a holder ends cleanly


def ddl(schema: str) -> Sequence[str]:
    """The statements that make the lease, and the table of refused records, for the owner's migration."""
    return (
        # until: by this server's clock. blocked: why the holder cannot publish, for the others to know
        f"""
        CREATE TABLE {schema}.outbox_lease (
            only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
            holder text NOT NULL DEFAULT '',
            epoch bigint NOT NULL DEFAULT 0,
            until timestamptz NOT NULL DEFAULT '-infinity',
            blocked text NOT NULL DEFAULT ''
        ) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)
        """,
        f"INSERT INTO {schema}.outbox_lease DEFAULT VALUES",
        # what the log will never take, whole, so that somebody can look at it
        f"""
        CREATE TABLE {schema}.outbox_refused (
            id bigint PRIMARY KEY,
            topic text NOT NULL,
            key bytea NOT NULL,
            value bytea NOT NULL,
            headers bytea NOT NULL,
            created_at timestamptz NOT NULL,
            at timestamptz NOT NULL DEFAULT now(),
            reason text NOT NULL,
            size bigint NOT NULL,
            sha256 text NOT NULL
        )
        """,
    )


class Lease:
    """This replica's side of it. Every method uses the connection it is given and opens no transaction."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self.holder: Final = uuid.uuid4().hex
        self.epoch = 0
        self._asked_at: float | None = None
        self._said = ""

    @property
    def is_ours(self) -> bool:
        """Whether it is certain that nobody else holds it."""
        return self._asked_at is not None and stopwatch() < self._asked_at + SECONDS

    def is_fresh(self, blocked: str = "") -> bool:
        """Whether it is held, needs no renewal yet, and nothing new is to be said."""
        asked_at = self._asked_at
        return asked_at is not None and stopwatch() < asked_at + _RENEWED_EVERY and blocked == self._said

    async def acquire(self, connection: asyncpg.Connection, blocked: str = "") -> bool:
        """Take or renew it where that is possible; whether it is held. `blocked`: why nothing goes out."""
        if self.is_fresh(blocked):
            return True
        asked_at = stopwatch()
        epoch = await connection.fetchval(_ACQUIRE.format(schema=self._schema), self.holder, SECONDS, blocked)
        self._asked_at, self.epoch, self._said = (asked_at, epoch, blocked) if epoch else (None, 0, "")
        return epoch is not None

    def lost(self) -> None:
        """A statement that named the epoch found another one."""
        self._asked_at = None

    async def release(self, connection: asyncpg.Connection, channel: str) -> None:
        """End it now, and tell those that wait for it."""
        if self._asked_at is not None:
            self._asked_at = None
            await connection.execute(_RELEASE.format(schema=self._schema), self.holder, channel, FREED)

    def proof(self) -> tuple[Any, ...]:
        """The values of the condition `STANDS`."""
        return self.holder, self.epoch


# clock_timestamp(): a statement that had to wait for the row counts from when it got it
_ACQUIRE: Final = """
    UPDATE {schema}.outbox_lease
    SET epoch = epoch + CASE WHEN holder = $1 THEN 0 ELSE 1 END, holder = $1, blocked = $3,
        until = clock_timestamp() + make_interval(secs => $2)
    WHERE holder = $1 OR until < clock_timestamp()
    RETURNING epoch
"""
_RELEASE: Final = """
    WITH freed AS (
        UPDATE {schema}.outbox_lease SET until = '-infinity', holder = '', blocked = ''
        WHERE holder = $1 RETURNING 1
    )
    SELECT pg_notify($2, $3) FROM freed
"""
STANDS: Final = "EXISTS (SELECT FROM {schema}.outbox_lease WHERE holder = $1 AND epoch = $2)"
