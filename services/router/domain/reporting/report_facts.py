"""What reports count of an incident: one narrow outcome, and its stays at levels.

An outcome is derived from the incident alone. A stay lasts from the decision that put the incident on a level
to the one that took it off; both are found by comparing the incident before and after a decision.
"""

from datetime import datetime, timedelta
from enum import IntEnum, IntFlag
from typing import Final, TypeAlias

import msgspec

from services.router.domain.model.clock import Clock
from services.router.domain.model.decision import Decision
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import DeliveryReported, Signal, TimerFired
from shared.events import LOOKING

TARGETS: Final = ("acknowledge", "respond", "update", "resolve", "close")  # bit 0, 1, … of each group of bits
BREACHED: Final = 5  # the group of bits for targets broken at least once
FULFILLED: Final = 10  # … for those fulfilled, in time or not
BY_PERSON: Final = 15  # … for those that only a person's act keeps
_BIT: Final = {target: 1 << number for number, target in enumerate(TARGETS)}
_MOST_SECONDS: Final = 2**31 - 1
Position: TypeAlias = tuple[str, int, int]  # policy, index of the level, round


class Flag(IntFlag):
    """What is true of an incident; one bit each in `outcome.flags`."""

    SOLVED = 1  # resolved or closed
    CLOSED = 2
    CONFIRMED = 4  # by the customer
    RIGHT_FIRST_TIME = 8  # solved by the first level that was asked, neither handed up nor passed
    AVOIDED = 16  # solved by automation: nobody was paged
    ASKED = 32  # solved after a level was asked, so it can be right first time


class Ended(IntEnum):
    """How a stay ended; in `stay.ended`, NULL while it goes on."""

    SOLVED = 1
    HANDED_UP = 2  # by a person, a point, or because the level is no longer competent
    PASSED = 3  # its time ran out, or its pages reached nobody
    LEFT = 4  # grouped under another, given back, closed unsolved


class Outcome(msgspec.Struct, frozen=True):
    """One incident as reports count it. Seconds are wall time since the opening, None while not yet.

    The remaining milliseconds (0–999) are in fields of their own. `machine_first`: a machine took it first;
    `person_after` is when a person first did. `promises`: bits 0–4 which targets are promised, 5–9 which were
    breached, 10–14 which are fulfilled, 15–19 which are a person's to keep.
    """

    taken_after: int | None
    taken_ms: int
    machine_first: bool
    person_after: int | None
    person_ms: int
    solved_after: int | None
    solved_ms: int
    promises: int
    flags: int
    reopened: int
    rating: int
    priority: int
    tier: str
    service: str
    customer: str
    policy: str


class StayChange(msgspec.Struct, frozen=True):
    """What one decision did to the stay at a level: it ended, another began, pages were sent in it."""

    ended: Ended | None
    begins: bool
    pages: int


NO_CHANGE: Final = StayChange(None, begins=False, pages=0)


def outcome(incident: Incident) -> Outcome:
    """The incident as reports count it."""
    taken_after, taken_ms = after(incident.opened_at, incident.acknowledged_at)
    person_after, person_ms = after(incident.opened_at, incident.taken_by_person_at)
    solved_after, solved_ms = after(incident.opened_at, incident.resolved_at)
    return Outcome(
        taken_after=taken_after,
        taken_ms=taken_ms,
        machine_first=incident.by_machine,
        person_after=person_after,
        person_ms=person_ms,
        solved_after=solved_after,
        solved_ms=solved_ms,
        promises=_promises(incident.clocks),
        flags=int(_flags(incident)),
        reopened=incident.reopened,
        rating=incident.confirmed.rating if incident.confirmed is not None else 0,
        priority=incident.priority,
        tier=incident.tier,
        service=incident.service,
        customer=incident.customer,
        policy=incident.chain.policy,
    )


def stay_change(before: Incident | None, decision: Decision, signal: Signal | None) -> StayChange:
    """What a decision did to the incident's stay at a level. `before` is None for a new incident."""
    after = decision.incident
    stood = None if before is None else position(before)
    stands = None if after is None else position(after)
    if after is None or (stood is None and stands is None):
        return NO_CHANGE
    asked = 0
    if decision.message is not None and stands is not None:
        asked = sum(page.through not in LOOKING for page in decision.message.pages)
    if stood == stands:
        return StayChange(None, begins=False, pages=asked)
    ended = None if stood is None else _ended(after, decision, signal)
    return StayChange(ended, begins=stands is not None, pages=asked)


def position(incident: Incident) -> Position | None:
    """The level that has the incident; None when none has: not asked yet, grouped, solved."""
    chain = incident.chain
    if not incident.is_open or incident.parent or chain.unasked or not chain.policy:
        return None
    if chain.state == "grace":
        return None
    return chain.policy, chain.level, chain.round


def _ended(after: Incident, decision: Decision, signal: Signal | None) -> Ended:
    if not after.is_open:
        return Ended.LEFT if after.parent else Ended.SOLVED
    if position(after) is None:
        return Ended.LEFT
    if isinstance(signal, DeliveryReported):
        return Ended.PASSED
    if isinstance(signal, TimerFired):
        by_point = any(entry.kind == "point" for entry in decision.entries)
        return Ended.HANDED_UP if by_point else Ended.PASSED
    return Ended.HANDED_UP


def _flags(incident: Incident) -> Flag:
    flags = Flag(0)
    if incident.is_open:
        return flags
    flags |= Flag.SOLVED
    if incident.status == "closed":
        flags |= Flag.CLOSED
    if incident.confirmed is not None:
        flags |= Flag.CONFIRMED
    if incident.avoided:
        flags |= Flag.AVOIDED
    elif incident.solved_at:
        flags |= Flag.ASKED if incident.handed_up else Flag.ASKED | Flag.RIGHT_FIRST_TIME
    return flags


def _promises(clocks: tuple[Clock, ...]) -> int:
    """A cancelled clock is no longer promised; what was broken before stays on record."""
    bits = 0
    for clock in clocks:
        bit = _BIT.get(clock.target, 0)
        broken = clock.breached or clock.breaches > 0
        if clock.state == "cancelled" and not broken:
            continue
        bits |= bit | (bit << BY_PERSON if clock.by == "person" else 0)
        if broken:
            bits |= bit << BREACHED
        if clock.state == "fulfilled":
            bits |= bit << FULFILLED
    return bits


def after(since: datetime, until: datetime | None) -> tuple[int | None, int]:
    """How much later: whole seconds, and the remaining milliseconds."""
    if until is None:
        return None, 0
    seconds, milliseconds = divmod(max(0, (until - since) // timedelta(milliseconds=1)), 1000)
    return min(seconds, _MOST_SECONDS), milliseconds
