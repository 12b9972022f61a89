"""A loop goes on whatever its step meets, and what it does depends on what the error means."""

import asyncio
from collections.abc import Callable, Iterable

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from shared import telemetry
from shared.errors.kinds import AwayError, Kind, MismatchError, RefusedError
from shared.loops.outage import Outage
from shared.loops.repeat import TOLD_AFTER_SECONDS, TOLD_AGAIN_SECONDS, Failures, for_ever, until_done

NAME = "a test's loop"


class Run:
    """One run of a loop: each round ends as told; pauses take no time but are counted, and move the clock."""

    def __init__(self, ends: Iterable[BaseException | None]) -> None:
        self._ends = iter(ends)
        self.now = 0.0
        self.pauses: list[float] = []
        self.beats = 0
        self.told: list[str] = []

    async def step(self) -> str:
        try:
            end = next(self._ends)
        except StopIteration:
            asyncio.current_task().cancel()  # type: ignore[union-attr]
            await asyncio.sleep(1)
            raise
        if end is not None:
            raise end
        return "done"

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def beat(self) -> None:
        self.beats += 1

    async def tell(self, name: str, why: str) -> None:
        assert name == NAME
        self.told.append(why)

    async def to_the_end(self, every: float = 0.0) -> "Run":
        loop = for_ever(
            NAME,
            self.step,
            Outage(telemetry.logger("test"), "away", what="PostgreSQL"),
            every=every,
            beat=self.beat,
            tell=self.tell,
            pause=self.pause,
            clock=lambda: self.now,
        )
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(loop)
        return self


def failures(kind: Kind) -> float:
    return REGISTRY.get_sample_value("ladder_loop_failures_total", {"loop": NAME, "kind": kind.value}) or 0.0


@pytest.mark.parametrize(
    ("err", "kind", "longest"),
    [
        (TimeoutError(), Kind.AWAY, 2),
        (AwayError("no policy yet"), Kind.AWAY, 2),
        (MismatchError("a newer schema"), Kind.MISMATCH, 5),
        (RefusedError("too large"), Kind.REFUSED, 10),
        (KeyError("acme"), Kind.BROKEN, 10),
    ],
)
async def test_a_loop_goes_on_whatever_its_step_raises(err: Exception, kind: Kind, longest: float) -> None:
    """More slowly each time, up to a bound, and counted by what the error means."""
    before = failures(kind)
    run = await Run([err] * 8 + [None, err]).to_the_end()
    assert run.pauses[:8] == sorted(run.pauses[:8])
    assert run.pauses[7] == longest
    assert run.pauses[8] == run.pauses[0] < 1, "what worked once begins anew"
    assert failures(kind) == before + 9


async def test_a_loop_rests_after_a_step_that_came_through_and_not_after_one_that_failed() -> None:
    run = await Run([None, TimeoutError(), None]).to_the_end(every=30)
    assert run.pauses == [30, 0.1, 30]


async def test_a_task_that_somebody_else_cancelled_does_not_end_the_loop() -> None:
    """Only the loop's own cancellation does."""
    run = await Run([asyncio.CancelledError(), None]).to_the_end()
    assert (len(run.pauses), run.beats) == (1, 1)


async def test_a_loop_that_waits_for_a_server_beats_and_one_that_is_broken_does_not() -> None:
    """A new start would not bring the server back."""
    assert (await Run([None, TimeoutError(), MismatchError()]).to_the_end()).beats == 3
    assert (await Run([KeyError("acme"), RefusedError()]).to_the_end()).beats == 0


async def test_a_fault_of_our_own_that_lasts_is_told_to_last_resort() -> None:
    """After a minute, again each quarter of an hour, and when it is over."""
    rounds = int((TOLD_AFTER_SECONDS + TOLD_AGAIN_SECONDS) / 10) + 12
    run = await Run([KeyError("acme")] * rounds + [None, None]).to_the_end()
    assert run.told == ["KeyError: 'acme'", "KeyError: 'acme'", ""]


async def test_a_fault_lasts_from_its_first_failure_and_an_outage_is_none() -> None:
    seconds = [0.0]
    failures = Failures("x", Outage(telemetry.logger(__name__), "away"), clock=lambda: seconds[0])
    await failures.failed(KeyError("acme"))
    seconds[0] = 9.9
    await failures.failed(KeyError("acme"))
    assert not failures.lasts(10)
    seconds[0] = 10.0
    assert failures.lasts(10)
    await failures.failed(TimeoutError())
    assert not failures.lasts(0)
    await failures.failed(KeyError("acme"))
    await failures.worked()
    assert not failures.lasts(0)


async def test_a_short_fault_and_a_long_outage_are_not_told() -> None:
    """An outage has its own alarms, and nobody can mend it by looking at Ladder."""
    assert (await Run([KeyError("acme")] * 5 + [None]).to_the_end()).told == []
    assert (await Run([TimeoutError()] * 500 + [None]).to_the_end()).told == []


async def test_that_nobody_can_be_told_does_not_end_the_loop_either() -> None:
    """It is written to the log."""

    class Deaf(Run):
        async def tell(self, name: str, why: str) -> None:
            raise ConnectionRefusedError(f"{name}: {why}")

    with capture_logs() as lines:
        await Deaf([KeyError("acme")] * 15 + [None]).to_the_end()
    assert any(line.get("action") == "loop_untold" for line in lines)


async def test_a_fault_of_our_own_is_logged_with_its_stack_once() -> None:
    """Not several times a second, and not in the words of an outage."""
    with capture_logs() as lines:
        await Run([KeyError("acme")] * 4 + [None]).to_the_end()
    assert [line["event"] for line in lines] == [f"{NAME} fails", f"{NAME} works again"]
    assert isinstance(lines[0]["exc_info"], KeyError)


async def test_what_must_come_first_is_tried_until_it_is_done() -> None:
    """And whoever looks on knows when it waits for somebody else."""
    run = Run([TimeoutError(), KeyError("acme"), None])
    trying = Failures(NAME, Outage(telemetry.logger("test"), "away"), clock=lambda: run.now)
    waits: list[float] = []
    wait: Callable[[], None] = lambda: waits.append(run.now)  # noqa: E731 - a name for what is passed
    assert await until_done(trying, run.step, waits=wait, pause=run.pause) == "done"
    assert (len(waits), len(run.pauses)) == (1, 2)
