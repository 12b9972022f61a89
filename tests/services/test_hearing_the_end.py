"""What the router decides and the notifier sends, together: who hears the end, and how often they are paged."""

from datetime import timedelta

import pytest

from shared.clock import utcnow
from tests.channels.receiver import Receiver, receiving
from tests.domain.tale import Tale, bundle, ladder, tale
from tests.services.notifier.inside import Office, office
from tests.waiting import until


@pytest.fixture
async def receiver():
    async with receiving() as running:
        yield running


def reachable(receiver: Receiver, **finally_: object):
    """The small organisation, everybody by webhook."""
    users = {
        name: {"name": name.title(), "contacts": {"bot": {"webhook": receiver.url(f"/{name}")}}}
        for name in ("ana", "petra", "karel")
    }
    final = {"notify": ["user:karel"], "every": "15m"} | finally_
    return bundle(users=users, policies={"main": ladder(**{"finally": final})})


async def deliver_once(story: Tale, place: Office, told: int) -> int:
    """Hand the notifier what was decided since; how much that is in all."""
    messages = [each.message for each in story.decisions if each.message is not None]
    for message in messages[told:]:
        await place.hear(message)
    return len(messages)


def events(receiver: Receiver, name: str) -> list[str]:
    return [request.event for request in receiver.to(f"/{name}")]


async def test_ana_whom_it_passed_by_hears_the_end_and_karel_whose_page_failed_hears_nothing(
    database_url, receiver
):
    receiver.answers["/karel"] = [404]
    policy = reachable(receiver)
    story = tale(policy)
    async with office(database_url, policy) as place:
        story.event()
        story.later(minutes=31)
        told = await deliver_once(story, place, 0)
        await until(lambda: len(receiver.requests) == len(story.pages))
        await until(lambda: _all_known(place))
        story.act("acknowledge", user="petra")
        told = await deliver_once(story, place, told)
        await until(lambda: events(receiver, "ana") == ["page", "taken"])
        story.event("resolve")
        await deliver_once(story, place, told)
        await until(lambda: events(receiver, "ana") == ["page", "taken", "resolved"])
        await until(lambda: events(receiver, "petra") == ["page", "resolved"])
        assert set(events(receiver, "karel")) == {"page"}


async def _all_known(place: Office) -> bool:
    return not {"pending", "sending"} & set(await place.states())


async def test_karel_gets_one_page_when_his_receiver_is_back_after_a_day_of_finally(database_url, receiver):
    receiver.answers["/karel"] = [503]
    policy = reachable(receiver, every="15m")
    story = tale(policy)
    async with office(database_url, policy, sending=False) as place:
        story.event()
        story.later(days=1)
        assert story.paged.count("karel") > 90
        for message in [each.message for each in story.decisions if each.message is not None]:
            await place.hear(message)
            await place.sender.record_once(utcnow())
        await until(lambda: place.concurrency.free == 1_024)
        await place.sender.record_once(utcnow())
        receiver.answers["/karel"] = [200]
        receiver.requests.clear()
        assert await place.sender.claim_once(utcnow() + timedelta(minutes=5)) == 1
        await until(lambda: receiver.to("/karel"))
        (page,) = receiver.to("/karel")
        assert page.content["data"]["page"]["id"] == story.pages[-1].page_id
        story.act("acknowledge", user="karel", page=story.pages[-1].page_id)  # it can be answered
        assert story.standing.assignee == "karel"
