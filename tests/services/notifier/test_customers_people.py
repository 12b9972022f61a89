"""Who the customer's people are goes with what is asked of people inside, and with nothing else."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.notifier.domain.messages.compose import render
from services.notifier.domain.messages.webhook_body import webhook_body
from services.notifier.domain.plan import plan
from services.notifier.sending.links import links_of
from shared.events import CustomerContact, CustomerWord, IncidentSnapshot, Recipient
from shared.security.keys import Signer
from tests.services.notifier.building import T0, address, bundle, changed, incident, notice, page, user

JANE = "jane@acme.example"


def case(**said: Any) -> IncidentSnapshot:
    return incident(
        customer_people=(CustomerContact(name="jane", channel="email", address=JANE),),
        customer_told=CustomerWord(at=T0 + timedelta(minutes=2), event="update", text="We replace the disk."),
        customer_said=CustomerWord(at=T0 + timedelta(minutes=9), event="refuse", text="It still burns."),
        **said,
    )


def shown(message: Any, **sections: Any) -> tuple[str, bytes]:
    policy = bundle(**sections)
    delivery = plan(message, policy, T0).deliveries[0]
    made = render(delivery, policy, links_of(delivery, "https://l.example", Signer(("key",))), T0)
    return f"{made.title}\n{made.text}\n{made.facts}", webhook_body(delivery, made, T0)


def customer() -> Recipient:
    return Recipient(kind="customer", name="acme", contacts=address("http://x.test/a").contacts)


def test_a_page_names_them_and_what_passed_so_that_nobody_asks_twice() -> None:
    text, _ = shown(changed(page(), incident=case()))
    assert f"Customer's people: jane (email {JANE})" in text
    assert "Told them last: 2026-03-02 09:02 UTC: We replace the disk." in text
    assert "They said last: 2026-03-02 09:09 UTC: It is not solved: It still burns." in text


def test_whoever_comes_on_duty_reads_it_too() -> None:
    text, _ = shown(changed(notices=[notice("handoff")], incident=case()))
    assert JANE in text


@pytest.mark.parametrize(
    "message",
    [
        changed(page(customer()), incident=case()),
        changed(page(address("http://vendor.test/")), incident=case()),
        changed(notices=[notice("opened", customer(), stakeholder=True)], incident=case()),
        changed(notices=[notice("opened", address("http://x.test/b"), stakeholder=True)], incident=case()),
        changed(notices=[notice("update", customer(), stakeholder=True, template="all")], incident=case()),
        changed(notices=[notice("call", address("http://x.test/c"))], incident=case()),
    ],
    ids=["a paged customer", "a vendor", "the customer", "the board", "a template", "automation"],
)
def test_nobody_outside_reads_of_them(message: Any) -> None:
    everything = {"title": "{{ title }}", "body": "{{ incident }}"}
    text, body = shown(message, templates={"all": everything})
    assert JANE not in text
    assert JANE.encode() not in body
    assert b"It still burns" not in body
    assert b"customer_people" not in body


def test_a_subscriber_inside_hears_what_happened_and_not_whom_to_ring() -> None:
    text, _ = shown(changed(notices=[notice("opened", user())], incident=case()))
    assert JANE not in text


def test_a_message_of_a_router_of_the_last_release_names_nobody() -> None:
    older = msgspec.json.decode(msgspec.json.encode(incident()))
    for name in ("customer_people", "customer_told", "customer_said"):
        del older[name]
    text, _ = shown(changed(page(), incident=msgspec.convert(older, IncidentSnapshot)))
    assert "Customer's people" not in text
