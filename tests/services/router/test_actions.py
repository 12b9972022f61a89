"""People's actions over HTTP on a real database: arguments, refusals, what is stored and told."""

import json
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.clock import utcnow
from shared.events import Page
from tests.api.test_links import forms
from tests.domain.tale import bundle, ladder
from tests.services.router.api import SIGNER, Api, keys
from tests.services.router.desk import event


async def timeline(served: Api, incident_id: str) -> list[tuple[str, str]]:
    items = (await served.get(f"/v1/incidents/{incident_id}/timeline")).json()["items"]
    return [(item["actor"], item["text"]) for item in items]


async def test_a_snooze_for_seconds_ends_that_long_from_now(served: Api) -> None:
    incident_id = await served.opened()
    before = utcnow()
    shown = (await served.act(incident_id, "snooze", seconds=600)).json()
    assert abs(_at(shown["snoozed_until"]) - before - timedelta(minutes=10)) < timedelta(minutes=1)
    last = (await served.desk.messages())[-1]
    assert (last.settled.why if last.settled else "", last.incident.snoozed_until) == (
        "snoozed",
        _at(shown["snoozed_until"]),
    )
    assert (await served.act(incident_id, "resume")).json()["snoozed_until"] is None
    assert (await served.desk.messages())[-1].pages[0].recipient.name == "ana"


async def test_waiting_says_for_whom_and_until_when(served: Api) -> None:
    incident_id = await served.opened()
    until = (utcnow() + timedelta(hours=2)).isoformat()
    shown = (await served.act(incident_id, "wait", **{"for": "customer", "until": until})).json()
    assert (shown["waiting_for"], _at(shown["waiting_until"])) == ("customer", _at(until))


async def test_setting_fields_asks_again_for_what_depends_on_them(served: Api) -> None:
    incident_id = await served.opened(attributes={"size": 1, "old": True})
    shown = (
        await served.act(
            incident_id, "set", priority=1, customer="Acme Ltd", attributes={"size": 2.5, "old": None}
        )
    ).json()
    assert (shown["priority"], shown["customer"], shown["tier"]) == (1, "acme", "gold")
    assert shown["attributes"] == {"size": 2.5}
    lowered = await served.act(incident_id, "set", priority=4)
    assert lowered.status_code == 403
    assert "needs the role lead" in lowered.json()["detail"]
    assert (await served.act(incident_id, "set", key="lead", priority=4)).json()["priority"] == 4


async def test_assigning_subscribing_and_giving_back_stand_in_the_timeline_with_who_did_it(
    served: Api,
) -> None:
    incident_id = await served.opened()
    shown = (await served.act(incident_id, "assign", key="bot", to="petra")).json()
    assert (shown["status"], shown["assignee"]) == ("acknowledged", "petra")
    assert (await served.act(incident_id, "subscribe")).status_code == 200
    assert (await served.act(incident_id, "unacknowledge")).json()["assignee"] == ""
    told = await timeline(served, incident_id)
    assert ("api:bot", "assigned to Petra") in told
    assert ("user:ana", "Ana hears how it goes on") in told
    assert ("user:ana", "Ana took it away from Petra") in told


async def test_what_was_resolved_is_confirmed_refused_reopened_or_closed(served: Api) -> None:
    incident_id = await served.opened()
    await served.act(incident_id, "resolve")
    assert (await served.act(incident_id, "refuse", note="not at all")).json()["status"] == "triggered"
    await served.act(incident_id, "resolve")
    assert (await served.act(incident_id, "reopen")).json()["reopened"] == 2
    await served.act(incident_id, "resolve")
    shown = (await served.act(incident_id, "confirm", rating=5)).json()
    assert (shown["status"], shown["rating"], shown["next_due_at"]) == ("closed", 5, None)
    refused = await served.act(incident_id, "close", key="lead")
    assert (refused.status_code, refused.json()["possible"]) == (409, ["note"])


@pytest.mark.parametrize(
    "body",
    [
        {"action": "snooze"},
        {"action": "snooze", "seconds": -1},
        {"action": "snooze", "seconds": 10**9},
        {"action": "snooze", "seconds": 60, "until": "2030-01-01T00:00:00Z"},
        {"action": "snooze", "until": "2020-01-01T00:00:00Z"},
        {"action": "snooze", "until": "2030-01-01T00:00:00"},  # of which zone?
        {"action": "snooze", "until": "9999-12-31T23:59:59-14:00"},
        {"action": "wait", "seconds": 60},
        {"action": "assign", "to": "nobody"},
        {"action": "set"},
        {"action": "set", "priority": 6},
        {"action": "set", "priority": "1"},
        {"action": "set", "attributes": {"x": "a\u0000b"}},
        {"action": "set", "attributes": {"x": float("1e308") * 10}},
        {"action": "set", "attributes": {"x": 10**400}},
        {"action": "set", "attributes": {"x": [[[[[[[[[1]]]]]]]]]}},
        {"action": "set", "attributes": {"x": "y" * 70_000}},
        {"action": "merge"},
        {"action": "merge", "into": "nowhere"},
        {"action": "subscribe", "who": "nobody"},
    ],
)
async def test_arguments_that_make_no_sense_are_refused_and_change_nothing(
    served: Api, body: dict[str, Any]
) -> None:
    incident_id = await served.opened()
    before = await served.desk.only()
    answer = await served.client.post(
        f"/v1/incidents/{incident_id}/actions",
        content=_json(body),
        headers={"Authorization": "Bearer lead", "Content-Type": "application/json"},
    )
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await served.desk.only() == before


async def test_an_action_is_stored_once_for_its_idempotency_key(served: Api) -> None:
    incident_id = await served.opened()
    first = await served.act(incident_id, "snooze", idempotency="s1", seconds=60)
    again = await served.act(incident_id, "snooze", idempotency="s1", seconds=60)
    assert again.json() == first.json()


def _link(incident_id: str, action: str, age: timedelta = timedelta(0)) -> str:
    claims = {"incident": incident_id, "page": "", "user": "", "recipient": "customer:acme", "action": action}
    token = SIGNER.sign("reply", claims, utcnow() + timedelta(days=90) - age)
    return f"/v1/replies/link/{token}"


async def test_a_customer_confirms_by_the_link_with_a_rating(served: Api) -> None:
    incident_id = await served.opened(customer="acme")
    await served.act(incident_id, "resolve", note="INTERNAL")
    shown = await served.client.get(_link(incident_id, "confirm"))
    assert "Yes, it is solved" in shown.text
    assert "INTERNAL" not in shown.text
    assert (await served.desk.only()).status == "resolved"
    done = await served.client.post(
        _link(incident_id, "confirm"),
        content=b"rating=4",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert (done.status_code, "Thank you" in done.text) == (200, True)
    now = await served.desk.only()
    assert (now.status, now.confirmed.rating) == ("closed", 4)
    assert ("customer:acme", "closed: confirmed by Acme, 4 of 5") in await timeline(served, incident_id)
    again = await served.client.get(_link(incident_id, "refuse"))
    assert ("closed already" in again.text, "<button" in again.text) == (True, False)


async def test_a_customer_refuses_by_the_link_and_it_comes_back_one_level_higher(served: Api) -> None:
    incident_id = await served.opened(customer="acme")
    await served.act(incident_id, "acknowledge")
    await served.act(incident_id, "resolve")
    done = await served.client.post(_link(incident_id, "refuse"), content=b"note=it+still+fails%00%ff")
    assert (done.status_code, "one level higher" in done.text) == (200, True)
    now = await served.desk.only()
    assert (now.status, now.reopened) == ("triggered", 1)
    message = (await served.desk.messages())[-1]
    assert [page.recipient.name for page in message.pages] == ["petra"]
    assert "it still fails" in message.pages[0].reason
    late = await served.client.post(_link(incident_id, "confirm"))
    assert (late.status_code, "open again" in late.text) == (409, True)  # nobody works on it yet


def _look(incident_id: str, recipient: str = "customer:acme", template: str = "") -> str:
    claims = {"incident": incident_id, "recipient": recipient, "action": "show", "outside": True}
    token = SIGNER.sign("reply", claims | {"template": template}, utcnow() + timedelta(days=90))
    return f"/v1/replies/link/{token}"


async def test_a_customer_looks_at_where_it_stands_and_sees_nothing_internal(served: Api) -> None:
    incident_id = await served.opened(customer="acme", description="db-3", labels={"rack": "r7"})
    await served.act(incident_id, "update", text="We <b>replace</b> the disk.", note="INTERNAL")
    await served.act(incident_id, "note", text="never backed up")
    shown = await served.client.get(_look(incident_id))
    assert shown.status_code == 200
    assert "We &lt;b&gt;replace&lt;/b&gt; the disk." in shown.text
    assert "reported" in shown.text  # nobody has taken it: that somebody works on it would not be true
    for internal in ("INTERNAL", "backed up", "db-3", "r7", "Ana", "desk", "<form"):
        assert internal not in shown.text, internal
    await served.act(incident_id, "acknowledge")
    assert "being worked on" in (await served.client.get(_look(incident_id))).text
    assert (await served.client.post(_look(incident_id))).status_code == 409


async def test_another_customer_does_not_see_it_nor_what_was_told_of_it_before(served: Api) -> None:
    incident_id = await served.opened(customer="acme")
    await served.act(incident_id, "update", text="Acme's own disk.")
    assert (await served.client.get(_look(incident_id, "customer:other"))).status_code == 404
    await served.act(incident_id, "set", customer="other")
    assert (await served.client.get(_look(incident_id))).status_code == 404
    shown = await served.client.get(_look(incident_id, "customer:other"))
    assert (shown.status_code, "own disk" in shown.text) == (200, False)


@pytest.mark.parametrize("where", ["policy", "directory"])
async def test_a_customer_who_became_known_later_can_follow_their_links(served: Api, where: str) -> None:
    """The incident keeps what was said when it was opened."""
    incident_id = await served.opened(customer="Globex Inc")
    link = _look(incident_id, "customer:globex")
    assert (await served.client.get(link)).status_code == 404
    known: dict[str, Any] = {"name": "Globex", "tier": "gold", "match": ["Globex Inc"]}
    if where == "policy":
        await served.desk.put_in_force(bundle(api_keys=keys(), customers={"globex": known}))
    else:
        made = await served.client.put(
            "/v1/customers/globex", json=known, headers={"Authorization": "Bearer lead"}
        )
        assert made.status_code < 300, made.text
    assert (await served.client.get(link)).status_code == 200
    assert (await served.client.get(_look(incident_id, "customer:acme"))).status_code == 404


async def test_a_customers_page_shows_what_their_template_shows(served: Api) -> None:
    body = "{{ text or happened }} Status: {{ state }}. {{ link }}"
    templates = {"short": {"title": "Your service", "body": body}}
    await served.desk.put_in_force(bundle(api_keys=keys(), templates=templates))
    incident_id = await served.opened(customer="acme")
    await served.act(incident_id, "update", text="We replace the disk.")
    shown = (await served.client.get(_look(incident_id, template="short"))).text
    assert "<h1>Your service</h1>" in shown
    assert "We replace the disk. Status: reported." in shown
    assert "Checkout is down" not in shown
    gone = (await served.client.get(_look(incident_id, template="gone"))).text
    assert ("Where it stands" in gone, "Checkout is down" in gone) == (True, False)


async def test_a_customer_who_is_paged_sees_by_that_link_nothing_internal_either(served: Api) -> None:
    incident_id = await served.opened(customer="acme", description="db-3", labels={"rack": "r7"})
    link = _link(incident_id, "acknowledge")
    shown = await served.client.get(link)
    for internal in ("db-3", "r7", "Ana", "desk", "experts"):
        assert internal not in shown.text, internal
    assert "Take it" in shown.text
    done = await served.client.post(link)
    assert (done.status_code, "desk" in done.text) == (200, False)
    await served.act(incident_id, "set", customer="other")
    assert (await served.client.get(link)).status_code == 404


def _of_page(page: Page, incident_id: str) -> str:
    claims = {"incident": incident_id, "page": page.page_id, "user": page.recipient.name}
    claims |= {"recipient": f"user:{page.recipient.name}", "action": "acknowledge"}
    return f"/v1/replies/link/{SIGNER.sign('reply', claims, utcnow() + timedelta(days=7))}"


async def test_whoever_is_asked_to_look_can_also_take_it(served: Api) -> None:
    point = {"name": "big", "when": "attributes.big == true", "do": [{"notify": ["user:petra"]}]}
    await served.desk.put_in_force(bundle(api_keys=keys(), policies={"main": ladder(points=[point])}))
    incident_id = await served.opened(attributes={"big": True})
    (page,) = [page for page in await served.desk.pages() if page.through == "point"]
    link = _of_page(page, incident_id)
    offered = forms((await served.client.get(link)).text)
    for _ in range(2):
        seen = (await served.client.post(offered["I have seen it"])).text
        assert "You have seen it. Recorded for Petra." in seen
        assert (await served.desk.only()).assignee == ""
    taken = await served.client.post(forms((await served.client.get(link)).text)["Take it"])
    assert "You have taken it." in taken.text
    assert (await served.desk.only()).assignee == "petra"


async def test_a_link_does_only_what_it_was_signed_for(served: Api) -> None:
    incident_id = await served.opened(customer="acme")
    for link in (_link(incident_id, "close"), _link(incident_id, "confirm", age=timedelta(days=91))):
        assert (await served.client.post(link)).status_code == 404
    assert (await served.client.post(_link(str(uuid.uuid4()), "confirm"))).status_code == 404


async def test_a_person_reapplies_the_policy_in_force(served: Api) -> None:
    incident_id = await served.opened()
    assert (await served.act(incident_id, "reapply", key="lead")).status_code == 409
    started_with = (await served.desk.only()).policy_hash
    await served.desk.put_in_force(bundle(api_keys=keys(), policies={"main": ladder(rounds=3)}))
    assert (await served.act(incident_id, "reapply", key="lead")).status_code == 200
    now = await served.desk.only()
    assert now.policy_hash != started_with
    assert now.chain.level == 0
    await served.desk.accept(event("checkout"))  # and it goes on by that one
    assert (await served.desk.only()).policy_hash == now.policy_hash


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()
