"""What one subscription tells one address within the digest's time is one message."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.notifier.domain.delivery import Delivery
from services.notifier.domain.digest import Collected, delivery_of, ends_at, is_digested, key_of
from services.notifier.domain.messages.compose import render
from services.notifier.domain.messages.rendered import RenderedMessage
from services.notifier.domain.messages.webhook_body import LARGEST, webhook_body
from services.notifier.domain.plan import plan
from services.notifier.sending.links import links_of, unsubscribe_of
from services.notifier.storage import digests
from shared.clock import utcnow
from shared.events import Recipient
from tests.channels.receiver import Receiver
from tests.services.notifier.building import T0, address, bundle, changed, incident, notice, page, user
from tests.services.notifier.inside import SIGNER, Office, office
from tests.waiting import until

TEN_MINUTES: Any = {"digest_seconds": 600.0, "subscription": "team:management"}
OUTSIDE: Any = {"digest_seconds": 600.0, "subscription": "customer", "stakeholder": True}


def customer(url: str = "http://x.test/acme") -> Recipient:
    return Recipient(kind="customer", name="acme", contacts=address(url).contacts)


def happened(event: str, name: str, minute: float = 0, *, to: Recipient | None = None, **said: Any) -> Any:
    """A message about one incident: what a subscription tells of it."""
    told = {key: said.pop(key) for key in ("text", "template") if key in said}
    version = int(minute * 60) + 1
    kind = OUTSIDE if to is not None and to.kind in ("customer", "address") else TEN_MINUTES
    wanted = notice(event, to, notice_id=f"{name}-{event}-{version}", **kind, **told)
    about = incident(id=f"inc-{name}", title=f"{name} is down", version=version, **said)
    at = T0 + timedelta(minutes=minute)
    return changed(notices=[wanted], incident=about, at=at, message_id=f"{name}-{event}-{version}")


def planned(*messages: Any, **sections: Any) -> list[Delivery]:
    return [each for message in messages for each in plan(message, bundle(**sections), T0).deliveries]


def digest_of(*messages: Any, incidents: int = 0, **sections: Any) -> tuple[Delivery, RenderedMessage]:
    told = planned(*messages, **sections)
    count = incidents or len({each.incident_id for each in told})
    made = delivery_of(Collected(T0, told, count), T0 + timedelta(minutes=10))
    links = links_of(made, "https://l.example", SIGNER)
    return made, render(made, bundle(**sections), links, T0 + timedelta(minutes=10))


# --- what it says


def test_it_lists_each_incident_with_what_happened_the_newest_state_first() -> None:
    _, made = digest_of(
        happened("opened", "checkout", 0),
        happened("opened", "disk", 1),
        happened("update", "checkout", 4, text="We replace it.", status="acknowledged", assignee="ana"),
    )
    assert made.title == "2 incidents: 2 open"
    assert made.description.split("\n\n") == [
        (
            "• Update: [P1] checkout is down\n  We replace it.\n"
            "  For Acme (gold), opened 2026-03-02 09:00 UTC\n  09:00 Opened"
        ),
        (
            "• Opened: [P1] disk is down\n  A new problem was opened.\n"
            "  For Acme (gold), opened 2026-03-02 09:00 UTC"
        ),
    ]


def test_the_end_of_an_incident_stands_for_its_beginning() -> None:
    _, made = digest_of(
        happened("opened", "checkout", 0),
        happened("breached", "checkout", 2),
        happened("update", "checkout", 3, text="We replace it."),
        happened("resolved", "checkout", 4, status="resolved"),
    )
    assert made.title == "Resolved: [P1] checkout is down"
    assert "Opened" not in made.text
    assert "09:02 Promise broken" in made.text
    assert "09:03 Update: We replace it." in made.text


def test_what_came_back_after_its_end_says_both() -> None:
    _, made = digest_of(
        happened("opened", "disk", 0),
        happened("resolved", "disk", 1, status="resolved"),
        happened("reopened", "disk", 2),
    )
    assert made.title == "Came back: [P1] disk is down"
    assert "09:01 Resolved" in made.text
    assert "09:00" not in made.description.replace("opened 2026-03-02 09:00", "")


def test_of_many_the_newest_ten_are_listed_and_the_others_counted() -> None:
    messages = [happened("opened", f"disk{n}", n) for n in range(12)]
    made, rendered = digest_of(*messages, incidents=4_000)
    assert rendered.title == "4,000 incidents"
    assert rendered.description.count("•") == 10
    assert rendered.description.endswith("and 3,990 more incidents, not listed here")
    assert "disk11" in rendered.description.splitlines()[0]
    assert len(rendered.links) == 10
    assert "digest" in made.event


def test_a_customer_reads_no_people_no_priority_no_reason_and_no_other_customer() -> None:
    inside = {"assignee": "ana", "status": "acknowledged"}
    made, rendered = digest_of(
        happened("opened", "checkout", 0, to=customer()),
        happened("update", "checkout", 1, to=customer(), text="We replace it.", **inside),
        happened("opened", "disk", 2, to=customer(), **inside),
    )
    body = webhook_body(made, rendered, T0)
    for hidden in ("Ana", "ana", "P1", "[P", "gold", "desk", "Why you", "subscription"):
        assert hidden not in rendered.text.replace("acknowledged", ""), hidden
    assert b'"assignee"' not in body
    assert b'"reason"' not in body
    assert "We replace it." in rendered.text
    others = planned(happened("opened", "disk", to=Recipient(kind="customer", name="globex")))
    assert others == []  # without a contact
    mine, theirs = planned(
        happened("opened", "disk", to=customer()),
        happened(
            "opened", "raid", to=Recipient(kind="customer", name="globex", contacts=customer().contacts)
        ),
    )
    assert key_of(mine) != key_of(theirs)


def test_a_template_words_each_incident_and_shows_nothing_else() -> None:
    templates = {"own": {"title": "{{ title }}", "body": "{{ text or happened }}\nHosting Inc."}}
    said: Any = {"to": customer(), "template": "own"}
    _, rendered = digest_of(
        happened("opened", "disk", 0, **said),
        happened("update", "disk", 1, text="We replace it.", **said),
        happened("escalated", "disk", 2, **said),
        happened("resolved", "disk", 3, status="resolved", **said),
        templates=templates,
    )
    assert rendered.description.splitlines() == [
        "• Resolved: disk is down",
        "  The problem is resolved.",
        "  Hosting Inc.",
        "  09:01 Update: We replace it.",
    ]
    assert rendered.links == {}


def test_a_digest_too_large_for_a_webhook_is_cut_and_still_lists_them() -> None:
    long = "word " * 200
    messages = [
        happened("update", f"disk{n}", n + m / 60, text=long, labels={"a": long})
        for n in range(10)
        for m in range(20)
    ]
    made, rendered = digest_of(*messages)
    body = webhook_body(made, rendered, T0)
    assert len(body) <= LARGEST
    assert len(json.loads(body)["data"]["incidents"]) == 10


def test_it_can_be_left_like_any_message_of_its_subscription() -> None:
    made, _ = digest_of(happened("opened", "disk", to=customer()))
    link = unsubscribe_of(made, "https://l.example", SIGNER)
    claims = SIGNER.verify("unsubscribe", link.rpartition("/")[2], T0)
    assert claims is not None
    assert (claims["subscription"], claims["name"]) == ("customer", "acme")


def test_what_goes_at_once_does_not_wait_because_another_subscription_collects() -> None:
    at_once = notice("opened", address("ops@acme.example", "email"), notice_id="a", stakeholder=True)
    collected = notice(
        "opened", address("ops@acme.example", "email"), notice_id="b", stakeholder=True, digest_seconds=60.0
    )
    told = plan(changed(notices=[collected, at_once]), bundle(), T0).deliveries
    assert [is_digested(each) for each in told] == [True, False]


def test_a_notifier_of_the_last_release_still_says_that_there_is_news() -> None:
    made, _ = digest_of(happened("opened", "disk"), happened("opened", "raid"))
    older = replace(made, content=msgspec.structs.replace(made.content, digest=None))
    rendered = render(older, bundle(), {}, T0)
    assert rendered.title == "News of 2 incidents"
    assert "There is news of 2 incidents since 2026-03-02 09:00 UTC." in rendered.text


def test_quiet_hours_make_one_message_in_the_morning() -> None:
    quiet = {"days": "mon-sun", "from": "22:00", "to": "07:00"}
    users = {"ana": {"name": "Ana", "quiet_hours": quiet, "contacts": {"box": {"inbox": "ana"}}}}
    night = datetime.fromisoformat("2026-03-02T23:00:00+00:00")
    message = happened("opened", "disk", to=user())
    (delivery,) = plan(message, bundle(users), night).deliveries
    assert ends_at(delivery, night) == datetime.fromisoformat("2026-03-03T07:00:00+00:00")


# --- from the log to the receiver


@pytest.fixture
async def place(database_url: str, receiver: Receiver) -> AsyncIterator[Office]:
    policy = bundle({"ana": {"bot": {"webhook": receiver.url("/ana")}}})
    async with office(database_url, policy) as running:
        yield running


async def time_is_over(place: Office) -> None:
    await place.execute("UPDATE notifier.digest SET ends_at = now() - interval '1 s'")


async def test_pages_go_at_once_and_what_is_told_waits_for_its_digest(
    place: Office, receiver: Receiver
) -> None:
    opened = happened("opened", "disk")
    both = changed(page(), notices=opened.notices, incident=opened.incident)
    await place.hear(both, happened("opened", "raid"))
    await place.hear(happened("resolved", "raid", 1, status="resolved"))
    await until(lambda: receiver.to("/ana"))
    assert [row.event for row in await place.rows()] == ["page"]
    await time_is_over(place)
    await until(lambda: len(receiver.to("/ana")) == 2)
    body = json.loads(receiver.to("/ana")[1].body)
    assert (body["type"], body["data"]["count"]) == ("digest", 2)
    listed = body["data"]["incidents"]
    assert [(each["incident"]["id"], each["event"]) for each in listed] == [
        ("inc-raid", "resolved"),
        ("inc-disk", "opened"),
    ]
    assert await left(place) == (0, 0)


async def left(place: Office) -> tuple[int, int]:
    async with place.database.transaction() as connection:
        counts = [
            (await connection.exec_driver_sql(f"SELECT count(*) FROM notifier.{table}")).scalar_one()
            for table in ("digest", "digest_item")
        ]
    return counts[0], counts[1]


async def test_a_message_read_twice_is_told_once(place: Office, receiver: Receiver) -> None:
    for _ in range(2):
        await place.hear(happened("opened", "disk"))
    assert await left(place) == (1, 1)
    await time_is_over(place)
    await until(lambda: receiver.to("/ana"))
    await place.hear(happened("opened", "disk"))
    assert await left(place) == (0, 0)


async def test_what_comes_after_its_end_begins_the_next(place: Office, receiver: Receiver) -> None:
    for number in (1, 2):
        await place.hear(happened("opened", f"disk{number}"))
        await time_is_over(place)
        await until(lambda: len(receiver.to("/ana")) == number)  # noqa: B023 - awaited at once
    assert len({each.headers["webhook-id"] for each in receiver.to("/ana")}) == 2


async def test_two_replicas_collect_one_digest_and_send_it_once(
    database_url: str, receiver: Receiver
) -> None:
    policy = bundle({"ana": {"bot": {"webhook": receiver.url("/ana")}}})
    async with (
        office(database_url, policy, sending=False) as one,
        office(database_url, policy, sending=False) as other,
    ):
        for number in range(5):
            await one.hear(happened("opened", f"a{number}"))
            await other.hear(happened("opened", f"b{number}"), partition=1)
        assert await left(one) == (1, 10)
        later = utcnow() + timedelta(minutes=11)
        for each in (one, other):
            async with each.database.transaction() as connection:
                await digests.send(connection, later)
        (row,) = await one.rows()
        assert (row.event, row.content["digest"]["incidents"]) == ("digest", 10)
        assert await left(other) == (0, 0)


async def test_a_digest_that_fails_for_good_is_reported_to_each_incident(database_url: str) -> None:
    policy = bundle({"ana": {"bot": {"webhook": "http://10.0.0.1/"}}})
    async with office(database_url, policy) as place:
        await place.hear(happened("opened", "disk"), happened("resolved", "raid", status="resolved"))
        await time_is_over(place)
        reports = await until(place.outbox)
        assert sorted((each.incident_id, each.event, each.outcome) for each in reports) == [
            ("inc-disk", "opened", "failed"),
            ("inc-raid", "resolved", "failed"),
        ]
