"""Customers by API: stored, listed, found by what events call them, and live for every incident."""

from typing import Any

import pytest

from shared.policy import Bundle
from tests.domain.tale import bundle
from tests.services.router.api import Api
from tests.services.router.desk import Desk, event

GLOBEX: dict[str, Any] = {
    "name": "Globex",
    "tier": "gold",
    "value": 120000,
    "owner": "petra",
    "match": ["globex.example", "Globex Corp"],
    "contacts": {"bot": {"webhook": "https://hooks.globex.example/t0ken", "secret": "whsec_c2VjcmV0"}},
}


class Customers:
    """The paths, as a lead unless another key is said."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def ask(self, method: str, path: str, key: str = "lead", **rest: Any) -> Any:
        headers = {"Authorization": f"Bearer {key}"} | rest.pop("headers", {})
        return await self.api.client.request(method, f"/v1/customers{path}", headers=headers, **rest)

    async def put(self, customer_id: str, key: str = "lead", **fields: Any) -> Any:
        return await self.ask("PUT", f"/{customer_id}", key, json={"name": customer_id.title()} | fields)

    async def have(self, *ids: str, **fields: Any) -> None:
        for each in ids:
            answer = await self.put(each, **fields)
            assert answer.status_code == 200, answer.text

    async def ids(self, **query: Any) -> list[str]:
        answer = await self.ask("GET", "", "viewer", params=query)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]


@pytest.fixture
async def customers(served: Api) -> Customers:
    return Customers(served)


def telling_customers(**sections: Any) -> Bundle:
    """The small organisation's bundle, in which every customer hears of what opens."""
    return bundle(subscriptions=[{"who": ["customer"], "events": ["opened"]}], **sections)


async def test_a_customer_that_was_put_is_shown_without_its_secret(customers: Customers) -> None:
    answer = await customers.put("globex", **GLOBEX)
    assert answer.status_code == 200, answer.text
    shown = (await customers.ask("GET", "/globex")).json()
    assert shown == answer.json()
    assert shown["contacts"] == {"bot": {"webhook": GLOBEX["contacts"]["bot"]["webhook"], "secret": "***"}}
    assert {name: shown[name] for name in ("name", "tier", "value", "owner", "match")} == {
        name: GLOBEX[name] for name in ("name", "tier", "value", "owner", "match")
    }
    assert (shown["source"], shown["changed_by"]) == ("api", "api:lead")
    to_a_viewer = (await customers.ask("GET", "/globex", "viewer")).json()
    assert to_a_viewer["contacts"]["bot"]["webhook"] == "https://hooks.globex.example/…"


async def test_what_is_shown_can_be_put_back_and_the_secret_stays(customers: Customers) -> None:
    await customers.have("globex", **GLOBEX)
    shown = (await customers.ask("GET", "/globex")).json()
    again = {name: shown[name] for name in GLOBEX} | {"name": "Globex Inc"}
    assert (await customers.put("globex", **again)).status_code == 200
    [row] = await customers.api.desk.sql("SELECT name, contacts FROM router.customer")
    assert (row.name, row.contacts) == ("Globex Inc", GLOBEX["contacts"])
    refused = await customers.put("initech", contacts=shown["contacts"])
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "/contacts/bot/secret"


@pytest.mark.parametrize(("key", "status"), [("viewer", 403), ("responder", 403), ("lead", 200), ("", 401)])
async def test_only_a_lead_changes_customers(customers: Customers, key: str, status: int) -> None:
    assert (await customers.put("globex", key)).status_code == status
    assert (await customers.ask("DELETE", "/globex", key)).status_code == {200: 204}.get(status, status)


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"tier": "glod"}, "/tier", "did you mean 'gold'?"),
        ({"owner": "nobody"}, "/owner", "ana, karel, petra"),
        ({"value": -1}, "/value", "greater than or equal"),
        ({"name": ""}, "/name", "must not be empty"),
        ({"colour": "red"}, "/colour", "no such field"),
        ({"match": ["x" * 201]}, "/match/0", "at most 200"),
        ({"contacts": {"mail": {"email": "nobody"}}}, "/contacts/mail/email", "a mail address"),
        ({"contacts": {"bot": {"webhook": "ftp://x"}}}, "/contacts/bot/webhook", "a URL"),
        ({"contacts": {"bot": {"webhook": "secret:../key"}}}, "/contacts/bot/webhook", "secret:NAME"),
        ({"contacts": {"m": {"email": "a@b.example\r\nBcc: c@d"}}}, "/contacts/m", "one line"),
        ({"contacts": {"bot": {"webhook": "http://["}}}, "/contacts/bot/webhook", "a URL"),
        ({"contacts": {"phone": {"sms": "call me"}}}, "/contacts/phone/sms", "a phone number"),
        ({"contacts": {"bot": {"webhook": "secret:ana-hook"}}}, "/contacts/bot/webhook", "secrets.customers"),
        (
            {"contacts": {"bot": {"webhook": "https://x", "secret": "secret:key"}}},
            "/contacts/bot/secret",
            "'key' is not listed under secrets.customers",
        ),
        ({"contacts": {"bot": {"pigeon": "x"}}}, "/contacts/bot", "one of email, webhook"),
    ],
)
async def test_what_is_wrong_is_said_with_its_place(
    customers: Customers, fields: dict[str, Any], where: str, words: str
) -> None:
    answer = await customers.put("globex", **fields)
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["field"] == where
    assert words in error["reason"]
    assert await customers.ids() == ["acme"]


async def test_a_customer_of_the_bundle_is_changed_in_the_bundle_only(customers: Customers) -> None:
    for method in ("PUT", "DELETE"):
        refused = await customers.ask(method, "/acme", json={"name": "Other"})
        assert refused.status_code == 409
        assert "customers.acme stands in the policy bundle" in refused.json()["detail"]
    assert (await customers.ask("GET", "/acme")).json()["source"] == "policy"


async def test_a_match_is_one_customers_only(customers: Customers) -> None:
    await customers.have("globex", match=["globex.example"])
    refused = await customers.put("initech", match=["initech.example", "Globex.Example", "ACME ltd"])
    assert refused.status_code == 409
    said = {error["field"]: error["reason"] for error in refused.json()["errors"]}
    assert said["/match/1"] == "'Globex.Example' is customer globex"
    assert said["/match/2"].startswith("'ACME ltd' is customers.acme of the policy bundle")
    await customers.have("globex", match=["globex.example", "Globex"])


async def test_a_list_is_paged_narrowed_and_holds_the_bundles_too(customers: Customers) -> None:
    await customers.have("aardvark", "zebra", tier="silver")
    await customers.have("globex", **GLOBEX)
    assert await customers.ids() == ["aardvark", "acme", "globex", "zebra"]
    first = (await customers.ask("GET", "", params={"limit": 2})).json()
    assert [item["id"] for item in first["items"]] == ["aardvark", "acme"]
    assert await customers.ids(limit=2, cursor=first["next"]) == ["globex", "zebra"]
    assert await customers.ids(tier="gold") == ["acme", "globex"]
    assert await customers.ids(owner="petra", tier="gold", q="GLOBEX c") == ["globex"]
    assert await customers.ids(q="acme l") == ["acme"]
    assert await customers.ids(q="a%") == []
    for cursor in ("nonsense", "WyJpZCIsMV0", "WzFd"):
        assert (await customers.ask("GET", "", params={"cursor": cursor})).status_code == 422


async def test_a_removed_customer_is_gone_and_its_incidents_stay(customers: Customers) -> None:
    await customers.have("globex", **GLOBEX)
    desk = customers.api.desk
    await desk.accept(event(customer="globex.example"))
    assert (await customers.ask("DELETE", "/globex")).status_code == 204
    assert (await customers.ask("DELETE", "/globex")).status_code == 404
    assert (await customers.ask("GET", "/globex")).status_code == 404
    assert ((await desk.only()).customer, (await desk.only()).customer_name) == ("globex", "Globex")
    await desk.accept(event("other", customer="globex.example"))
    assert (await desk.incidents())[1].customer == "globex.example"


@pytest.mark.parametrize(
    "said", ["globex", "GLOBEX", "globex corp", "Globex.Example", "billing@globex.example"]
)
async def test_an_event_means_a_customer_by_id_name_match_or_mail_domain(
    customers: Customers, said: str
) -> None:
    await customers.have("globex", **GLOBEX)
    desk = customers.api.desk
    await desk.accept(event(customer=said))
    incident = await desk.only()
    assert (incident.customer, incident.customer_name, incident.tier) == ("globex", "Globex", "gold")
    [row] = await desk.sql("SELECT customer_value FROM router.incident")
    assert row.customer_value == 120000


async def test_a_name_that_several_share_means_none_of_them(customers: Customers) -> None:
    await customers.have("novak-1", name="Novak")
    answer = await customers.put("novak-2", name="Novak", tier="gold")
    assert answer.json()["notes"] == [
        "novak-1 can be meant by 'Novak', too: only an id or a `match` tells them apart"
    ]
    desk = customers.api.desk
    await desk.accept(event(customer="Novak"), event("second", customer="novak-2"))
    first, second = await desk.incidents()
    assert (first.customer, first.tier) == ("Novak", "standard")
    assert (second.customer, second.tier) == ("novak-2", "gold")
    said = await desk.sql("SELECT text FROM router.timeline WHERE kind = 'customer' ORDER BY seq LIMIT 1")
    assert "several customers have this name (novak-1, novak-2)" in said[0].text


async def test_a_customer_that_the_bundle_takes_over_is_the_bundles(customers: Customers) -> None:
    await customers.have("globex", match=["globex.example"], tier="silver")
    desk = customers.api.desk
    await desk.put_in_force(bundle(customers={"globex": {"name": "Globex of the bundle", "tier": "gold"}}))
    await desk.accept(event(customer="globex.example"))
    incident = await desk.only()
    assert (incident.customer, incident.customer_name, incident.tier) == (
        *("globex", "Globex of the bundle", "gold"),
    )


async def test_an_open_incident_sees_its_customer_as_it_is_now(customers: Customers) -> None:
    """Rule 17: customers are live; the next decision about the incident takes the change in."""
    await customers.have("globex", **GLOBEX | {"tier": "silver"})
    desk = customers.api.desk
    await desk.accept(event(customer="globex"))
    assert (await desk.only()).tier == "silver"
    await customers.have("globex", **GLOBEX)
    await desk.accept(event(customer="globex", title="Checkout is still down"))
    assert (await desk.only()).tier == "gold"


async def test_a_customer_added_by_api_is_told_by_the_contacts_in_the_message(customers: Customers) -> None:
    desk = customers.api.desk
    await customers.have("globex", **GLOBEX)
    await desk.put_in_force(telling_customers())
    await desk.accept(event(customer="ops@globex.example"))
    notices = [notice for message in await desk.messages() for notice in message.notices]
    [told] = [notice.recipient for notice in notices if notice.recipient.kind == "customer"]
    assert told.name == "globex"
    [contact] = told.contacts
    assert (contact.channel, contact.address, contact.secret) == (
        "webhook",
        GLOBEX["contacts"]["bot"]["webhook"],
        "whsec_c2VjcmV0",
    )
    written = await desk.sql("SELECT text, reason::text AS reason FROM router.timeline")
    assert not any("c2VjcmV0" in f"{row.text}{row.reason}" or "t0ken" in row.text for row in written)


async def test_who_was_looked_up_once_is_remembered_until_customers_change(desk: Desk) -> None:
    book = desk.engine.bundles.customers

    async def found(revision: int, *said: str) -> set[str]:
        async with desk.database.transaction() as connection:
            return set(await book.find(connection, revision, said))

    async def add(customer_id: str) -> None:
        columns = "(id, name, changed_at, changed_by)"
        await desk.sql(f"INSERT INTO router.customer {columns} VALUES (:id, 'X', now(), 'x')", id=customer_id)

    await add("globex")
    assert await found(0, "globex") == set()  # revision 0: it is not even asked
    assert await found(1, "globex", "hooli") == {"globex"}
    await add("hooli")
    assert await found(1, "globex", "hooli") == {"globex"}
    assert await found(2, "globex", "hooli", "x") == {"globex", "hooli"}
    assert await found(1, "initech") == set()  # a transaction that began earlier leaves nothing behind
    await add("initech")
    assert await found(2, "initech") == {"initech"}
