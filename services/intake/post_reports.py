"""What became of the posts to each integration: counted, reported to the router, and logged if refused.

Senders such as Amazon SNS show nobody how they were answered, so operators find it here. All of it is
bounded, since strangers can have posts refused, too: a few log lines per integration and period (those
without a good key counted separately), with the number left out; one small message every few seconds.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from services.intake.formats.sanitize import clean, cut
from shared import telemetry
from shared.auth.failed_attempts import WrongKey
from shared.clock import utcnow
from shared.eventlog import EventLog
from shared.eventlog.codec import encode
from shared.events import IncidentEvent
from shared.events.post_counts import ACCEPTED, IGNORED, MOST, REASON_LENGTH, Counted, as_event
from shared.http.problems import Problem
from shared.loops.outage import Outage
from shared.loops.repeat import for_ever

log = telemetry.logger(__name__)

LINES: Final = 10  # of one integration within the time
_WHILE: Final = timedelta(seconds=10)
_BETWEEN: Final = timedelta(seconds=5)  # messages to the router
_STEP_SECONDS: Final = 1.0
_FAULTS: Final = 3  # in one reason
_EVENT: Final = re.compile(r"/(?:alerts/)?(\d{1,6})(?:/|$)")


def reason_of(problem: Problem) -> str:
    """Why it was refused, in one line: what the sender was told."""
    faults = [f"{fault.field}: {fault.reason}" for fault in problem.faults]
    more = f" (and {len(faults) - _FAULTS} more)" if len(faults) > _FAULTS else ""
    parts = [str(problem), "; ".join(faults[:_FAULTS]) + more]
    return cut(clean(" ".join(": ".join(part for part in parts if part).split())), REASON_LENGTH)


def event_of(problem: Problem) -> int | None:
    """The index of the first faulty event in its post; None if there is only one."""
    found = (_EVENT.match(fault.field) for fault in problem.faults)
    return next((int(each[1]) for each in found if each), None)


def is_strangers(problem: Problem) -> bool:
    """Whether it came without a key that is good here."""
    return isinstance(problem, WrongKey) or problem.status in (401, 403)


@dataclass(slots=True)
class _Lines:
    """Log lines about one integration, in one period."""

    since: datetime
    written: int = 0
    left_out: int = 0


class PostReports:
    """Of this process. Without `ready` nothing is told to the router: the topics are not there yet."""

    def __init__(
        self,
        eventlog: EventLog | None = None,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._log = eventlog
        self._ready = ready
        self._counts: dict[tuple[str, str], Counted] = {}
        self._lines: dict[tuple[str, bool], _Lines] = {}
        self._unacknowledged: IncidentEvent | None = None  # until the log has it
        self._published_at: datetime | None = None

    def accepted(self, integration: str, events: int, now: datetime) -> None:
        """This many of its events are on the log."""
        self._count(integration, ACCEPTED, events, now)

    def ignored(self, integration: str, events: int, now: datetime) -> None:
        """Its `ignore` dropped this many."""
        self._count(integration, IGNORED, events, now)

    def refused(self, integration: str, form: str, problem: Problem, now: datetime) -> None:
        """One post; '' where nobody knows to which integration. `form`: its format, for the log."""
        reason, event = reason_of(problem), event_of(problem)
        if integration:
            self._count(integration, problem.kind, 1, now, reason=reason, event=event)
        lines = self._lines.get((integration, is_strangers(problem)))
        if lines is None:
            lines = self._lines[integration, is_strangers(problem)] = _Lines(now)
        if lines.written >= LINES:
            lines.left_out += 1
            return
        lines.written += 1
        about = {} if event is None else {"event_index": event}
        said = {"integration": integration, "format": form, "status": problem.status, "kind": problem.kind}
        log.warning("post refused", action="refused", reason=reason, **said, **about)

    def close_lines(self, now: datetime) -> None:
        """Log how many refused posts got no line, where the period is over."""
        for (integration, strangers), lines in list(self._lines.items()):
            if now - lines.since < _WHILE:
                continue
            del self._lines[integration, strangers]
            if lines.left_out:
                log.warning(
                    "more posts were refused than were logged",
                    action="refused_more",
                    integration=integration,
                    with_a_good_key=not strangers,
                    left_out=lines.left_out,
                )

    async def publish_once(self, now: datetime, *, at_once: bool = False) -> bool:
        """Report to the router what was counted since the last time; whether there was anything to report.

        A report that the log did not acknowledge is published again unchanged, so that it counts once.
        """
        if self._unacknowledged is None and not self._due(now, at_once=at_once):
            return False
        if self._unacknowledged is None:
            keys = list(self._counts)[:MOST]
            self._unacknowledged = as_event([self._counts.pop(key) for key in keys], now)
            self._published_at = now
        assert self._log is not None
        await self._log.publish([encode(self._unacknowledged)])
        self._unacknowledged = None
        return True

    async def run(self) -> None:
        """Report and close the lines, for ever."""
        if self._log is not None:
            await for_ever("intake posts", self._step, Outage(log, "posts_wait"), every=_STEP_SECONDS)

    async def _step(self) -> None:
        self.close_lines(utcnow())
        await self.publish_once(utcnow())

    def _due(self, now: datetime, *, at_once: bool) -> bool:
        if self._log is None or not self._counts or not self._ready():
            return False
        return at_once or self._published_at is None or now - self._published_at >= _BETWEEN

    def _count(
        self,
        integration: str,
        outcome: str,
        count: int,
        now: datetime,
        *,
        reason: str = "",
        event: int | None = None,
    ) -> None:
        before = self._counts.get((integration, outcome))
        if before is None:
            counted = Counted(
                integration=integration, outcome=outcome, count=count, at=now, reason=reason, event=event
            )
        else:
            counted = replace(before, count=before.count + count, at=now, reason=reason, event=event)
        self._counts[integration, outcome] = counted
