"""What the notifier does with the records it reads: apply them, and release what waited for the log's end."""

from collections.abc import Callable
from typing import Final

from services.notifier.caught_up import CaughtUp
from services.notifier.consume import MOST, Consumption
from services.notifier.deadman import Deadman, has_come_through
from shared.clock import stopwatch
from shared.consumer_loop import ConsumerLoop, Fetched, Source
from shared.database.pool import Database
from shared.eventlog import EventLog
from shared.events import ESCALATIONS
from shared.loops.pulse import Beat, unwatched
from shared.loops.repeat import Failures

CHANGES: Final = Source(ESCALATIONS, "ladder-notifier", most=MOST)
_WHILE_PAGES_WAIT_SECONDS: Final = 0.02


class ChangeConsumer(ConsumerLoop):
    """One member of the notifiers' group. Each canary that has come through pings `deadman`."""

    def __init__(
        self,
        event_log: EventLog,
        database: Database,
        consumption: Consumption,
        deadman: Deadman,
        *,
        clock: Callable[[], float] = stopwatch,
        beat: Beat = unwatched,
    ) -> None:
        super().__init__(event_log, CHANGES, "notifier consume", database.outage, clock=clock, beat=beat)
        self._database = database
        self._consumption = consumption
        self._deadman = deadman
        self._caught_up = CaughtUp()
        self._applying = Failures("notifier apply", database.outage)

    def wait_seconds(self) -> float:
        """Short while pages wait for what may follow in the log."""
        return _WHILE_PAGES_WAIT_SECONDS if self._consumption.waiting else super().wait_seconds()

    async def accept(self, fetched: Fetched) -> None:
        """Apply them, until it comes through; none: the end of the log is reached."""
        records, oldest = fetched.records, self._caught_up.after(fetched)
        if not records:
            if self._consumption.waiting:
                await self._consumption.caught_up(self._database.now())
            return
        await self.until_done(
            self._applying,
            lambda apart: self._consumption.apply_once(records, self._database.now(), oldest, apart=apart),
        )
        if has_come_through(records, self._database.now()):
            self._deadman.ping()
