"""Many pages for one person at once: few messages that list them. On a real PostgreSQL, over real sockets."""

import time
from datetime import timedelta

import pytest

from services.notifier.domain.rates import PEOPLE, ChannelRates, Rate
from services.notifier.sending.sender import LEASE
from shared.clock import utcnow
from tests.channels.receiver import HANG
from tests.services.notifier.building import bundle, changed, incident, notice, page, user
from tests.services.notifier.inside import office
from tests.waiting import until

READ_BY_PEOPLE = {"webhook": PEOPLE}


def to(receiver):
    return bundle({name: {"phone": {"webhook": receiver.url(f"/{name}")}} for name in ("ana", "ben")})


def paged(number, *, priority=3, version=1, **said):
    about = incident(id=f"inc-{number}", title=f"Shop {number} is down", priority=priority, version=version)
    return changed(page(page_id=f"page-{number}", **said), incident=about)


async def idle(place, now):
    """Everything that may go at this moment has gone, and is written down."""
    while True:
        await until(lambda: place.concurrency.free == 1_024)
        while await place.sender.record_once(now):
            pass
        if not await place.sender.claim_once(now):
            return


async def storm(place, receiver, count, *, batch=500):
    """So many pages for ana within a minute, then nine more minutes: the seconds at which she got a message."""
    began, heard, got = utcnow(), 0, []
    for second in range(0, 600, 5):
        now = began + timedelta(seconds=second)
        while heard < min(count, count * (second + 5) // 60):
            some = range(heard, min(count, heard + batch))
            await place.hear(*(paged(number) for number in some), now=now)
            heard = some.stop
        await idle(place, now)
        got += [second] * (len(receiver.to("/ana")) - len(got))
    return got


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
async def test_of_a_storm_one_person_hears_at_once_and_seldom_and_of_everything(
    database_url, receiver, count
):
    async with office(database_url, to(receiver), sending=False, rates=READ_BY_PEOPLE) as place:
        got = await storm(place, receiver, count)
        assert len(got) <= 12
        assert got[0] == 0
        alone, *lists = receiver.to("/ana")
        assert alone.content["data"]["title"] == "[P3] Shop 0 is down"
        for one in lists:
            said = one.content["data"]["text"]
            assert said.count("\n") < 18
            assert "/v1/replies/list/" in one.content["data"]["links"]["list"]
            assert "10. [P3] Shop" in said
        assert await place.states() == {"delivered": count}
        told = {report.page_id for report in await place.outbox() if report.page == "reached"}
        assert len(told) == count


async def backlog(place, receiver, count=40, now=None):
    """So many pages for ana in one batch; her first messages are out, and the rest waits."""
    now = now or utcnow()
    for first in range(min(4, count)):  # one after another: each its own message while there are tokens
        await place.hear(paged(first), now=now)
        await idle(place, now)
    await place.hear(*(paged(number) for number in range(4, count)), now=now)
    await idle(place, now)
    assert len(receiver.to("/ana")) == 3
    return now


def lines(request):
    text = request.content["data"]["text"]
    return [line for line in text.splitlines() if ". [P" in line or line.startswith("and ")]


async def test_a_page_of_higher_priority_breaks_through_alone_and_at_once(database_url, receiver):
    async with office(database_url, to(receiver), sending=False, rates=READ_BY_PEOPLE) as place:
        now = await backlog(place, receiver)
        await place.hear(paged(99, priority=1), now=now + timedelta(seconds=10))
        await idle(place, now + timedelta(seconds=10))
        assert receiver.to("/ana")[3].content["data"]["title"] == "[P1] Shop 99 is down"
        assert receiver.to("/ana")[3].content["data"]["page"]["id"] == "page-99"
        await place.hear(paged(100, priority=1), now=now + timedelta(seconds=20))
        await idle(place, now + timedelta(seconds=20))
        assert len(receiver.to("/ana")) == 4  # it presses no more than the last one
        await idle(place, now + timedelta(seconds=91))
        listed = receiver.to("/ana")[4]
        assert listed.content["data"]["title"] == "[P1] Shop 100 is down, and 37 more"
        assert lines(listed)[-1] == "and 28 more"


async def test_notifiers_share_the_bucket_of_an_address(database_url, receiver):
    async with (
        office(database_url, to(receiver), sending=False, rates=READ_BY_PEOPLE) as one,
        office(database_url, to(receiver), sending=False, rates=READ_BY_PEOPLE) as other,
    ):
        now = utcnow()
        for number in range(10):
            place = (one, other)[number % 2]
            await place.hear(paged(number), now=now)
            await idle(one, now)
            await idle(other, now)
        assert len(receiver.to("/ana")) == 3
        await idle(other, now + timedelta(seconds=91))
        await idle(one, now + timedelta(seconds=91))
        assert len(receiver.to("/ana")) == 4
        assert len(lines(receiver.to("/ana")[3])) == 7


async def test_what_was_taken_leaves_the_message_that_it_waits_for(database_url, receiver):
    async with office(database_url, to(receiver), sending=False, rates=READ_BY_PEOPLE) as place:
        now = await backlog(place, receiver, count=8)
        taken = [incident(id=f"inc-{number}", version=2) for number in (5, 6)]
        await place.hear(*(changed(settled="taken", by="petra", incident=one) for one in taken), now=now)
        await idle(place, now + timedelta(seconds=91))
        listed = {line.partition(". ")[2].partition(" – ")[0] for line in lines(receiver.to("/ana")[3])}
        assert listed == {f"[P3] Shop {number} is down" for number in (3, 4, 7)}


async def test_a_message_whose_sender_died_goes_out_again_with_the_same_id_and_lines(database_url, receiver):
    receiver.answers["/ana"] = [200, 200, 200, HANG, 200]
    async with office(database_url, to(receiver), sending=False, rates=READ_BY_PEOPLE) as dead:
        now = await backlog(dead, receiver)
        later = now + timedelta(seconds=91)
        await dead.sender.claim_once(later)
        await until(lambda: len(receiver.to("/ana")) == 4)
        await dead.hear(paged(50), now=later)  # comes too late for it
        async with office(database_url, to(receiver), sending=False, rates=READ_BY_PEOPLE) as place:
            later += LEASE + timedelta(seconds=1)
            await place.sender.maintain_once(later)
            await idle(place, later)
            first, again = receiver.to("/ana")[3:]
            assert first.headers["webhook-id"] == again.headers["webhook-id"]
            assert lines(first) == lines(again)
            assert await place.rows("state = 'pending'") == await place.rows("page_id = 'page-50'")


async def test_what_failed_together_is_tried_again_together_whatever_comes_new(database_url, receiver):
    receiver.answers["/ana"] = [200, 200, 200, 503, 200]
    async with office(database_url, to(receiver), sending=False, rates=READ_BY_PEOPLE) as place:
        now = await backlog(place, receiver)
        await idle(place, now + timedelta(seconds=91))
        assert await place.states() == {"delivered": 3, "pending": 37}
        await idle(place, now + timedelta(seconds=95))  # its bucket is empty: a retry needs no token
        failed, again = receiver.to("/ana")[3:]
        assert failed.headers["webhook-id"] == again.headers["webhook-id"]
        assert lines(failed) == lines(again)
        assert await place.states() == {"delivered": 40}


async def test_one_whose_retry_is_later_joins_what_failed(database_url, receiver):
    receiver.answers["/ana"] = [503, 503, 200]
    async with office(database_url, to(receiver), sending=False, rates=READ_BY_PEOPLE) as place:
        now = utcnow()
        for number in range(2):
            await place.hear(paged(number), now=now)
            await idle(place, now)
        await idle(place, now + timedelta(seconds=3))
        assert len(lines(receiver.to("/ana")[2])) == 2
        assert len(receiver.to("/ana")) == 3


async def test_an_account_with_its_provider_is_used_as_often_as_it_takes(database_url, receiver):
    account = {"webhook": ChannelRates(account=Rate(2, timedelta(seconds=1)))}
    people = {f"user-{n}": {"phone": {"webhook": receiver.url(f"/{n}")}} for n in range(8)}
    async with office(database_url, bundle(people), sending=False, rates=account) as place:
        now, counts = utcnow(), []
        pages = [page(user(name), page_id=name) for name in people]
        await place.hear(changed(*pages), now=now)
        for second in range(5):
            await idle(place, now + timedelta(seconds=second))
            counts.append(len(receiver.requests))
        assert counts == [2, 3, 4, 5, 6]


async def test_news_of_a_storm_go_together_behind_its_pages(database_url, receiver):
    async with office(database_url, to(receiver), sending=False, rates=READ_BY_PEOPLE) as place:
        now = await backlog(place, receiver, count=6)
        news = [
            changed(
                notices=[notice("resolved", notice_id=f"old-{n}")],
                incident=incident(id=f"old-{n}", title=f"Old {n}"),
            )
            for n in range(3)
        ]
        await place.hear(*news, now=now)
        await idle(place, now + timedelta(seconds=91))
        said = receiver.to("/ana")[3].content["data"]
        assert said["title"].endswith(", and 5 more")
        assert "You are asked to take 3 incidents. There is also news of 3 incidents." in said["text"]
        assert "4. Resolved: [P1] Old " in said["text"]


async def test_news_of_one_incident_that_go_together_read_like_its_newest(database_url, receiver):
    async with office(database_url, to(receiver), sending=False, rates=READ_BY_PEOPLE) as place:
        now = await backlog(place, receiver, count=3)
        texts = ["We found the cause.", "It is being repaired."]
        await place.hear(
            *(
                changed(
                    notices=[notice("update", notice_id=text, text=text)], incident=incident(version=version)
                )
                for version, text in enumerate(texts, 2)
            ),
            now=now,
        )
        await idle(place, now + timedelta(seconds=91))
        said = receiver.to("/ana")[3].content["data"]
        assert said["title"] == "Update: [P1] Checkout is down"
        assert all(text in said["text"] for text in texts)


async def test_behind_a_storm_an_acknowledgement_takes_effect_within_a_second(database_url, receiver):
    async with office(database_url, to(receiver), rates=READ_BY_PEOPLE) as place:
        for batch in range(4):
            await place.hear(*(paged(number) for number in range(batch * 250, batch * 250 + 250)))
        await until(lambda: len(receiver.to("/ana")) == 3)
        await place.hear(paged(2_000))
        began = time.monotonic()
        await place.hear(changed(settled="taken", by="ana", incident=incident(id="inc-2000", version=2)))
        assert time.monotonic() - began < 1
        (row,) = await place.rows("incident_id = 'inc-2000'")
        assert row.state == "cancelled"
