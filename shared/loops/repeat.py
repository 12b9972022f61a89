"""Loops that never end: a step that fails is tried again, is seen, and is told to somebody when it lasts.

What an error means stands in `shared.errors.kinds`; here stands what a loop does about it:

| kind     | said                                        | tried again after | `last_resort`  |
|----------|---------------------------------------------|-------------------|----------------|
| away     | once for all loops of that server           | 0.1 s … 2 s       | no             |
| mismatch | once for all loops of that server           | 0.5 s … 5 s       | after a minute |
| refused  | with its stack: the step should have set it aside | 0.5 s … 10 s | after a minute |
| broken   | with its stack                              | 0.5 s … 10 s      | after a minute |

Pauses double from the first to the longest. Each failure counts in `ladder_loop_failures_total`.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypeVar, assert_never

from prometheus_client import Counter

from shared import telemetry
from shared.clock import stopwatch
from shared.errors.kinds import AwayError, Kind, MismatchError, kind_of
from shared.loops.outage import Outage

log = telemetry.logger(__name__)

TOLD_AFTER_SECONDS: Final = 60.0
APART_AFTER_SECONDS: Final = 10.0  # of a fault of Ladder's own: then whoever brings it out stands aside
TOLD_AGAIN_SECONDS: Final = 900.0
_PAUSES: Final = {
    Kind.AWAY: (0.1, 2.0),
    Kind.MISMATCH: (0.5, 5.0),
    Kind.REFUSED: (0.5, 10.0),
    Kind.BROKEN: (0.5, 10.0),
}
_TELLING_SECONDS: Final = 10.0

FAILURES: Final = Counter(
    "ladder_loop_failures_total",
    "Steps of a loop that failed and were tried again, by what the error means",
    ["loop", "kind"],
)

Answer = TypeVar("Answer")
Tell: TypeAlias = Callable[[str, str], Awaitable[None]]
"""Tells somebody that the loop of this name does not come on, and why; the empty reason: it does again."""


async def nobody(name: str, why: str) -> None:
    """For loops of a process that has no way to page: its logs and metrics have to do."""


class Failures:
    """What goes wrong in one loop. `away` is said for the server that it works with.

    `longest` bounds its pauses (seconds), for loops on which pages wait. `clock` counts seconds.
    """

    def __init__(
        self,
        name: str,
        away: Outage,
        *,
        tell: Tell = nobody,
        longest: float = math.inf,
        clock: Callable[[], float] = stopwatch,
    ) -> None:
        self._name = name
        self._away = away
        self._own = Outage(log, "loop_failed", what=name, own=True, loop=name)
        self._untold = Outage(log, "loop_untold", what=f"whoever should hear of {name}", loop=name)
        self._tell = tell
        self._longest = longest
        self._clock = clock
        self._pause = 0.0
        self._kind: Kind | None = None
        self._since: float | None = None  # when it began to fail by something else than a server's absence
        self._told_at: float | None = None

    async def failed(self, err: Exception) -> tuple[Kind, float]:
        """A step failed: what that means, and how many seconds to pause."""
        kind = kind_of(err)
        FAILURES.labels(self._name, kind.value).inc()
        match kind:
            case Kind.AWAY:
                self._say_away(err)
                self._since = None
            case Kind.MISMATCH:
                self._say_mismatch(err)
                await self._tell_when_it_lasts(err)
            case Kind.REFUSED | Kind.BROKEN:
                self._own.began(err)
                await self._tell_when_it_lasts(err)
            case _:
                assert_never(kind)
        first, longest = _PAUSES[kind]
        self._pause = min(self._pause * 2, longest) if kind is self._kind else first
        self._kind = kind
        return kind, min(self._pause, self._longest)

    def lasts(self, seconds: float) -> bool:
        """Whether it has been failing for so long by a fault of Ladder's own."""
        broken = self._kind is Kind.BROKEN and self._since is not None
        return broken and self._clock() - (self._since or 0.0) >= seconds

    async def worked(self) -> None:
        """A step came through."""
        self._kind, self._since = None, None
        self._away.ended(self._name)
        self._own.ended()
        if self._told_at is not None and await self._told(""):
            self._told_at = None

    def _say_away(self, err: Exception) -> None:
        if isinstance(err, AwayError):  # whoever raises it says so itself, or readiness does
            log.debug("loop is waiting", action="loop_waits", loop=self._name, error=str(err)[:300])
        else:
            self._away.began(err, self._name)

    def _say_mismatch(self, err: Exception) -> None:
        if isinstance(err, MismatchError):
            self._own.began(err)
        else:
            self._away.began(err, self._name)

    async def _tell_when_it_lasts(self, err: Exception) -> None:
        now = self._clock()
        self._since = now if self._since is None else self._since
        due = (
            self._since + TOLD_AFTER_SECONDS if self._told_at is None else self._told_at + TOLD_AGAIN_SECONDS
        )
        if now >= due and await self._told(f"{type(err).__name__}: {str(err)[:300]}"):
            self._told_at = now

    async def _told(self, why: str) -> bool:
        try:
            async with asyncio.timeout(_TELLING_SECONDS):
                await self._tell(self._name, why)
        except Exception as err:  # noqa: BLE001 - with the next failure it is tried again
            self._untold.began(err)
            return False
        self._untold.ended()
        return True


async def for_ever(
    name: str,
    step: Callable[[], Awaitable[object]],
    away: Outage,
    *,
    every: float = 0.0,
    beat: Callable[[], None] = lambda: None,
    tell: Tell = nobody,
    longest: float = math.inf,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = stopwatch,
) -> None:
    """Repeat the step until cancelled. It rests for `every` seconds after each, or the step itself waits.

    `name` is the loop's in logs and metrics ("router timers"). `beat` is called whenever the step came round:
    done, or put off because somebody else is away. It is not called while a step hangs or fails by a fault
    of Ladder's own. `longest` bounds the pauses after a failure, in seconds.
    """

    async def step_and_rest() -> None:
        await step()
        await pause(every)

    failures = Failures(name, away, tell=tell, longest=longest, clock=clock)
    await repeat(failures, step_and_rest if every else step, beat=beat, pause=pause)


async def repeat(
    failures: Failures,
    step: Callable[[], Awaitable[object]],
    *,
    beat: Callable[[], None] = lambda: None,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """`for_ever` for a step that never comes to an end by itself: it says `failures.worked()` on its way."""
    while True:
        try:
            await uncancelled(step())
        except Exception as err:  # noqa: BLE001 - a loop that ended would be missed by everybody
            kind, seconds = await failures.failed(err)
            if kind in {Kind.AWAY, Kind.MISMATCH}:
                beat()
            await pause(seconds)
        else:
            await failures.worked()
            beat()


async def until_done(
    failures: Failures,
    step: Callable[[], Awaitable[Answer]],
    *,
    waits: Callable[[], None] = lambda: None,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Answer:
    """Try the same again until it comes through: nothing that is behind it may overtake it.

    `waits` is called each time that somebody else is away.
    """
    while True:
        try:
            answer = await uncancelled(step())
        except Exception as err:  # noqa: BLE001 - see above
            kind, seconds = await failures.failed(err)
            if kind in {Kind.AWAY, Kind.MISMATCH}:
                waits()
            await pause(seconds)
        else:
            await failures.worked()
            return answer


class LostTaskError(Exception):
    """Something that was awaited was cancelled, although nobody wanted the loop to end."""


async def uncancelled(step: Awaitable[Answer]) -> Answer:
    """Await the step. A cancellation that is not this task's own is an error like any other."""
    try:
        return await step
    except asyncio.CancelledError as err:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise LostTaskError("a task that was awaited was cancelled") from err
