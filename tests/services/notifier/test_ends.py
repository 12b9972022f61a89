"""Who was asked hears the end: by the contacts that a page has really reached, and nobody else (rule 21)."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from services.notifier.storage import end_notices
from shared.clock import utcnow
from shared.events import Settled
from tests.services.notifier.building import bundle, changed, notice, page
from tests.services.notifier.inside import Office, office
from tests.waiting import until


def two_ways(receiver):
    return bundle({"ana": {"a": {"webhook": receiver.url("/a")}, "b": {"webhook": receiver.url("/b")}}})


def to(receiver):
    return bundle({"ana": {"bot": {"webhook": receiver.url("/ana")}}})


def end(event="taken", since=1, version=2, **said):
    """What the router says when it is over: pages are off, and ana hears of it if a page came."""
    told = notice(event, paged_since=since, text="Taken by Petra. Nothing is asked of you.", **said)
    message = changed(notices=[told], version=version)
    return replace(message, settled=Settled(why=event, by="petra", told=True))


def events(receiver, path="/ana"):
    return [request.event for request in receiver.to(path)]


async def end_of(place: Office):
    (row,) = await place.rows("notice_id <> ''")
    return row


async def test_whom_the_page_reached_hears_once_who_took_it(database_url, receiver):
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()))
        await until(lambda: place.rows("state = 'delivered'"))
        await place.hear(end())
        await until(lambda: place.rows("state = 'delivered' AND event = 'taken'"))
        await place.hear(end())
        assert events(receiver) == ["page", "taken"]
        assert len(await place.rows()) == 2


@pytest.mark.parametrize("answer", [503, 404])
async def test_nobody_hears_the_end_of_a_page_that_never_came(database_url, receiver, answer):
    receiver.answers["/ana"] = [answer]
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()))
        await until(lambda: place.rows("attempts = 1 AND state <> 'sending'"))
        receiver.answers["/ana"] = [200]
        await place.hear(end("resolved"))
        told = await end_of(place)
        assert (told.state, told.last_error) == ("cancelled", "no page has reached them there")
    assert events(receiver) == ["page"]


async def test_nobody_hears_the_end_of_a_page_that_was_called_off_before_it_was_sent(database_url, receiver):
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()), end())
        assert await place.states() == {"cancelled": 2}
    assert receiver.requests == []


async def test_while_the_page_is_under_way_its_end_waits_and_then_follows_it(database_url, receiver):
    async with office(database_url, to(receiver), sending=False) as place:
        await place.hear(changed(page()))
        await until(lambda: receiver.to("/ana"))  # sent, not written down yet
        await place.hear(end())
        assert (await end_of(place)).held == end_notices.WAITS
        assert await place.sender.claim_once(utcnow()) == 0
        await until(lambda: place.sender.record_once(utcnow()))
        assert await place.sender.claim_once(utcnow()) == 1
        await until(lambda: events(receiver) == ["page", "taken"])


async def test_a_page_that_was_under_way_and_failed_has_no_end(database_url, receiver):
    receiver.answers["/ana"] = [503, 200]
    async with office(database_url, to(receiver), sending=False) as place:
        await place.hear(changed(page()))
        await until(lambda: receiver.to("/ana"))
        await place.hear(end())
        await until(lambda: place.sender.record_once(utcnow()))
        assert await place.states() == {"cancelled": 2}


async def test_in_doubt_the_end_is_told(database_url, receiver):
    """The notifier that sent the page died before it could say whether it came."""
    async with office(database_url, to(receiver), sending=False) as dead:
        await dead.hear(changed(page()))
        await dead.hear(end())
        async with office(database_url, to(receiver), sending=False) as other:
            assert await other.sender.claim_once(utcnow()) == 0
            assert (
                await other.sender.claim_once(utcnow() + end_notices.LONGEST_WAIT + timedelta(seconds=1)) == 1
            )
            await until(lambda: "taken" in events(receiver))


async def test_the_end_comes_by_the_contact_that_the_page_came_by(database_url, receiver):
    receiver.answers["/b"] = [404]
    async with office(database_url, two_ways(receiver)) as place:
        await place.hear(changed(page()))
        await until(lambda: place.rows("state = 'delivered'"))
        await until(lambda: place.rows("state = 'failed'"))
        await place.hear(end())
        await until(lambda: events(receiver, "/a") == ["page", "taken"])
        assert events(receiver, "/b") == ["page"]


async def test_whoever_has_another_contact_meanwhile_hears_it_there(database_url, receiver):
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()))
        await until(lambda: place.rows("state = 'delivered'"))
        place.bundle = bundle({"ana": {"phone": {"webhook": receiver.url("/phone")}}})
        await place.hear(end())
        await until(lambda: events(receiver, "/phone") == ["taken"])


async def test_only_pages_since_they_heard_last_count(database_url, receiver):
    receiver.answers["/ana"] = [200, 503]
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()))
        await until(lambda: place.rows("state = 'delivered'"))
        await place.hear(changed(page(page_id="page-2", again=True), version=3))
        await until(lambda: place.rows("page_id = 'page-2' AND state = 'pending' AND attempts = 1"))
        await place.hear(end(since=3, version=4))
        assert (await end_of(place)).state == "cancelled"


async def test_what_the_router_does_not_tell_is_told_as_before_whoever_is_paged_at_that_moment(
    database_url, receiver
):
    async with office(database_url, to(receiver), sending=False) as place:
        await place.hear(changed(page()))
        await until(lambda: receiver.to("/ana"))
        await place.hear(changed(settled="snoozed", by="user:petra", version=2))
        assert (await end_of(place)).event == "inform"
