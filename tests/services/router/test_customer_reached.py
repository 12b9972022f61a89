"""A customer that was added by API hears of its incident: from the event to the signed message."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.channels.receiver import Receiver, receiving
from tests.domain.tale import bundle
from tests.services.notifier.inside import Office, office
from tests.services.router.api import Api, keys
from tests.services.router.desk import event
from tests.services.router.test_customers import Customers
from tests.waiting import until

FIRST, SECOND = b"the first key of the hook", b"the second key of the hook"
TOLD = {"who": ["customer"], "events": ["opened", "resolved"]}


def written(key: bytes) -> str:
    return f"whsec_{base64.b64encode(key).decode()}"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


@pytest.fixture
async def customers(served: Api) -> Customers:
    theirs = {"customers": ["globex-address", "globex-hook", "globex-box"]}
    await served.desk.put_in_force(bundle(api_keys=keys(), subscriptions=[TOLD], secrets=theirs))
    return Customers(served)


class Post:
    """Carries what the router publishes to the notifier, as the log does."""

    def __init__(self, customers: Customers, notifier: Office) -> None:
        self.desk, self.notifier = customers.api.desk, notifier

    async def carries(self) -> None:
        messages = await self.desk.messages()
        await self.desk.sql("DELETE FROM router.outbox")
        await self.notifier.hear(*messages)

    async def states(self) -> list[Any]:
        rows = await self.notifier.rows("recipient_kind = 'customer'")
        return [(row.state, row.last_error) for row in rows]


async def test_it_is_told_at_its_own_address_and_by_its_own_secret_of_which_the_file_may_change(
    customers: Customers, receiver: Receiver, database_url: str, tmp_path: Path
) -> None:
    hook = {"webhook": "secret:globex-address", "secret": "secret:globex-hook"}
    await customers.have("globex", match=["globex.example"], contacts={"hook": hook})
    (tmp_path / "globex-address").write_text(receiver.url("/first"))
    (tmp_path / "globex-hook").write_text(written(FIRST))
    async with office(database_url, bundle(), secrets=tmp_path) as notifier:
        post = Post(customers, notifier)
        await post.desk.accept(event(customer="ops@globex.example"))
        await post.carries()
        [first] = await until(lambda: receiver.to("/first"))
        assert first.event == "opened"
        assert first.content["data"]["recipient"] == {"kind": "customer", "name": "globex"}
        assert first.content["data"]["incident"]["customer_name"] == "Globex"
        assert first.signed_with(FIRST)
        (tmp_path / "globex-address").write_text(receiver.url("/second"))
        (tmp_path / "globex-hook").write_text(written(SECOND))
        await post.desk.accept(event(action="resolve"))
        await post.carries()
        [second] = await until(lambda: receiver.to("/second"))
        assert second.event == "resolved"
        assert second.signed_with(SECOND)


async def test_a_secret_that_is_not_there_is_the_reason_why_it_is_not_told_yet(
    customers: Customers, database_url: str, tmp_path: Path
) -> None:
    await customers.have("globex", contacts={"hook": {"webhook": "secret:globex-address"}})
    async with office(database_url, bundle(), secrets=tmp_path) as notifier:
        post = Post(customers, notifier)
        await post.desk.accept(event(customer="globex"))
        await post.carries()

        async def tried() -> bool:
            return [state for state, why in await post.states() if why] == ["pending"]

        await until(tried)
        [(_, why)] = await post.states()
        assert why == "secret 'globex-address' cannot be read: No such file or directory"


async def test_a_secret_that_the_policy_lists_no_longer_is_read_for_no_customer(
    customers: Customers, receiver: Receiver, database_url: str, tmp_path: Path
) -> None:
    """The owner of the bundle decides who may name a secret: a key of the API, or a file, does not."""
    contacts = {"hook": {"webhook": "secret:globex-address"}, "box": {"webhook": receiver.url("/box")}}
    await customers.have("globex", contacts=contacts)
    await customers.api.desk.put_in_force(bundle(api_keys=keys(), subscriptions=[TOLD]))
    (tmp_path / "globex-address").write_text(receiver.url("/secret"))
    async with office(database_url, bundle(), secrets=tmp_path) as notifier:
        post = Post(customers, notifier)
        await post.desk.accept(event(customer="globex"))
        await post.carries()
        await until(lambda: receiver.to("/box"))
        assert len(await post.states()) == 1
    assert not receiver.to("/secret")


async def test_an_address_that_stands_in_a_secret_is_told_to_nobody_and_can_be_put_right(
    customers: Customers, receiver: Receiver, database_url: str, tmp_path: Path
) -> None:
    contacts = {"hook": {"webhook": "secret:globex-address"}, "box": {"webhook": "secret:globex-box"}}
    await customers.have("globex", contacts=contacts)
    (tmp_path / "globex-address").write_text(receiver.url("/gone"))
    (tmp_path / "globex-box").write_text("ftp://t0ken")
    receiver.answers["/gone"] = [410]
    async with office(database_url, bundle(), secrets=tmp_path) as notifier:
        post = Post(customers, notifier)
        await post.desk.accept(event(customer="globex"))
        await post.carries()

        async def failed() -> bool:
            return [state for state, _ in await post.states()] == ["failed", "failed"]

        await until(failed)
        reasons = " ".join(why for _, why in await post.states())
        assert "HTTP 410" in reasons
        assert "t0ken" not in reasons
        assert "127.0.0.1" not in reasons
        (tmp_path / "globex-address").write_text(receiver.url("/moved"))
        await post.desk.accept(event(action="resolve"))
        await post.carries()
        await until(lambda: receiver.to("/moved"))


async def test_what_a_customer_is_reached_by_is_that_of_the_moment(
    customers: Customers, receiver: Receiver, database_url: str
) -> None:
    await customers.have("globex", contacts={"hook": {"webhook": receiver.url("/old")}})
    async with office(database_url, bundle()) as notifier:
        post = Post(customers, notifier)
        await post.desk.accept(event(customer="globex"))
        await post.carries()
        await until(lambda: receiver.to("/old"))
        await customers.have("globex", contacts={"hook": {"webhook": receiver.url("/new")}})
        await post.desk.accept(event(action="resolve"))
        await post.carries()
        await until(lambda: receiver.to("/new"))
    assert [request.event for request in receiver.requests] == ["opened", "resolved"]
