"""Look-up of customers by the texts that events carry: one query per batch, none for remembered texts."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from cachetools import LRUCache
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.draft.customers import mail_domain
from services.router.domain.model.context import KnownCustomer
from shared import telemetry
from shared.policy.model.people import Customer

log = telemetry.logger(__name__)

_KEPT: Final = 4096  # texts
_SHARED_SHOWN: Final = 3


class CustomerBook:
    """Remembers what texts meant as of one revision of the customers."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._revision = 0
        self._known: LRUCache[str, KnownCustomer | None] = LRUCache(kept)

    async def find(
        self, connection: AsyncConnection, revision: int, said: Iterable[str]
    ) -> dict[str, KnownCustomer]:
        """The customer for each text or id; those that mean nobody are left out. Revision 0: none yet."""
        wanted = {each for each in said if each}
        if not revision or not wanted:
            return {}
        if revision > self._revision:
            self._revision = revision
            self._known.clear()
        current = revision == self._revision
        found = {each: self._known[each] for each in wanted if current and each in self._known}
        if missing := sorted(wanted - found.keys()):
            looked_up = await _look_up(connection, missing)
            found |= looked_up
            if revision == self._revision:  # nobody saw a later one meanwhile
                self._known.update(looked_up)
        meant = {each: known for each, known in found.items() if known is not None}
        by_id = {known.id: known for known in meant.values() if not known.shared_by}
        return by_id | meant


async def _look_up(connection: AsyncConnection, said: Sequence[str]) -> dict[str, KnownCustomer | None]:
    texts = [each.casefold() for each in said]
    given = {"said": said, "texts": texts, "domains": [mail_domain(each) for each in texts]}
    found: dict[str, list[Any]] = {}
    for row in await connection.execute(_FIND, given):
        found.setdefault(row.said, []).append(row)
    return {each: _meant(each, found.get(each, ())) for each in said}


def _meant(said: str, rows: Sequence[Any]) -> KnownCustomer | None:
    """The best match for a text; a name shared by several customers means nobody."""
    if not rows:
        return None
    best = min(row.way for row in rows)
    chosen = sorted((row for row in rows if row.way == best), key=lambda row: row.id)
    shared = [row.id for row in chosen] if len(chosen) > 1 else []
    if len(shared) > _SHARED_SHOWN:
        shared = [*shared[:_SHARED_SHOWN], "…"]
    how = {0: "by its id", 1: f"known as {said!r}", 2: f"known as {said!r}", 5: "by its id"}
    by_domain = f"by its mail domain {mail_domain(said.casefold())}"
    return KnownCustomer(chosen[0].id, customer_of(chosen[0]), how.get(best, by_domain), shared)


def customer_of(row: Any) -> Customer:
    """The customer in a row. If this release cannot read it, only its name is kept, and a warning logged."""
    plain = {"name": row.name, "tier": row.tier, "value": row.value, "owner": row.owner, "match": row.match}
    try:
        return Customer.model_validate(
            plain | {"match": tuple(row.match), "contacts": msgspec.json.decode(row.contacts)}
        )
    except ValidationError as err:
        wrong = [".".join(map(str, each["loc"])) for each in err.errors(include_input=False)]
        log.warning(
            "a stored customer is invalid: used without its contacts",
            action="customer_unreadable",
            id=row.id,
            where=wrong,
        )
        return Customer.model_construct(None, **plain)


_FIND: Final = text("""
    SELECT wanted.said, found.way, c.id, c.name, c.tier, c.value, c.owner, c.match,
           CAST(c.contacts AS text) AS contacts
    FROM unnest(CAST(:said AS text[]), CAST(:texts AS text[]), CAST(:domains AS text[]))
        AS wanted (said, known_as, domain)
    CROSS JOIN LATERAL (
        SELECT 0 AS way, wanted.said AS id
        UNION ALL
        SELECT 1, customer_id FROM router.customer_name WHERE known_as = wanted.known_as AND by_match
        UNION ALL
        (SELECT 2, customer_id FROM router.customer_name WHERE known_as = wanted.known_as
         ORDER BY customer_id LIMIT 4)
        UNION ALL
        SELECT 3, customer_id FROM router.customer_name WHERE known_as = wanted.domain AND by_match
        UNION ALL
        (SELECT 4, customer_id FROM router.customer_name WHERE known_as = wanted.domain
         ORDER BY customer_id LIMIT 4)
        UNION ALL
        SELECT 5, wanted.known_as WHERE wanted.known_as <> wanted.said
    ) AS found
    JOIN router.customer c ON c.id = found.id
""")
