"""For one incident, person and contact a newer page stands for a pending older one (docs/rules.md, rule 21)."""

from datetime import timedelta

import pytest

from services.notifier.domain.plan import outdated, plan
from shared.clock import utcnow
from shared.events import DeliveryReport
from tests.services.notifier.building import T0, bundle, changed, incident, page, user
from tests.services.notifier.inside import office
from tests.waiting import until

AN_HOUR = 60  # of `finally` every minute


def to(receiver):
    return bundle({name: {"bot": {"webhook": receiver.url(f"/{name}")}} for name in ("ana", "petra")})


def nth(number: int, recipient=None, through="finally", **said):
    """The page of this version: each repeat is a new page with a new id."""
    made = page(
        recipient, page_id=f"page-{number}", through=through, again=number > 1, **({"act_by": None} | said)
    )
    return changed(made, version=number)


def pages_to(receiver, path="/ana"):
    return [request.content["data"]["page"]["id"] for request in receiver.to(path)]


async def test_after_an_hour_of_finally_with_the_receiver_away_one_page_comes_the_newest(
    database_url, receiver
):
    receiver.answers["/ana"] = [503]
    async with office(database_url, to(receiver), sending=False) as place:
        for number in range(1, AN_HOUR + 2):
            await place.hear(nth(number))
            await place.sender.record_once(utcnow())
        await until(lambda: place.concurrency.free == 1_024)
        await place.sender.record_once(utcnow())
        assert await place.states() == {"cancelled": AN_HOUR, "pending": 1}
        receiver.answers["/ana"] = [200]
        receiver.requests.clear()
        assert await place.sender.claim_once(utcnow() + timedelta(minutes=5)) == 1
        await until(lambda: pages_to(receiver))
        await place.sender.record_once(utcnow())
        assert await place.sender.claim_once(utcnow() + timedelta(hours=1)) == 0
        assert pages_to(receiver) == [f"page-{AN_HOUR + 1}"]


async def test_what_piled_up_on_the_log_comes_as_one_page(database_url, receiver):
    async with office(database_url, to(receiver)) as place:
        await place.hear(*[nth(number) for number in range(1, AN_HOUR + 2)])
        await until(lambda: place.rows("state = 'delivered'"))
        assert await place.states() == {"cancelled": AN_HOUR, "delivered": 1}
        assert pages_to(receiver) == [f"page-{AN_HOUR + 1}"]
        assert place.concurrency.free == 1_024


async def test_the_router_hears_which_page_stands_for_it(database_url, receiver):
    async with office(database_url, to(receiver), sending=False) as place:
        await place.hear(nth(1), age=timedelta(seconds=2))  # behind, so it waits in the database
        await place.hear(nth(2), age=timedelta(seconds=2))
        (said,) = await place.outbox()
        assert isinstance(said, DeliveryReport)
        assert (said.page_id, said.outcome, said.page) == ("page-1", "cancelled", "")
        assert (said.superseded_by, said.reason) == ("page-2", "superseded by page page-2")
        (row,) = await place.rows("page_id = 'page-1'")
        assert (row.state, row.held, row.last_error) == ("cancelled", None, "superseded by page page-2")


async def test_a_page_that_was_under_way_and_failed_is_not_tried_again_beside_the_newer(
    database_url, receiver
):
    receiver.answers["/ana"] = [503, 200]
    async with office(database_url, to(receiver), sending=False) as place:
        await place.hear(nth(1))
        await until(lambda: receiver.to("/ana"))
        await place.hear(nth(2))
        await until(lambda: len(receiver.to("/ana")) == 2)
        while await place.sender.record_once(utcnow()):
            pass
        assert {row.page_id: row.state for row in await place.rows()} == {
            "page-1": "cancelled",
            "page-2": "delivered",
        }


async def test_other_people_contacts_and_incidents_keep_theirs(database_url, receiver):
    async with office(database_url, to(receiver), sending=False) as place:
        behind = timedelta(seconds=2)
        other = changed(page(page_id="other"), incident=incident(id="inc-2"))
        await place.hear(nth(1), nth(2, user("petra")), other, age=behind)
        await place.hear(nth(3), age=behind)
        assert {row.page_id: row.state for row in await place.rows()} == {
            "page-1": "cancelled",
            "page-2": "pending",
            "other": "pending",
            "page-3": "pending",
        }


async def test_a_newer_page_that_failed_for_good_stands_for_nothing(database_url, receiver):
    async with office(database_url, to(receiver), sending=False) as place:
        await place.hear(nth(2), age=timedelta(seconds=2))
        await place.execute("UPDATE notifier.delivery SET state = 'failed'")
        await place.hear(changed(page(page_id="page-1", again=True), version=1), age=timedelta(seconds=2))
        assert (await place.rows("page_id = 'page-1'"))[0].state == "pending"


async def test_a_page_that_only_asks_to_look_does_not_stand_for_one_that_asks_to_take_it(
    database_url, receiver
):
    """Whoever answers a point's page takes nothing: the level's page would be lost."""
    async with office(database_url, to(receiver), sending=False) as place:
        behind = timedelta(seconds=2)
        await place.hear(nth(1, through="level"), age=behind)
        await place.hear(nth(2, through="point"), age=behind)
        assert await place.states() == {"pending": 2}
        await place.hear(nth(3, through="point"), age=behind)
        assert await place.states() == {"pending": 2, "cancelled": 1}
        await place.hear(nth(4, through="finally"), age=behind)
        assert {row.page_id: row.state for row in await place.rows("state = 'pending'")} == {
            "page-4": "pending"
        }


async def test_the_end_calls_off_what_still_waits(database_url, receiver):
    receiver.answers["/ana"] = [503]
    async with office(database_url, to(receiver), sending=False) as place:
        await place.hear(nth(1))
        await until(lambda: receiver.to("/ana"))
        await until(lambda: place.sender.record_once(utcnow()))
        await place.hear(changed(settled="resolved", version=2))
        assert await place.states() == {"cancelled": 1}


@pytest.mark.parametrize(
    ("first", "second", "outdated_ones"),
    [
        ("finally", "finally", {"page-1"}),
        ("level", "point", set()),
        ("point", "level", {"page-1"}),
        ("point", "worse", {"page-1"}),
    ],
)
def test_of_one_batch_only_the_newest_starts(first, second, outdated_ones):
    policy = bundle()
    both = [*plan(nth(1, through=first), policy, T0).deliveries]
    both += plan(nth(2, through=second), policy, T0).deliveries
    left = outdated(both)
    assert {each.page_id for each in both if each.id in left} == outdated_ones
