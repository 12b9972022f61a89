"""A person's own rules at work: steps that wait, start early and are called off; what waits for the morning."""

from datetime import datetime, timedelta

import pytest

from shared.clock import utcnow
from shared.events import DeliveryReport
from tests.services.notifier.building import bundle, changed, notice, page
from tests.services.notifier.inside import office
from tests.waiting import until

MINUTE = timedelta(minutes=1)
HIGH = [{"via": "chat"}, {"via": "phone", "after": "2m"}, {"via": "call", "after": "4m"}]


def ana(receiver, rules=None, **said):
    contacts = {name: {"webhook": receiver.url(f"/{name}")} for name in ("chat", "phone", "call")}
    return bundle({"ana": {"contacts": contacts, "rules": rules or {"high": HIGH}, **said}})


async def state_of(place, contact, **where) -> str:
    rows = await place.rows("contact = :contact", contact=contact)
    (row,) = [row for row in rows if all(getattr(row, name) == value for name, value in where.items())]
    return row.state


async def sent(place, now: datetime) -> None:
    """Everything that is due at this time goes out, and what came of it is written down."""
    while await place.sender.claim_once(now):
        await written(place, now)


async def written(place, now: datetime) -> None:
    await until(lambda: place.concurrency.free == 1_024)
    while await place.sender.record_once(now):
        pass


async def test_the_second_step_comes_in_its_time_also_when_the_level_has_passed(database_url, receiver):
    async with office(database_url, ana(receiver), sending=False) as place:
        start = utcnow()
        await place.hear(changed(page()), now=start)
        await written(place, start)
        assert await place.states() == {"delivered": 1, "pending": 2}
        await sent(place, start + MINUTE)
        assert not receiver.to("/phone")
        await place.hear(changed(page(page_id="next", level="experts"), version=2), now=start + MINUTE)
        await sent(place, start + 2 * MINUTE)
        assert len(receiver.to("/phone")) == 1


@pytest.mark.parametrize("why", ["taken", "resolved", "snoozed", "handed up"])
async def test_what_has_not_come_yet_is_called_off_when_it_is_answered(database_url, receiver, why):
    async with office(database_url, ana(receiver), sending=False) as place:
        start = utcnow()
        await place.hear(changed(page()), now=start)
        await written(place, start)
        await place.hear(changed(settled=why, by="petra", version=2), now=start)
        pages = {row.contact: row.state for row in await place.rows("page_id <> ''")}
        assert pages == {"chat": "delivered", "phone": "cancelled", "call": "cancelled"}
        await sent(place, start + 10 * MINUTE)
        assert not receiver.to("/phone")


async def test_whoever_has_seen_a_points_page_is_not_called_for_it(database_url, receiver):
    async with office(database_url, ana(receiver), sending=False) as place:
        start = utcnow()
        await place.hear(changed(page(through="point")), now=start)
        await written(place, start)
        await place.hear(changed(page(page_id="page-2"), version=2), now=start)  # of the level: it stays
        await place.hear(changed(answered=("page-1",), version=3), now=start)
        pages = {row.page_id for row in await place.rows("state = 'pending'")}
        assert pages == {"page-2"}


@pytest.mark.parametrize("answer", [503, 404])
async def test_the_next_contact_starts_at_once_when_the_first_is_down(database_url, receiver, answer):
    receiver.answers["/chat"] = [answer]
    async with office(database_url, ana(receiver)) as place:
        await place.hear(changed(page()))
        await until(lambda: receiver.to("/phone"))
        await until(lambda: place.rows("contact = 'phone' AND state = 'delivered'"))
        (row,) = await place.rows("contact = 'phone'")
        assert row.delayed_by == "rule high[1] after 2m, started early: nothing before it gets through"
        assert await state_of(place, "call") == "pending"  # the phone has reached them
        assert not receiver.to("/call")


async def test_nobody_is_unreachable_before_the_last_step_has_failed(database_url, receiver):
    receiver.answers |= {f"/{name}": [404] for name in ("chat", "phone", "call")}
    async with office(database_url, ana(receiver)) as place:
        await place.hear(changed(page()))
        await until(lambda: place.rows("contact = 'call' AND state = 'failed'"))
        said = [(one.contact, one.page) for one in await place.outbox() if isinstance(one, DeliveryReport)]
        assert said == [("chat", ""), ("phone", ""), ("call", "unreachable")]


async def test_an_endpoint_whose_breaker_is_open_holds_up_nobody(database_url, receiver):
    async with office(database_url, ana(receiver), sending=False) as place:
        start = utcnow()
        for _ in range(5):
            place.concurrency.failed(receiver.url("/chat"), start)
        await place.hear(changed(page()), now=start)
        await place.sender.maintain_once(start)
        await place.sender.maintain_once(start)
        await sent(place, start)
        assert [request.path for request in receiver.requests] == ["/phone"]


async def test_one_who_is_paged_every_minute_still_gets_the_step_after_two(database_url, receiver):
    async with office(database_url, ana(receiver), sending=False) as place:
        start = utcnow()
        for minute in range(6):
            now = start + minute * MINUTE
            again = page(page_id=f"page-{minute}", through="finally", again=minute > 0, act_by=None)
            await place.hear(changed(again, version=minute + 1), now=now)
            await written(place, now)
            await sent(place, now)
        count = {name: len(receiver.to(f"/{name}")) for name in ("chat", "phone", "call")}
        assert count == {"chat": 6, "phone": 2, "call": 1}


async def test_the_end_is_told_where_the_page_came_and_nowhere_else(database_url, receiver):
    async with office(database_url, ana(receiver, {"low": [{"via": "chat"}]})) as place:
        await place.hear(changed(page(loud=False)))
        await until(lambda: place.rows("state = 'delivered'"))
        told = notice("taken", paged_since=1, text="Taken by Petra.")
        await place.hear(changed(notices=[told], version=2))
        await until(lambda: place.rows("state = 'delivered' AND event = 'taken'"))
        assert await state_of(place, "phone") == "cancelled"
        assert {request.path for request in receiver.requests} == {"/chat"}


# --- quiet hours ------------------------------------------------------------------------------------------


def asleep(receiver, low=({"via": "chat"},)):
    """Quiet for the next hours, whenever this is read."""
    now = utcnow()
    quiet = {"from": f"{now.hour:02}:00", "to": f"{(now.hour + 6) % 24:02}:00"}
    return ana(receiver, {"low": list(low)}, quiet_hours=quiet)


async def test_in_the_morning_one_message_says_how_it_stands(database_url, receiver):
    async with office(database_url, asleep(receiver), sending=False) as place:
        start = utcnow()
        for version, event in enumerate(("opened", "at_risk", "breached", "update"), start=1):
            await place.hear(changed(notices=[notice(event)], version=version), now=start)
        assert await place.states() == {"cancelled": 3, "pending": 1}
        await sent(place, start)
        assert receiver.requests == []
        await sent(place, start + timedelta(hours=6))
        assert [request.event for request in receiver.requests] == ["update"]


async def test_what_is_over_by_the_morning_is_not_told_except_that_it_is(database_url, receiver):
    async with office(database_url, asleep(receiver), sending=False) as place:
        await place.hear(changed(page(loud=False), notices=[notice("at_risk")]))
        await place.hear(changed(settled="resolved", notices=[notice("resolved")], version=2))
        rows = {row.event: (row.state, row.delayed_by[:11]) for row in await place.rows()}
        assert rows == {
            "page": ("cancelled", "quiet hours"),
            "at_risk": ("cancelled", "quiet hours"),
            "resolved": ("pending", "quiet hours"),
        }


async def test_what_somebody_took_meanwhile_is_still_told_in_the_morning(database_url, receiver):
    async with office(database_url, asleep(receiver), sending=False) as place:
        await place.hear(changed(page(loud=False), notices=[notice("at_risk")]))
        await place.hear(changed(settled="taken", by="petra", version=2))
        rows = {row.event: row.state for row in await place.rows()}
        assert rows == {"page": "cancelled", "at_risk": "pending"}


async def test_what_waits_for_the_morning_replaces_nothing_that_does_not(database_url, receiver):
    async with office(database_url, asleep(receiver), sending=False) as place:
        start = utcnow()
        await place.hear(changed(page(loud=False, by_schedule=True)), now=start, age=timedelta(seconds=2))
        again = page(page_id="page-2", loud=False, again=True)
        await place.hear(changed(again, version=2), now=start)
        assert await place.states() == {"pending": 2}
        await sent(place, start + timedelta(seconds=6))
        assert {row.page_id: row.state for row in await place.rows()} == {
            "page-1": "delivered",
            "page-2": "pending",
        }


async def test_in_the_morning_the_next_contact_starts_early_too(database_url, receiver):
    receiver.answers["/chat"] = [404]
    low = [{"via": "chat"}, {"via": "phone", "after": "2h"}]
    async with office(database_url, asleep(receiver, low), sending=False) as place:
        start = utcnow()
        await place.hear(changed(page(loud=False)), now=start)
        await sent(place, start + timedelta(hours=6))
        assert [request.path for request in receiver.requests] == ["/chat", "/phone"]
