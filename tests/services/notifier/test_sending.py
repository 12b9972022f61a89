"""Messages become deliveries, and deliveries reach people: on a real PostgreSQL, over real sockets."""

import asyncio
import hashlib
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec.json import encode
from sqlalchemy import text

from services.notifier.channels import RATES
from services.notifier.channels.webhook import signing_keys
from services.notifier.domain.dispatch import dispatched
from services.notifier.sending import leases
from services.notifier.sending.claim import claim
from services.notifier.sending.pace import Pace
from services.notifier.sending.sender import LEASE
from services.notifier.sending.shielded import shielded
from services.notifier.storage import due_deliveries, redelivery
from shared.clock import stopwatch, utcnow
from shared.events import LARGEST_RECORD, DeadLetter, DeliveryReport
from tests.channels.receiver import HANG
from tests.services.notifier.building import (
    address,
    bundle,
    changed,
    garbled,
    incident,
    notice,
    page,
    received,
    user,
)
from tests.services.notifier.inside import SIGNER, office
from tests.waiting import until


def to(receiver, path="/ana"):
    return bundle({"ana": {"bot": {"webhook": receiver.url(path)}}})


async def test_a_page_is_sent_at_once_and_reported(database_url, receiver):
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()))
        await until(lambda: receiver.to("/ana"))
        (said,) = await until(place.outbox)
        assert isinstance(said, DeliveryReport)
        assert (said.page_id, said.outcome, said.page, said.channel) == (
            "page-1",
            "delivered",
            "reached",
            "webhook",
        )
        (row,) = await place.rows()
        assert (row.state, row.attempts, str(row.id)) == (
            "delivered",
            1,
            receiver.requests[0].headers["webhook-id"],
        )
        assert row.first_attempt_at is not None


async def test_a_message_read_twice_makes_no_second_delivery(database_url, receiver):
    async with office(database_url, to(receiver)) as place:
        message = changed(page())
        await place.hear(message, message)
        await place.hear(message)
        await until(place.outbox)
        await place.execute("DELETE FROM notifier.inbox")  # even if the inbox had forgotten it
        await place.hear(message)
        assert len(await place.rows()) == 1
        assert len(receiver.requests) == 1
        assert place.concurrency.free == 1_024


async def test_a_page_settled_before_its_send_is_never_sent(database_url, receiver):
    async with office(database_url, to(receiver), sending=False) as place:
        await place.hear(changed(page()), age=timedelta(seconds=2))  # behind, so it waits in the database
        await place.hear(changed(settled="taken", by="petra", version=2), age=timedelta(seconds=2))
        assert await place.states() == {"cancelled": 1}
        await place.consumption.caught_up(utcnow())
        assert await place.sender.claim_once(utcnow() + timedelta(minutes=1)) == 0
    assert receiver.requests == []


async def test_a_page_and_its_end_in_one_batch_page_nobody(database_url, receiver):
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()), changed(settled="resolved", version=2))
        assert await place.states() == {"cancelled": 1}
        assert place.concurrency.free == 1_024
    assert receiver.requests == []


async def test_the_end_of_one_level_cancels_its_pages_and_not_those_of_the_next(database_url, receiver):
    async with office(database_url, to(receiver), sending=False) as place:
        await place.hear(changed(page()), age=timedelta(seconds=2))
        await place.hear(
            changed(page(page_id="page-2"), settled="taken", version=2), age=timedelta(seconds=2)
        )
        rows = {row.page_id: row.state for row in await place.rows()}
        assert rows == {"page-1": "cancelled", "page-2": "pending"}


async def test_a_retry_that_waits_is_cancelled_by_an_acknowledgement(database_url, receiver):
    receiver.answers["/ana"] = [503]
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()))
        await until(lambda: place.rows("state = 'pending' AND attempts = 1"))
        await place.hear(changed(settled="taken", by="petra", version=2))
        await until(lambda: place.rows("state = 'cancelled'"))


async def test_whoever_is_paged_while_it_is_taken_hears_who_took_it_once(database_url, receiver):
    receiver.answers["/ana"] = [HANG, 200]
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()))
        await until(lambda: receiver.to("/ana"))
        taken = changed(settled="taken", by="petra", version=2)
        await place.hear(taken)
        await place.hear(taken)
        told = await until(lambda: [one for one in receiver.to("/ana") if one.event == "taken"])
        assert "took it" in told[0].content["data"]["text"]
        assert len(told) == 1


async def test_the_one_who_took_it_is_not_told_so(database_url, receiver):
    receiver.answers["/ana"] = [HANG, 200]
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()))
        await until(lambda: receiver.to("/ana"))
        await place.hear(changed(settled="taken", by="ana", version=2))
        assert len(await place.rows()) == 1


async def test_a_retry_carries_the_same_id_and_a_signature_of_its_own(database_url, receiver):
    receiver.answers["/ana"] = [503, 200]
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()))
        first, second = await until(lambda: len(receiver.to("/ana")) == 2 and receiver.to("/ana"))
        (key,) = signing_keys("", SIGNER, receiver.url("/ana"))
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.headers["webhook-timestamp"] < second.headers["webhook-timestamp"]
        assert first.signed_with(key)
        assert second.signed_with(key)
        await until(lambda: place.rows("state = 'delivered' AND attempts = 2"))


async def test_an_endpoint_that_hangs_delays_no_other(database_url, receiver):
    receiver.answers["/hang"] = [HANG]
    policy = bundle(
        {"ana": {"b": {"webhook": receiver.url("/hang")}}, "petra": {"b": {"webhook": receiver.url("/ok")}}}
    )
    async with office(database_url, policy) as place:
        hanging = [changed(page(page_id=f"h{n}"), incident=incident(id=f"hang-{n}")) for n in range(200)]
        await place.hear(*hanging)
        began = time.monotonic()
        for n in range(20):
            await place.hear(changed(page(user("petra"), page_id=f"ok{n}"), incident=incident(id=f"ok-{n}")))
        await until(lambda: len(receiver.to("/ok")) == 20)
        assert time.monotonic() - began < 2
        assert len(receiver.to("/hang")) <= 16


async def test_more_pages_than_places_are_all_sent(database_url, receiver):
    async with office(database_url, to(receiver)) as place:
        await place.hear(*(changed(page(page_id=f"p{n}"), incident=incident(id=f"i{n}")) for n in range(300)))
        await until(lambda: len(receiver.to("/ana")) == 300)
        await until(lambda: _all_in(place, "delivered", 300))
        assert place.concurrency.free == 1_024


async def _all_in(place, state, count):
    return await place.states() == {state: count}


async def test_two_notifiers_never_send_the_same_delivery(database_url, receiver):
    policy = bundle({f"u{n}": {"b": {"webhook": receiver.url(f"/u{n}")}} for n in range(10)})
    async with office(database_url, policy, sending=False) as first:
        messages = [
            changed(page(user(f"u{n % 10}"), page_id=f"p{n}"), incident=incident(id=f"i{n}"))
            for n in range(400)
        ]
        await first.hear(*messages, age=timedelta(seconds=2))
        await first.consumption.caught_up(utcnow())
        async with office(database_url, policy), office(database_url, policy):
            await until(lambda: _all_in(first, "delivered", 400), 20)
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert len(ids) == len(set(ids)) == 400


async def test_a_send_whose_notifier_was_killed_goes_out_again_with_the_same_id(database_url, receiver):
    async with office(database_url, to(receiver), sending=False) as killed:
        await killed.hear(changed(page()))
        await until(lambda: receiver.to("/ana"))  # sent, and never written down
        assert await killed.states() == {"sending": 1}
        async with office(database_url, to(receiver), sending=False) as other:
            await other.sender.maintain_once(utcnow())
            assert await other.states() == {"sending": 1}  # the lease still holds
            later = utcnow() + LEASE + timedelta(seconds=1)
            await other.sender.maintain_once(later)  # after so long a silence it gives others a moment
            await other.sender.maintain_once(later)
            assert await other.states() == {"pending": 1}
            assert await other.sender.claim_once(later) == 1
            await until(lambda: len(receiver.to("/ana")) == 2)
            await until(lambda: other.sender.record_once(utcnow()))
            assert await other.states() == {"delivered": 1}
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


async def test_a_notifier_that_stood_still_asks_before_it_sends(database_url, receiver):
    """Its stopwatch says that the lease may be over: it was, so the page is the other one's alone."""
    async with (
        office(database_url, to(receiver), sending=False) as frozen,
        office(database_url, to(receiver), sending=False) as other,
    ):
        held = [changed(page(page_id=f"p{n}"), incident=incident(id=f"i{n}")) for n in range(2)]
        await frozen.hear(*held, age=timedelta(seconds=2))  # behind, so they wait in the database
        await frozen.consumption.caught_up(utcnow())
        lost, kept = await _claimed(frozen)
        await frozen.execute(
            "UPDATE notifier.delivery SET state = 'pending', lease_until = NULL WHERE id = CAST(:id AS uuid)",
            id=lost.id,
        )
        assert await other.sender.claim_once(utcnow() + timedelta(seconds=1)) == 1
        await until(lambda: len(receiver.requests) == 1)

        frozen.sender.start([lost, kept], stopwatch() - LEASE.total_seconds())  # as after SIGCONT
        await until(lambda: len(receiver.requests) == 2)
        await until(
            lambda: frozen.concurrency.free == 1_024 + 2
        )  # both are through (their places were not taken)

    sent = [request.headers["webhook-id"] for request in receiver.requests]
    assert sent == [lost.id, kept.id]


async def _claimed(place):
    """Every delivery that waits, claimed in the database as by a process that then stands still."""
    async with place.database.transaction() as connection:
        found = await due_deliveries.due(
            connection, utcnow() + timedelta(seconds=1), endpoints=[], hosts=[], each=9, most=9
        )
        dispatches = [dispatched([one.delivery]) for one in found]
        await due_deliveries.claim(connection, dispatches, utcnow())
    return [replace(one.delivery, attempts=1) for one in found]


async def test_what_another_one_claimed_is_neither_renewed_nor_given_back(database_url, receiver):
    """A claim is known by its attempt: whoever comes back to life does not touch its successor's."""
    async with office(database_url, to(receiver), sending=False) as place:
        await place.hear(changed(page()), age=timedelta(seconds=2))
        await place.consumption.caught_up(utcnow())
        (ours,) = await _claimed(place)
        await place.execute("UPDATE notifier.delivery SET attempts = 2")
        async with place.database.transaction() as connection:
            assert not await leases.renew(connection, {ours.id: 1}, utcnow() + LEASE)
            assert await leases.renew(connection, {ours.id: 2}, utcnow() + LEASE) == {ours.id}
            await leases.give_back(connection, {ours.id: 1}, utcnow())
        assert await place.states() == {"sending": 1}


async def test_a_send_under_way_keeps_its_lease(database_url, receiver):
    receiver.answers["/ana"] = [HANG]
    async with office(database_url, to(receiver), sending=False) as place:
        await place.hear(changed(page()))
        await until(lambda: receiver.to("/ana"))
        await place.sender.maintain_once(utcnow() + LEASE - timedelta(seconds=1))
        async with office(database_url, to(receiver), sending=False) as other:
            await other.sender.maintain_once(utcnow() + LEASE + timedelta(seconds=1))
            assert await other.states() == {"sending": 1}


async def test_a_send_that_a_clean_end_breaks_off_is_anothers_at_once(database_url, receiver):
    receiver.answers["/ana"] = [HANG, 200]
    async with office(database_url, to(receiver), sending=False) as other:
        async with office(database_url, to(receiver)) as place:
            await place.hear(changed(page()))
            await until(lambda: receiver.to("/ana"))
        assert await other.states() == {"pending": 1}
        assert await other.sender.claim_once(utcnow()) == 1
        await until(lambda: len(receiver.to("/ana")) == 2)


async def test_what_is_claimed_while_it_ends_is_sent_all_the_same(database_url, receiver):
    """However the end and the claim meet: nothing stays leased to a notifier that is gone."""
    async with office(database_url, to(receiver), sending=False) as place:
        for number in range(12):
            one = changed(page(page_id=f"p{number}"), incident=incident(id=f"i{number}"))
            await place.hear(one, age=timedelta(seconds=2))  # behind, so it waits in the database
            async with place.sender.running():
                ending = asyncio.create_task(place.consumption.caught_up(utcnow()))
                for _ in range(number):  # a little later each time
                    await asyncio.sleep(0)
            await ending
            assert "sending" not in await place.states()


async def test_a_cancelled_step_ends_before_its_canceller_goes_on():
    committed, steps = asyncio.Event(), []

    async def step() -> None:
        steps.append("begun")
        await committed.wait()
        steps.append("ended")

    task = asyncio.create_task(shielded(step()))
    await until(lambda: steps)
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, committed.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["begun", "ended"]


async def test_a_page_whose_every_contact_fails_for_good_is_unreachable(database_url, receiver):
    receiver.answers["/a"], receiver.answers["/b"] = [404], [400]
    ana = {
        "a": {"webhook": receiver.url("/a")},
        "b": {"webhook": receiver.url("/b")},
        "c": {"apprise": "somewhere"},
    }
    async with office(database_url, bundle({"ana": ana})) as place:
        await place.hear(changed(page()))
        await until(lambda: _reported(place, 3))
        said = await place.outbox()
        assert sorted(one.page for one in said) == ["", "", "unreachable"]
        assert {one.outcome for one in said} == {"failed"}
        assert "LADDER_APPRISE is not set to yes" in {one.reason for one in said}


async def _reported(place, count):
    return len(await place.outbox()) == count


async def test_one_contact_that_works_is_enough(database_url, receiver):
    receiver.answers["/a"] = [404]
    ana = {"a": {"webhook": receiver.url("/a")}, "b": {"webhook": receiver.url("/b")}}
    async with office(database_url, bundle({"ana": ana})) as place:
        await place.hear(changed(page()))
        await until(lambda: _reported(place, 2))
        assert {one.page for one in await place.outbox()} == {"", "reached"}


async def test_a_page_whose_time_is_over_fails_although_its_endpoint_takes_nothing(database_url, receiver):
    async with office(database_url, to(receiver), sending=False) as place:
        await place.hear(changed(page()), age=timedelta(seconds=2))
        await place.sender.maintain_once(utcnow() + timedelta(hours=5))
        assert await place.states() == {"failed": 1}
        (said,) = await place.outbox()
        assert (said.page, said.outcome) == ("unreachable", "failed")


async def test_an_endpoint_that_is_gone_gets_nothing_more(database_url, receiver):
    receiver.answers["/ana"] = [410]
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()))
        await until(lambda: _all_in(place, "failed", 1))
        await place.hear(changed(page(page_id="page-2"), version=2))
        await until(lambda: _all_in(place, "failed", 2))
        assert len(receiver.requests) == 1


async def test_an_endpoint_that_keeps_failing_is_left_alone_for_a_while(database_url, receiver):
    receiver.answers["/ana"] = [503]
    async with office(database_url, to(receiver)) as place:
        for n in range(5):
            await place.hear(changed(page(page_id=f"p{n}"), incident=incident(id=f"i{n}")))
        await until(lambda: place.concurrency.open_breakers(utcnow()))
        count = len(receiver.requests)
        await place.hear(changed(page(page_id="later"), incident=incident(id="later")))
        assert (await place.rows("page_id = 'later'"))[0].state == "pending"
        assert len(receiver.requests) == count


async def test_a_record_that_cannot_be_read_is_set_aside_and_its_neighbours_pass(database_url, receiver):
    async with office(database_url, to(receiver)) as place:
        now = utcnow()
        good, bad = received(changed(page()), at=now), garbled(received(changed(page()), at=now))
        await place.consumption.apply_once([bad, good], now)
        await until(lambda: receiver.to("/ana"))
        (letter,) = [one for one in await place.outbox() if isinstance(one, DeadLetter)]
        assert "cannot be read" in letter.reason
        assert letter.record_value == bad.value


async def test_the_largest_record_that_cannot_be_read_holds_up_nobody(database_url, receiver):
    """Its letter would outgrow the log by a third: it carries the beginning, and its neighbours pass."""
    async with office(database_url, to(receiver)) as place:
        now = utcnow()
        bad = replace(received(changed(page()), at=now), value=b"x" * (LARGEST_RECORD - 500))
        await place.consumption.apply_once([bad, received(changed(page()), at=now)], now)
        await until(lambda: receiver.to("/ana"))
        (letter,) = [one for one in await place.outbox() if isinstance(one, DeadLetter)]
        assert (letter.true_size, letter.sha256) == (len(bad.value), hashlib.sha256(bad.value).hexdigest())
        assert bad.value.startswith(letter.record_value)


async def test_a_message_the_database_refuses_is_set_aside_and_its_pages_reported(database_url, receiver):
    poison = changed(page(user("ana"), page_id="bad\0id"), incident=incident(id="inc-poison"))
    others = [changed(page(page_id=f"p{n}"), incident=incident(id=f"i{n}")) for n in range(5)]
    async with office(database_url, to(receiver)) as place:
        await place.hear(*others[:3], poison, *others[3:])
        await until(lambda: len(receiver.to("/ana")) == 5)
        said = await place.outbox()
        (letter,) = [one for one in said if isinstance(one, DeadLetter)]
        assert "refused by the database" in letter.reason
        (report,) = [
            one for one in said if isinstance(one, DeliveryReport) and one.incident_id == "inc-poison"
        ]
        assert report.page == "unreachable"
        assert place.concurrency.free == 1_024 or await until(lambda: place.concurrency.free == 1_024)


async def test_an_incident_id_the_database_refuses_stops_nobody(database_url, receiver):
    poison = changed(page(), incident=incident(id="inc\0"))
    async with office(database_url, to(receiver)) as place:
        await place.hear(poison, changed(page(), incident=incident(id="fine")))
        await until(lambda: receiver.to("/ana"))
        assert any(isinstance(one, DeadLetter) for one in await place.outbox())


async def test_somebody_unknown_may_stand_in_a_newer_policy(database_url, receiver):
    async with office(database_url, bundle({"petra": {"box": {"inbox": "petra"}}})) as place:
        place.next_bundle = to(receiver)
        await place.hear(changed(page()))
        await until(lambda: receiver.to("/ana"))


async def test_a_newer_policy_is_awaited_once_for_somebody_unknown(database_url):
    async with office(database_url, bundle()) as place:
        await place.hear(changed(page(user("ghost"))))
        await place.hear(changed(page(user("ghost"), page_id="page-2"), version=2))
        assert place.policies_awaited == 1
        assert [one.page for one in await place.outbox()] == ["unreachable", "unreachable"]


async def test_pages_of_a_partition_that_is_behind_wait_until_it_has_caught_up(database_url, receiver):
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()), age=timedelta(seconds=2))
        assert place.consumption.waiting
        assert await place.states() == {"pending": 1}
        await place.hear(
            changed(incident=incident(id="other"))
        )  # the newest record of the partition is fresh
        await until(lambda: receiver.to("/ana"))
        assert not place.consumption.waiting


async def test_a_partition_with_nothing_more_to_read_has_caught_up(database_url, receiver):
    async with office(database_url, to(receiver)) as place:
        await place.hear(changed(page()), age=timedelta(seconds=2), partition=1)
        await place.hear(changed(incident=incident(id="other")), age=timedelta(seconds=2), partition=2)
        await until(lambda: receiver.to("/ana"))


async def test_a_stakeholders_address_gets_its_updates(database_url, receiver):
    async with office(database_url, to(receiver)) as place:
        told = notice(
            "update", address(receiver.url("/board")), stakeholder=True, text="Half of it works again."
        )
        await place.hear(changed(notices=[told]))
        (request,) = await until(lambda: receiver.to("/board"))
        assert request.event == "update"
        assert "Half of it works again." in request.content["data"]["text"]
        assert list(request.content["data"]["links"]) == ["incident"]


async def test_an_inside_address_that_is_not_allowed_is_refused(database_url):
    policy = bundle({"ana": {"b": {"webhook": "http://127.0.0.2:9/"}}})
    async with office(database_url, policy) as place:
        await place.hear(changed(page()))
        (said,) = await until(place.outbox)
        assert (said.page, "LADDER_OUTBOUND_ALLOW" in said.reason) == ("unreachable", True)


async def test_a_burst_costs_few_statements_and_loses_nothing(database_url):
    policy = bundle({"ana": {"box": {"inbox": "ana"}}})
    async with office(database_url, policy) as place:
        messages = [changed(page(page_id=f"p{n}"), incident=incident(id=f"i{n}")) for n in range(500)]
        await place.hear(*messages)
        await until(lambda: _all_in(place, "delivered", 500), 20)


@pytest.mark.parametrize("count", [1, 50])
async def test_a_page_goes_out_at_once_whatever_went_before(database_url, receiver, count):
    async with office(database_url, to(receiver)) as place:
        for n in range(count):
            await place.hear(changed(page(page_id=f"p{n}"), incident=incident(id=f"i{n}")))
            await asyncio.sleep(0)
        began = time.monotonic()
        await place.hear(changed(page(page_id="last"), incident=incident(id="last")))
        await until(lambda: any("last" in str(one.body) for one in receiver.to("/ana")))
        assert time.monotonic() - began < 1


async def test_what_has_reached_somebody_has_although_it_fails_when_it_goes_once_more(database_url, receiver):
    receiver.answers["/ana"] = [200, 404]
    async with office(database_url, to(receiver), sending=False) as place:
        await place.hear(changed(page()))
        await until(lambda: place.concurrency.free == 1_024)
        await place.sender.record_once(utcnow())
        async with place.database.transaction() as connection:
            found = await redelivery.locked(connection, str((await place.rows())[0].id))
            assert found is not None
            await redelivery.send_again(connection, found[0], "user:petra", utcnow())
        await place.sender.claim_once(utcnow())
        await until(lambda: place.concurrency.free == 1_024)
        await place.sender.record_once(utcnow())
        assert [(one.outcome, one.page) for one in await place.outbox()] == [
            ("delivered", "reached"),
            ("failed", ""),
        ]


async def test_the_backlog_of_a_busy_endpoint_hides_nobody_elses_messages(database_url, receiver):
    """More of it is due than a claim looks at, some places are free, and it would never be others' turn."""
    users = {"ana": {"bot": {"webhook": receiver.url("/ana")}}}
    async with office(database_url, bundle(users), sending=False) as place:
        content = encode({"at": "2026-03-02T09:00:00Z", "incident": incident()}).decode()
        given = {"content": content, "busy": "http://busy.test/", "host": "busy.test", "most": 2_500}
        await place.execute(_BACKLOG, **given)
        await place.execute(_BACKLOG, **given | {"busy": receiver.url("/ana"), "host": "here", "most": 1})
        pace, claimed = Pace(RATES), []
        for _ in range(4):
            found = await claim(place.database, place.concurrency, pace, utcnow())
            claimed += [one.first.address for one in found]
            place.concurrency.release(found[0].first)  # a place of the busy one is free whenever one looks
        assert receiver.url("/ana") in claimed


_BACKLOG = """
    WITH known AS (
        INSERT INTO notifier.incident (id, version, updated_at) VALUES ('backlog', 1, now())
        ON CONFLICT (id) DO NOTHING
    )
    INSERT INTO notifier.delivery (id, incident_id, version, notice_id, recipient_kind, recipient, channel,
        contact, address, event, endpoint, host, state, next_attempt_at, give_up_at, content, created_at)
    SELECT gen_random_uuid(), 'backlog', 1, 'n' || n, 'user', 'ana', 'webhook', 'bot',
        CAST(:busy AS text), 'opened', :busy, :host, 'pending', now() - CAST(:most AS integer) * interval '1 s',
        now() + interval '1 hour', CAST(:content AS json), now()
    FROM generate_series(1, CAST(:most AS integer)) AS n
"""


async def test_whoever_calls_pages_off_waits_for_whoever_writes_results_and_never_in_a_ring(database_url):
    contacts = {f"bot{n}": {"webhook": f"http://127.0.0.1:1/{n}"} for n in range(6)}
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    lock = text("SELECT 1 FROM notifier.delivery WHERE id = :id FOR UPDATE")
    async with office(database_url, bundle({"ana": contacts}), sending=False) as place:
        await place.hear(changed(page()), age=timedelta(seconds=2))  # they wait in the database
        async with place.database.transaction() as results:
            first, *others = sorted((await place.rows()), key=lambda row: row.id)
            await results.execute(lock, {"id": first.id})
            calling_off = asyncio.create_task(place.hear(changed(settled="taken", version=2)))

            async def waits():
                async with place.database.transaction() as connection:
                    return (await connection.execute(text(waiting))).one_or_none()

            await until(waits)
            for row in others:
                await results.execute(lock, {"id": row.id})
        await calling_off
        assert await place.states() == {"cancelled": 6}
