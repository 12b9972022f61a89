"""Importing many customers: staged as they arrive, then stored in one transaction, all of them or none.

While the file arrives neither the file nor a transaction is held: a slow sender costs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.customers import store
from services.router.customers.lines import LineFault
from shared.database.pool import Database
from shared.policy.model.people import Customer

SHOWN: Final = 100  # faults
_NAMESAKES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Given:
    """One customer of an import."""

    line: int
    id: str
    customer: Customer


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    added: int
    changed: int
    removed: int
    shared_names: Sequence[str]  # a few names that several customers now share


async def lay_down(database: Database, import_id: str, batch: Sequence[Given], now: datetime) -> None:
    """Stage these customers; committed at once, but not visible yet."""
    records = [_record(import_id, given, now) for given in batch]
    async with database.engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.copy_records_to_table(
            "customer_import", schema_name="router", columns=_STAGED, records=records
        )


def _record(import_id: str, given: Given, now: datetime) -> tuple[Any, ...]:
    customer = given.customer
    return (
        *(import_id, given.line, now, given.id),
        *(customer.name, customer.name.casefold(), customer.tier, customer.value, customer.owner),
        *(
            list(customer.match),
            store.folded(customer.match),
            store.contacts_json(customer),
        ),
    )


async def apply(
    connection: AsyncConnection, import_id: str, *, replace: bool, by: str, now: datetime
) -> Imported | Sequence[LineFault]:
    """Store the staged customers; or, changing nothing, return why they cannot be stored.

    With `replace` every other customer in the database is removed.
    """
    await store.lock(connection)
    given: dict[str, object] = {"import": import_id}
    await connection.execute(_ANALYZE)
    wrong = await _faults(connection, import_id, replace=replace)
    if wrong:
        return wrong
    removed = 0
    if replace:
        removed = (await connection.execute(_REMOVE_OTHERS, given)).rowcount
    row = (await connection.execute(_UPSERT, given | {"now": now, "by": by})).one()
    await connection.execute(_FORGET_NAMES, given)
    await connection.execute(_NAMES, given)
    shared = (await connection.execute(_SHARED, given | {"most": _NAMESAKES_SHOWN + 1})).scalars()
    if removed or row.added or row.changed:
        await store.touch(connection)
    return Imported(row.added, row.changed, removed, list(shared))


async def _faults(connection: AsyncConnection, import_id: str, *, replace: bool) -> Sequence[LineFault]:
    """Faults that need all lines to show: ids and `match` that occur twice, here or in the database."""
    given = {"import": import_id, "most": SHOWN}
    wrong = [
        LineFault(row.line, "id", f"{row.id!r} stands in line {row.first}, too (capitals make no difference)")
        for row in await connection.execute(_TWICE, given)
    ]
    wrong += [
        LineFault(row.line, "match", f"{row.known_as!r} is customer {row.owner} of line {row.first}")
        for row in await connection.execute(_MATCHED_TWICE, given)
    ]
    if not replace:
        wrong += [
            LineFault(row.line, "match", f"{row.known_as!r} is customer {row.owner}")
            for row in await connection.execute(_NAMES_IN_USE, given)
        ]
    return sorted(wrong, key=lambda fault: (fault.line, fault.column))[:SHOWN]


async def clear(database: Database, import_id: str) -> None:
    """Delete what was staged, and what others left behind."""
    async with database.transaction() as connection:
        await connection.execute(_CLEAR, {"import": import_id})


async def after(database: Database) -> None:
    """Refresh the planner's statistics, so that look-ups stay quick."""
    async with database.transaction() as connection:
        await connection.execute(text("ANALYZE router.customer, router.customer_name"))


_STAGED: Final = (
    *("import_id", "line", "at", "id", "name", "called", "tier", "value", "owner", "match", "matched"),
    "contacts",
)
_ANALYZE: Final = text("ANALYZE router.customer_import")
_TWICE: Final = text("""
    SELECT line, id, first FROM (
        SELECT line, id, min(line) OVER (PARTITION BY id) AS first
        FROM router.customer_import WHERE import_id = :import
    ) AS counted
    WHERE line > first ORDER BY line LIMIT :most
""")
_MATCHED_TWICE: Final = text("""
    SELECT line, known_as, owner, first FROM (
        SELECT i.line, i.id, known_as,
               first_value(i.id) OVER lines AS owner, first_value(i.line) OVER lines AS first
        FROM router.customer_import i CROSS JOIN LATERAL unnest(i.matched) AS known_as
        WHERE i.import_id = :import
        WINDOW lines AS (PARTITION BY known_as ORDER BY i.line)
    ) AS counted
    WHERE owner <> id ORDER BY line LIMIT :most
""")
_NAMES_IN_USE: Final = text("""
    SELECT i.line, n.known_as, n.customer_id AS owner
    FROM router.customer_import i CROSS JOIN LATERAL unnest(i.matched) AS said
    JOIN router.customer_name n ON n.known_as = said AND n.by_match AND n.customer_id <> i.id
    WHERE i.import_id = :import AND NOT EXISTS (
        SELECT 1 FROM router.customer_import o WHERE o.import_id = :import AND o.id = n.customer_id
    )
    ORDER BY i.line LIMIT :most
""")
_REMOVE_OTHERS: Final = text("""
    DELETE FROM router.customer c WHERE NOT EXISTS (
        SELECT 1 FROM router.customer_import i WHERE i.import_id = :import AND i.id = c.id
    )
""")
_UPSERT: Final = text("""
    WITH stored AS (
        INSERT INTO router.customer AS c
            (id, name, tier, value, owner, match, contacts, changed_at, changed_by)
        SELECT id, name, tier, value, owner, match, CAST(contacts AS json), :now, :by
        FROM router.customer_import WHERE import_id = :import ORDER BY id
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, tier = excluded.tier, value = excluded.value,
            owner = excluded.owner, match = excluded.match, contacts = excluded.contacts,
            changed_at = excluded.changed_at, changed_by = excluded.changed_by
        WHERE (c.name, c.tier, c.value, c.owner, c.match, CAST(c.contacts AS text)) IS DISTINCT FROM
              (excluded.name, excluded.tier, excluded.value, excluded.owner, excluded.match,
               CAST(excluded.contacts AS text))
        RETURNING (c.xmax = 0) AS added
    )
    SELECT count(*) FILTER (WHERE added) AS added, count(*) FILTER (WHERE NOT added) AS changed FROM stored
""")
_FORGET_NAMES: Final = text("""
    DELETE FROM router.customer_name n USING router.customer_import i
    WHERE i.import_id = :import AND n.customer_id = i.id AND NOT (
        CASE WHEN n.by_match THEN n.known_as = ANY(i.matched)
             ELSE n.known_as = i.called AND n.known_as <> ALL(i.matched) END
    )
""")
_NAMES: Final = text("""
    INSERT INTO router.customer_name (known_as, customer_id, by_match)
    SELECT known_as, i.id, true
    FROM router.customer_import i CROSS JOIN LATERAL unnest(i.matched) AS known_as
    WHERE i.import_id = :import
    UNION ALL
    SELECT called, id, false FROM router.customer_import
    WHERE import_id = :import AND called <> ALL(matched)
    ON CONFLICT (known_as, customer_id) DO NOTHING
""")
_SHARED: Final = text("""
    SELECT imported.name
    FROM (
        SELECT called, min(name) AS name FROM router.customer_import WHERE import_id = :import GROUP BY called
    ) AS imported
    JOIN router.customer_name n ON n.known_as = imported.called
    GROUP BY imported.name, n.known_as HAVING count(*) > 1 AND NOT bool_or(n.by_match)
    ORDER BY imported.name LIMIT :most
""")
_CLEAR: Final = text("""
    DELETE FROM router.customer_import
    WHERE import_id = :import OR at < transaction_timestamp() - interval '1 day'
""")
