"""Who is on call, who stands in for whom, and what nobody is notified of for a while."""

from datetime import datetime

import msgspec


class NextOnCall(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    user: str
    from_: datetime


class OnCallItem(msgspec.Struct, frozen=True, kw_only=True):
    """Who has the schedule. `user` is empty when nobody has it; `reason` says why."""

    schedule: str
    user: str
    until: datetime
    layer: str
    reason: str
    next: NextOnCall
    override: str = ""  # the id of the override by which the user stands in
    passed: list[str] = []  # who was passed over, and why


class OnCallList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[OnCallItem]


class OverrideItem(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """`user` has `schedule` instead of whoever its layers name; empty: nobody has, on purpose.

    With `absent` only what would be that person's goes to `user`, or (empty) to whoever comes beneath; an
    empty `schedule` is every one. `broken`: why it does not do so under the policy in force.
    """

    id: str
    schedule: str
    user: str
    from_: datetime
    to: datetime
    comment: str
    by: str
    made_at: datetime
    absent: str
    broken: str


class Gap(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A time in which nobody is on call on a schedule."""

    schedule: str
    from_: datetime
    to: datetime


class OverrideMade(OverrideItem, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A new override. `gaps`: what an absence leaves to nobody in its first eight weeks, at most 100."""

    gaps: list[Gap]


class OverrideList(msgspec.Struct, frozen=True, kw_only=True):
    """By their begin; `next` is the cursor of the following page, null on the last."""

    items: list[OverrideItem]
    next: str | None


class ScheduleItem(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule of the policy in force; `users` are all whom its layers name."""

    name: str
    timezone: str
    handoff: str
    layers: list[str]
    users: list[str]


class ScheduleList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ScheduleItem]


class ShiftItem(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """One person's shift; `user` is empty where nobody is on call. `overrides` are ids.

    `passed` says who was passed over, and why: somebody who left the policy, or who is absent.
    """

    user: str
    from_: datetime
    to: datetime
    layers: list[str]
    overrides: list[str]
    passed: list[str]


class ShiftList(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """All of `from` … `to`, without gap or overlap; nobody has two shifts in a row unless alone."""

    schedule: str
    timezone: str
    from_: datetime
    to: datetime
    items: list[ShiftItem]


class CalendarFeed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a calendar program reads the shifts. Whoever has the address needs no key: keep it private."""

    schedule: str
    user: str
    url: str


class SilenceItem(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A silence. `state`: in_force or over. `broken`: why its condition, or a part of it, cannot work now."""

    id: str
    when: str
    from_: datetime
    until: datetime
    comment: str
    by: str
    made_at: datetime
    state: str
    broken: str


class SilenceList(msgspec.Struct, frozen=True, kw_only=True):
    """The newest first."""

    items: list[SilenceItem]
    next: str | None


class MaintenanceItem(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Planned work: once `from` … `to`, or again in `window`, one or a list of them.

    `state`: planned, in_force or over.
    """

    id: str
    name: str
    when: str
    from_: datetime | None
    to: datetime | None
    window: dict[str, str] | list[dict[str, str]] | None
    then: str
    by: str
    made_at: datetime
    state: str
    broken: str


class MaintenanceList(msgspec.Struct, frozen=True, kw_only=True):
    """The newest first."""

    items: list[MaintenanceItem]
    next: str | None
