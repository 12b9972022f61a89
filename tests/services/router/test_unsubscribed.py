"""The link in a mail by which its reader hears no more of it, through the API and a real database."""

import re
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from services.notifier.domain.plan import plan
from services.notifier.sending.links import unsubscribe_of
from shared.clock import utcnow
from shared.events import IncidentChanged
from tests.domain.tale import bundle
from tests.services.router.api import SIGNER, Api, keys
from tests.services.router.desk import event

ACME: Any = {"who": ["customer"], "events": ["opened", "update"]}
BOARD: Any = {"who": [{"email": "board@example.com"}], "events": ["opened", "update"]}


def policy(*subscriptions: Any) -> Any:
    return bundle(api_keys=keys(), subscriptions=list(subscriptions or (ACME, BOARD)))


async def told(api: Api) -> list[str]:
    return [each.recipient.name for message in await api.desk.messages() for each in message.notices]


def links_of(messages: list[IncidentChanged]) -> dict[str, str]:
    """The way out that each recipient's message has, as the notifier makes it."""
    found = {}
    for message in messages:
        for delivery in plan(message, policy(), utcnow()).deliveries:
            if link := unsubscribe_of(delivery, "", SIGNER):
                found[delivery.recipient] = link
    return found


@pytest.fixture
async def mails(served: Api) -> dict[str, str]:
    """Acme and the board have heard of an incident: their links."""
    await served.desk.put_in_force(policy())
    await served.desk.accept(event(customer="acme"))
    found = links_of(await served.desk.messages())
    await served.desk.sql("DELETE FROM router.outbox")
    return found


async def follow(api: Api, link: str, form: str = "List-Unsubscribe=One-Click") -> httpx2.Response:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return await api.client.post(link, content=form, headers=kind)


async def listed(api: Api) -> list[dict[str, Any]]:
    return (await api.get("/v1/unsubscribed")).json()["items"]


async def test_one_click_of_a_mail_program_is_enough_and_a_second_changes_nothing(
    served: Api, mails: dict[str, str]
) -> None:
    for _ in range(2):
        assert (await follow(served, mails["acme"])).status_code == 200
    await served.desk.accept(event("disk", customer="acme"))
    assert await told(served) == ["board@example.com"]
    (left,) = await listed(served)
    assert (left["subscription"], left["recipient"]) == ("customer", "customer:acme")
    assert (left["contact"], left["address"], left["by"]) == (
        "mail",
        "email ops@acme.example",
        "link:customer:acme",
    )


async def test_whoever_only_opens_the_link_leaves_nothing(served: Api, mails: dict[str, str]) -> None:
    for _ in range(3):
        shown = await served.client.get(mails["acme"])
        assert "Unsubscribe</button>" in shown.text
    assert await listed(served) == []
    await served.desk.accept(event("disk", customer="acme"))
    assert await told(served) == ["acme", "board@example.com"]


async def test_a_new_policy_subscribes_nobody_again(served: Api, mails: dict[str, str]) -> None:
    await follow(served, mails["board@example.com"])
    await served.desk.put_in_force(policy(ACME, BOARD | {"when": "priority < 9"}, BOARD))
    await served.desk.accept(event("disk", customer="acme"))
    assert await told(served) == ["acme"]


async def test_the_same_page_takes_it_back(served: Api, mails: dict[str, str]) -> None:
    left = (await follow(served, mails["acme"])).text
    assert re.search(r'name="again" value="1".*Hear of it again</button>', left, re.DOTALL)
    back = (await follow(served, mails["acme"], "again=1")).text
    assert "Unsubscribe</button>" in back
    assert await listed(served) == []
    await served.desk.accept(event("disk", customer="acme"))
    assert "acme" in await told(served)


async def test_a_lead_takes_it_back_and_a_responder_does_not(served: Api, mails: dict[str, str]) -> None:
    await follow(served, mails["board@example.com"])
    (left,) = await listed(served)
    assert left["address"] == "email board@example.com"
    path = f"/v1/unsubscribed/{left['id']}"
    for key, status in (("bot", 403), ("lead", 200), ("lead", 404)):
        answer = await served.client.delete(path, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status, answer.text
    await served.desk.accept(event("disk"))
    assert await told(served) == ["board@example.com"]


async def test_a_subscriber_of_one_incident_leaves_that_one(served: Api) -> None:
    await served.desk.put_in_force(policy())
    incident = await served.opened()
    for who in ("cto@example.com", "cfo@example.com"):
        await served.act(incident, "subscribe", key="lead", who=who, via="email")
    await served.act(incident, "update", text="We replace the disk.")
    link = links_of(await served.desk.messages())["cto@example.com"]
    await served.desk.sql("DELETE FROM router.outbox")
    assert "this one problem" in (await served.client.get(link)).text
    for _ in range(2):
        assert "no more of this problem" in (await follow(served, link)).text
    await served.act(incident, "update", text="It is replaced.")
    assert await told(served) == ["board@example.com", "cfo@example.com"]
    assert await listed(served) == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_link_that_was_altered_leaves_nothing(
    served: Api, mails: dict[str, str], method: str
) -> None:
    path, _, token = mails["acme"].rpartition("/")
    reply = SIGNER.sign("reply", {"subscription": "customer"}, utcnow() + timedelta(days=1))
    for wrong in (f"{token[:-2]}AA", token[1:], reply):
        assert (await served.client.request(method, f"{path}/{wrong}")).status_code == 404
    assert await listed(served) == []


async def test_whoever_looks_at_an_incident_sees_whom_to_ring(served: Api) -> None:
    await served.desk.put_in_force(policy())
    incident = await served.opened(customer="acme")
    shown = (await served.get(f"/v1/incidents/{incident}")).json()
    assert shown["customer_people"] == [{"name": "mail", "channel": "email", "address": "ops@acme.example"}]
    assert shown["customer_told"]["event"] == "opened"
