"""Every path takes its locks in the order that services/router/batch/gather.py lists: no two wait for each other.

What each transaction sends to a real PostgreSQL is watched, and read as what it locks.
"""

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, TypeAlias

import pytest
from sqlalchemy import event as sqlalchemy_event

from services.router import post_counts
from services.router.batch import dead_letter_store, gather, rotation_store
from services.router.batch.engine import Engine
from services.router.batch.expression_failures import Count
from services.router.batch.inbound import InboundSignal, own_event, read
from services.router.domain.decide import decide
from services.router.domain.model.compiled_bundle import compile_sized
from services.router.domain.model.signals import DeliveryReported
from services.router.duty import silence_store
from services.router.loops import canary, heartbeats, retention
from services.router.loops.fan_out import FanOut
from services.router.policy import store
from shared.clock import utcnow
from shared.database.pool import Database
from shared.eventlog import Partition, Received, codec
from shared.events import (
    DEAD_LETTER,
    ESCALATIONS,
    INCIDENTS,
    UNSUBSCRIBE,
    DeadLetter,
    DeliveryReport,
    HeartbeatReceived,
)
from shared.events import canary as canaries
from shared.events import post_counts as posts
from shared.policy import Bundle
from tests.domain.tale import bundle, on_main
from tests.services.router.api import SCHEDULES, SIGNER, Api, api_of, keys
from tests.services.router.desk import Desk, event

NEW_ROWS: Final = "new rows"
LISTED: Final = re.findall(r"^ +\d+  (new rows|\w+(?:, \w+)*)", gather.__doc__ or "", re.MULTILINE)
ORDER: Final = [name for line in LISTED for name in line.split(", ")]
TURN: Final = {"notify": ["user:ana", "user:petra"], "acknowledge_within": "5m", "mode": "round_robin"}

_READ: Final = re.compile(
    r"(?P<advisory>\bpg_advisory_xact_lock\b)"
    r"|\bINSERT INTO (?P<inserts>\w+\.\w+)"
    r"|\bON CONFLICT(?P<conflict>[^;]{0,12})"
    r"|\bUPDATE (?P<changes>\w+\.\w+)"
    r"|\bDELETE FROM (?P<deletes>\w+\.\w+)"
    r"|\bFROM (?P<reads>\w+\.\w+)(?: AS (?P<alias>\w+))?"
    r"|\bFOR (?P<locks>UPDATE)\b(?: OF (?P<of>\w+))?"
)
Statements: TypeAlias = list[tuple[str, Any]]
"""As the driver gets them: text and parameters."""
SMALL: Final = {"office", "policy_in_force", "heartbeat_watch", "last_resort", "heartbeat"}
"""One row, or one for each heartbeat of the policy."""


def locks_of(statement: str) -> Iterator[str]:
    """What it locks, in the order in which it says so. Plain insertions make rows that nobody else can want."""
    inserted, read_from, aliases = "", "", dict[str, str]()
    for found in _READ.finditer(statement):
        if found["advisory"]:
            yield "advisory"
        elif found["inserts"]:
            inserted = _bare(found["inserts"])
        elif found["conflict"] is not None:
            yield NEW_ROWS if _is_new(inserted, found["conflict"]) else _named(inserted)
        elif changed := found["changes"] or found["deletes"]:
            yield _named(_bare(changed))
        elif found["reads"]:
            read_from = _bare(found["reads"])
            aliases[found["alias"] or read_from] = read_from
        else:
            yield _named(aliases.get(found["of"] or "", read_from))


def _bare(table: str) -> str:
    return table.rpartition(".")[2]


def _is_new(table: str, clause: str) -> bool:
    """Incidents are added behind all locks; so are dead letters by the batch that makes them."""
    return table == "incident" or (table == "dead_letter" and "DO NOTHING" in clause)


def _named(table: str) -> str:
    return table if table in ORDER else NEW_ROWS


def order_of(statements: Statements) -> list[str]:
    """When each table was locked first; later its rows are held, or new."""
    return list(dict.fromkeys(name for statement, _ in statements for name in locks_of(statement)))


@contextmanager
def watching(database: Database) -> Iterator[list[Statements]]:
    """The statements of each transaction that begins inside the block."""
    transactions: list[Statements] = []
    under_way: dict[int, Statements] = {}

    def begins(connection: Any) -> None:
        under_way[id(connection)] = []
        transactions.append(under_way[id(connection)])

    def executes(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if id(connection) in under_way:
            under_way[id(connection)].append((statement, parameters))

    engine = database.engine.sync_engine
    listeners = (("begin", begins), ("before_cursor_execute", executes))
    for name, listener in listeners:
        sqlalchemy_event.listen(engine, name, listener)
    try:
        yield transactions
    finally:
        for name, listener in listeners:
            sqlalchemy_event.remove(engine, name, listener)


def whole(**sections: Any) -> Bundle:
    """A policy by which everything may happen at once."""
    return bundle(
        **{
            "api_keys": keys(),
            "schedules": SCHEDULES,
            "services": {"checkout": {"depends_on": ["payments"]}, "payments": {}},
            "grouping": [{"name": "one per service", "by": ["service"], "within": "5m"}],
            "suppress": [
                {"name": "payments", "when": "service == 'checkout'", "while_open": "service == 'payments'"}
            ],
            "heartbeats": {
                "backup": {"every": "24h", "late_after": "2h", "event": {"title": "Backup is late"}}
            },
            **on_main(levels=[TURN | {"name": "desk"}, TURN | {"name": "experts"}]),
            **sections,
        }
    )


def broken_for_bad(incident: Any, signal: Any, context: Any, policy: Any, now: Any) -> Any:
    """The real decide, except that it fails for one key."""
    if getattr(getattr(signal, "event", None), "dedup_key", "") == "bad":
        raise RuntimeError("broken")
    return decide(incident, signal, context, policy, now)


@pytest.fixture
async def house(database: Database) -> AsyncIterator[Api]:
    """A router with two open incidents, a heartbeat that is watched, and people who may do anything."""
    own = Database(database.url)  # what tests do themselves is not watched
    desk = Desk(own, Engine(database, decide=broken_for_bad))
    async with api_of(desk, keys()) as made:
        await desk.put_in_force(whole())
        await desk.accept(event("a", service="payments"), event("b", service="other"))
        await heartbeats.Watch(desk.engine, lambda: True).look_once(utcnow())
        yield made
    await own.close()


async def ask(house: Api, method: str, path: str, **rest: Any) -> Any:
    headers = {"Authorization": "Bearer admin", "Idempotency-Key": str(uuid.uuid4())} | rest.pop(
        "headers", {}
    )
    answer = await house.client.request(method, path, headers=headers, **rest)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


def record(topic: str, value: bytes, **headers: bytes) -> Received:
    return Received(Partition(topic, 0), 7, b"k", value, headers, utcnow())


async def events(house: Api) -> None:
    """A new group, an incident that cannot be decided, an orphan, and a record that cannot be read."""
    given = [
        event("c", service="checkout"),
        event("bad"),
        event("gone", "resolve"),
        event("d", service="search"),
    ]
    await house.desk.accept(*given)
    await house.desk.engine.accept([read(record(INCIDENTS, b"{not json"))])


async def timers(house: Api) -> None:
    overdue = """jsonb_set(state::jsonb, '{chain,due}', '"2026-01-01T00:00:00Z"')"""
    await house.desk.sql(f"UPDATE router.incident SET state = {overdue}")
    await house.desk.make_due()
    await house.desk.engine.fire()


async def actions(house: Api) -> None:
    known = {incident.dedup_key: incident.id for incident in await house.desk.incidents()}
    assert (await house.act(known["d"], "acknowledge", idempotency="k")).status_code == 200
    assert (await house.act(known["d"], "merge", key="lead", into=known["b"])).status_code == 200


async def fan_out(house: Api) -> None:
    """Once what is to be told is taken, once it is refused."""
    await house.desk.accept(event("e", service="checkout"), event("f", service="checkout"))
    await spread(house)
    await house.desk.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'no such value' USING ERRCODE = '22000'; END $$"
    )
    await house.desk.sql(
        "CREATE TRIGGER refuses BEFORE INSERT ON router.outbox FOR EACH ROW"
        " WHEN (NEW.topic = 'ladder.incidents') EXECUTE FUNCTION refuse()"
    )
    await house.desk.accept(event("a", "resolve"))
    await spread(house)
    await house.desk.sql("DROP TRIGGER refuses ON router.outbox")


async def spread(house: Api) -> None:
    while await FanOut(house.desk.engine).fan_out_once() >= 0:
        pass


async def late_heartbeats(house: Api) -> None:
    """After a pause, with another policy in force."""
    desk = house.desk
    await desk.put_in_force(
        whole(heartbeats={"pulse": {"every": "30s", "late_after": "30s", "event": {"title": "?"}}})
    )
    watch = heartbeats.Watch(desk.engine, lambda: True, canary_every=timedelta(minutes=1))
    await watch.look_once(utcnow())
    await desk.sql("UPDATE router.heartbeat SET due_at = now() - interval '1 h'")
    await desk.sql("UPDATE router.heartbeat_watch SET looked_at = now() - interval '10 min'")
    await watch.look_once(utcnow())


async def beats(house: Api) -> None:
    await house.desk.sql("UPDATE router.heartbeat SET due_at = now() - interval '1 h'")
    await heartbeats.Watch(house.desk.engine, lambda: True).look_once(utcnow())
    beat = HeartbeatReceived(beat_id="b", name="backup", at=utcnow(), by="scripts")
    await heartbeats.accept(house.desk.engine, [beat])


async def policy(house: Api) -> None:
    """From a file, without a user whom something open was asked of."""
    compiled, size = compile_sized(whole(routes=[{"policy": "main"}], last_resort=["user:petra"]))
    house.desk.engine.bundles.keep(compiled, size)
    async with house.desk.engine.database.transaction() as connection:
        await store.apply_file(connection, house.desk.engine.bundles, compiled, changed=True, by="file")
    changed = whole(schedules={"desk": SCHEDULES["desk"] | {"timezone": "UTC"}})
    compiled, _ = compile_sized(changed)
    async with house.desk.engine.database.transaction() as connection:
        await store.replace(connection, house.desk.engine.bundles, compiled, source="api", by="test")


async def silences(house: Api) -> None:
    later = (utcnow() + timedelta(minutes=10)).isoformat()
    made = await ask(house, "POST", "/v1/silences", json={"when": "true", "until": later})
    work = {"name": "work", "from": utcnow().isoformat(), "to": later}
    await ask(house, "POST", "/v1/maintenance", json=work)
    await silence_store.announce_once(house.desk.engine.database, utcnow() + timedelta(minutes=9))
    await ask(house, "DELETE", f"/v1/silences/{made['id']}")


async def leaving(house: Api) -> None:
    """A subscription: by the link in a mail and back, and back by a lead."""
    claims = {"subscription": "team:desk", "kind": "user", "name": "petra"}
    link = f"/v1/replies/unsubscribe/{SIGNER.sign(UNSUBSCRIBE, claims)}"
    for form in ("", "again=1", ""):
        assert (await house.client.post(link, content=form)).status_code == 200
    [left] = (await house.get("/v1/unsubscribed")).json()["items"]
    await ask(house, "DELETE", f"/v1/unsubscribed/{left['id']}")


async def overrides(house: Api) -> None:
    given = {
        "schedule": "desk",
        "user": "karel",
        "from": utcnow().isoformat(),
        "to": (utcnow() + timedelta(hours=1)).isoformat(),
    }
    made = await ask(house, "POST", "/v1/overrides", json=given)
    await ask(house, "DELETE", f"/v1/overrides/{made['id']}")


async def calendars(house: Api) -> None:
    await ask(house, "DELETE", "/v1/schedules/desk/feed")


async def customers(house: Api) -> None:
    await ask(house, "PUT", "/v1/customers/globex", json={"name": "Globex", "match": ["globex.example"]})
    content, kind = "id,name\nglobex,Globex Ltd\ninitech,Initech\n", {"content-type": "text/csv"}
    await ask(
        house, "POST", "/v1/customers/import", content=content, headers=kind, params={"replace": "true"}
    )
    await ask(house, "DELETE", "/v1/customers/globex")


async def dead_letters(house: Api) -> None:
    letter = DeadLetter(
        letter_id="one",
        at=utcnow(),
        service="notifier",
        reason="cannot be read",
        from_topic=ESCALATIONS,
        partition=0,
        offset=7,
        record_key=b"k",
        record_headers={},
        record_value=b"v",
    )
    written = codec.encode(letter)
    brought = record(DEAD_LETTER, written.value, **dict(written.headers))
    await dead_letter_store.accept(house.desk.engine, [brought])
    await ask(house, "POST", "/v1/dead-letters/one/dismiss", json={})


async def canary_round(house: Api) -> None:
    now = utcnow()
    await canary.accept(house.desk.engine, [own_event(canaries.event(now, now))])
    [row] = await house.desk.sql("SELECT page_id FROM router.canary")
    report = DeliveryReport(
        report_id="r",
        incident_id=canaries.ID,
        page_id=row.page_id,
        recipient="canary",
        outcome="sent",
        page="reached",
        at=now,
        sends=("inbox",),
    )
    await canary.accept(house.desk.engine, [InboundSignal(DeliveryReported(report), canaries.ID)])


async def counts(house: Api) -> None:
    counted = [posts.Counted(integration="test", outcome="accepted", count=1, at=utcnow())]
    await post_counts.accept(house.desk.engine, [own_event(posts.as_event(counted, utcnow()))])
    house.desk.engine.failures.add({("hash", "routes[0].when"): Count("no such key")})
    await house.desk.engine.failures.store_once()


async def forgetting(house: Api) -> None:
    await house.desk.sql("UPDATE router.incident SET status = 'closed', closed_at = now() - interval '9 y'")
    assert (
        await retention.delete_expired_once(house.desk.engine.database, utcnow() + timedelta(days=3000)) > 0
    )


PATHS: Final[list[tuple[Callable[[Api], Awaitable[None]], set[str]]]] = [
    (events, {"inbox", "incident_group", "incident", "rotation", "last_resort", NEW_ROWS}),
    (timers, {"incident", "rotation", NEW_ROWS}),
    (actions, {"idempotency", "incident", NEW_ROWS}),
    (fan_out, {"spread", "inbox", "incident", NEW_ROWS}),
    (beats, {"heartbeat", "inbox", "incident", "rotation", NEW_ROWS}),
    (late_heartbeats, {"heartbeat_watch", "heartbeat", "inbox", "incident", "rotation", NEW_ROWS}),
    (policy, {"advisory", "policy_source", "policy", "policy_in_force", "incident"}),
    (silences, {"idempotency", "office", "silence", "maintenance"}),
    (leaving, {"idempotency", "office", "unsubscribed"}),
    (overrides, {"idempotency", "office", "override", "incident"}),
    (calendars, {"calendar_end"}),
    (customers, {"advisory", "idempotency", "customer", "customer_name", "office"}),
    (dead_letters, {"idempotency", "dead_letter", "inbox", "incident", NEW_ROWS}),
    (canary_round, {"canary", "sends"}),
    (counts, {"inbox", "post", "expression_failure"}),
    (forgetting, {"incident", "inbox"}),
]


async def test_every_path_takes_its_locks_in_the_order_of_the_list(house: Api) -> None:
    for path, needed in PATHS:
        with watching(house.desk.engine.database) as transactions:
            await path(house)
        taken = [order_of(statements) for statements in transactions]
        assert needed <= {name for names in taken for name in names}, path.__name__
        for names, statements in zip(taken, transactions, strict=True):
            assert names == sorted(names, key=ORDER.index), f"{path.__name__}: {statements}"


async def test_every_lock_of_the_list_is_taken_by_some_path() -> None:
    assert set(ORDER) == {name for _, needed in PATHS for name in needed}


async def test_no_statement_of_a_batch_has_to_read_a_whole_table(house: Api) -> None:
    """Each finds its rows by an index, however many there are; what stays small aside."""
    sent: dict[str, Any] = {}
    for path in (events, timers, actions, fan_out, beats):
        with watching(house.desk.engine.database) as transactions:
            await path(house)
        sent |= {
            text: given for statements in transactions for text, given in statements if "router." in text
        }
    async with house.desk.engine.database.transaction() as connection:
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, given in sent.items():
            plan = "\n".join((await connection.exec_driver_sql(f"EXPLAIN {statement}", given)).scalars())
            assert set(re.findall(r"Seq Scan on (\w+)", plan)) <= SMALL, f"{statement}\n{plan}"


async def test_a_round_robin_that_was_never_asked_makes_nobody_give_way(desk: Desk) -> None:
    """Whoever moves one adds the rows of all that it may come to: of the levels above, too."""
    await desk.put_in_force(whole(**on_main(levels=[TURN | {"name": "experts"}, TURN | {"name": "desk"}])))
    await desk.accept(event("a"))
    async with desk.database.transaction() as one:
        locked = await rotation_store.lock(one, [("main", "experts")], utcnow())
        early = await rotation_store.lock(one, [("main", "desk")], utcnow(), locked=locked)
    assert (locked, early) == ({("main", "experts"): "ana"}, {("main", "desk"): ""})


async def test_a_batch_waits_for_no_round_robin_that_comes_before_one_it_holds(desk: Desk) -> None:
    """It gives way instead, and is tried again: whoever holds it may be waiting for this batch."""
    now, early, late = utcnow(), ("main", "desk"), ("main", "experts")
    async with desk.database.transaction() as one, desk.database.transaction() as other:
        await rotation_store.lock(other, [early], now)
        locked = await rotation_store.lock(one, [late], now)
        with pytest.raises(rotation_store.OutOfOrderError):
            await rotation_store.lock(one, [early], now, locked=locked)
