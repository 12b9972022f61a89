"""A level, or `finally`, that waits for its calendar: `hold_until` (POLICY.md, "One complete example")."""

from datetime import datetime

import msgspec

from services.router.domain.draft.draft import Draft
from services.router.domain.model.compiled_bundle import CompiledLevel
from services.router.domain.model.reason import Reason
from shared.policy.calendars.open_hours import named


class Hold(msgspec.Struct, frozen=True):
    """It waits for this calendar; `until` is its next opening, None when it never opens again."""

    calendar: str
    until: datetime | None


def hold(draft: Draft, level: CompiledLevel, at: datetime) -> Hold | None:
    """Why the level would not be paged at this time yet; None when it would."""
    return _hold(draft, level.spec.hold_until, at)


def of_finally(draft: Draft, at: datetime) -> Hold | None:
    """Why `finally` would not page at this time yet; None when it would."""
    return _hold(draft, draft.policy.spec.finally_.hold_until, at)


def _hold(draft: Draft, calendar: str | None, at: datetime) -> Hold | None:
    if calendar is None or _has_opened(draft, calendar):
        return None
    until = _opening(draft, calendar, at)
    return None if until is not None and until <= at else Hold(calendar, until)


def waits(who: str, hold: Hold) -> str:
    """In words, until when."""
    return f"{who} waits for calendar {hold.calendar}, until {hold.until:%Y-%m-%d %H:%M} UTC"


def opens(hold: Hold) -> str:
    """The same after what happens then."""
    return f" when calendar {hold.calendar} opens, {hold.until:%Y-%m-%d %H:%M} UTC"


def never(level: CompiledLevel, hold: Hold) -> str:
    """In words, why it is passed."""
    return f"level {level.spec.name} is passed: its calendar {hold.calendar} never opens again"


def does_not_wait(hold: Hold) -> str:
    """In words, why `finally` pages although its calendar is closed."""
    return f"finally does not wait: its calendar {hold.calendar} never opens again"


def reason_of_finally(draft: Draft) -> Reason:
    """The place in the policy that says so."""
    values = {"hold_until": draft.policy.spec.finally_.hold_until}
    return Reason(f"policies.{draft.policy.name}.finally.hold_until", values=values)


def reason(level: CompiledLevel) -> Reason:
    """The place in the policy that says so."""
    return Reason(f"{level.where}.hold_until", values={"hold_until": level.spec.hold_until})


def _has_opened(draft: Draft, calendar: str) -> bool:
    """It was waited for and its time has come; if it has closed again since (downtime), that holds nobody."""
    chain = draft.incident.chain
    return (
        chain.state in {"held", "resting", "finally"}
        and chain.calendar == calendar
        and chain.due is not None
        and draft.now >= chain.due
    )


def _opening(draft: Draft, calendar: str, at: datetime) -> datetime | None:
    """The first moment from `at` on at which the calendar is open; None when there is none."""
    return named(draft.calendars, calendar).next_open(at)
