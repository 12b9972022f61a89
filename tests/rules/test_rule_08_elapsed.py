"""Rule 8: elapsed never runs outside the calendar or while a clock is paused, whatever happens."""

from collections import defaultdict
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.router.domain.model.clock import Clock
from tests.domain.tale import Tale, bundle, compiled, on_main, tale

TICK = timedelta(minutes=5)
ZONE = ZoneInfo("America/New_York")
CALENDARS = {
    "office": {
        "timezone": "America/New_York",
        "hours": [{"days": "mon-fri", "from": "09:00", "to": "12:00"}, {"from": "13:00", "to": "17:30"}],
        "holidays": {"add": ["2026-03-09"]},
    }
}
TARGETS = {"acknowledge": "30m", "respond": "2h", "update": "1h", "resolve": "8h", "close": "5d"}
SLAS = [
    {"name": "urgent", "when": "priority == 1", **TARGETS, "pause_while": ["vendor"]},
    {"name": "office", "calendar": "office", **TARGETS, "pause_while": ["customer", "vendor"]},
]
POLICY = compiled(
    bundle(slas=SLAS, calendars=CALENDARS, **on_main(close={"after": "2d"}, reopen_within="1d"))
)


@cache
def is_open(calendar: str, at: datetime) -> bool:
    """As somebody who reads the wall clock says; the changes of the clocks come at night."""
    wall = at.astimezone(ZONE)
    if calendar == "always":
        return True
    minutes = wall.hour * 60 + wall.minute
    morning = wall.weekday() < 5 and 9 * 60 <= minutes < 12 * 60
    return wall.date() != date(2026, 3, 9) and (morning or 13 * 60 <= minutes < 17 * 60 + 30)


class Stopwatch:
    """Counts, five minutes at a time, what each clock of a tale should have counted."""

    def __init__(self, story: Tale) -> None:
        self.story = story
        self.ran: defaultdict[str, list[datetime]] = defaultdict(list)
        self.kept: dict[str, float] = {}
        self.seen = 0
        self.incident = ""

    def look(self) -> None:
        """After each thing that happened: periods that begin anew, clocks that stopped for good."""
        fresh = [each.message for each in self.story.decisions[self.seen :] if each.message]
        self.seen = len(self.story.decisions)
        if self.incident != self.story.standing.id:
            self.incident = self.story.standing.id
            self.ran.clear()
            self.kept.clear()
        for each in (event for message in fresh for event in message.clock_events):
            if (each.target, each.event) == ("update", "activate"):
                self.ran["update"].clear()
        for clock in self.story.standing.clocks:
            assert self.counted(clock) == pytest.approx(self.shown(clock), abs=0.002), clock

    def shown(self, clock: Clock) -> float:
        return clock.elapsed(self.story.now, self.story.policy.calendars)

    def counted(self, clock: Clock) -> float:
        if clock.took is None or clock.target not in self.kept:
            ticks = sum(is_open(clock.calendar, at) for at in self.ran[clock.target])
            self.kept[clock.target] = ticks * TICK.total_seconds()
        counted = self.kept[clock.target]
        if clock.took is None:
            del self.kept[clock.target]
        return counted

    def pass_time(self, span: timedelta) -> None:
        for _ in range(span // TICK):
            now = self.story.now
            for clock in self.story.standing.clocks:
                if clock.state == "running":
                    self.ran[clock.target].append(now)
            self.story.later(minutes=5)


def do(story: Tale, step: str) -> None:
    if step == "trigger" or story.standing.status == "closed":
        return
    match step:
        case "customer" | "vendor" | "courier":
            story.event("update", waiting_for=step)
        case "go on":
            story.event("update", waiting_for="")
        case "critical":
            story.event(severity="critical")
        case "priority 3":
            story.act("set", user="petra", role="lead", changes={"priority": 3})
        case "back":
            if story.standing.status == "resolved":
                story.event()
        case "refuse" if story.standing.status == "resolved":
            story.act("refuse")
        case "update":
            story.act("update", text="We are on it.")
        case _:
            story.act(step)


_STEPS = st.sampled_from(
    [
        *("customer", "vendor", "courier", "go on", "critical", "priority 3"),
        *("acknowledge", "resolve", "back", "refuse", "update"),
    ]
)
_SPANS = st.sampled_from([5, 30, 65, 360, 1440])
_histories = st.lists(st.tuples(_STEPS, _SPANS), min_size=2, max_size=12)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    history=_histories,
    begins=st.sampled_from(["2026-03-06T14:00", "2026-03-07T22:30", "2026-03-09T06:00", "2026-10-31T15:55"]),
)
def test_elapsed_never_runs_outside_the_calendar_or_while_paused(history, begins):
    story = Tale(POLICY, now=datetime.fromisoformat(begins).replace(tzinfo=ZoneInfo("UTC")))
    story.event(customer="acme", severity="warning")
    watch = Stopwatch(story)
    watch.look()
    for step, minutes in history:
        do(story, step)
        watch.look()
        watch.pass_time(timedelta(minutes=minutes))
        watch.look()


def test_the_model_is_no_rubber_stamp():
    """A clock that ran while it should have stood still would be seen."""
    story = tale(slas=SLAS, calendars=CALENDARS)
    story.event(severity="warning")
    watch = Stopwatch(story)
    story.event("update", waiting_for="customer")
    story.later(hours=20)
    story.event("update", waiting_for="")
    watch.pass_time(timedelta(hours=1))
    watch.look()
    watch.ran["resolve"].append(datetime(2026, 1, 7, 15, tzinfo=ZoneInfo("UTC")))
    with pytest.raises(AssertionError):
        watch.look()
