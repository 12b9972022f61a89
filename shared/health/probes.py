"""Measurements made again and again, and what it means when one cannot be made.

A figure that is not measured any more must not go on looking well. So each probe has an age that Prometheus
sees grow, and gauges that hang on it show NaN once it is stale. And when nobody has answered for a minute –
the server is silent, every connection of the pool is taken, the task that probes has ended – the process says
by /healthz that only a new start would help.

A server that *answers* that it is away (refuses connections, is shutting down) is waited for: a new start
would meet the same. So is one that this process never got an answer from: the new start has been tried.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from prometheus_client import Gauge
from sqlalchemy import QueuePool, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shared.clock import stopwatch
from shared.database.pool import Database
from shared.eventlog import LogSilentError
from shared.loops.repeat import for_ever

STALE_AFTER_SECONDS: Final = 15.0
SILENT_AFTER_SECONDS: Final = 60.0
_EVERY_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 5.0

AGE_SECONDS: Final = Gauge(
    "ladder_look_age_seconds", "How long ago this was last measured: it grows while it cannot be", ["look"]
)


def is_silence(err: BaseException) -> bool:
    """Whether whoever was asked did not answer at all; a refusal is an answer."""
    return isinstance(err, LogSilentError | TimeoutError | PoolTimeoutError)


class Probe:
    """One thing that is measured again and again. `clock` counts seconds."""

    def __init__(self, name: str, *, clock: Callable[[], float] = stopwatch) -> None:
        self.name: Final = name
        self._clock = clock
        self._succeeded_at: float | None = None
        self._heard_at = self._made_at = clock()
        self._why = ""
        AGE_SECONDS.labels(name).set_function(lambda: self.age)

    @property
    def age(self) -> float:
        """Seconds since it last succeeded, or since there has been something to look at."""
        return self._clock() - (self._made_at if self._succeeded_at is None else self._succeeded_at)

    @property
    def stale(self) -> bool:
        """Whether what it showed last is no figure any more."""
        return self._succeeded_at is None or self.age > STALE_AFTER_SECONDS

    def succeeded(self) -> None:
        """There was an answer, with the figure in it."""
        self._succeeded_at = self._heard_at = self._clock()
        self._why = ""

    def failed(self, err: BaseException, why: str = "") -> None:
        """It could not be measured; `why` where the error itself does not say."""
        self._why = why or f"{type(err).__name__}: {str(err)[:200]}"
        if not is_silence(err):
            self._heard_at = self._clock()

    def silent(self) -> str | None:
        """In a sentence, that nobody has answered for a minute; None while all is well or a refusal came."""
        seconds = self._clock() - self._heard_at
        if self._succeeded_at is None or seconds < SILENT_AFTER_SECONDS:
            return None
        why = self._why or "nobody looks any more"
        return f"{self.name} could not be looked at for {seconds:.0f} s: {why}"


class DatabaseProbe:
    """Whether the pool gives a connection and the server on it answers: asked every few seconds."""

    def __init__(
        self,
        database: Database,
        service: str,
        *,
        patience_seconds: float = _LOOK_SECONDS,
        clock: Callable[[], float] = stopwatch,
    ) -> None:
        self._database = database
        self._patience = patience_seconds
        self.probe: Final = Probe(f"{service} database", clock=clock)

    async def probe_once(self) -> None:
        """Ask once; whatever is wrong is remembered, never raised."""
        try:
            async with asyncio.timeout(self._patience), self._database.transaction() as connection:
                await connection.execute(text("SELECT 1"))
        except Exception as err:  # noqa: BLE001 - what fails is the very thing that is measured
            self.probe.failed(err, self._why(err))
        else:
            self.probe.succeeded()

    async def run(self) -> None:
        """Ask for ever."""
        await for_ever(self.probe.name, self.probe_once, self._database.outage, every=_EVERY_SECONDS)

    def _why(self, err: Exception) -> str:
        if not is_silence(err):
            return ""
        pool = self._database.engine.pool
        if isinstance(pool, QueuePool) and pool.checkedout() >= pool.size():
            return f"all {pool.size()} connections of the pool are taken, and none came back in time"
        return f"PostgreSQL did not answer within {self._patience:g} s"
