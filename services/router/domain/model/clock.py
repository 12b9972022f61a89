"""One SLA clock of an incident: its goal, and the stretches in which its time ran."""

from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from shared.events import ClockSnapshot
from shared.policy import Whose
from shared.policy.calendars.open_hours import Calendars, named

ClockState: TypeAlias = Literal["running", "paused", "fulfilled", "cancelled"]
LIVE: Final[frozenset[ClockState]] = frozenset({"running", "paused"})
TOLERANCE: Final = 0.001  # seconds: a timer that fires a rounding error early has still fired


class Interval(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stretch of wall time in which a clock ran; `ended` is None while it runs."""

    started: datetime
    ended: datetime | None = None


class Clock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One SLA target: what was promised, and the stretches in which its time ran."""

    target: str
    goal: float
    state: ClockState = "running"
    breached: bool = False  # the current promise was not kept
    intervals: tuple[Interval, ...] = ()
    thresholds: tuple[float, ...] = ()  # shares of the goal already acted on or recorded (0.8, 1.0)
    warn_at: tuple[float, ...] = ()
    pause_while: tuple[str, ...] = ()
    sla: str = ""
    calendar: str = "always"
    # How often this target's promise was broken: the current one, an earlier one, a period of `update`.
    breaches: int = 0
    took: float | None = None  # seconds counted until it was fulfilled or cancelled
    by: Whose = "anybody"  # whose act keeps it
    reminded: int = 0  # `update`: how many of its periods have passed without one

    @property
    def times_broken(self) -> int:
        """How often it was broken in all; the first releases kept no count."""
        return self.breaches or int(self.breached)

    def is_used_up(self, passed: float) -> bool:
        """Whether the goal is reached after this many counted seconds."""
        return passed + TOLERANCE >= self.goal

    def elapsed(self, now: datetime, calendars: Calendars) -> float:
        """Seconds of its calendar's time counted up to now."""
        if self.took is not None:
            return self.took
        hours, seconds = named(calendars, self.calendar), 0.0
        for part in self.intervals:
            seconds += hours.elapsed(part.started, part.ended or now)
        return seconds

    def reaches(self, share: float, calendars: Calendars) -> datetime | None:
        """When this share of the goal is used up if nothing changes; in the past when it already is.

        None unless the clock runs, or when its calendar does not open for that long within 10 years.
        """
        if self.state != "running":
            return None
        hours, left = named(calendars, self.calendar), self.goal * share
        for part in self.intervals:
            passed = left if part.ended is None else hours.elapsed(part.started, part.ended)
            if passed >= left:
                return hours.after(part.started, left)
            left -= passed
        return None

    def snapshot(self, now: datetime, calendars: Calendars) -> ClockSnapshot:
        """The clock as messages and the API show it."""
        elapsed, live = self.elapsed(now, calendars), self.state in LIVE
        broken_in_all = self.times_broken
        broken = self.breached and (not live or self.is_used_up(elapsed))
        return ClockSnapshot(
            target=self.target,
            state="breached" if broken and live else self.state,
            goal_seconds=self.goal,
            elapsed_seconds=round(elapsed, 3),
            due_at=self.reaches(1.0, calendars),
            breached=self.breached or self.breaches > 0,
            broken_before=broken_in_all > broken,
            breaches=broken_in_all,
            by=self.by,
        )
