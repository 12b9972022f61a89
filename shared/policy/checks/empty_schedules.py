"""Schedules that put nobody on call: they begin later, are over, or everybody on them is absent."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from shared.policy.calendars.wall_clock import instant, local
from shared.policy.checks.installation import Installation
from shared.policy.errors import Finding
from shared.policy.model.bundle import Bundle
from shared.policy.model.people import Schedule
from shared.policy.oncall.layers import ends_at
from shared.policy.oncall.roster import Roster, roster_of
from shared.policy.oncall.schedules import OnCall

LATER: Final = "L120"
EMPTY: Final = "L121"


def findings(bundle: Bundle, installation: Installation) -> Iterator[Finding]:
    """What each schedule is at this moment; nothing where no moment is given."""
    if installation.now is None:
        return
    for name in bundle.schedules:
        roster = roster_of(bundle, name, installation.overrides)
        duty = roster.on_call(installation.now) if roster is not None else None
        if roster is not None and duty is not None and duty.user is None:
            yield from _of(name, roster, duty, installation.now)


def _of(name: str, roster: Roster, duty: OnCall, now: datetime) -> Iterator[Finding]:
    schedule, zone = roster.schedule, roster.schedule.timezone
    first = min(range(len(schedule.layers)), key=lambda number: schedule.layers[number].starts)
    starts = instant(schedule.layers[first].starts, zone)
    path = ("schedules", name)
    if starts > now:
        yield Finding(
            (*path, "layers", first, "starts"),
            code=LATER,
            severity="warning",
            said=f"{name} begins at {local(starts, zone)}: until then nobody is on call",
            mend="let `starts` lie in the past: the rotation counts from there",
        )
    elif _is_over(schedule, now):
        yield _empty(
            name, "every layer has ended: nobody is on call any more", "add a layer, or move its `ends`"
        )
    elif not duty.next_user:
        yield _empty(name, f"nobody is ever on call ({duty.reason})", "name somebody who is there")
    elif duty.passed:
        followed = f"; {duty.next_user} follows at {local(duty.next_from, zone)}"
        yield _empty(name, f"{duty.reason}{followed}", "put somebody on call until then (`ladder override`)")


def _is_over(schedule: Schedule, now: datetime) -> bool:
    ends = [ends_at(layer, schedule.timezone) for layer in schedule.layers]
    return all(each is not None and each <= now for each in ends)


def _empty(name: str, why: str, mend: str) -> Finding:
    return Finding(
        ("schedules", name),
        at_key=True,
        code=EMPTY,
        severity="warning",
        said=f"{name} is empty: {why}",
        mend=mend,
    )
