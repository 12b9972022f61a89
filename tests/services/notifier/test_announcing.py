"""What is about no single incident: a silence that is about to end."""

import json
from datetime import timedelta

from services.notifier.domain.announcements import as_change
from services.notifier.domain.messages.compose import render
from services.notifier.domain.messages.webhook_body import webhook_body
from services.notifier.domain.plan import plan
from services.notifier.sending.links import links_of
from shared.events import Announced, Upstream
from tests.services.notifier.building import T0, bundle, changed, incident, page, user
from tests.services.notifier.inside import SIGNER, office
from tests.services.notifier.test_sending import to
from tests.waiting import until


def announced(*recipients) -> Announced:
    return Announced(
        message_id="m1",
        at=T0,
        event="maintenance",
        title="Your silence ends at 10:00 UTC",
        text="service == 'checkout': it ends at 10:00 UTC.",
        reason="you made it",
        recipients=recipients or (user(),),
    )


def test_it_reads_as_it_was_written_and_names_no_incident():
    policy = bundle({"ana": {"box": {"inbox": "ana"}}})
    (delivery,) = plan(as_change(announced()), policy, T0).deliveries
    links = links_of(delivery, "http://ladder.test", SIGNER)
    rendered = render(delivery, policy, links, T0)
    assert rendered.title == "Your silence ends at 10:00 UTC"
    assert rendered.text == "service == 'checkout': it ends at 10:00 UTC.\n\nWhy you: you made it"
    assert links == {}
    body = json.loads(webhook_body(delivery, rendered, T0))
    assert (body["type"], body["data"]["incident"]) == ("maintenance", {})


def test_somebody_without_a_contact_is_reported_to_no_incident():
    told = plan(as_change(announced(user("gone"))), bundle(), T0)
    assert (told.deliveries, told.reports) == ((), ())


async def test_it_is_sent_and_nothing_is_reported_of_it(database_url, receiver):
    async with office(database_url, to(receiver)) as place:
        await place.hear(announced(), changed(page()))
        await until(place.outbox)
        await until(lambda: len(receiver.requests) == 2)
        assert {row.state for row in await place.rows()} == {"delivered"}
        assert [each.page_id for each in await place.outbox()] == ["page-1"]


async def test_one_that_fails_for_good_is_reported_to_no_incident(database_url, receiver):
    async with office(database_url, bundle({"ana": {"bot": {"webhook": "http://10.0.0.1/"}}})) as place:
        await place.hear(announced())
        await until(lambda: _failed(place))
        assert await place.outbox() == []


async def _failed(place):
    return (await place.states()).get("failed")


def test_a_page_says_what_it_may_follow_from_and_how_many_are_grouped_under_it():
    upstream = Upstream(id="i2", service="payments", title="Payments are down")
    said = incident(may_follow_from=(upstream,), members=3, members_open=2)
    policy = bundle({"ana": {"box": {"inbox": "ana"}}})
    (delivery,) = plan(changed(page(), incident=said), policy, T0).deliveries
    facts = dict(render(delivery, policy, {}, T0 + timedelta(minutes=1)).facts)
    assert facts["May follow from"] == "Payments are down (payments)"
    assert facts["Grouped under it"] == "2 more"
