"""One outcome or letter that the database refuses: its neighbours never notice."""

import asyncio
from collections.abc import Iterable
from datetime import datetime

import pytest

from services.notifier.channels import Delivered, Rejected, Unavailable
from services.notifier.channels.inbox import InboxChannel
from services.notifier.domain.delivery import Delivery
from services.notifier.sending.sender import Sender
from shared.events import DeadLetter, DeliveryReport
from tests.channels.envelopes import envelope
from tests.services.notifier.building import bundle, changed, incident, page
from tests.services.notifier.inside import Office, office
from tests.waiting import until

# What the column takes is not for the test to guess: the server itself says no, as it does to a NUL.
REFUSES = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE 'no such value' USING ERRCODE = '22000'; END $$
"""
NO_OUTCOME = """
    CREATE TRIGGER refuses BEFORE UPDATE ON notifier.delivery FOR EACH ROW
    WHEN (NEW.incident_id = 'bad' AND NEW.state = 'failed' AND NEW.last_error LIKE '{error}')
    EXECUTE FUNCTION refuse()
"""
NO_LETTER = """
    CREATE TRIGGER refuses BEFORE INSERT ON notifier.inbox_message FOR EACH ROW
    WHEN (NEW.title LIKE '%poison%') EXECUTE FUNCTION refuse()
"""


@pytest.mark.parametrize(
    ("error", "state"),
    [
        ("%400%", "failed"),  # only the provider's words are refused: the state is written with plain ones
        ("%", "sending"),  # nothing of it is taken: it is left, and goes out again when its lease has ended
    ],
)
async def test_one_outcome_that_cannot_be_written_does_not_hold_up_its_neighbours(
    database_url, receiver, error, state
):
    """They are written and reported at once, however many wait behind it."""
    receiver.answers["/ana"] = [400]
    async with office(database_url, bundle({"ana": {"bot": {"webhook": receiver.url("/ana")}}})) as place:
        await place.execute(REFUSES)
        await place.execute(NO_OUTCOME.format(error=error))
        names = ("first", "bad", "last")
        await place.hear(*(changed(page(page_id=f"p-{name}"), incident=incident(id=name)) for name in names))
        await until(lambda: has_states(place, first="failed", bad=state, last="failed"))
        reported = {each.incident_id for each in await place.outbox() if isinstance(each, DeliveryReport)}
        assert reported == ({"first", "bad", "last"} if state == "failed" else {"first", "last"})


async def has_states(place: Office, **wanted: str) -> bool:
    return {row.incident_id: row.state for row in await place.rows()} == wanted


async def test_one_letter_that_the_inbox_cannot_keep_does_not_hold_up_its_neighbours(database_url):
    """It is refused for good, so that the next contact method is tried; the others are there to be read."""
    async with office(database_url, bundle(), sending=False) as place:
        await place.execute(REFUSES)
        await place.execute(NO_LETTER)
        titles = ("first", "poison", "last")
        results = await asyncio.gather(
            *(place.channels["inbox"].send(envelope("ana", id=title, title=title)) for title in titles)
        )
    assert [type(each) for each in results] == [Delivered, Rejected, Delivered]
    assert "no such value" in results[1].reason


@pytest.mark.parametrize("err", [TimeoutError(), KeyError("a fault of our own")])
async def test_an_inbox_that_fails_answers_everybody(err):
    """Whatever it is, nobody waits for ever, and all are tried again."""

    async def keep(_):
        raise err

    channel = InboxChannel(keep)
    results = await asyncio.gather(*(channel.send(envelope("ana")) for _ in range(3)))
    assert {type(each) for each in results} == {Unavailable}


class BreaksOver(Sender):
    """The real sender, except that whatever it does about this incident breaks it by a fault of its own."""

    def reserve(self, deliveries: Iterable[Delivery], now: datetime) -> frozenset[str]:
        given = list(deliveries)
        if any(delivery.incident_id == "bad" for delivery in given):
            raise KeyError("bad")
        return super().reserve(given, now)


async def test_a_fault_of_the_shell_that_one_message_brings_out_stops_nobody_elses_pages(
    database_url, receiver
):
    """Once it has lasted: the others go out; of that one the router hears, so that the next level is asked."""
    bot = bundle({"ana": {"bot": {"webhook": receiver.url("/ana")}}})
    async with office(database_url, bot, sender=BreaksOver) as place:
        names = ("first", "bad", "last")
        said = [changed(page(page_id=f"p-{name}"), incident=incident(id=name)) for name in names]
        with pytest.raises(KeyError):
            await place.hear(*said)
        await place.hear(*said, apart=True)
        await until(lambda: len(receiver.to("/ana")) == 2)
        said_of_it = [one for one in await place.outbox() if getattr(one, "incident_id", "bad") == "bad"]
        (report,) = [one for one in said_of_it if isinstance(one, DeliveryReport)]
        assert report.page == "unreachable"
        (letter,) = [one for one in said_of_it if isinstance(one, DeadLetter)]
        assert "cannot be applied: KeyError" in letter.reason
