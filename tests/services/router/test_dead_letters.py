"""Dead letters are found in one place, looked at, sent again or dismissed, by whoever may."""

import base64
from typing import Any

import httpx2

from services.router.batch import dead_letter_store
from services.router.batch.inbound import read as read_record
from services.router.batch.inbound import refused
from shared.clock import utcnow
from shared.eventlog import Partition, Received, codec
from shared.eventlog.packed_headers import unpack
from shared.events import DEAD_LETTER, ESCALATIONS, INCIDENTS, LARGEST_RECORD, REPLAYED, DeadLetter
from tests.services.router.api import Api
from tests.services.router.desk import Desk, event, inbound

PATH = "/v1/dead-letters"


def received(topic: str, key: bytes, value: bytes, headers: dict[str, bytes], offset: int = 7) -> Received:
    return Received(Partition(topic, 0), offset, key, value, headers, utcnow())


def letter(letter_id: str = "one", value: bytes = b"{not json", **fields: Any) -> DeadLetter:
    given = {"service": "notifier", "reason": "cannot be read", "from_topic": ESCALATIONS, "offset": 7}
    return DeadLetter(
        letter_id=letter_id,
        at=utcnow(),
        partition=0,
        record_key=b"inc-1",
        record_headers={"ce_id": b"m1"},
        record_value=value,
        **(given | fields),
    )


async def bring(desk: Desk, *brought: DeadLetter) -> None:
    """They come by their topic."""
    records = [codec.encode(each) for each in brought]
    await dead_letter_store.accept(
        desk.engine, [received(DEAD_LETTER, each.key, each.value, dict(each.headers)) for each in records]
    )


async def bring_own(desk: Desk) -> None:
    """What the router wrote into its outbox comes by the topic, as the relay brings it."""
    rows = await desk.sql("SELECT key, value, headers FROM router.outbox WHERE topic = :t", t=DEAD_LETTER)
    await dead_letter_store.accept(
        desk.engine, [received(DEAD_LETTER, row.key, row.value, unpack(row.headers)) for row in rows]
    )


async def ask(served: Api, method: str, path: str, key: str = "admin", **rest: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key}", **rest.pop("headers", {})}
    return await served.client.request(method, f"{PATH}{path}", headers=headers, **rest)


async def listed(served: Api, **query: Any) -> list[str]:
    answer = await ask(served, "GET", "", "lead", params=query)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["items"]]


async def test_a_letter_of_the_notifier_is_found_here_and_somebody_hears_of_it(
    served: Api, desk: Desk
) -> None:
    """Nobody reads a topic: an incident tells of it, and how to look at it."""
    await bring(desk, letter())
    told = await desk.only()
    assert (told.integration, told.dedup_key) == ("ladder", f"dead-letter:{ESCALATIONS}")
    assert "ladder dead-letters show one" in told.description
    assert await desk.pages()
    shown = (await ask(served, "GET", "/one")).json()
    assert (shown["service"], shown["from_topic"], shown["offset"]) == ("notifier", ESCALATIONS, 7)
    assert (shown["state"], shown["complete"], shown["size"]) == ("waiting", True, 9)
    assert (shown["encoding"], shown["body"], shown["cut"]) == ("text", "{not json", False)
    assert shown["headers"] == {"ce_id": "m1"}


async def test_a_letter_about_a_letter_does_not_bring_the_next_one(desk: Desk) -> None:
    """While somebody has been told, more of the same topic are only kept."""
    await bring(desk, letter("one"))
    before = len(await desk.messages())
    await bring(desk, letter("two", offset=8), letter("three", offset=9))
    await bring(desk, letter("two", offset=8))
    assert len(await desk.messages()) == before
    assert await desk.count("dead_letter") == 3


async def test_they_are_listed_page_by_page_by_topic_service_and_state(served: Api, desk: Desk) -> None:
    """The newest first, and only what was asked for."""
    await bring(desk, letter("a"), letter("b", service="router", from_topic=INCIDENTS), letter("c"))
    first = (await ask(served, "GET", "", params={"limit": 2})).json()
    second = (await ask(served, "GET", "", params={"limit": 2, "cursor": first["next"]})).json()
    assert [each["id"] for each in first["items"] + second["items"]] == ["c", "b", "a"]
    assert second["next"] is None
    assert await listed(served, topic=INCIDENTS) == ["b"]
    assert await listed(served, service="notifier") == ["c", "a"]
    await ask(served, "POST", "/a/dismiss", json={})
    assert await listed(served, state="waiting") == ["c", "b"]
    assert await listed(served, state=["replayed", "dismissed"]) == ["a"]


async def test_an_event_that_could_not_be_stored_is_sent_again_and_opens_its_incident(
    served: Api, desk: Desk
) -> None:
    """Once the fault is mended nothing that was accepted is lost: it is not taken for a repeat."""
    said = event("checkout")
    await desk.engine.accept([refused(inbound(said), "it cannot be stored: for the test")])
    (name,) = await listed(served)
    early = await ask(served, "POST", f"/{name}/replay")
    assert (early.status_code, early.json()["title"]) == (409, "It cannot be replayed")
    await bring_own(desk)
    answer = await ask(served, "POST", f"/{name}/replay")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["state"], answer.json()["decided_by"]) == ("replayed", "api:admin")
    row = (await desk.sql("SELECT * FROM router.outbox WHERE topic = :t ORDER BY id DESC", t=INCIDENTS))[0]
    headers = unpack(row.headers)
    assert (row.key, headers["ce_id"], headers[REPLAYED]) == (
        said.key.encode(),
        said.event_id.encode(),
        name.encode(),
    )
    read = read_record(received(INCIDENTS, row.key, row.value, headers, offset=99))
    await desk.engine.accept([read])
    assert "checkout" in {each.dedup_key for each in await desk.incidents() if each.is_open}


async def test_when_the_last_one_of_a_topic_is_decided_its_incident_is_over(served: Api, desk: Desk) -> None:
    """Nobody has to close by hand what has just been dealt with."""
    await bring(desk, letter("one"), letter("two", offset=8))
    await ask(served, "POST", "/one/replay")
    assert (await desk.only()).status == "triggered"
    await ask(served, "POST", "/two/dismiss", json={"note": "sent by hand"})
    assert (await desk.only()).status == "resolved"
    shown = (await ask(served, "GET", "/two")).json()
    assert (shown["state"], shown["note"], shown["decided_by"]) == ("dismissed", "sent by hand", "api:admin")
    assert shown["decided_at"]


async def test_each_is_decided_once(served: Api, desk: Desk) -> None:
    """A second click sends nothing a second time; the same Idempotency-Key gets the same answer."""
    await bring(desk, letter())
    once = {"headers": {"Idempotency-Key": "k"}}
    first = await ask(served, "POST", "/one/replay", **once)
    assert first.status_code == 200
    assert (await ask(served, "POST", "/one/replay", **once)).json() == first.json()
    for path, body in (("replay", None), ("dismiss", {})):
        refused = await ask(served, "POST", f"/one/{path}", json=body)
        assert refused.status_code == 409
        assert "replayed at" in refused.json()["detail"]
    rows = await desk.sql("SELECT 1 FROM router.outbox WHERE topic = :t AND key = 'inc-1'", t=ESCALATIONS)
    assert len(rows) == 1
    assert (await ask(served, "POST", "/none/replay")).status_code == 404


async def test_a_letter_that_was_cut_is_shown_and_not_replayed(served: Api, desk: Desk) -> None:
    """Half a record would be another fault."""
    await bring(desk, letter(value=b"\xff" * 100, true_size=5_000_000, sha256="f" * 64))
    shown = (await ask(served, "GET", "/one")).json()
    assert (shown["size"], shown["complete"], shown["cut"]) == (5_000_000, False, True)
    assert base64.b64decode(shown["body"]) == b"\xff" * 100
    refused = await ask(served, "POST", "/one/replay")
    assert refused.status_code == 409
    assert "100 of its 5,000,000 bytes" in refused.json()["detail"]
    assert (await ask(served, "POST", "/one/dismiss", json={})).status_code == 200


async def test_a_long_body_is_shown_from_its_beginning(served: Api, desk: Desk) -> None:
    """Text stays text where it is cut through a character."""
    await bring(desk, letter(value=b"x" + "ü".encode() * 50_000))
    shown = (await ask(served, "GET", "/one")).json()
    assert (shown["encoding"], shown["cut"], shown["complete"]) == ("text", True, True)
    assert shown["body"] == "x" + "ü" * 32_767


async def test_one_that_the_database_refuses_does_not_keep_the_others_out(served: Api, desk: Desk) -> None:
    """There is no dead letter for a dead letter: the log has it, and its neighbours are kept."""
    await bring(desk, letter("a"), letter("b", offset=2**63), letter("c"))
    assert sorted(await listed(served)) == ["a", "c"]


async def test_the_largest_record_that_cannot_be_read_is_told_of_with_its_beginning(desk: Desk) -> None:
    """The letter fits into the log, its size and hash are those of the whole, and what stands beside it passes."""
    value = b"x" * (LARGEST_RECORD - 500)
    bad = read_record(received(INCIDENTS, b"k", value, {}))
    await desk.engine.accept([bad, inbound(event("beside"))])
    rows = await desk.sql("SELECT key, value, headers FROM router.outbox WHERE topic = :t", t=DEAD_LETTER)
    [told] = [codec.decode(DeadLetter, row.value, unpack(row.headers)) for row in rows]
    assert told.true_size == len(value) > len(told.record_value) > 2_000_000
    assert "beside" in {incident.dedup_key for incident in await desk.incidents()}
