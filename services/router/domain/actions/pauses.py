"""Pausing for a time: snooze, wait, resume (docs/rules.md, rules 6 and 9)."""

from datetime import timedelta
from typing import Final

from services.router.domain.actions import guards
from services.router.domain.draft.draft import Draft
from services.router.domain.draft.wording import span
from services.router.domain.lifecycle import pauses
from services.router.domain.model.decision import Refusal
from services.router.domain.model.signals import ActionTaken

LONGEST: Final = timedelta(days=30)  # rule 6: snooze and waiting must end, and while people remember


def snooze(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Stop the levels until then; the clocks keep running."""
    until = signal.arguments.until
    refusal = _wrong_end(draft, signal)
    if refusal is not None or until is None:
        return refusal
    draft.touch()
    pauses.snooze(draft, until)
    guards.remark(draft, signal)
    return None


def wait(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """Wait for somebody until then: stops the levels, and the clocks whose SLA says so."""
    until, party = signal.arguments.until, signal.arguments.waiting_for
    if not party:
        return guards.invalid("wait needs `for`: who is waited for, such as customer or vendor")
    refusal = _wrong_end(draft, signal)
    if refusal is not None or until is None:
        return refusal
    draft.touch()
    waiting = draft.incident.waiting
    if waiting is not None and waiting.party == party and waiting.until != until:
        pauses.wait(draft, party, until)
        draft.say("waiting", f"still waiting for {party}, until {until:%Y-%m-%d %H:%M} UTC at the latest")
        draft.change("waiting")
    elif waiting is None or waiting.party != party:
        pauses.wait(draft, party, until)
    guards.remark(draft, signal)
    return None


def _wrong_end(draft: Draft, signal: ActionTaken) -> Refusal | None:
    until = signal.arguments.until
    if until is None:
        return guards.invalid(
            f"{signal.action} needs an end: `until` or `seconds` (nothing stands still for ever)"
        )
    if until <= draft.now:
        return guards.invalid("`until` has passed already")
    if until > draft.now + LONGEST:
        return guards.invalid(f"`until` is too far away: at most {span(LONGEST)} ahead")
    return None


def unless_it_rests(draft: Draft) -> str:
    """Only while it is waiting or snoozed."""
    incident = draft.incident
    rests_now = incident.snooze is not None or incident.waiting is not None
    return guards.unless_it_has_levels(draft) or ("" if rests_now else "it neither waits nor is it snoozed")


def resume(draft: Draft, signal: ActionTaken) -> Refusal | None:
    """End snooze and waiting: the levels go on."""
    draft.touch()
    pauses.end(draft, f"{guards.who(draft, signal)} said so")
    guards.remark(draft, signal)
    return None
