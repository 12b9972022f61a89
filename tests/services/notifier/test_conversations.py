"""What is said of an incident in one place is one thread, and its first message shows where that stands."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from services.notifier.domain.conversation import place_of
from shared.clock import utcnow
from tests.channels.provider import Said
from tests.channels.slack_server import TOKEN, Slack, said, slack_server
from tests.services.notifier.building import bundle, changed, incident, notice, page, user
from tests.services.notifier.inside import Office, office
from tests.waiting import until

PEOPLE = bundle(
    {
        "ana": {"chat": {"slack": "U024BE7LH"}},
        "petra": {"chat": {"slack": "U0PETRA"}},
        "hook": {"chat": {"webhook": "http://127.0.0.1:1/"}},
    },
    teams={"desk": {"members": ["ana"], "contacts": {"room": {"slack": "#desk"}}}},
)

LATER = "state = 'pending' AND next_attempt_at > created_at + interval '30 seconds'"  # it is not its turn


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with slack_server() as running:
        running.people.add("U0PETRA")
        yield running


def by(slack: Slack) -> dict[str, Any]:
    return {"slack_token": SecretStr(TOKEN), "slack_api_url": f"{slack.url}/api"}


def taken(version=2, *, told=(), **said):
    now = incident(version=version, status="acknowledged", assignee="petra", **said)
    how = {"settled": "taken", "by": "user:petra", "changes": ("taken",), "at": utcnow()}
    return changed(incident=now, notices=told, **how)


async def sent(place: Office, count: int) -> None:
    await until(lambda: _finished(place, count))


async def _finished(place: Office, count: int) -> bool:
    rows = await place.rows()
    return len(rows) == count and all(row.state in ("delivered", "cancelled", "failed") for row in rows)


async def test_what_somebody_else_took_shows_in_the_message_that_was_sent_before(database_url, slack):
    """Nobody is told there: the update of the first message comes all the same, and no report speaks of it."""
    async with office(database_url, PEOPLE, **by(slack)) as place:
        await place.hear(changed(page()))
        await sent(place, 1)
        before = len(await place.outbox())
        await place.hear(taken())
        await sent(place, 2)
        (message,) = slack.roots()
        assert "Taken: [P1] Checkout is down" in said(message)
        assert "Petra has taken it." in said(message)
        assert slack.answers() == []
        assert len(await place.outbox()) == before


async def test_two_messages_that_start_together_are_one_thread(database_url, slack):
    told = [
        notice("opened", user("ana"), notice_id=f"n{number}", text=f"news {number}") for number in range(3)
    ]
    async with office(database_url, PEOPLE, rates={}, **by(slack)) as place:
        await place.hear(changed(page(), notices=told))
        await sent(place, 4)
        assert (len(slack.roots()), len(slack.answers())) == (1, 3)


async def test_two_notifiers_open_one_thread(database_url, slack):
    async with (
        office(database_url, PEOPLE, sending=False, **by(slack)) as one,
        office(database_url, PEOPLE, sending=False, **by(slack)) as other,
    ):
        await one.hear(changed(page()))
        await other.hear(changed(notices=[notice("opened")], message_id="another"))
        async with one.sender.running(), other.sender.running():
            await sent(one, 2)
        assert (len(slack.roots()), len(slack.answers())) == (1, 1)


async def test_the_newest_state_wins_and_nothing_older_is_shown_after_it(database_url, slack):
    async with office(database_url, PEOPLE, **by(slack)) as place:
        await place.hear(changed(page()))
        await sent(place, 1)
        slack.refuse = [Said("", 503)]
        await place.hear(taken())
        await until(lambda: place.rows("event = 'state' AND attempts = 1 AND state = 'pending'"))
        await place.hear(changed(incident=incident(version=3, status="resolved"), changes=("resolved",)))
        await sent(place, 3)
        assert {row.version: row.state for row in await place.rows("event = 'state'")} == {
            2: "cancelled",
            3: "delivered",
        }
        assert "Resolved: " in said(slack.roots()[0])
        async with place.database.transaction() as connection:
            shown = await connection.execute(text("SELECT shown_version, busy FROM notifier.conversation"))
            assert [tuple(row) for row in shown] == [(3, None)]


async def test_a_first_message_that_can_be_changed_no_more_is_nobodys_failed_notice(database_url, slack):
    async with office(database_url, PEOPLE, **by(slack)) as place:
        await place.hear(changed(page()))
        await sent(place, 1)
        before = len(await place.outbox())
        slack.refuse = [Said({"ok": False, "error": "cant_update_message"})]
        await place.hear(taken())
        await sent(place, 2)
        assert await place.states() == {"delivered": 1, "failed": 1}
        assert len(await place.outbox()) == before


async def test_a_first_message_that_was_late_is_brought_up_to_date(database_url, slack):
    """It says what was so when it was asked for; the state that has come since is shown right after it."""
    slack.refuse = [Said("", 503)]
    async with office(database_url, PEOPLE, **by(slack)) as place:
        await place.hear(changed(notices=[notice("opened", text="down")]))
        await until(lambda: place.rows("attempts = 1 AND state = 'pending'"))
        await place.hear(changed(incident=incident(version=2, priority=2), changes=("priority",)))
        await until(lambda: place.rows(f"event = 'state' AND attempts = 0 AND {LATER}"))
        assert slack.roots() == []
        await place.execute("UPDATE notifier.delivery SET next_attempt_at = now() WHERE event = 'opened'")
        place.sender.wake()
        await sent(place, 2)
        assert "[P2]" in said(slack.roots()[0])


async def test_where_no_first_message_came_nothing_is_changed(database_url, slack):
    slack.refuse = [Said({"ok": False, "error": "is_archived"})]
    async with office(database_url, PEOPLE, **by(slack)) as place:
        await place.hear(changed(page()))
        await sent(place, 1)
        await place.hear(taken())
        assert await place.states() == {"failed": 1}


async def test_whoever_opens_it_and_dies_holds_nobody_for_long(database_url, slack):
    async with office(database_url, PEOPLE, sending=False, rates={}, **by(slack)) as place:
        await place.hear(changed(page()))
        await until(slack.roots)  # sent, and never written down
        await place.execute("UPDATE notifier.conversation SET busy_until = now() - interval '1 second'")
        await place.sender.abandon()
        await place.hear(changed(notices=[notice("opened")], message_id="later"))
        async with place.sender.running():
            await until(lambda: len(slack.roots()) == 2)
            await until(lambda: place.rows("event = 'opened' AND state = 'delivered'"))
        rows = await place.rows("event = 'opened'")
        assert [row.reference for row in rows] == ["D0ANA:1700000000.000002"]


async def test_a_page_waits_two_seconds_for_whoever_opens_the_thread_and_no_longer(database_url, slack):
    async with office(database_url, PEOPLE, rates={}, **by(slack)) as place:
        for name in ("inc-1", "inc-2"):
            await place.hear(changed(notices=[notice("opened", notice_id=name)], incident=incident(id=name)))
        await sent(place, 2)
        await place.execute(
            "UPDATE notifier.conversation SET reference = NULL, busy = gen_random_uuid(),"
            " busy_until = now() + interval '1 hour'"
        )
        began = utcnow()
        await place.hear(changed(page(), version=2))
        await place.hear(changed(page(page_id="page-2"), incident=incident(id="inc-2", version=2)))
        over = incident(id="inc-2", version=3)  # taken while its page waits: it does not go
        await place.hear(changed(incident=over, settled="taken", by="user:petra"))
        await until(lambda: len(slack.roots()) == 3)
        assert utcnow() - began < timedelta(seconds=4)
        await until(lambda: place.rows("incident_id = 'inc-2' AND page_id <> '' AND state = 'cancelled'"))


async def test_a_page_taken_while_it_waits_leaves_the_message_that_it_shares(database_url, slack):
    async with office(database_url, PEOPLE, sending=False, **by(slack)) as place:
        start = utcnow()
        await place.hear(changed(page(), notices=[notice("opened")]), now=start, age=timedelta(seconds=2))
        await place.execute(
            "INSERT INTO notifier.conversation"
            " (incident_id, place, channel, address, busy, busy_until, updated_at)"
            " VALUES ('inc-1', :place, 'slack', 'U024BE7LH', gen_random_uuid(),"
            " now() + interval '1 hour', now())",
            place=place_of("slack", "U024BE7LH"),
        )
        assert await place.sender.claim_once(start + timedelta(seconds=6)) == 1
        await place.hear(taken())
        await until(lambda: place.concurrency.free == 1_024)
        await place.sender.record_once(utcnow())
        rows = {row.event: row.state for row in await place.rows()}
        assert (rows["page"], rows["opened"]) == ("cancelled", "pending")
        assert slack.roots() == []


async def test_what_went_by_channels_that_keep_no_conversations_is_never_changed(database_url, slack):
    async with office(database_url, PEOPLE, sending=False, **by(slack)) as place:
        await place.hear(changed(page(user("hook"))))
        await place.hear(taken())
        assert await place.rows("event = 'state'") == []
