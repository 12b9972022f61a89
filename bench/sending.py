"""One notifier against a local endpoint: deliveries a second, and what an endpoint that hangs does to others.

`python -m bench sending`. The first table: 1,000 deliveries a second to distinct recipients is the aim, or
70 % of a bare httpx2 loop that posts the same bodies in the same run. The second: two of 100 endpoints stop
working; the aim is that the p99 of the others stays within 1.2 times of the run without that.
"""

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx2
import uvloop
from sqlalchemy import text

from bench.rounds import Ratio, Series, alternating, percentile, show
from bench.silent_sink import silent_sink
from ladder.embedded.postgres import running
from services.notifier import migrations as revisions
from services.notifier.channels import (
    CONCURRENCY,
    RATES,
    ChannelDependencies,
    build_channels,
)
from services.notifier.channels.envelope import Envelope
from services.notifier.channels.results import Result
from services.notifier.consume import Consumption
from services.notifier.sending.attempt import Transport
from services.notifier.sending.concurrency import ConcurrencyLimits
from services.notifier.sending.pace import Pace
from services.notifier.sending.sender import LEASE, Sender
from shared import migrations, telemetry
from shared.clock import utcnow
from shared.database.pool import Database
from shared.eventlog import Received
from shared.events import Contact, Recipient
from shared.network.outbound import Outbound
from shared.security.keys import Signer
from shared.security.secret_files import Secrets
from tests.services.notifier.building import bundle, changed, incident, page, received
from tests.waiting import until

ROUNDS: Final = 3
DELIVERIES: Final = 2_000
BATCH: Final = 500  # as the consumer hands them over
BARE: Final = "bare httpx2 loop"
OURS: Final = "ladder's notifier"
WORKERS: Final = 64
REVISIONS: Final = Path(str(revisions.__file__)).parent
ENDPOINTS: Final = 100
PACED: Final = 200.0  # messages a second over all endpoints
SECONDS: Final = 8.0
_numbers = itertools.count()


@dataclass
class Notifier:
    """The inside of one: what its consumer and its sender do, without the event log."""

    database: Database
    consumption: Consumption
    sender: Sender
    bodies: list[bytes] = field(default_factory=list)

    async def hear(self, records: Sequence[Received]) -> None:
        await self.consumption.apply_once(records, self.database.now())

    async def has_delivered(self, prefix: str) -> bool:
        await asyncio.sleep(0.05)  # a look is a walk over all of them
        statement = text("""
            SELECT count(*) FROM notifier.delivery
            WHERE incident_id LIKE :prefix AND state IN ('delivered', 'failed')
        """)
        async with self.database.transaction() as connection:
            found = await connection.execute(statement, {"prefix": f"{prefix}-%"})
        return int(found.scalar_one()) >= DELIVERIES


@dataclass
class Watched:
    """A channel, and how long after its message was asked for each attempt ended; by address."""

    channel: object
    ended: dict[str, list[float]] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)

    async def send(self, envelope: Envelope) -> Result:
        result: Result = await self.channel.send(envelope)  # type: ignore[attr-defined]
        waited = time.perf_counter() - self.asked[envelope.delivery.incident_id]
        self.ended.setdefault(envelope.address, []).append(waited)
        return result

    async def close(self) -> None:
        await self.channel.close()  # type: ignore[attr-defined]


@asynccontextmanager
async def notifier(
    database: Database, watch: Callable[[dict[str, object]], None] = lambda _: None
) -> AsyncIterator[Notifier]:
    signer, policy = Signer(("a key",)), bundle()
    channels = build_channels(
        ChannelDependencies(outbound=Outbound.allowing(["127.0.0.1"]), signer=signer, keep=_nowhere)
    )
    channels = dict(channels)
    watch(channels)  # type: ignore[arg-type]
    transport = Transport(channels, Secrets(None), signer, "http://ladder.example", lambda: policy)
    sender = Sender(database, transport, ConcurrencyLimits(CONCURRENCY), Pace(RATES), sent=lambda _: None)
    consumption = Consumption(
        database,
        sender,
        bundle=lambda: policy,
        newer_policy=_no_other,
        lease=LEASE,
        committed=lambda _: None,
        rates=RATES,
    )
    async with sender.running():
        yield Notifier(database, consumption, sender)
    for channel in channels.values():
        await channel.close()


async def _nowhere(_: Iterable[Envelope]) -> None:
    """No message of these goes to an inbox."""


async def _no_other() -> None:
    """There is one policy."""


def asked(prefix: str, address: str) -> Received:
    """A record that pages a customer at this address."""
    number = next(_numbers)
    contact = Contact(name="hook", channel="webhook", address=address, secret=f"secret of {address}")
    recipient = Recipient(kind="customer", name=f"c{number}", contacts=(contact,))
    about = incident(id=f"{prefix}-{number}", dedup_key=f"{prefix}-{number}")
    return received(changed(page(recipient, page_id=str(uuid4())), incident=about), at=utcnow())


def run() -> None:
    telemetry.configure("json", "WARNING")  # as the other parts run Ladder
    with tempfile.TemporaryDirectory(prefix="ladder-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # as root, PostgreSQL runs as another user
        uvloop.run(_run(folder / "postgres"))


async def _run(folder: Path) -> None:
    with silent_sink() as sink:
        async with running(folder) as url:
            database = Database(url)
            try:
                await migrations.upgrade(database, "notifier", REVISIONS)
                await _rates(database, sink)
                await _neighbours(database, sink)
            finally:
                await database.close()


# Deliveries a second


async def _rates(database: Database, sink: str) -> None:
    made = {name: Series(name, "a second") for name in (OURS, BARE)}
    body = await _a_body(database, sink)
    for number in range(-1, ROUNDS):  # the first round warms up and does not count
        for name in alternating([OURS, BARE], number):
            figure = await (_ours(database, sink, number) if name == OURS else _bare(sink, body))
            if number >= 0:
                made[name].values.append(figure)
    title = f"{DELIVERIES:,} deliveries to distinct recipients of a local endpoint, one process"
    show(title, list(made.values()), [Ratio("ladder / bare", made[OURS], made[BARE], aim="≥ 0.70")])


async def _ours(database: Database, sink: str, number: int) -> float:
    """From the first record handed over to the last outcome written down."""
    prefix = f"rate{number}"
    records = [asked(prefix, f"{sink}/{prefix}/{each}") for each in range(DELIVERIES)]
    async with notifier(database) as one:
        began = time.perf_counter()
        for start in range(0, DELIVERIES, BATCH):
            fresh = utcnow()  # what the log took long ago would wait for what may follow it
            await one.hear([replace(each, at=fresh) for each in records[start : start + BATCH]])
        await until(lambda: one.has_delivered(prefix), 120)
        return DELIVERIES / (time.perf_counter() - began)


async def _bare(sink: str, body: bytes) -> float:
    """Workers that post one after the other."""
    left = iter(range(DELIVERIES))
    headers = {"content-type": "application/json"}

    async def work(client: httpx2.AsyncClient) -> None:
        for each in left:
            await client.post(f"{sink}/bare/{each}", content=body, headers=headers)

    async with httpx2.AsyncClient(timeout=15) as client:
        began = time.perf_counter()
        await asyncio.gather(*(work(client) for _ in range(WORKERS)))
        return DELIVERIES / (time.perf_counter() - began)


async def _a_body(database: Database, sink: str) -> bytes:
    """What a message of ours is, for the bare loop."""
    found: list[bytes] = []

    def watch(channels: dict[str, object]) -> None:
        channels["webhook"] = _Keeping(channels["webhook"], found)

    async with notifier(database, watch) as one:
        await one.hear([asked("body", f"{sink}/body")])
        await until(lambda: bool(found))
    return found[0]


@dataclass
class _Keeping:
    channel: object
    found: list[bytes]

    async def send(self, envelope: Envelope) -> Result:
        from services.notifier.domain.messages.webhook_body import webhook_body  # noqa: PLC0415 - only here

        self.found.append(webhook_body(envelope.delivery, envelope.rendered, envelope.at))
        result: Result = await self.channel.send(envelope)  # type: ignore[attr-defined]
        return result

    async def close(self) -> None:
        await self.channel.close()  # type: ignore[attr-defined]


# One endpoint hangs, one fails


async def _neighbours(database: Database, sink: str) -> None:
    names = ("all work", "one hangs, one fails")
    middle = {name: Series(f"p50, {name}", "ms") for name in names}
    slow = {name: Series(f"p99, {name}", "ms") for name in names}
    for number in range(-1, ROUNDS):
        for name in alternating(names, number):
            waits = sorted(await _waits(database, sink, spoilt=name != names[0]))
            if number >= 0:
                middle[name].values.append(percentile(waits, 0.5) * 1e3)
                slow[name].values.append(percentile(waits, 0.99) * 1e3)
    show(
        f"{ENDPOINTS} endpoints, {PACED:g} messages a second for {SECONDS:g} s: what the other 98 wait",
        [*middle.values(), *slow.values()],
        [Ratio("p99 spoilt / all work", slow[names[1]], slow[names[0]], aim="≤ 1.20")],
    )


async def _waits(database: Database, sink: str, *, spoilt: bool) -> list[float]:
    """Seconds from the record to the end of the first attempt, of the endpoints that work in both runs."""
    prefix = uuid4().hex[:8]
    addresses = [f"{sink}/{prefix}/{each}" for each in range(ENDPOINTS)]
    if spoilt:
        addresses[:2] = f"{sink}/hangs/{prefix}", f"{sink}/fails/{prefix}"
    watched: list[Watched] = []

    def watch(channels: dict[str, object]) -> None:
        watched.append(Watched(channels["webhook"]))
        channels["webhook"] = watched[0]

    async with notifier(database, watch) as one:
        began = time.perf_counter()
        for number in range(int(PACED * SECONDS)):
            await asyncio.sleep(max(0.0, began + number / PACED - time.perf_counter()))
            record = asked(prefix, addresses[number % ENDPOINTS])
            watched[0].asked[record.key.decode()] = time.perf_counter()
            await one.hear([record])
        await asyncio.sleep(0.5)
        await one.sender.abandon()
        return [wait for address in addresses[2:] for wait in watched[0].ended.get(address, ())]
