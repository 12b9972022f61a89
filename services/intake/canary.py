"""Letting the canary in: through the log like any event, named after its moment (shared.events.canary)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from shared import telemetry
from shared.clock import utcnow
from shared.eventlog import EventLog
from shared.eventlog.codec import encode
from shared.events.canary import event, moment_of
from shared.loops.outage import Outage
from shared.loops.pulse import Beat, unwatched
from shared.loops.repeat import for_ever

log = telemetry.logger(__name__)

_EVERY_SECONDS: Final = 1.0


class Canary:
    """This process's. `open_doors`: whether posts are accepted; a canary takes no way that they cannot."""

    def __init__(
        self,
        eventlog: EventLog,
        every: timedelta,
        open_doors: Callable[[], bool],
        *,
        beat: Beat = unwatched,
    ) -> None:
        self._log = eventlog
        self.every: Final = every
        self._beat = beat
        self._open_doors = open_doors
        self._let_in: datetime | None = None

    async def let_in_once(self, now: datetime) -> bool:
        """Publish the canary of this moment, once; whether it was done now. Raises LogUnavailableError."""
        moment = moment_of(now, self.every)
        if moment == self._let_in or not self._open_doors():
            return False
        await self._log.publish([encode(event(moment, now))])
        self._let_in = moment
        return True

    async def run(self) -> None:
        """Let one in at each moment, for ever; not at all where that is switched off."""
        if self.every:
            waits = Outage(log, "canary_waits")
            await for_ever("intake canary", self._step, waits, every=_EVERY_SECONDS, beat=self._beat)

    async def _step(self) -> None:
        await self.let_in_once(utcnow())
