"""Whatever stops pages from inside turns a signal with a name: a stuck consumer, a blocked pool, a silent server.

A dead relay is shown in tests/eventlog/test_outbox.py.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from services.router.app import Router
from services.router.batch.deciding import SignalResult
from services.router.batch.engine import Engine
from services.router.batch.inbound import InboundSignal
from services.router.loops.consumer import EVENTS, Consuming
from shared.clock import utcnow
from shared.eventlog.codec import encode
from shared.health.consumer_progress import STUCK_AFTER
from shared.health.probes import SILENT_AFTER_SECONDS
from shared.loops.pulse import LONGEST_ROUND_SECONDS, Pulses
from tests.servers.postgres import PostgresServer
from tests.services.router.desk import event
from tests.services.trio import World, running
from tests.waiting import until


class HangingEngine(Engine):
    """One that never comes to a decision, and raises nothing."""

    async def accept(self, signals: Sequence[InboundSignal]) -> Sequence[SignalResult]:
        await asyncio.Event().wait()
        raise AssertionError(signals)


def lag(what: str, group: str = "ladder-router") -> float:
    found = REGISTRY.get_sample_value(
        f"ladder_consumer_lag_{what}", {"group": group, "topic": "ladder.incidents"}
    )
    assert found is not None
    return found


async def test_a_consumer_that_is_stuck_over_a_batch_is_behind_by_it_and_named(trio: World) -> None:
    """Though nothing is left to fetch: what is in hand counts until it is committed."""
    pulses = Pulses(clock=trio.clock)
    consuming = Consuming(
        trio.log, HangingEngine(trio.database), EVENTS, clock=trio.clock, beat=pulses.beat_of("consume")
    )
    task = asyncio.create_task(consuming.run())
    try:
        with pulses.beating():
            await trio.log.publish([encode(event("stuck"))])
            await until(lambda: lag("records") == 1, 20)
            first = lag("seconds")
            await until(lambda: lag("seconds") > max(first, 3.0), 20)
            (reason,) = consuming.progress.stuck(utcnow() + STUCK_AFTER + timedelta(seconds=30))
            assert "ladder-router has not moved in ladder.incidents/" in reason
            assert reason.endswith("1 records behind")
            trio.clock.now += LONGEST_ROUND_SECONDS + 1
            assert pulses.stopped() == ["consume has not come round for 301 s"]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def blocked(trio: World, postgres: PostgresServer) -> AsyncIterator[str]:
    """Every connection of the pool is taken by something that does not come back."""
    del postgres
    async with AsyncExitStack() as stack:
        for _ in range(7):
            await stack.enter_async_context(trio.database.transaction())
        yield "all 7 connections of the pool are taken"


@asynccontextmanager
async def silent(trio: World, postgres: PostgresServer) -> AsyncIterator[str]:
    """The server took the connections and says nothing."""
    del trio
    postgres.freeze()
    try:
        yield "PostgreSQL did not answer"
    finally:
        postgres.thaw()


@pytest.mark.parametrize("trouble", [blocked, silent])
async def test_when_nobody_answers_the_figures_go_and_liveness_says_why_after_a_minute(
    trio: World, postgres: PostgresServer, trouble: type
) -> None:
    """And all of it is over when somebody does."""
    router = trio.router()
    async with running(router):
        await until(lambda: not router.unready(), 30)
        await until(lambda: lag("records") == 0, 20)
        async with trouble(trio, postgres) as why:
            assert router.stuck() == []
            trio.clock.now += SILENT_AFTER_SECONDS
            await until(lambda: any(why in reason for reason in router.stuck()), 30)
            reasons = router.stuck()
            assert any(reason.startswith("router database could not be looked at") for reason in reasons)
            assert any(reason.startswith("lag of ladder-router could not") for reason in reasons)
            assert math.isnan(lag("records"))
            assert math.isnan(lag("seconds"))
            age = REGISTRY.get_sample_value("ladder_look_age_seconds", {"look": "router database"})
            assert age is not None
            assert age >= SILENT_AFTER_SECONDS
        await until(lambda: router.stuck() == [], 40)
        await until(lambda: lag("records") == 0, 20)


async def test_every_loop_that_pages_has_a_pulse_and_keeps_it_while_it_runs(trio: World) -> None:
    router = trio.router()
    async with running(trio.intake(), router, trio.notifier()):
        await until(lambda: not router.unready(), 30)
        await until(trio.pings, 30)
        trio.clock.now += LONGEST_ROUND_SECONDS - 1
        await until(lambda: all(age < 10 for age in _ages(router).values()), 20)
    assert set(_ages(router)) >= {
        "router consume ladder.incidents",
        "router consume ladder.deliveries",
        "router timers",
        "router heartbeats",
        "router spreading",
        "router policy",
        "intake canary",
        "notifier consume",
        "notifier claim",
        "notifier tend",
        "notifier record",
    }


def _ages(router: Router) -> dict[str, float]:
    """By loop, of all that run in this process."""
    del router
    family = next(each for each in REGISTRY.collect() if each.name == "ladder_loop_age_seconds")
    return {sample.labels["loop"]: sample.value for sample in family.samples}
