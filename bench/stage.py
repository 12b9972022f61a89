"""The stage for the benchmarks: durable PostgreSQL, Kafka, the floor, Ladder, the load generator."""

import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.servers.kafka import KafkaServer
from tests.servers.ports import free_port, listens
from tests.servers.postgres import PostgresServer
from tests.waiting import until
from tests.world.bundle import KEY, bundle
from tests.world.cluster import Cluster, ended_after
from tests.world.programs import REPOSITORY, Program
from tests.world.sink import Sink

CUSTOMERS: Final = 500  # distinct recipients, so that bundling does not flatter the result


@dataclass
class Load:
    """The load generator with its sink, in a process of its own."""

    process: subprocess.Popen[str]
    sink_port: int

    def ask(self, **order: Any) -> dict[str, Any]:
        """Run one measurement; blocks until it is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"key": KEY, "customers": CUSTOMERS} | order) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        if "failed" in answer:
            raise RuntimeError(f"the load generator failed: {answer['failed']}")
        return answer


@contextmanager
def load_generator() -> Iterator[Load]:
    argv = [sys.executable, "-m", "bench.load"]
    with subprocess.Popen(
        argv, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Load(process, json.loads(process.stdout.readline())["sink_port"])
        finally:
            process.terminate()


@dataclass
class Stage:
    """Everything that a benchmark runs on."""

    folder: Path
    postgres: PostgresServer
    kafka: KafkaServer
    load: Load
    cluster: Cluster
    floor_port: int
    floor: dict[str, Program] = field(default_factory=dict)

    async def start_floor(self, *, chain: bool) -> None:
        """The bare intake; with `chain` also the two processes behind it."""
        environment = {
            "BENCH_KAFKA": self.kafka.bootstrap_servers,
            "BENCH_DATABASE_URL": self.postgres.create_database(),
            "BENCH_SINK": f"http://127.0.0.1:{self.load.sink_port}",
        }
        bare = ("uvicorn", "bench.floor.intake:app", "--loop", "uvloop", "--http", "httptools")
        argv: dict[str, tuple[str, ...]] = {
            "intake": (*bare, "--no-access-log", "--port", str(self.floor_port))
        }
        if chain:
            argv |= {"router": ("bench.floor.router",), "notifier": ("bench.floor.notifier",)}
        for name, words in argv.items():
            log = self.folder / f"floor-{name}.log"
            self.floor[name] = Program(f"floor {name}", (sys.executable, "-m", *words), environment, log)
            self.floor[name].start()
        await until(lambda: listens(self.floor_port), 30)
        for name in argv.keys() - {"intake"}:
            await until(lambda name=name: "ready" in self.floor[name].log.read_text(), 30)  # type: ignore[misc]

    def own_port(self) -> int:
        return self.cluster.ports["intake"]


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ladder-bench-") as place:
        folder = Path(place)
        folder.chmod(0o711)  # PostgreSQL's account must reach its own folder in it
        for name in ("postgres", "kafka"):
            (folder / name).mkdir()
        yield folder


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Servers and load generator started, topics and tables created; no Ladder or floor process yet."""
    with ExitStack() as stack:
        folder = stack.enter_context(_folder())
        postgres = PostgresServer(folder / "postgres", durable=True)
        kafka = KafkaServer(folder / "kafka", quick_start=False)
        for server in (postgres, kafka):
            server.start()
            stack.callback(server.stop)
        load = stack.enter_context(load_generator())
        policy = folder / "policy.yaml"
        policy.write_text(bundle(Sink(load.sink_port), customers=CUSTOMERS), encoding="utf-8")
        cluster = Cluster(
            folder,
            policy,
            database_url=postgres.create_database(),
            kafka=kafka.bootstrap_servers,
            settings={"LADDER_LOG_LEVEL": "WARNING"},
        )
        await make_floor_topics(kafka.bootstrap_servers)
        cluster.migrate()
        made = Stage(folder, postgres, kafka, load, cluster, free_port())
        async with ended_after(cluster):
            try:
                yield made
            finally:
                for program in made.floor.values():
                    program.stop()


async def make_floor_topics(bootstrap: str) -> None:
    """Create the floor's topics, with as many partitions as Ladder's."""
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # noqa: PLC0415 - only here

    from bench.floor.common import EVENTS, PAGES, PARTITIONS  # noqa: PLC0415 - with it

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in (EVENTS, PAGES)])
    finally:
        await admin.close()
