"""The role of the services: it owns their database, and may do nothing else."""

from typing import Final, Protocol

import asyncpg

from ladder.embedded.cluster import SUPERUSER

USER: Final = "ladder_services"
DATABASE: Final = "ladder"


class UrlOf(Protocol):
    """The superuser's URL of a database."""

    def __call__(self, database: str) -> str: ...


async def give_database(superuser_url: UrlOf, password: str) -> None:
    """Create the role and its database; in a cluster of an older release, hand over what is there.

    There the superuser was the only role, and cannot be demoted: what it owns is handed over.
    """
    connection = await asyncpg.connect(superuser_url("postgres"), timeout=10, ssl=False)
    try:
        known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", USER)
        verb = "ALTER" if known else "CREATE"
        await connection.execute(f"{verb} ROLE {USER} LOGIN PASSWORD '{password}'")
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {USER}")
        else:
            await connection.execute(f"ALTER DATABASE {DATABASE} OWNER TO {USER}")
    finally:
        await connection.close()
    connection = await asyncpg.connect(superuser_url(DATABASE), timeout=10, ssl=False)
    try:
        await connection.execute(_HAND_OVER)
    finally:
        await connection.close()


# Tables before sequences: those of a column go with its table.
_HAND_OVER: Final = f"""
DO $$
DECLARE one record;
BEGIN
    FOR one IN
        SELECT format('SCHEMA %I', nspname) AS thing, 0 AS place FROM pg_namespace
        WHERE nspowner = '{SUPERUSER}'::regrole AND nspname !~ '^(pg_|information_schema$)'
        UNION ALL
        SELECT format('TABLE %s', oid::regclass), CASE relkind WHEN 'S' THEN 2 ELSE 1 END FROM pg_class
        WHERE relowner = '{SUPERUSER}'::regrole AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
          AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
        UNION ALL
        SELECT format('ROUTINE %s', oid::regprocedure), 3 FROM pg_proc
        WHERE proowner = '{SUPERUSER}'::regrole
          AND pronamespace::regnamespace::text !~ '^(pg_|information_schema$)'
          AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
        UNION ALL
        SELECT format('TYPE %s', oid::regtype), 4 FROM pg_type
        WHERE typowner = '{SUPERUSER}'::regrole AND typtype IN ('e', 'd')
          AND typnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
        ORDER BY place
    LOOP
        EXECUTE format('ALTER %s OWNER TO {USER}', one.thing);
    END LOOP;
END $$
"""
