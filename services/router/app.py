"""The router, assembled: its loops, its API, and whether it is ready."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from services.router import api
from services.router.batch.engine import Engine
from services.router.loops import canary, heartbeats, retention
from services.router.loops.consumer import EVENTS, LETTERS, REPORTS, Consuming, ConsumingLetters
from services.router.loops.fan_out import FanOut
from services.router.loops.planned_work import PlannedWork
from services.router.loops.policy_watch import PolicyWatch
from services.router.loops.timers import Timers
from services.router.settings import RouterSettings
from services.router.tables import SCHEMA
from shared import migrations
from shared.clock import stopwatch, utcnow
from shared.database import stopped_clients
from shared.database.pool import Database
from shared.eventlog import EventLog
from shared.health.probes import DatabaseProbe
from shared.loops.alongside import alongside
from shared.loops.pulse import Pulses
from shared.loops.repeat import Failures, repeat
from shared.outbox.relay import Relay
from shared.service import KnownPolicy, Service

_VERSIONS: Final = Path(__file__).parent / "migrations"


class Router:
    """One replica of the router."""

    def __init__(
        self,
        settings: RouterSettings,
        log: EventLog,
        database: Database,
        *,
        clock: Callable[[], float] = stopwatch,
    ) -> None:
        self._database = database
        self._keep = settings.keep
        self._relay = Relay(database, log, SCHEMA)
        self.engine = Engine(database, wake_relay=self._relay.wake, hand_over=self._relay.hand)
        self._pulses = Pulses(clock=clock)
        beat_of = self._pulses.beat_of
        self.consuming = [
            Consuming(log, self.engine, source, clock=clock, beat=beat_of(f"router consume {source.topic}"))
            for source in (EVENTS, REPORTS)
        ]
        self.letters = ConsumingLetters(
            log, self.engine, LETTERS, clock=clock, beat=beat_of(f"router consume {LETTERS.topic}")
        )
        self.timers = Timers(self.engine, beat=beat_of("router timers"))
        self.fan_out = FanOut(self.engine, beat=beat_of("router spreading"))
        self.heartbeats = heartbeats.Watch(
            self.engine,
            self._hears_beats,
            canary_every=settings.canary_every,
            beat=beat_of("router heartbeats"),
        )
        self.watch = PolicyWatch(
            database,
            self.engine.bundles,
            settings.policy,
            self._relay.wake,
            beat=beat_of("router policy"),
        )
        self.planned_work = PlannedWork(self.engine, beat=beat_of("router planned work"))
        self.wake_relay = self._relay.wake
        self._database_probe = DatabaseProbe(database, SCHEMA, clock=clock)
        self._starting = Failures("router", database.outage)
        self.canary = canary.Watch(database, settings.canary_every, clock=clock)
        self._schema_pending: str | None = "the database has not answered yet"

    def unready(self) -> Sequence[str]:
        """Why it is not ready yet. What was reached once is not checked again: people can still act."""
        reasons = []
        if self._schema_pending is not None:
            reasons.append(f"router: {self._schema_pending}")
        if self.watch.in_force is None:
            refused = f" ({self.watch.refused})" if self.watch.refused else ""
            reasons.append(f"router: no policy is in force yet{refused}")
        if not all(each.ever_assigned for each in self.consuming):
            reasons.append("router: the event log has not assigned its share yet")
        if (stalled := self._relay.stalled()) is not None:
            reasons.append(f"router: {stalled}")
        return reasons

    def policy(self) -> KnownPolicy | None:
        """The policy in force."""
        known = self.watch.in_force
        return None if known is None else KnownPolicy(known.hash, known.revision)

    def stuck(self) -> Sequence[str]:
        """Why only a restart would help."""
        now = utcnow()
        silent = self._database_probe.probe.silent()
        reasons = [] if silent is None else [silent]
        reasons += [reason for each in (*self.consuming, self.letters) for reason in each.progress.stuck(now)]
        return [*reasons, *self._pulses.stopped()]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the loops; at the end the consumer leaves its group and the relay gives up its lease."""
        # Each loop handles its own errors; if one ends all the same, all of them restart.
        async with alongside("router", repeat(self._starting, self._work)):
            yield

    async def _work(self) -> None:
        await migrations.awaited(self._database, SCHEMA, _VERSIONS, self._learned)
        await self._starting.worked()
        with self._pulses.beating():
            async with self._relay.running(), asyncio.TaskGroup() as group:
                for name, loop in (
                    ("policy", self.watch.run()),
                    *((f"consume {number}", each.run()) for number, each in enumerate(self.consuming)),
                    ("dead letters", self.letters.run()),
                    ("timers", self.timers.run()),
                    ("heartbeats", self.heartbeats.run()),
                    ("spreading", self.fan_out.run()),
                    ("planned work", self.planned_work.run()),
                    ("notices", retention.notify_for_ever(self._database)),
                    ("upkeep", retention.run(self._database, self._keep)),
                    ("expression failures", self.engine.failures.run()),
                    ("canary", self.canary.run()),
                    ("database look", self._database_probe.run()),
                    ("stopped clients", stopped_clients.run(self._database)),
                    ("schema", migrations.outdated(self._database, SCHEMA, _VERSIONS)),
                ):
                    group.create_task(loop, name=f"router {name}")

    def _hears_beats(self) -> bool:
        """Whether beats are heard: the log answers, and this replica's events are read."""
        return self.consuming[0].progress.keeps_up(utcnow(), heartbeats.KEEPS_UP)

    def _learned(self, why: str | None) -> None:
        self._schema_pending = why


def build(
    settings: RouterSettings,
    *,
    log: EventLog,
    database: Database | None,
    read_post: api.ReadsPosts | None = None,
) -> Service:
    """Build the service; the caller owns the log and the database. `read_post`: intake's, for dry runs."""
    if database is None:
        raise ValueError("the router keeps its state in PostgreSQL: it needs a database")
    router = Router(settings, log, database)
    return Service(
        name="router",
        api=api.routes(router.engine, settings, router.wake_relay, read_post),
        running=router.running,
        unready=router.unready,
        stuck=router.stuck,
        policy=router.policy,
        openapi_schemas=api.schemas(),
    )
