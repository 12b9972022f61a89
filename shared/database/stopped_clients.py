"""Sessions of Ladder's whose process stands still in the middle of a statement's messages.

A client that stopped between Parse and Execute leaves a session that is neither idle (so no
`idle_in_transaction_session_timeout` runs) nor at work (so no `statement_timeout` strikes: PostgreSQL holds
it back while it reads a message). Its socket is acknowledged by a living kernel, and what it has locked stays
locked. `transaction_timeout` would end it from PostgreSQL 17 on, and long work that is well with it. So every
replica looks for such sessions of the others, and ends them: a role may do so with its own.
"""

from typing import Final

from sqlalchemy import text

from shared import telemetry
from shared.database.pool import Database
from shared.loops.repeat import for_ever

log = telemetry.logger(__name__)

EVERY_SECONDS: Final = 2.0
AFTER_SECONDS: Final = 4.0  # without the rest of a statement: with the time between looks less than a lease

# Each message of a statement sets query_start: a client that goes on sending is never found. Readers hold no
# locks, and may take in what they asked for as slowly as their limits let them.
_END: Final = text("""
    SELECT pid, application_name, pg_terminate_backend(pid) AS ended
    FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
      AND application_name LIKE 'ladder%' AND application_name NOT LIKE '% read'
      AND state = 'active' AND wait_event_type = 'Client' AND wait_event IN ('ClientRead', 'ClientWrite')
      AND query_start < clock_timestamp() - make_interval(secs => :seconds)
""")


async def end_once(database: Database, seconds: float = AFTER_SECONDS) -> int:
    """End the sessions whose client has said nothing for so long amid a statement; how many there were.

    Raises what the database raises.
    """
    async with database.transaction() as connection:
        found = (await connection.execute(_END, {"seconds": seconds})).all()
    for each in found:
        log.warning(
            "a process stopped in the middle of a statement: its session was ended",
            action="stopped_client_ended",
            pid=each.pid,
            application=each.application_name,
        )
    return len(found)


async def run(database: Database) -> None:
    """Look for ever."""

    async def step() -> None:
        await end_once(database)

    await for_ever("stopped clients", step, database.outage, every=EVERY_SECONDS)
