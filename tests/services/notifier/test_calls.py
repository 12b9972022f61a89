"""Automation that a policy starts: a signed webhook of type `call`, retried, called off, reported."""

import json
from datetime import timedelta

from services.notifier.domain.messages.compose import render
from services.notifier.domain.plan import plan
from services.notifier.sending.links import links_of
from shared.events import DeliveryReport, Notice, Recipient
from tests.services.notifier.building import T0, bundle, changed, page
from tests.services.notifier.inside import SIGNER, office
from tests.waiting import until

SECRET = "shared-with-automation"


def with_call(address="http://automation.test/restart"):
    return bundle(calls={"restart-checkout": {"webhook": address, "secret": SECRET}})


def call(**said) -> Notice:
    fields = {
        "notice_id": "call-1",
        "event": "call",
        "recipient": Recipient(kind="call", name="restart-checkout"),
        "reason": "people are paged only if it still stands",
    }
    return Notice(**(fields | said))


async def test_the_call_is_signed_with_its_secret_and_carries_the_incident(database_url, receiver):
    async with office(database_url, with_call(receiver.url("/restart"))) as place:
        await place.hear(changed(notices=[call()]))
        (request,) = await until(lambda: receiver.to("/restart"))
        assert request.signed_with(SECRET.encode())
        body = json.loads(request.body)
        assert (body["type"], body["data"]["incident"]["id"]) == ("call", "inc-1")
        assert body["data"]["recipient"]["name"] == "restart-checkout"
        assert body["data"]["notice"]["reason"] == "people are paged only if it still stands"
        (said,) = await until(place.outbox)
        assert isinstance(said, DeliveryReport)
        assert (said.event, said.outcome, said.page, said.recipient) == (
            "call",
            "delivered",
            "",
            "restart-checkout",
        )


def test_two_calls_of_one_address_are_both_started():
    url = "http://automation.test/run"
    calls = {name: {"webhook": url, "secret": SECRET} for name in ("restart-checkout", "drain-node")}
    both = [call(), call(notice_id="call-2", recipient=Recipient(kind="call", name="drain-node"))]
    planned = plan(changed(notices=both), bundle(calls=calls), T0)
    assert [each.recipient for each in planned.deliveries] == ["restart-checkout", "drain-node"]


async def test_a_call_that_is_refused_is_reported_as_failed(database_url, receiver):
    receiver.answers["/restart"] = [404]
    async with office(database_url, with_call(receiver.url("/restart"))) as place:
        await place.hear(changed(notices=[call()]))
        (said,) = await until(place.outbox)
        assert (said.event, said.outcome, said.reason) == ("call", "failed", "HTTP 404")


async def test_a_call_is_tried_again_at_the_pace_of_a_page(database_url, receiver):
    receiver.answers["/restart"] = [503, 200]
    async with office(database_url, with_call(receiver.url("/restart"))) as place:
        await place.hear(changed(notices=[call()]))
        (said,) = await until(place.outbox)
        assert (said.outcome, said.attempts) == ("delivered", 2)


async def test_a_call_that_has_not_started_is_called_off_when_somebody_takes_it(database_url, receiver):
    async with office(database_url, with_call(receiver.url("/restart"))) as place:
        await place.hear(
            changed(notices=[call()]),
            changed(settled="taken", by="ana", version=2),
        )
        await place.hear(changed(notices=[call(notice_id="call-2")], version=1, message_id="late"))
        late = await place.rows("notice_id = 'call-2'")
        assert [each.state for each in late] == ["cancelled"]


async def test_a_call_that_the_policy_does_not_know_is_reported(database_url):
    async with office(database_url, bundle()) as place:
        await place.hear(changed(notices=[call()]))
        (said,) = await until(place.outbox)
        assert (said.event, said.outcome) == ("call", "failed")
        assert said.reason == "call 'restart-checkout' is not in the policy in force"


def test_a_call_is_not_tried_after_it_is_worth_nothing():
    planned = plan(changed(notices=[call(until=T0 + timedelta(minutes=1))]), with_call(), T0)
    assert [each.give_up_at for each in planned.deliveries] == [T0 + timedelta(minutes=1)]


def test_pages_and_calls_start_before_what_only_tells():
    policy = with_call()
    planned = plan(changed(page(), notices=[call()]), policy, T0)
    assert all(each.is_urgent for each in planned.deliveries)


def test_what_automation_reads_has_no_link_to_answer_by():
    policy = with_call()
    (delivery,) = plan(changed(notices=[call()]), policy, T0).deliveries
    rendered = render(delivery, policy, links_of(delivery, "https://ladder.example", SIGNER), T0)
    assert rendered.opening == "Automation is asked to solve this."
    assert set(rendered.links) == {"incident"}
