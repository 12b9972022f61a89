"""A sender's own id twice: the same event when it says the same, and never one that is accepted and dropped."""

from tests.services.intake.fakes import CLOUD, SCRIPTS, bearer, intake
from tests.services.intake.test_posting import assert_problem

ONCE = bearer(SCRIPTS) | {"idempotency-key": "post-1"}
CLOUD_EVENT = {"specversion": "1.0", "id": "1", "source": "/db", "type": "com.example.disk.full"}
STRUCTURED = bearer(CLOUD) | {"content-type": "application/cloudevents+json"}
BATCH = bearer(CLOUD) | {"content-type": "application/cloudevents-batch+json"}


async def test_the_same_idempotency_key_with_another_body_is_refused(client, log):
    """Nobody is told of an incident that will never be: the second body is not accepted."""
    first = await client.post("/v1/events", json={"title": "a", "dedup_key": "k"}, headers=ONCE)
    other = await client.post("/v1/events", json={"title": "b", "dedup_key": "l"}, headers=ONCE)
    assert first.status_code == 202
    assert_problem(other, 422, "idempotency-key-reused", "Idempotency-Key")
    assert [event.title for event in log.events] == ["a"]


async def test_the_same_body_written_otherwise_is_the_same_event(client):
    """Spaces and the order of fields are not content."""
    bodies = (b'{"title": "a", "labels": {"x": "1"}}', b'{ "labels":{"x":"1"}, "title":"a" }')
    headers = ONCE | {"content-type": "application/json"}
    first, again = [await client.post("/v1/events", content=body, headers=headers) for body in bodies]
    assert (first.status_code, first.json()) == (again.status_code, again.json())


async def test_a_cloud_event_with_the_id_of_another_one_is_refused(client, log):
    first = await client.post("/v1/events", json=CLOUD_EVENT | {"data": {"disk": 1}}, headers=STRUCTURED)
    other = await client.post("/v1/events", json=CLOUD_EVENT | {"data": {"disk": 2}}, headers=STRUCTURED)
    assert first.status_code == 202
    assert_problem(other, 422, "idempotency-key-reused", "id")
    elsewhere = CLOUD_EVENT | {"data": {"disk": 2}, "source": "/db2"}
    assert (await client.post("/v1/events", json=elsewhere, headers=STRUCTURED)).status_code == 202
    assert len(log.events) == 2


async def test_two_events_of_one_id_in_one_batch_are_refused_by_their_place(client):
    batch = [CLOUD_EVENT | {"data": {"disk": number}} for number in (1, 1, 2)]
    answer = await client.post("/v1/events", json=batch, headers=BATCH)
    assert_problem(answer, 422, "idempotency-key-reused", "/2: id")


async def test_what_was_not_acknowledged_may_be_sent_again_otherwise(client, log):
    """503 means that nothing was accepted: the key is still free."""
    log.down = True
    refused = await client.post("/v1/events", json={"title": "a"}, headers=ONCE)
    log.down = False
    accepted = await client.post("/v1/events", json={"title": "b"}, headers=ONCE)
    assert (refused.status_code, accepted.status_code) == (503, 202)


async def test_another_process_does_not_know_the_key_and_tells_the_two_apart(log):
    """Where it cannot be known it is accepted, and travels as what it is: another event."""
    async with intake(log) as client:
        await client.post("/v1/events", json={"title": "a", "dedup_key": "k"}, headers=ONCE)
    async with intake(log) as client:
        other = await client.post("/v1/events", json={"title": "b", "dedup_key": "l"}, headers=ONCE)
    async with intake(log) as client:
        await client.post("/v1/events", json={"title": "a", "dedup_key": "k"}, headers=ONCE)
    first, second, third = log.events
    assert other.status_code == 202
    assert first.event_id == second.event_id
    assert first.identity == third.identity != second.identity


async def test_an_event_without_an_id_of_its_own_carries_no_hash(client, log):
    """Trigger, resolve and the same trigger again is a new page: bodies alone never make a repeat."""
    for _ in range(2):
        await client.post("/v1/events", json={"title": "a", "dedup_key": "k"}, headers=bearer(SCRIPTS))
    first, second = log.events
    assert first.said == ""
    assert first.identity != second.identity
