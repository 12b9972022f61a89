"""Predicting which group an event will ask for, before anything is decided: the shell locks that group."""

from datetime import datetime

from services.router.domain.draft.draft import Draft
from services.router.domain.lifecycle import classify, opening
from services.router.domain.model.context import Context
from services.router.domain.muting import grouping, suppression
from shared.events import IncidentEvent


def group_of(event: IncidentEvent, context: Context, now: datetime) -> tuple[str, str] | None:
    """Rule and values of the group that the event's incident belongs to if it is a new one."""
    record = opening.new_record(event, context.live.hash, now, "")
    draft = Draft(record, context.live, context, now)
    classify.name_customer(draft, event.customer or "")
    classify.set_tier(draft)
    classify.set_priority(draft)
    suppression.at_opening(draft)
    matched = grouping.matched_group(draft)
    return None if matched is None else matched.key
