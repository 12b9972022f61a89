"""Levels, or `finally`, that wait for a calendar: `hold_until` (docs/policy.md, "Whom a level pages")."""

from datetime import datetime

import msgspec

from services.router.domain.draft.draft import Draft
from services.router.domain.model.compiled_bundle import CompiledLevel
from services.router.domain.model.reason import Reason
from shared.policy.calendars.open_hours import named


class Hold(msgspec.Struct, frozen=True):
    """Waiting for this calendar; `until` is its next opening, None when it never opens again."""

    calendar: str
    until: datetime | None


def hold(draft: Draft, level: CompiledLevel, at: datetime) -> Hold | None:
    """What the level would wait for at this time; None when it would page."""
    return _hold(draft, level.spec.hold_until, at)


def of_finally(draft: Draft, at: datetime) -> Hold | None:
    """What `finally` would wait for at this time; None when it would page."""
    return _hold(draft, draft.policy.spec.finally_.hold_until, at)


def _hold(draft: Draft, calendar: str | None, at: datetime) -> Hold | None:
    if calendar is None or _has_opened(draft, calendar):
        return None
    until = _opening(draft, calendar, at)
    return None if until is not None and until <= at else Hold(calendar, until)


def waits(who: str, hold: Hold) -> str:
    """In words, who waits and until when."""
    return f"{who} waits for calendar {hold.calendar}, until {hold.until:%Y-%m-%d %H:%M} UTC"


def opens(hold: Hold) -> str:
    """The same, to follow what happens then."""
    return f" when calendar {hold.calendar} opens, {hold.until:%Y-%m-%d %H:%M} UTC"


def never(level: CompiledLevel, hold: Hold) -> str:
    """In words, why a level is passed whose calendar never opens again."""
    return f"level {level.spec.name} is passed: its calendar {hold.calendar} never opens again"


def does_not_wait(hold: Hold) -> str:
    """In words, why `finally` pages although its calendar is closed."""
    return f"finally does not wait: its calendar {hold.calendar} never opens again"


def reason_of_finally(draft: Draft) -> Reason:
    """The policy's reason for `finally` to wait."""
    values = {"hold_until": draft.policy.spec.finally_.hold_until}
    return Reason(f"policies.{draft.policy.name}.finally.hold_until", values=values)


def reason(level: CompiledLevel) -> Reason:
    """The policy's reason for a level to wait."""
    return Reason(f"{level.where}.hold_until", values={"hold_until": level.spec.hold_until})


def _has_opened(draft: Draft, calendar: str) -> bool:
    """The awaited opening has come; if the calendar has closed since (downtime), that holds nobody."""
    chain = draft.incident.chain
    return (
        chain.state in {"held", "resting", "finally"}
        and chain.calendar == calendar
        and chain.due is not None
        and draft.now >= chain.due
    )


def _opening(draft: Draft, calendar: str, at: datetime) -> datetime | None:
    """The first time from `at` on when the calendar is open; None when there is none."""
    return named(draft.calendars, calendar).next_open(at)
