"""The plan of a decision, as tables: what comes first, what falls due, what concludes, each with its reason.

`decide` follows it from top to bottom. In between comes what the signal itself is about: an event, an action,
a report, another incident's message; for a timer, what is due. When something is due and what is then done
stand together (`Moment`): the time at which the incident is next looked at comes from the same lists.
"""

from datetime import timedelta
from typing import Final, TypeAlias

from services.router.domain import closing
from services.router.domain.draft.stages import Due, Moment, Stage
from services.router.domain.escalation import due_step, handoff, paged_people, unsettled
from services.router.domain.lifecycle import (
    forgotten,
    late_trigger,
    pauses,
    sender_silence,
    stuck,
    unsuppress,
    worsening,
)
from services.router.domain.muting import grouping, suppression
from services.router.domain.points import points
from services.router.domain.relations import messages
from services.router.domain.sla import clocks
from services.router.domain.stakeholders import customer_words, subscriptions, updates

FOLLOW_UP: Final = timedelta(days=1)  # the safety net under every other moment
SOONEST: Final = timedelta(milliseconds=1)

BEFORE: Final = (
    Stage(
        "its sender spoke",
        sender_silence.spoke,
        "whatever the event says, it ends the silence that the later stages ask about",
        when=lambda draft: draft.event,
    ),
    Stage(
        "its last event gets a date",
        sender_silence.date,
        "records of an earlier release have none, and every silence counts from it",
        when=lambda draft: not draft.incident.last_event_at,
    ),
    Stage(
        "promises are watched again",
        clocks.watch_again,
        "records of an earlier release left clocks broken whose time is not over; shares count from these",
        when=lambda draft: draft.incident.clocks,
    ),
    Stage(
        "a suppression begins",
        suppression.begin,
        "before anybody is asked or told by this decision",
        when=lambda draft: draft.is_open and draft.may_be_suppressed and not draft.incident.suppression,
        moment=suppression.BEGINS,
    ),
)

WHILE_OPEN: Final = (
    Due(stuck.RETRIES, "it is on record before what is then decided"),
    Due(
        sender_silence.ENDS_IT,
        "before anybody is asked: what is over, or said to be, is asked about no more in this decision",
        alone=True,
    ),
    Due(pauses.WAITING_ENDS, "the levels and clocks that stood still count from here"),
    Due(pauses.SNOOZE_ENDS, "after the waiting: whichever ends last lets the levels go on"),
    Due(late_trigger.STILL_STANDS, "while it is held, shares and levels wait"),
    Due(messages.JOINS_TOLD, "whoever has it hears it before anything takes it from them"),
    Due(
        points.SHARES,
        "before the levels: a point may hand it up, and that level's time counts from then. At every timer, "
        "because a clock that is a rounding error early has reached its share",
        early=True,
    ),
    Due(due_step.NEXT_STEP, "after the points, which may have asked somebody already"),
    Due(sender_silence.IS_ASKED, "after the step: whoever it pages is asked by that page"),
    Due(forgotten.IS_FORGOTTEN, "last: whatever was done before has touched it"),
)

WHILE_RESOLVED: Final = (
    Due(stuck.RETRIES, "it is on record before what is then decided"),
    Due(points.SHARES, "the promise to close goes on, and is broken before it is kept", early=True),
    Due(closing.CLOSES, "once it is closed nobody is asked any more"),
    Due(closing.ASKS_AGAIN, "it is not closed yet"),
)

CONCLUSION: Final = (
    Stage(
        "a person overrules its sender's silence",
        sender_silence.overruled,
        "first: whoever reopens it says that it stands, and no later stage asks about the silence",
        when=lambda draft: draft.acted,
    ),
    Stage(
        "a suppression ends",
        unsuppress.check,
        "in every decision: what it was suppressed by may be gone; before the points, which may act again",
        when=lambda draft: draft.is_open and draft.incident.suppression and not draft.is_new,
        moment=unsuppress.ENDS,
    ),
    Stage(
        "the silence counts anew",
        sender_silence.begin_anew,
        "after all that can end a pause, a suppression or a close",
        when=lambda draft: draft.was_quiet and draft.is_open and not draft.stands_still,
    ),
    Stage(
        "conditions of points",
        points.check_conditions,
        "they see the record as this decision leaves it",
        when=lambda draft: draft.is_open and draft.policy.points.rules and not draft.is_muted,
        moment=points.HELD,
    ),
    Stage(
        "the shift of whoever has it",
        handoff.check,
        "when all is asked that is asked anyhow, so that nobody who comes on is asked twice",
        when=lambda draft: draft.is_open and draft.incident.duty,
        moment=handoff.SHIFT_ENDS,
        on_timer=True,
    ),
    Stage(
        "the shifts of those who were asked",
        unsettled.check,
        "after the shift of whoever has it: who takes it over there is not asked here as well",
        when=lambda draft: draft.is_open and draft.incident.unsettled,
        moment=unsettled.SHIFTS_END,
        on_timer=True,
    ),
    Stage(
        "what grew worse",
        worsening.check,
        "after the points, which may have raised it; whoever lost it by now hears nothing",
        when=lambda draft: draft.is_open and draft.regraded and not draft.is_new,
    ),
    Stage(
        "a suppressed one's clocks stand",
        clocks.pause_or_go_on,
        "whatever started one in this decision",
        when=lambda draft: draft.incident.suppression and draft.incident.clocks,
    ),
    Stage(
        "whether it explains others",
        suppression.explain,
        "by what it is now, and only if it is not suppressed itself",
        when=lambda draft: draft.live.causes.rules or draft.incident.explains,
    ),
    Stage(
        "its group hears",
        grouping.after,
        "all that can change status, priority or owner is behind us",
        when=lambda draft: draft.incident.belongs_to or draft.incident.group,
    ),
    Stage(
        "what it may follow from",
        messages.name_upstream,
        "before people read it: who is paged wants to know",
        when=lambda draft: draft.live.upstream and (draft.pages or draft.is_new),
    ),
    Stage(
        "an update that is too late",
        updates.before_telling,
        "its promise is broken first, so that whoever subscribed hears of that",
        when=lambda draft: draft.has_news and draft.incident.clocks,
    ),
    Stage(
        "stakeholders hear",
        subscriptions.fan_out,
        "of everything that this decision changed",
        when=lambda draft: draft.changes,
    ),
    Stage(
        "what stakeholders were owed",
        updates.after_telling,
        "it is known by now who has heard something",
        when=lambda draft: draft.has_news,
    ),
    Stage(
        "whoever was paged hears the end",
        paged_people.conclude,
        "after the stakeholders: who is both is told once",
        when=lambda draft: draft.pages or draft.notices or draft.settled or draft.acted,
    ),
    Stage(
        "the customer is asked to confirm",
        closing.after,
        "after everybody else has heard that it is resolved",
        when=lambda draft: draft.is_resolved and draft.changes,
    ),
    Stage(
        "what the customer was told is kept",
        customer_words.told,
        "nobody is told anything after this",
        when=lambda draft: draft.notices and draft.incident.customer,
    ),
    Stage(
        "whom schedules named is kept",
        unsettled.keep,
        "no page is asked for, or called off, after this",
        when=lambda draft: draft.asked or draft.incident.unsettled,
    ),
)

Stages: TypeAlias = tuple[Stage, ...]
Moments: TypeAlias = tuple[Moment, ...]
AFTER_A_TIMER: Final[Stages] = CONCLUSION
AFTER_ANYTHING_ELSE: Final[Stages] = tuple(stage for stage in CONCLUSION if not stage.on_timer)
OPEN_MOMENTS: Final[Moments] = (
    *(due.moment for due in WHILE_OPEN),
    *(stage.moment for stage in (*BEFORE, *CONCLUSION) if stage.moment is not None),
)
RESOLVED_MOMENTS: Final[Moments] = tuple(due.moment for due in WHILE_RESOLVED)
