"""A world to spoil: servers, sink, policy and processes together, and the account of what was lost in it."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.bad_days.loss import Account, Held, HeldDelivery, HeldLetter, compare
from tests.servers.kafka import KafkaServer, has_java
from tests.servers.postgres import PostgresServer
from tests.waiting import until
from tests.world.bundle import KEY, bundle, steady
from tests.world.cluster import Cluster, ended_after
from tests.world.posting import Body, Loader
from tests.world.reading import Reader, arrivals, held_incidents
from tests.world.sink import Sink, listening
from tests.world.wire import Connection

# a delivery that a dead notifier had claimed is another's after its lease, and may be sent again
LEASE_SECONDS = 30
TRIO = ("intake", "router", "notifier")


@dataclass
class World:
    """Ladder, everything around it, and where to ask what it holds."""

    sink: Sink
    cluster: Cluster
    postgres: PostgresServer | None = None
    kafka: KafkaServer | None = None
    answering: dict[str, str] = field(default_factory=dict)  # which of several is asked, where it matters

    def serving(self, service: str) -> str:
        """The address of a service; `up` is all of them."""
        name = self.answering.get(service, service)
        return self.cluster.url("up" if "up" in self.cluster.ports else name)

    def loader(self, body: Body = steady, *, connections: int = 8) -> Loader:
        return Loader(self.serving("intake"), KEY, body, connections)

    @property
    def incidents(self) -> Reader:
        return Reader(self.serving("router"))

    @property
    def deliveries(self) -> Reader:
        return Reader(self.serving("notifier"))

    def paged(self, prefix: str) -> set[str]:
        """The dedup keys, beginning like this, about which a page has arrived."""
        keys = {str(hit.incident["dedup_key"]) for hit in self.sink.pages()}
        return {key for key in keys if key.startswith(prefix)}

    async def leader(self, *names: str) -> str:
        """Which of these processes publishes its service's outbox; AssertionError when none does soon."""
        found: list[str] = []

        async def somebody_leads() -> bool:
            found[:] = [name for name in names if await self.shown(name, "ladder_outbox_leading")]
            return bool(found)

        await until(somebody_leads, 20)
        return found[0]

    async def shown(self, name: str, metric: str) -> float:
        """The sum of a metric's series, as the process of this name shows it; 0 for one it does not have."""
        connection = Connection(self.cluster.url(name))
        text = (await connection.request("GET", "/metrics")).body.decode()
        connection.close()
        lines = [line.split() for line in text.splitlines() if line.startswith((f"{metric}{{", f"{metric} "))]
        return sum(float(line[-1]) for line in lines)

    @property
    def sent_again(self) -> int:
        """How many pages have arrived more than once with one webhook-id."""
        ids = [hit.webhook_id for hit in self.sink.pages()]
        return len(ids) - len(set(ids))

    async def account(
        self, prefix: str, loader: Loader, *, within: float = 60, letters: tuple[HeldLetter, ...] = ()
    ) -> Account:
        """Wait until every accepted key is paged and nothing moves any more, then compare.

        Never fails itself: what did not arrive in time is a finding.
        """
        told = [attempt for attempt in loader.told if attempt.key.startswith(prefix)]
        accepted = {attempt.key for attempt in told if attempt.outcome == "accepted"}
        with suppress(AssertionError):
            await until(lambda: accepted <= self.paged(prefix), within)
        nothing_waits: Callable[[], bool | Awaitable[bool]] = partial(self._nothing_waits, prefix)
        with suppress(AssertionError):
            await until(nothing_waits, LEASE_SECONDS)
        with suppress(AssertionError):
            await until(self._stillness(prefix), 20)
        return compare(told, await self._held(prefix, letters), arrivals(self.sink, prefix))

    async def _nothing_waits(self, prefix: str) -> bool:
        await asyncio.sleep(0.5)  # a look is a walk over all deliveries
        held = await self._held(prefix, ())
        return not any(delivery.state in {"pending", "sending"} for delivery in held.deliveries)

    def _stillness(self, prefix: str) -> Callable[[], bool]:
        seen: list[int] = []

        def nothing_new_in_fifty_looks() -> bool:
            seen.append(len(arrivals(self.sink, prefix)))
            return len(seen) > 50 and seen[-1] == seen[-50]

        return nothing_new_in_fifty_looks

    async def _held(self, prefix: str, letters: tuple[HeldLetter, ...]) -> Held:
        incidents = held_incidents(await self.incidents.incidents(), prefix)
        ours = {incident.id for incident in incidents}
        rows = [row for row in await self.deliveries.listed("/v1/deliveries") if row["incident_id"] in ours]
        deliveries = [
            HeldDelivery(row["id"], row["page_id"], row["incident_id"], row["recipient"], row["state"])
            for row in rows
            if row["page_id"]
        ]
        return Held(incidents, deliveries, letters)


def require_kafka() -> None:
    """Skip without Java, but fail where the tests must not be skipped."""
    if has_java():
        return
    why = "Apache Kafka needs Java and Maven"
    if os.environ.get("LADDER_TEST_REQUIRE_KAFKA") or os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@asynccontextmanager
async def without_kafka(postgres: PostgresServer, *, step: str = "3s") -> AsyncIterator[World]:
    """Intake, router and notifier on the event log in a database of their own; nothing is started yet."""
    with tempfile.TemporaryDirectory(prefix="ladder-world-") as place:
        folder, url = Path(place), postgres.create_database()
        try:
            async with listening(Sink()) as sink:
                policy = folder / "policy.yaml"
                policy.write_text(bundle(sink, step=step), encoding="utf-8")
                cluster = Cluster(folder, policy, database_url=url, forked=True)
                cluster.migrate()
                async with ended_after(cluster):
                    yield World(sink, cluster, postgres)
        finally:
            postgres.drop_database(url)


@asynccontextmanager
async def separate_processes(postgres: PostgresServer, *, step: str = "3s") -> AsyncIterator[World]:
    """Intake, router and notifier on a broker and a database of their own; nothing is started yet."""
    require_kafka()
    with tempfile.TemporaryDirectory(prefix="ladder-world-") as place:
        folder = Path(place)
        (folder / "kafka").mkdir()
        broker = KafkaServer(folder / "kafka")
        broker.start()
        url = postgres.create_database()
        try:
            async with listening(Sink()) as sink:
                policy = folder / "policy.yaml"
                policy.write_text(bundle(sink, step=step), encoding="utf-8")
                cluster = Cluster(
                    folder, policy, database_url=url, kafka=broker.bootstrap_servers, forked=True
                )
                cluster.migrate()
                async with ended_after(cluster):
                    yield World(sink, cluster, postgres, broker)
        finally:
            broker.stop()
            postgres.drop_database(url)


@asynccontextmanager
async def one_process(*, step: str = "3s", forked: bool = True) -> AsyncIterator[World]:
    """`ladder up` with a data folder of its own; not started yet."""
    with tempfile.TemporaryDirectory(prefix="ladder-world-") as place:
        folder = Path(place)
        async with listening(Sink()) as sink:
            policy = folder / "policy.yaml"
            policy.write_text(bundle(sink, step=step), encoding="utf-8")
            async with ended_after(Cluster(folder, policy, forked=forked)) as cluster:
                yield World(sink, cluster)


def logs_of(report: pytest.TestReport, item: pytest.Item) -> None:
    """Add the ends of the processes' logs to what a failing test shows."""
    worlds = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, World)]
    if report.failed and worlds:
        report.sections.append(("Ladder's processes", worlds[0].cluster.said()))
