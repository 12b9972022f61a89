"""What the router tells always fits into the log, however many people it tells of."""

from typing import Any

import msgspec
import pytest

from services.notifier.domain.plan import plan
from services.router.batch.outgoing import records_of
from shared.eventlog import Record, RecordTooLargeError, codec
from shared.eventlog.placement import size_of
from shared.events import ESCALATIONS, LARGEST_RECORD, ClockEvent, Contact, IncidentChanged, Recipient
from shared.outbox import outbox
from shared.policy import Bundle
from tests.domain.tale import bundle, ladder
from tests.services.notifier import building
from tests.services.notifier.building import T0, changed, incident, notice, page, user
from tests.services.router.desk import Desk, event

PEOPLE = 10_000


def parts_of(message: IncidentChanged) -> list[IncidentChanged]:
    records = records_of([message])
    assert all(size_of(record) <= LARGEST_RECORD for record in records)
    return [codec.decode(IncidentChanged, record.value, record.headers) for record in records]


def with_pages(count: int, **fields: Any) -> IncidentChanged:
    pages = [page(user(f"person-{n}"), page_id=f"page-{n}", reason="on call " * 40) for n in range(count)]
    return msgspec.structs.replace(changed(*pages), **fields)


def test_a_message_that_fits_is_one_record() -> None:
    message = with_pages(3)
    assert records_of([message]) == [codec.encode(message)]


def test_a_page_to_ten_thousand_people_goes_out_in_several_messages() -> None:
    """Everybody once, in order, of one version; what was settled and counted is said once, at first."""
    message = with_pages(
        PEOPLE,
        changes=("opened",),
        why=("opened",),
        clock_events=(ClockEvent(target="resolve", event="warn"),),
    )
    first, *others = parts_of(message)
    assert others
    told = [each for part in (first, *others) for each in part.pages]
    assert [each.page_id for each in told] == [f"page-{n}" for n in range(PEOPLE)]
    assert first.message_id == message.message_id
    assert len({part.message_id for part in (first, *others)}) == 1 + len(others)
    assert {part.incident.version for part in others} == {message.incident.version}
    assert (first.changes, first.clock_events) == (message.changes, message.clock_events)
    assert not any(part.changes or part.clock_events or part.settled for part in others)


def test_the_parts_of_a_message_are_planned_as_the_whole_would_be() -> None:
    people = {f"person-{n}": {"bot": {"webhook": f"http://x.test/{n}"}} for n in range(PEOPLE)}
    policy: Bundle = building.bundle(people)
    message = with_pages(PEOPLE)
    whole = {each.id for each in plan(message, policy, T0).deliveries}
    assert {each.id for part in parts_of(message) for each in plan(part, policy, T0).deliveries} == whole


@pytest.mark.parametrize(
    "fields",
    [
        {"labels": {f"label-{n}": "x" * 1_000_000 for n in range(8)}},
        {"labels": {"\x01" * 500_000: "\x01" * 500_000}},
        {"attributes": {f"a-{n}": "x" * 60_000 for n in range(100)}},
        {"description": "\x01" * 1_000_000},
    ],
)
def test_an_incident_with_megabytes_of_text_is_told_of_with_the_beginning(fields: dict[str, Any]) -> None:
    """The page goes out; the message says that it was cut, and from how much."""
    message = msgspec.structs.replace(changed(page()), incident=incident(**fields))
    (part,) = parts_of(message)
    assert part.pages == message.pages
    assert "bytes: it carries the beginning" in part.why[-1]


def test_somebody_with_megabytes_of_addresses_is_told_at_the_first_ones() -> None:
    contacts = tuple(
        Contact(name=f"c{n}", channel="webhook", address="https://x.test/" + "x" * 900) for n in range(5000)
    )
    acme = Recipient(kind="customer", name="acme", contacts=contacts)
    (part,) = parts_of(changed(page(), notices=[notice(recipient=acme)]))
    assert 100 < len(part.notices[0].recipient.contacts) < 5000


async def test_a_team_of_ten_thousand_is_paged_although_no_record_holds_them_all(desk: Desk) -> None:
    """A level that notifies everybody: one decision, several records, nobody left out."""
    count = 12_000
    users = {
        f"person-{n:05}": {"name": f"Person {n}", "contacts": {"box": {"inbox": f"p{n}"}}}
        for n in range(count)
    }
    users["karel"] = {"name": "Karel", "contacts": {"box": {"inbox": "karel"}}}
    everybody = ladder(levels=[{"name": "all", "notify": ["team:all"], "acknowledge_within": "5m"}])
    teams = {"all": {"members": [*users]}}
    plain = {"users": users, "teams": teams, "services": {}, "customers": {}}
    await desk.put_in_force(bundle(**plain, policies={"main": everybody}))
    await desk.accept(event())
    assert len({each.recipient.name for each in await desk.pages()}) == count + 1
    sizes = await desk.sql("SELECT length(value) AS n FROM router.outbox WHERE topic = :t", t=ESCALATIONS)
    assert len(sizes) > 1
    assert all(row.n <= LARGEST_RECORD for row in sizes)


async def test_a_record_that_the_log_would_refuse_is_refused_where_it_is_written(desk: Desk) -> None:
    """Whoever asked for it hears of it; nothing of it gets behind the commit."""
    record = Record(ESCALATIONS, b"k", b"x" * LARGEST_RECORD)
    async with desk.database.transaction() as connection:
        with pytest.raises(RecordTooLargeError, match=f"{LARGEST_RECORD + 1} bytes for {ESCALATIONS}"):
            await outbox.add(connection, "router", [record])
    assert await desk.count("outbox") == 0
