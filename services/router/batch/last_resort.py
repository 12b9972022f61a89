"""What happens when Ladder cannot decide (docs/rules.md, rule 18): simple steps that evaluate no policy.

An incident whose decision failed is *stuck*: it is tried again with backoff, and `last_resort` hears of it.
An event without an incident opens a *placeholder*: an incident without a policy, which is superseded by the
real one as soon as deciding works again.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from services.router.domain.draft.draft import derived_id
from services.router.domain.draft.names import at_address
from services.router.domain.escalation import paged_people
from services.router.domain.model.decision import Decision, Entry
from services.router.domain.model.incident import Incident
from services.router.domain.model.parts import Acknowledged, Chain, OpenPage, Stuck
from services.router.domain.model.reason import Reason
from services.router.domain.model.signals import ActionTaken
from services.router.domain.model.snapshot import snapshot
from services.router.domain.model.vocabulary import Through
from shared.events import IncidentChanged, IncidentEvent, Page, Recipient, Settled
from shared.policy import AddressTarget, Bundle, ScheduleTarget, TeamTarget, UserTarget

THROUGH: Final[Through] = "last_resort"
ACTOR: Final = "ladder"
_FIRST_RETRY: Final = timedelta(seconds=30)
_LONGEST: Final = timedelta(minutes=16)
_PAGED_AGAIN: Final = timedelta(minutes=15)
_RULE: Final = Reason("rule 18: when Ladder cannot decide")
_ERROR_LENGTH: Final = 500


def backoff(tries: int) -> timedelta:
    """How long to wait after this many failures: 30 s, doubling, 16 min at most."""
    return min(_FIRST_RETRY * 2.0 ** min(tries - 1, 10), _LONGEST)


def is_placeholder(incident: Incident) -> bool:
    """Whether it only stands in for an incident that could not be decided."""
    return incident.chain.policy == "" and incident.stuck is not None


def placeholder(event: IncidentEvent, policy_hash: str, lowest_tier: str, now: datetime) -> Incident:
    """An incident made from the event alone. Priority 1, since nobody knows how urgent it is."""
    return Incident(
        id=derived_id("stand-in", event.identity),
        integration=event.integration,
        dedup_key=event.dedup_key,
        policy_hash=policy_hash,
        title=event.title or event.dedup_key,
        description=event.description or "",
        kind=event.kind or "incident",
        source=event.source or "",
        severity=event.severity,
        labels=event.labels,
        attributes=event.attributes,
        links=event.links,
        tier=event.tier or lowest_tier,
        service=event.service or "",
        priority=1,
        opened_at=now,
        touched_at=now,
        decided_at=now,
        chain=Chain(policy="", since=now, state="resting"),
        version=0,
    )


def stuck(incident: Incident, error: str, now: datetime) -> Incident:
    """The incident with its next try planned; a due time that lies ahead of that stays."""
    before = incident.stuck
    tries = before.tries + 1 if before is not None else 1
    retry_at = now + backoff(tries)
    due = incident.next_due_at
    return replace(
        incident,
        stuck=Stuck(
            error=error[:_ERROR_LENGTH],
            since=before.since if before is not None else now,
            tries=tries,
            retry_at=retry_at,
        ),
        next_due_at=min(due, retry_at) if due is not None and due > now else retry_at,
        decided_at=max(now, incident.decided_at),
    )


def wants_page(incident: Incident) -> bool:
    """Whether last_resort should hear of it: once at first, then every quarter of an hour."""
    if incident.stuck is None or incident.status != "triggered":
        return False
    told = any(page.through == THROUGH for page in incident.pages)
    return not told or backoff(incident.stuck.tries) >= _PAGED_AGAIN


def failed_entry(incident: Incident, now: datetime) -> Entry:
    assert incident.stuck is not None
    text = f"could not be decided (try {incident.stuck.tries}): {incident.stuck.error}"
    return Entry(now, "stuck", ACTOR, text, _RULE)


def page(
    incident: Incident, bundle: Bundle, level: str, others: int, now: datetime
) -> tuple[Incident, IncidentChanged]:
    """Page last_resort about a stuck incident. `others`: how many more were held back since the last page."""
    assert incident.stuck is not None
    reason = f"Ladder could not decide what to do about this: {incident.stuck.error}"
    if others > 0:
        reason += f" ({others} more like it since the last page)"
    paged, pages = _paged(replace(incident, version=incident.version + 1), bundle, reason)
    changes = ("opened", "stuck") if incident.version == 0 else ("stuck",)
    return paged, _changed(paged, level, changes, now, pages=pages)


def page_as_well(decision: Decision, bundle: Bundle) -> Decision:
    """Also page last_resort about an incident that concerns Ladder itself, whatever its route says."""
    message, incident = decision.message, decision.incident
    if message is None or incident is None or not {"opened", "reopened"} & set(message.changes):
        return decision
    paged, pages = _paged(incident, bundle, f"Ladder itself needs somebody: {incident.title}")
    already = {page.recipient.name for page in message.pages}
    pages = tuple(page for page in pages if page.recipient.name not in already)
    entry = Entry(message.at, "paged", ACTOR, f"last resort paged: {_names(pages)}", _RULE)
    if not pages:
        return decision
    return Decision(
        incident=paged,
        entries=(*decision.entries, entry),
        message=_with_pages(message, pages),
        changed=decision.changed,
    )


def supersede(incident: Incident, why: str, now: datetime, by: str = ACTOR) -> Decision:
    """Close a placeholder; its pages are called off. `by`: the actor for the timeline."""
    closed = replace(
        incident,
        status="closed",
        stuck=None,
        next_due_at=None,
        closed_at=now,
        resolved_at=incident.resolved_at or now,
        decided_at=now,
        version=incident.version + 1,
    )
    message = _changed(closed, "", ("closed",), now, settled=Settled(why="closed", by=by))
    return Decision(closed, (Entry(now, "closed", by, why, _RULE),), message)


def act_on_placeholder(incident: Incident, action: ActionTaken, now: datetime) -> Decision | None:
    """Acknowledge or resolve a placeholder without a policy; None for every other action."""
    if action.action == "resolve":
        why = f"resolved by {action.actor.name} before it could be decided"
        return supersede(incident, why, now, action.actor.name)
    if action.action != "acknowledge":
        return None
    taken = replace(
        incident,
        status="acknowledged",
        assignee=action.actor.user,
        acknowledged=Acknowledged(now),
        touched_at=now,
        decided_at=now,
        version=incident.version + 1,
    )
    message = _changed(taken, "", ("taken",), now, settled=Settled(why="taken", by=action.actor.name))
    return Decision(taken, (Entry(now, "taken", action.actor.name, "taken while stuck", _RULE),), message)


def recipients(bundle: Bundle) -> Iterator[Recipient]:
    """The recipients of last_resort: named people, rooms and addresses; of a schedule everybody in it."""
    for target in bundle.last_resort:
        match target:
            case UserTarget(name):
                yield Recipient(kind="user", name=name)
            case TeamTarget(name):
                yield from _team(bundle, name)
            case ScheduleTarget(name):
                layers = bundle.schedules[name].layers if name in bundle.schedules else ()
                for user in dict.fromkeys(user for layer in layers for user in layer.rotation):
                    yield Recipient(kind="user", name=user)
            case AddressTarget(channel, address):
                yield at_address(channel, address)
            case _:
                continue  # targets that need an incident to resolve are left out


def _team(bundle: Bundle, name: str) -> Iterator[Recipient]:
    team = bundle.teams.get(name)
    if team is None:
        return
    if team.contacts:
        yield Recipient(kind="team", name=name)
    for member in team.members:
        yield Recipient(kind="user", name=member)


def _paged(incident: Incident, bundle: Bundle, reason: str) -> tuple[Incident, tuple[Page, ...]]:
    whom = list({(each.kind, each.name): each for each in recipients(bundle)}.values())
    pages = tuple(
        Page(
            page_id=derived_id(incident.id, "last resort", incident.version, number),
            recipient=recipient,
            level="last resort",
            reason=reason,
            through=THROUGH,
            since=incident.opened_at,
        )
        for number, recipient in enumerate(whom)
    )
    asked = tuple(
        OpenPage(
            page_id=page.page_id,
            name=page.recipient.name,
            through=THROUGH,
            level=page.level,
            user=page.recipient.kind == "user",
        )
        for page in pages
    )
    kept = tuple(page for page in incident.pages if page.through != THROUGH)
    paged, pages = paged_people.noted(incident.paged or (), pages, incident.version)
    return replace(incident, pages=(*kept, *asked), paged=paged), pages


def _names(pages: Sequence[Page]) -> str:
    return ", ".join(page.recipient.name for page in pages)


def _with_pages(message: IncidentChanged, pages: tuple[Page, ...]) -> IncidentChanged:
    return replace(message, pages=(*message.pages, *pages))


def _changed(
    incident: Incident,
    level: str,
    changes: tuple[str, ...],
    now: datetime,
    *,
    settled: Settled | None = None,
    pages: tuple[Page, ...] = (),
) -> IncidentChanged:
    return IncidentChanged(
        message_id=derived_id(incident.id, "version", incident.version),
        at=now,
        changes=changes,
        actor=ACTOR,
        incident=snapshot(incident, level, now, {}),
        settled=settled,
        pages=pages,
    )
