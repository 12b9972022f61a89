"""Publishing accepted events to the log, and refusing more than may wait for it."""

import time
from collections.abc import Sequence
from typing import Final

from services.intake import metrics
from services.intake.idempotency import AcceptedIds
from services.intake.post_reports import PostReports
from services.intake.settings import IntakeSettings
from shared import telemetry
from shared.eventlog import EventLog, LogUnavailableError, RecordTooLargeError
from shared.eventlog.codec import encode
from shared.events import Message
from shared.http.problems import Problem
from shared.loops.outage import Outage

log = telemetry.logger(__name__)

_RETRY: Final = {"retry-after": "2"}


class Publisher:
    """Publishes events, and refuses more than it may hold while the log is slow."""

    def __init__(
        self, eventlog: EventLog, settings: IntakeSettings, posts: PostReports | None = None
    ) -> None:
        self._log = eventlog
        self.posts = posts or PostReports()
        self._seconds = settings.intake_publish_seconds
        self._most_bytes = settings.intake_in_flight_bytes
        self._bytes = 0
        self.accepted_ids = AcceptedIds()
        self._outage = Outage(log, "intake.unacknowledged")

    async def publish(self, events: Sequence[Message], size: int) -> None:
        """Return once every message is acknowledged; `size` is that of the body they came in.

        The limit counts what waits, and one body can become many events; a body larger than the limit waits
        alone. Raises Problem 503 (try again; some may have been written), 413.
        """
        records = [encode(event) for event in events]
        size = min(max(size, sum(len(record.value) for record in records)), self._most_bytes)
        if self._bytes + size > self._most_bytes:
            raise unavailable("log-busy", "The event log is behind; nothing was accepted")
        self._bytes += size
        started = time.perf_counter()
        try:
            await self._log.publish(records, timeout_seconds=self._seconds)
        except LogUnavailableError as err:
            self._outage.began(err)
            raise unavailable(
                "log-unavailable", "The event log did not acknowledge; nothing was accepted"
            ) from err
        except RecordTooLargeError as err:
            raise Problem(413, "too-large", "An event is larger than the event log takes", str(err)) from err
        finally:
            self._bytes -= size
        self._outage.ended()
        metrics.PUBLISHING.observe(time.perf_counter() - started)


def unavailable(kind: str, title: str) -> Problem:
    return Problem(503, kind, title, headers=_RETRY)
