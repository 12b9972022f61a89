"""What waits in an outbox, as every replica sees it: also one whose relay does not lead, or is stuck."""

import asyncio
import math
from typing import Final

from prometheus_client import Gauge
from sqlalchemy import text

from shared import telemetry
from shared.clock import stopwatch
from shared.database.pool import Database
from shared.health.probes import Probe
from shared.loops.repeat import for_ever

STALLED_AFTER: Final = 30.0
_EVERY_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 5.0

log = telemetry.logger(__name__)

OLDEST_SECONDS: Final = Gauge(
    "ladder_outbox_oldest_seconds", "Age of the oldest row not yet published; NaN when not known", ["schema"]
)
STALLED_SECONDS: Final = Gauge(
    "ladder_outbox_stalled_seconds",
    "How long the same row has been the oldest one; NaN when not known",
    ["schema"],
)


class Watch:
    """Looks at the oldest row. Ages are the database's own, durations this process's."""

    def __init__(self, database: Database, schema: str) -> None:
        self._database = database
        self._schema = schema
        self._probe = Probe(f"{schema} outbox")
        self._age = 0.0
        self._oldest: int | None = None
        self._since = 0.0
        self._log_is_away = False
        self._said = False
        OLDEST_SECONDS.labels(schema).set_function(lambda: self._unless_stale(self._age))
        STALLED_SECONDS.labels(schema).set_function(lambda: self._unless_stale(self._seconds()))

    def stalled(self) -> str | None:
        """What is wrong, in a sentence, when the same row has been the oldest one for 30 s; otherwise None.

        None, too, while whoever leads says that the log is away.
        """
        seconds = self._seconds()
        if seconds < STALLED_AFTER or self._log_is_away:
            return None
        return (
            f"nothing has left {self._schema}.outbox for {seconds:.0f} s although rows wait "
            f"(the oldest is {self._oldest})"
        )

    async def probe_once(self) -> None:
        """Measure. Raises the database's errors."""
        async with asyncio.timeout(_LOOK_SECONDS), self._database.transaction() as connection:
            asked_at = stopwatch()
            row = (await connection.execute(text(_LOOK.format(schema=self._schema)))).one()
        self._database.heard(row.now, asked_at)
        if row.id is None or row.id != self._oldest:
            self._oldest, self._since = row.id, stopwatch()
        self._log_is_away = row.blocked
        self._age = max(0.0, row.age)
        self._probe.succeeded()
        if (why := self.stalled()) is not None and not self._said:
            log.error(why, action="relay_stalled", schema=self._schema)
        self._said = why is not None

    async def run(self) -> None:
        """Look for ever."""

        async def step() -> None:
            try:
                await self.probe_once()
            except Exception as err:
                self._probe.failed(err)
                raise

        await for_ever(f"outbox {self._schema}", step, self._database.outage, every=_EVERY_SECONDS)

    def _unless_stale(self, figure: float) -> float:
        return math.nan if self._probe.stale else figure

    def _seconds(self) -> float:
        return 0.0 if self._oldest is None else stopwatch() - self._since


_LOOK: Final = """
    SELECT o.id, coalesce(extract(epoch FROM clock_timestamp() - o.created_at), 0)::float8 AS age,
           l.blocked <> '' AND l.until > clock_timestamp() AS blocked, clock_timestamp() AS now
    FROM {schema}.outbox_lease AS l
    LEFT JOIN (SELECT id, created_at FROM {schema}.outbox ORDER BY id LIMIT 1) AS o ON true
"""
