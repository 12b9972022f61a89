"""What was accepted is decided about, even where two events carry the id of one."""

from services.router.batch.inbound import read
from shared.eventlog import Partition, Received, codec
from shared.events import INCIDENTS, IncidentEvent
from tests.services.router.desk import NOON, Desk, event

ID = "5d0f3f0e-9a3f-5b0e-8f5e-2b8a1f1c7a11"


async def accept(desk: Desk, *events: IncidentEvent) -> list[bool]:
    """As they come from the log; for each, whether it was a repeat."""
    signals = []
    for offset, each in enumerate(events):
        record = codec.encode(each)
        received = Received(Partition(INCIDENTS, 0), offset, record.key, record.value, record.headers, NOON)
        signals.append(read(received))
    return [each.repeated for each in await desk.engine.accept(signals)]


async def test_another_event_with_the_same_id_opens_the_incident_that_was_promised(desk: Desk) -> None:
    """Two intakes answered 202, each with a key: both incidents exist."""
    first = event("one", event_id=ID, said="aaaa")
    other = event("other", event_id=ID, said="bbbb")
    assert await accept(desk, first, other) == [False, False]
    assert {incident.dedup_key for incident in await desk.incidents()} == {"one", "other"}
    assert len({incident.id for incident in await desk.incidents()}) == 2


async def test_the_same_event_with_the_same_id_counts_once(desk: Desk) -> None:
    said = event("one", event_id=ID, said="aaaa")
    assert await accept(desk, said, said) == [False, True]
    assert await accept(desk, said) == [True]
    assert (await desk.only()).events == 1


async def test_an_event_of_an_older_intake_is_known_by_its_id_alone(desk: Desk) -> None:
    """While a release is rolled out, ids without a hash go on as before."""
    assert await accept(desk, event("one", event_id=ID), event("other", event_id=ID)) == [False, True]
    assert (await desk.only()).dedup_key == "one"
