"""Customers in the database: put, get, list, delete. The bundle's own customers win by their id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.policy.model.people import Customer

_HIGHEST: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class NameInUse:
    """A `match` that another customer already has."""

    text: str
    customer: str


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a list; empty means no filter. `q`: how an id, a name or a `match` begins."""

    q: str = ""
    tier: str = ""
    owner: str = ""


def folded(texts: Iterable[str]) -> list[str]:
    """Texts as they are compared: ignoring case, each once, in order."""
    return list(dict.fromkeys(each.casefold() for each in texts))


def contacts_json(customer: Customer) -> str:
    """The contacts as a bundle writes them."""
    surface = {
        name: {contact.channel: contact.address} | ({"secret": contact.secret} if contact.secret else {})
        for name, contact in customer.contacts.items()
    }
    return msgspec.json.encode(surface).decode() if surface else "{}"


async def lock(connection: AsyncConnection) -> None:
    """One writer at a time: an import, which touches many rows, never meets another one halfway."""
    await connection.execute(_LOCK)


async def touch(connection: AsyncConnection) -> None:
    """Mark customers as changed: every router looks them up again in its next transaction."""
    await connection.execute(_TOUCH)


async def names_in_use(
    connection: AsyncConnection, customer_id: str, customer: Customer
) -> Sequence[NameInUse]:
    """Its `match` texts that another customer has."""
    given = {"id": customer_id, "matched": folded(customer.match)}
    return [
        NameInUse(row.known_as, row.customer_id) for row in await connection.execute(_NAMES_IN_USE, given)
    ]


async def namesakes(connection: AsyncConnection, customer_id: str, customer: Customer) -> Sequence[str]:
    """A few other customers whose name events may mean."""
    given = {"id": customer_id, "known_as": customer.name.casefold()}
    return list((await connection.execute(_NAMESAKES, given)).scalars())


async def put(
    connection: AsyncConnection, customer_id: str, customer: Customer, *, by: str, now: datetime
) -> None:
    """Store it as given, replacing what was there. No other customer may have its `match` texts."""
    matched = folded(customer.match)
    given = {
        "id": customer_id,
        "name": customer.name,
        "tier": customer.tier,
        "value": customer.value,
        "owner": customer.owner,
        "match": list(customer.match),
        "contacts": contacts_json(customer),
        "now": now,
        "by": by,
    }
    await connection.execute(_PUT, given)
    await connection.execute(_FORGET_NAMES, {"id": customer_id})
    names = {"id": customer_id, "matched": matched, "called": customer.name.casefold()}
    await connection.execute(_NAMES, names)
    await touch(connection)


async def one(connection: AsyncConnection, customer_id: str) -> Row[Any] | None:
    """Its row, as `book.customer_of` reads it, with changed_at and changed_by."""
    return (await connection.execute(_ONE, {"id": customer_id})).one_or_none()


async def many(
    connection: AsyncConnection, filters: Filters, after: str, without: Sequence[str], limit: int
) -> Sequence[Row[Any]]:
    """Rows after this id, in order of id, `without` these ids."""
    begins = filters.q.casefold()
    given = {
        "after": after,
        "without": without,
        "limit": limit,
        "q": begins,
        "q_end": begins + _HIGHEST,
        "tier": filters.tier,
        "owner": filters.owner,
    }
    conditions = [sql for name, sql in _CONDITIONS.items() if given[name]]
    where = " AND ".join(["c.id > :after", *conditions])
    used = {name: value for name, value in given.items() if f":{name}" in f"{where} :limit "}
    return (await connection.execute(text(_MANY.format(where=where)), used)).all()


async def remove(connection: AsyncConnection, customer_id: str) -> bool:
    """Delete it; returns whether it existed."""
    gone = (await connection.execute(_REMOVE, {"id": customer_id})).one_or_none() is not None
    if gone:
        await touch(connection)
    return gone


_COLUMNS: Final = """c.id, c.name, c.tier, c.value, c.owner, c.match, CAST(c.contacts AS text) AS contacts,
    c.changed_at, c.changed_by"""
_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('ladder: router.customer', 0))")
_TOUCH: Final = text("UPDATE router.office SET customers = customers + 1")
_NAMES_IN_USE: Final = text("""
    SELECT known_as, customer_id FROM router.customer_name
    WHERE by_match AND known_as = ANY(CAST(:matched AS text[])) AND customer_id <> :id ORDER BY known_as
""")
_NAMESAKES: Final = text("""
    SELECT customer_id FROM router.customer_name
    WHERE known_as = :known_as AND customer_id <> :id ORDER BY customer_id LIMIT 3
""")
_PUT: Final = text("""
    INSERT INTO router.customer (id, name, tier, value, owner, match, contacts, changed_at, changed_by)
    VALUES (:id, :name, :tier, :value, :owner, CAST(:match AS text[]), CAST(:contacts AS json), :now, :by)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, tier = excluded.tier, value = excluded.value,
        owner = excluded.owner, match = excluded.match, contacts = excluded.contacts,
        changed_at = excluded.changed_at, changed_by = excluded.changed_by
""")
_FORGET_NAMES: Final = text("DELETE FROM router.customer_name WHERE customer_id = :id")
_NAMES: Final = text("""
    INSERT INTO router.customer_name (known_as, customer_id, by_match)
    SELECT known_as, :id, true FROM unnest(CAST(:matched AS text[])) AS known_as
    UNION ALL
    SELECT :called, :id, false WHERE :called <> ALL(CAST(:matched AS text[]))
""")
_ONE: Final = text(f"SELECT {_COLUMNS} FROM router.customer c WHERE c.id = :id")
_CONDITIONS: Final = {
    "q": """c.id IN (
        SELECT id FROM router.customer WHERE id >= :q AND id < :q_end
        UNION SELECT customer_id FROM router.customer_name WHERE known_as >= :q AND known_as < :q_end
    )""",
    "tier": "c.tier = :tier",
    "owner": "c.owner = :owner",
    "without": "c.id <> ALL(CAST(:without AS text[]))",
}
_MANY: Final = f"SELECT {_COLUMNS} FROM router.customer c WHERE {{where}} ORDER BY c.id LIMIT :limit"
_REMOVE: Final = text("DELETE FROM router.customer WHERE id = :id RETURNING id")
