"""One decision in the making: the incident so far, and the output collected on the way.

Rules read a draft and write to it; nothing outside `decide` ever sees one.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final, Unpack

from msgspec import to_builtins
from msgspec.structs import replace

from services.router.domain.draft import customers, expression_values
from services.router.domain.draft.fields import FOLLOWED, GRADE, SEEN_AS, STANDING
from services.router.domain.draft.recipients import Directory, Found, Resolved
from services.router.domain.draft.timeline import TELLING
from services.router.domain.model.clock import Clock
from services.router.domain.model.compiled_bundle import CompiledBundle, EscalationPolicy
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Audience, Decision, Entry, Explains, Joined, Spread
from services.router.domain.model.incident import MUTED, OPEN, Incident
from services.router.domain.model.incident_fields import ChainFields, IncidentFields
from services.router.domain.model.parts import OpenPage
from services.router.domain.model.reason import Reason
from services.router.domain.model.related import Related
from services.router.domain.model.snapshot import snapshot
from services.router.domain.model.vocabulary import (
    CalledOff,
    Change,
    ClockHappening,
    EntryKind,
    NoticeEvent,
    StandsStill,
    Through,
)
from shared.events import (
    ClockEvent,
    IncidentChanged,
    IncidentEvent,
    Notice,
    Page,
    Recipient,
    RelatedChanged,
    Settled,
)
from shared.policy.calendars.open_hours import Calendars, named
from shared.policy.cel.expressions import Activation, Condition, ExpressionPlace

LADDER: Final = "ladder"  # the actor for everything that no person and no sender did
NEWS: Final = frozenset({"update", "resolved"})  # what counts as an answer to a customer
_POINT_PAGES_KEPT: Final = 20  # pages from points, kept so that an answer to one is recognised
_EMPTY: Final = blake2b(digest_size=16, person=b"ladder")
_VARIANTS: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def derived_id(*parts: object) -> str:
    """A stable id: the same parts give the same one, so that a replay writes the same bytes.

    A UUID of version 8 (RFC 9562, §5.8: free to fill) from 128 bits of BLAKE2b; `uuid.uuid5` takes five times
    as long.
    """
    hashed = _EMPTY.copy()  # a third of the time of a new one
    hashed.update("/".join(map(str, parts)).encode())
    digest = hashed.hexdigest()
    variant = _VARIANTS[digest[16]]
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:]}"


@dataclass(slots=True)
class Draft:
    """The incident and the outputs of one decision."""

    incident: Incident
    bundle: CompiledBundle
    context: Context
    now: datetime
    actor: str = LADDER
    event: IncidentEvent | None = None  # the event that is decided about, if there is one
    acted: bool = False  # a person's action is being decided about
    entries: list[Entry] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    asked: list[OpenPage] = field(default_factory=list)  # those of them that a schedule named
    notices: list[Notice] = field(default_factory=list)
    settled: Settled | None = None
    answered: list[str] = field(default_factory=list)  # pages that were seen without being taken
    update_text: str = ""
    by_person: bool = False  # in this decision a person sent stakeholders an update, or resolved it
    outcome: str = ""  # how it was settled, for stakeholders
    customer_left: bool = False  # the customer would have heard news of this decision, but wants none
    joined: list[Joined] = field(default_factory=list)
    explains: list[Explains] = field(default_factory=list)
    rotations: dict[tuple[str, str], str] = field(default_factory=dict)
    outgoing: list[RelatedChanged] = field(default_factory=list)
    spreads: list[Spread] = field(default_factory=list)
    told_by: str = ""  # the incident whose message is being decided about
    initial: Incident = field(init=False)  # the incident as it was before this decision
    version: int = field(init=False)  # of the incident and message that this decision makes
    live: CompiledBundle = field(init=False)  # the bundle in force now
    calendars: Calendars = field(init=False)  # of the bundle the incident started with (rule 17)
    policy: EscalationPolicy = field(init=False)  # the policy it is on; absent before routing
    is_open: bool = field(init=False)  # this and the next two are cached from the incident
    is_muted: bool = field(init=False)
    stands_still: StandsStill = field(init=False)
    is_acknowledged: bool = field(init=False)
    is_resolved: bool = field(init=False)
    was_quiet: bool = field(init=False)  # it stood still or was not open before this decision
    may_be_suppressed: bool = field(init=False)  # there is something that could suppress incidents
    is_new: bool = field(init=False)  # this decision opens it
    has_news: bool = False  # it was resolved, or stakeholders get an update
    regraded: bool = False  # its priority, severity or kind was set
    clock_events: list[ClockEvent] = field(default_factory=list)
    failures: dict[ExpressionPlace, str] = field(
        default_factory=dict
    )  # expressions that could not be evaluated, and why
    _activation: Activation | None = None
    _told: set[tuple[str, Recipient, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.initial = self.incident
        self.version, self.is_new = self.incident.version + 1, self.incident.version == 0
        self.live = self.context.live
        self.calendars = self.bundle.calendars
        if self.incident.chain.policy in self.bundle.policies:
            self.policy = self.bundle.policies[self.incident.chain.policy]
        self._stand()
        self.was_quiet = bool(self.stands_still) or not self.is_open
        overlay = self.context.overlay
        anything = self.live.suppress.rules or overlay.silences or overlay.maintenance
        self.may_be_suppressed = bool(anything) and self.incident.integration != LADDER

    @property
    def level_name(self) -> str:
        """The name of the level on which the incident stands."""
        chain = self.incident.chain
        if not chain.policy:
            return ""  # not routed yet
        if chain.state in {"assignee", "grace"}:
            return chain.state
        return self.policy.names[chain.level]

    def set(self, **changes: Unpack[IncidentFields]) -> None:
        """Change fields of the incident."""
        before = self.incident
        self.incident = after = replace(before, **changes)
        if not FOLLOWED.isdisjoint(changes):
            if after.chain.policy and after.chain.policy != before.chain.policy:
                self.policy = self.bundle.policies[after.chain.policy]
            if not STANDING.isdisjoint(changes):
                self._stand()
            if not GRADE.isdisjoint(changes):
                self.regraded = True
        if self._activation is not None:
            for name, value in changes.items():
                if name in SEEN_AS and getattr(before, name) != value:
                    self._forget(SEEN_AS[name])

    def _stand(self) -> None:
        status = self.incident.status
        self.is_open, self.is_resolved = status in OPEN, status == "resolved"
        self.is_acknowledged = status == "acknowledged"
        self.stands_still = self.incident.stands_still
        self.is_muted = self.stands_still in MUTED

    def follow_bundle(self, bundle: CompiledBundle) -> None:
        """Follow this bundle from now on instead of the one it started with (rule 17)."""
        self.incident = replace(self.incident, policy_hash=bundle.hash)
        self._activation = None
        self.bundle, self.calendars = bundle, bundle.calendars
        policy = bundle.policies.get(self.incident.chain.policy)
        if policy is not None:
            self.policy = policy

    def set_chain(self, **changes: Unpack[ChainFields]) -> None:
        """Change fields of the chain."""
        self.set(chain=replace(self.incident.chain, **changes))

    def _forget(self, seen: frozenset[str]) -> None:
        if not (seen.isdisjoint(self.bundle.names) and seen.isdisjoint(self.live.names)):
            self._activation = None

    def say(self, kind: EntryKind, text: str, reason: Reason | None = None, actor: str = "") -> None:
        """Add an entry to the timeline."""
        self.entries.append(Entry(self.now, kind, actor or self.actor, text, reason))

    def last_said(self, kind: EntryKind) -> str:
        """The last entry of this kind; '' when this decision wrote none."""
        return next((entry.text for entry in reversed(self.entries) if entry.kind == kind), "")

    def sentence(self, kind: EntryKind) -> str:
        """The same as a message to people inside puts it: `Resolved by Ana: restarted.`"""
        text = self.last_said(kind)
        return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) or not text else ".")

    def clock(self, event: ClockHappening, clock: Clock, text: str, reason: Reason) -> None:
        """Record what happened to a clock: activate, pause, resume, fulfil, warn or breach (rule 8)."""
        self.say(event, text, reason)
        self.clock_events.append(ClockEvent(target=clock.target, event=event, sla=clock.sla))

    def say_unnamed(self, resolved: Resolved, reason: Reason, of: str = "") -> None:
        """Record which targets named nobody, and who was passed over. `of`: what asked for them."""
        for gap in resolved.gaps:
            self.say("nobody", f"{of}{gap}", reason)
        for note in resolved.notes:
            self.say("on_call", f"{of}{note}", reason)

    def change(self, name: Change) -> None:
        """Name something that this decision changed, for the message."""
        if name not in self.changes:
            self.changes.append(name)
            self.has_news = self.has_news or name in NEWS

    def touch(self) -> None:
        """Note a sign of life from a person or a sender."""
        self.set(touched_at=self.now, asked_at=None)

    @property
    def activation(self) -> Activation:
        """What expressions see of the incident as it is now."""
        if self._activation is None:
            self._activation = self._seen(self.incident)
        return self._activation

    def sees(self, activation: Activation) -> bool:
        """Whether nothing that expressions see has changed since this activation."""
        return self._activation is activation

    def seen_with(self, *, round: int) -> Activation:  # noqa: A002 - the name that expressions know
        """What expressions would see in another round."""
        return self._seen(self.incident, {"round": round})

    def seen_before(self, incident: Incident) -> Activation:
        """What expressions saw of an earlier state of the incident."""
        return self._seen(incident)

    def _seen(self, incident: Incident, instead: dict[str, int] | None = None) -> Activation:
        names = expression_values.values(incident, self.context, self.level_name)
        if instead is not None:
            names |= instead
        return Activation(names, open=self._is_open, on_call=self._on_call, failures=self.failures)

    def _is_open(self, calendar: str) -> bool:
        """Whether a calendar is open now: the starting policy's (rule 17), else a newer one's."""
        frozen = self.bundle.calendars.get(calendar)
        hours = frozen if frozen is not None else named(self.live.calendars, calendar)
        return hours.is_open(self.now)

    def _on_call(self, schedule: str) -> str:
        """Who is on call on a schedule now: the person a page would go to."""
        roster = self.directory.roster(schedule)
        return (roster.at(self.now).user or "") if roster is not None else ""

    def reason(self, where: str, condition: Condition | None, *instead_of: str) -> Reason:
        """A reason with the condition's expression and the values it saw."""
        if condition is None:
            return Reason(where, "", {}, instead_of)
        return Reason(where, condition.source, self.activation.used(condition), instead_of)

    @property
    def directory(self) -> Directory:
        return Directory(self.context, self.live.spec, self.incident, self.now)

    @property
    def loud(self) -> bool:
        """Whether the recipient's rules for `high` apply; if that cannot be evaluated, they do."""
        return self.live.loud is None or self.live.loud.evaluate(self.activation) is not False

    def forget_step(self) -> None:
        """Forget the level's pages; pages from points are kept, so that an answer is still understood."""
        kept = tuple(page for page in self.incident.pages if page.through == "point")[-_POINT_PAGES_KEPT:]
        if kept != self.incident.pages:
            self.set(pages=kept)

    def page(
        self,
        found: Found,
        *,
        through: Through,
        why: str,
        act_by: datetime | None = None,
        otherwise: str = "",
        joins: bool = False,
        targets: tuple[str, ...] = (),
    ) -> Page:
        """Page somebody to take the incident. A customer reads nothing internal.

        While the incident is muted nobody is paged and nothing is remembered (rule 11); code that moves the
        chain up checks `is_muted` first.
        """
        made, outside = self.incident.pages_made + 1, found.recipient.kind == "customer"
        loud = self.loud
        page = Page(
            page_id=derived_id(self.incident.id, "page", made),
            recipient=found.recipient,
            level=self.level_name if through != "point" else "",
            round=self.incident.chain.round,
            reason=found.why if outside else why,
            through=through,
            by_schedule=found.by_schedule,
            loud=loud,
            breaks_quiet=self._breaks_quiet(found.recipient) if not (loud or found.by_schedule) else (),
            since=self.incident.opened_at,
            act_by=act_by if act_by is None or act_by > self.now else None,  # never a deadline in the past
            otherwise="" if outside else otherwise,
            targets=targets,
        )
        if self.is_muted:
            return page
        self.pages.append(page)
        asked = OpenPage(
            page_id=page.page_id,
            name=found.recipient.name,
            through=through,
            level=page.level,
            user=found.recipient.kind == "user",
            joins=joins,
            schedule=found.schedule,
        )
        self.set(pages_made=made, pages=(*self.incident.pages, asked))
        if asked.schedule:
            self.asked.append(asked)
        return page

    def notify(
        self,
        recipient: Recipient,
        event: NoticeEvent,
        *,
        text: str = "",
        reason: str = "",
        stakeholder: bool = False,
        template: str = "",
        digest: timedelta | None = None,
        until: datetime | None = None,
        paged_since: int | None = None,
        targets: tuple[str, ...] = (),
        subscription: str = "",
    ) -> None:
        """Notify somebody, each recipient once per event and decision.

        Nobody hears of a muted incident, except that those paged before hear of its end (`paged_since`):
        given a version instead of 0, only if a page since then has reached them.
        """
        if self.is_muted and paged_since is None:
            return
        once = (event, recipient, text if event == "inform" else "")
        if once in self._told:
            return
        self._told.add(once)
        self.notices.append(
            Notice(
                notice_id=derived_id(self.incident.id, self.version, len(self.notices)),
                event=event,
                recipient=recipient,
                text=text,
                reason=reason,
                stakeholder=stakeholder,
                template=template,
                digest_seconds=digest.total_seconds() if digest else 0,
                until=until,
                paged_since=paged_since or 0,
                targets=targets,
                breaks_quiet=self._breaks_quiet(recipient),
                subscription=subscription,
            )
        )

    def _breaks_quiet(self, recipient: Recipient) -> tuple[int, ...]:
        """Which of this recipient's quiet hours do not apply here; those that cannot be evaluated do not."""
        unless = self.live.unless.get(recipient.name) if recipient.kind == "user" else None
        if unless is None:
            return ()
        return tuple(n for n, each in unless if each is None or each.evaluate(self.activation) is not False)

    def follow(self, user: str) -> None:
        """This person follows the incident from now on."""
        if user and user not in self.incident.followers:
            self.set(followers=(*self.incident.followers, user))

    def send(self, to: str, said: Related) -> None:
        """Tell another incident something; it arrives through the log, like any event."""
        self.outgoing.append(self._related(to, said, len(self.outgoing)))

    def spread(self, audience: Audience, of: str, said: Related) -> None:
        """Tell many incidents something, in bounded steps."""
        self.spreads.append(Spread(audience, of, self._related("", said, f"to {len(self.spreads)}")))

    def _related(self, to: str, said: Related, number: object) -> RelatedChanged:
        incident = self.incident
        return RelatedChanged(
            message_id=derived_id(incident.id, "related", self.version, self.now, to, number),
            to=to,
            incident_id=incident.id,
            relation=said.relation,
            at=self.now,
            title=incident.title,
            priority=incident.priority,
            status=incident.status,
            values=to_builtins(said),
        )

    def cancel_pages(self, why: CalledOff, by: str = "") -> None:
        """Call off every page that earlier decisions asked for and that has not been started."""
        self.settled = Settled(why=why, by=by)

    def finish(self, next_due_at: datetime | None) -> Decision:
        """The decision as data, with the next version of the incident and the time it is next looked at."""
        version = self.incident.version + 1 if self.entries or self.changes else self.incident.version
        incident = replace(self.incident, version=version, decided_at=self.now, next_due_at=next_due_at)
        message = None
        said = self.changes or self.pages or self.notices or self.clock_events
        if said or self.settled or self.answered:
            people = customers.people(self.context, incident.customer) if incident.customer else ()
            message = IncidentChanged(
                message_id=derived_id(incident.id, "version", version),
                at=self.now,
                caused_at=self.event.received_at if self.event is not None else None,
                changes=tuple(self.changes),
                why=tuple(entry.text for entry in self.entries if entry.kind in TELLING),
                actor=self.actor,
                incident=snapshot(incident, self.level_name, self.now, self.calendars, people),
                settled=self.settled,
                pages=tuple(self.pages),
                notices=tuple(self.notices),
                clock_events=tuple(self.clock_events),
                answered=tuple(self.answered),
            )
        return Decision(
            incident,
            tuple(self.entries),
            message,
            joined=tuple(self.joined),
            explains=tuple(self.explains),
            rotations=self.rotations,
            outgoing=tuple(self.outgoing),
            spreads=tuple(self.spreads),
            failures=self.failures,
        )
