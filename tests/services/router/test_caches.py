"""What a process remembers is only what it need not load again: however much a request spans, it is answered."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from services.router.customers.book import CustomerBook
from services.router.policy.compiled_cache import LEAST_BYTES, Bundles
from shared.policy import Bundle
from tests.domain.tale import bundle, ladder
from tests.services.router.api import Api, keys
from tests.services.router.desk import Desk, event

VERSIONS = 100
HOURS = {"timezone": "Europe/Prague", "hours": [{"days": "mon-wed", "from": "08:00", "to": "17:00"}]}
SLAS = [{"name": "all", "calendar": "office", "resolve": "8h"}]


def version(number: int, **sections: Any) -> Bundle:
    """One of many policies with business hours, each a different content."""
    last = {"calendars": {"office": HOURS}, "slas": SLAS, "api_keys": keys()}
    return bundle(policies={"main": ladder(), f"of-{number}": ladder()}, **last | sections)


@pytest.fixture
async def many_versions(desk: Desk) -> Sequence[str]:
    """An incident under each of a hundred policies; the hashes of these."""
    for number in range(VERSIONS):
        await desk.put_in_force(version(number))
        await desk.accept(event(f"incident {number}"))
    return [incident.policy_hash for incident in await desk.incidents()]


async def test_a_page_of_incidents_may_span_a_hundred_policies(
    served: Api,
    many_versions: Sequence[str],
) -> None:
    """A list of old incidents is answered, however often the policy was changed meanwhile."""
    assert len(set(many_versions)) == VERSIONS
    items = await served.items(limit=VERSIONS)
    assert len(items) == VERSIONS
    assert all(item["clocks"][0]["elapsed_seconds"] >= 0 for item in items)


async def test_a_batch_may_need_more_policies_than_are_remembered(
    desk: Desk, many_versions: Sequence[str]
) -> None:
    """A call answers with what it loaded, not with what the cache happens to have kept of it."""
    bundles = Bundles(kept_bytes=5 * LEAST_BYTES)
    async with desk.database.transaction() as connection:
        live = await bundles.one(connection, many_versions[0])
        found = await bundles.get(connection, many_versions)
        again = await bundles.get(connection, many_versions)
        assert await bundles.one(connection, many_versions[0]) is live  # whatever else was loaded meanwhile
    assert [found[each].hash for each in many_versions] == list(many_versions)  # type: ignore[union-attr]
    assert again.keys() == found.keys()


async def test_a_policy_that_many_ask_for_at_once_is_loaded_once(desk: Desk) -> None:
    """A new policy in force is compiled once, not once for every request that meets it first."""
    bundles = Bundles()
    [row] = await desk.sql("SELECT hash FROM router.policy")

    async def ask() -> object:
        async with desk.database.transaction() as connection:
            return await bundles.one(connection, row.hash)

    first, *others = await asyncio.gather(*(ask() for _ in range(5)))
    assert all(other is first for other in others)


async def test_a_batch_may_name_more_customers_than_are_remembered(desk: Desk) -> None:
    """Everybody is found although the book keeps only a few of them."""
    book = CustomerBook(kept=3)
    names = [f"customer-{number}" for number in range(100)]
    columns = "(id, name, changed_at, changed_by)"
    await desk.sql(
        f"INSERT INTO router.customer {columns} SELECT unnest(CAST(:ids AS text[])), 'X', now(), 'x'",
        ids=names,
    )
    async with desk.database.transaction() as connection:
        assert set(await book.find(connection, 1, names[:3])) == set(names[:3])
        assert set(await book.find(connection, 1, names)) == set(names)


async def test_customers_that_change_while_one_is_looked_up_make_no_dead_letter(desk: Desk) -> None:
    """An import moves the revision while another batch still looks one up: that batch has its answer."""
    book = CustomerBook()
    columns = "(id, name, changed_at, changed_by)"
    await desk.sql(
        f"INSERT INTO router.customer {columns} VALUES ('a', 'X', now(), 'x'), ('b', 'X', now(), 'x')"
    )

    async def find(revision: int, *said: str) -> set[str]:
        async with desk.database.transaction() as connection:
            return set(await book.find(connection, revision, said))

    await find(1, "a")
    earlier, later = await asyncio.gather(find(1, "a", "b"), find(2, "b"))
    assert (earlier, later) == ({"a", "b"}, {"b"})
