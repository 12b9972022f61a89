"""Suppression: windows, silences, maintenance and causes stop notifications, never recording (rule 11).

Silences and maintenance come first, then the rules of the policy in force; the first that applies counts. A
condition that fails does not apply (the safe side). Incidents about Ladder itself are never suppressed.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.router.domain.draft.draft import LADDER, Draft
from services.router.domain.draft.stages import Moment
from services.router.domain.draft.wording import minute
from services.router.domain.model.context import Cause, Maintenance
from services.router.domain.model.decision import Explains
from services.router.domain.model.parts import Suppressed, Then
from services.router.domain.model.reason import Reason
from services.router.domain.model.related import CauseEnded, Look
from services.router.domain.sla import clocks
from shared.policy import Suppression
from shared.policy.calendars.open_hours import window_hours
from shared.policy.cel.expressions import Activation, Condition, Failed
from shared.policy.model.people import Window

AFTER_CAUSE: Final = timedelta(minutes=2)  # rule 11: how long it lasts after its cause is resolved
ASK_AGAIN: Final = timedelta(minutes=15)  # while a cause is open, in case its end is missed
_ZONE: Final = "UTC"  # for a window that names none


class Muting(msgspec.Struct, frozen=True):
    """What stops notifications: its name, when it ends or is checked again, and what happens then."""

    by: str
    until: datetime
    then: Then
    says: str
    reason: Reason


def of_rule(name: str) -> str:
    """A policy rule's name in `suppressed_by`."""
    return f"rule {name}"


def of_silence(silence_id: str) -> str:
    return f"silence {silence_id}"


def of_maintenance(name: str) -> str:
    return f"maintenance {name}"


def at_opening(draft: Draft) -> None:
    """Suppress the new (or reopened) incident from its first moment, if need be: its clocks wait, too."""
    if not draft.may_be_suppressed:
        return
    _tell_failures(draft)
    muting = find(draft)
    if muting is not None:
        _set(draft, muting)
        _say(draft, muting)


def at_reopening(draft: Draft) -> None:
    """What held when it was resolved is over; what holds now counts."""
    draft.set(suppression=None)
    at_opening(draft)


def begin(draft: Draft) -> None:
    """Suppress an open incident from now on, if something says so."""
    muting = find(draft)
    if muting is None:
        return
    _set(draft, muting)
    _say(draft, muting)
    clocks.pause_or_go_on(draft)
    draft.set_chain(due=None)
    if draft.incident.pages:
        draft.cancel_pages("suppressed")
    draft.change("suppressed")


def go_on(draft: Draft, muting: Muting) -> None:
    """It stays suppressed: by something else, or for longer or shorter than was known."""
    before = draft.incident.suppression
    _set(draft, muting)
    if before is None or before.by != muting.by or before.until > muting.until:
        _say(draft, muting)


def find(draft: Draft) -> Muting | None:
    """What suppresses the incident as it is now; None when nothing does."""
    if not draft.may_be_suppressed:
        return None
    overlay = draft.context.overlay
    by_person = _of_overlay(draft) if overlay.silences or overlay.maintenance else None
    return by_person or _of_rules(draft)


def _next_beginning(draft: Draft) -> datetime | None:
    """When the next planned one begins; None while something suppresses it already."""
    now, overlay = draft.now, draft.context.overlay
    windows = [rule.spec.window for rule in draft.live.suppress.rules if rule.spec.window is not None]
    windows += [work.window for work in overlay.maintenance if work.window is not None]
    starts = [work.starts for work in overlay.maintenance if work.starts is not None]
    starts += [silence.starts for silence in overlay.silences]
    coming = [at for at in starts if at > now]
    coming += [opens for window in windows if (opens := _next_opening(window, now)) is not None]
    return min(coming, default=None)


BEGINS: Final = Moment(
    "a suppression begins",
    _next_beginning,
    begin,
    when=lambda draft: (
        draft.may_be_suppressed
        and (draft.live.planned or draft.context.overlay.silences or draft.context.overlay.maintenance)
        and not draft.incident.suppression
    ),
)


def explain(draft: Draft) -> None:
    """Update whether it is the cause by which rules suppress others: open, not suppressed, not held."""
    causes, incident = draft.live.causes, draft.incident
    heard_of = incident.suppression is None and incident.late is None
    stands = draft.is_open and heard_of and incident.integration != LADDER
    matching = causes.matching(draft.activation) if stands else ()
    now = tuple(dict.fromkeys(rule.spec.name for rule in matching))
    if now == incident.explains:
        return
    under = tuple(rule.spec.name for rule in draft.live.suppress.matching(draft.activation)) if now else ()
    for name in now:
        if name not in incident.explains:
            draft.explains.append(Explains(name, None, incident.opened_at, under))
            _tell_the_explained(draft, name)
    for name in incident.explains:
        if name not in now:
            draft.explains.append(Explains(name, draft.now, incident.opened_at))
            if not _others(draft, name):
                draft.spread("suppressed", of_rule(name), CauseEnded())
    draft.set(explains=now)


def _tell_the_explained(draft: Draft, name: str) -> None:
    """Open incidents that match hear of their cause; nobody has to hear of a second one."""
    rule = next(rule for rule in draft.live.suppress.rules if rule.spec.name == name)
    text = f"it is the cause by rule {name}: what matches is suppressed while it is open"
    draft.say("cause", text, Reason(rule.where, rule.spec.while_open or ""))
    if not _others(draft, name):
        draft.spread("matching", rule.spec.when, Look())


def _others(draft: Draft, name: str) -> list[Cause]:
    return [
        cause
        for cause in draft.context.causes.get(name, ())
        if cause.ended is None and cause.incident_id != draft.incident.id
    ]


def _set(draft: Draft, muting: Muting) -> None:
    draft.set(suppression=Suppressed(muting.by, muting.until, muting.then))


def _say(draft: Draft, muting: Muting) -> None:
    draft.say("suppressed", f"nobody is notified: {muting.says}", muting.reason, LADDER)


def _of_overlay(draft: Draft) -> Muting | None:
    now, overlay, looking = draft.now, draft.context.overlay, _Looking(draft)
    for silence in overlay.silences:
        if silence.starts <= now < silence.until and looking.finds(silence.condition):
            comment = f" ({silence.comment})" if silence.comment else ""
            says = f"silence of {silence.by}{comment}, until {minute(silence.until)}"
            reason = looking.reason(f"silences {silence.id}", silence.condition)
            return Muting(of_silence(silence.id), silence.until, "page", says, reason)
    for work in overlay.maintenance:
        until = end_of(work, now)
        if until is not None and looking.finds(work.condition):
            says = f"maintenance {work.name} of {work.by}, until {minute(until)}; then {_THEN[work.then]}"
            reason = looking.reason(f"maintenance {work.id}", work.condition)
            return Muting(of_maintenance(work.name), until, work.then, says, reason)
    return None


class _Looking:
    """Overlay conditions may use names that no policy does: they get an activation made on demand."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._seen: Activation | None = None

    def _activation(self) -> Activation:
        if self._seen is None:
            self._seen = self._draft.seen_before(self._draft.incident)
        return self._seen

    def finds(self, condition: Condition | None) -> bool:
        return condition is None or condition.evaluate(self._activation()) is True

    def reason(self, where: str, condition: Condition | None) -> Reason:
        if condition is None:
            return Reason(where, "true")
        return Reason(where, condition.source, self._activation().used(condition))


_THEN: Final[Mapping[Then, str]] = {
    "page": "what still stands is paged",
    "drop": "what still stands is dropped",
}


def end_of(work: Maintenance, now: datetime) -> datetime | None:
    """When this maintenance ends, if it is under way."""
    if work.window is not None:
        if work.until is not None and now >= work.until:
            return None
        closes = closing(work.window, now)
        return min(closes, work.until) if closes is not None and work.until is not None else closes
    if work.starts is None or work.until is None:
        return None
    return work.until if work.starts <= now < work.until else None


def _of_rules(draft: Draft) -> Muting | None:
    for rule in draft.live.suppress.rules:
        spec, causes = rule.spec, draft.context.causes.get(rule.spec.name, ())
        timed = _in_window(spec, draft) if spec.window is not None else causes and _by_cause(causes, draft)
        if not timed:
            continue
        until, says = timed
        if rule.condition is not None and rule.condition.evaluate(draft.activation) is not True:
            continue
        reason = rule.reason(draft.activation)
        return Muting(
            of_rule(rule.spec.name), until, rule.spec.then, f"rule {rule.spec.name}, {says}", reason
        )
    return None


def _in_window(rule: Suppression, draft: Draft) -> tuple[datetime, str] | None:
    assert rule.window is not None
    until = closing(rule.window, draft.now)
    if until is None:
        return None
    return until, f"until {minute(until)}; then {_THEN[rule.then]}"


def _by_cause(causes: Iterable[Cause], draft: Draft) -> tuple[datetime, str] | None:
    """By the cause that is open; without one, by the last to end, for two more minutes."""
    for cause in causes:
        if cause.incident_id == draft.incident.id or _is_explained_by(draft, cause):
            continue
        if cause.ended is None:
            says = f"while {cause.title} ({cause.incident_id}) is open and 2 minutes after"
            return draft.now + ASK_AGAIN, says
        if draft.now < cause.ended + AFTER_CAUSE:
            until = cause.ended + AFTER_CAUSE
            return until, f"its cause {cause.title} ({cause.incident_id}) is over; until {minute(until)}"
    return None


def _is_explained_by(draft: Draft, cause: Cause) -> bool:
    """Two that explain each other must not silence each other: the one opened first is the cause."""
    incident = draft.incident
    if not incident.explains or not set(incident.explains) & set(cause.under):
        return False
    mine = (incident.opened_at, incident.id)
    return mine < (cause.opened_at or incident.opened_at, cause.incident_id)


def _tell_failures(draft: Draft) -> None:
    """Record conditions that could not be evaluated, and so do not apply, where an incident opens."""
    rules = draft.live.suppress
    if not rules.rules:
        return
    for rule, outcome in zip(rules.rules, rules.outcomes(draft.activation), strict=True):
        if isinstance(outcome, Failed):
            text = f"rule {rule.spec.name} does not apply: it could not be evaluated: {outcome.reason}"
            draft.say("suppression", text, rule.reason(draft.activation), LADDER)


def closing(windows: tuple[Window, ...], now: datetime) -> datetime | None:
    """When the last of the windows that are open now closes; None when none is."""
    hours = window_hours(windows, _ZONE)
    return hours.next_close(now) or now + ASK_AGAIN if hours.is_open(now) else None


def _next_opening(windows: tuple[Window, ...], now: datetime) -> datetime | None:
    hours = window_hours(windows, _ZONE)
    return None if hours.is_open(now) else hours.next_open(now)
