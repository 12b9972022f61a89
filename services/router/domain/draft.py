"""One decision in the making: the record so far, and what has been said and asked for on the way.

Rules take a draft, look at it and write to it; nothing outside `decide` ever sees one.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

from msgspec.structs import replace

from services.router.domain import record
from services.router.domain.compiled import CompiledPolicy, Ladder
from services.router.domain.decision import Decision, Entry, Reason
from services.router.domain.directory import Directory, Found
from services.router.domain.incident import Incident, OpenPage, snapshot
from shared.events import IncidentChanged, Notice, Page, Recipient, Settled
from shared.policy.expressions import Activation, Condition, Failed

LADDER: Final = "ladder"  # the actor of everything that no person and no sender did
# Fields that no expression sees: changing them keeps the activation, which is dear to make.
_UNSEEN: Final = frozenset(
    {
        *(
            "pages",
            "pages_made",
            "points",
            "clocks",
            "followers",
            "links",
            "source_time",
            "stuck",
            "asked_at",
        ),
        *("touched_at", "decided_at", "resolved_at", "closed_at", "waiting_until", "next_due_at", "version"),
    }
)
_UNSEEN_OF_CHAIN: Final = frozenset({"since", "due", "lowest", "failed_step_at"})
# The timeline's lines that say what happened to the incident, not how it was worked out.
_TELLING: Final = frozenset(
    {
        *("opened", "reopened", "paged", "informed", "taken", "resolved", "closed", "escalated", "priority"),
        *(
            "unreachable",
            "breach",
            "warn",
            "point",
            "waiting",
            "resumed",
            "asked",
            "update",
            "seen",
            "nobody",
        ),
    }
)


def derived_id(*parts: object) -> str:
    """A stable id: the same parts give the same one, so that a replay writes the same bytes.

    A UUID of version 8 (RFC 9562, §5.8: free to fill) from 128 bits of BLAKE2b; `uuid.uuid5` takes five
    times as long.
    """
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=16, person=b"ladder").hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:]}"


@dataclass(slots=True)
class Draft:
    """The record and the outputs of one decision."""

    incident: Incident
    policy: CompiledPolicy
    live: CompiledPolicy
    now: datetime
    actor: str = LADDER
    caused_at: datetime | None = None
    entries: list[Entry] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    settled: Settled | None = None
    update_text: str = ""
    _activation: Activation | None = None

    @property
    def ladder(self) -> Ladder:
        return self.policy.ladders[self.incident.chain.policy]

    @property
    def level_name(self) -> str:
        """The name of where the incident stands."""
        chain = self.incident.chain
        if not chain.policy:
            return ""  # not routed yet
        if chain.state == "assignee":
            return "assignee"
        return self.ladder.level_name(chain.level)

    def set(self, **changes: Any) -> None:
        """Change fields of the record."""
        self.incident = replace(self.incident, **changes)
        if not _UNSEEN.issuperset(changes):
            self._activation = None

    def set_chain(self, **changes: Any) -> None:
        """Change fields of the chain."""
        chain = replace(self.incident.chain, **changes)
        self.incident = replace(self.incident, chain=chain)
        if not _UNSEEN_OF_CHAIN.issuperset(changes):
            self._activation = None

    def say(self, kind: str, text: str, reason: Reason | None = None, actor: str = "") -> None:
        """Write a line to the timeline."""
        self.entries.append(Entry(self.now, kind, actor or self.actor, text, reason))

    def change(self, name: str) -> None:
        """Name what this decision changed, for the message."""
        if name not in self.changes:
            self.changes.append(name)

    def touch(self) -> None:
        """A person or a sender showed a sign of life."""
        self.set(touched_at=self.now, asked_at=None)

    @property
    def activation(self) -> Activation:
        """What expressions see of the record as it is now."""
        if self._activation is None:
            names = record.values(self.incident, self.live.bundle, self.level_name)
            self._activation = self.policy.activation(names, self.now)
        return self._activation

    def holds(self, condition: Condition | None, *, when_failed: bool) -> tuple[bool, str]:
        """Whether a condition holds, and what went wrong if it could not be evaluated."""
        if condition is None:
            return True, ""
        outcome = condition.evaluate(self.activation)
        if isinstance(outcome, Failed):
            return when_failed, f"{condition.source}: could not be evaluated: {outcome.reason}"
        return outcome, ""

    def reason(self, where: str, condition: Condition | None, *instead_of: str) -> Reason:
        """A reason with the condition's expression and what it saw."""
        if condition is None:
            return Reason(where, "", {}, instead_of)
        return Reason(where, condition.source, self.activation.used(condition), instead_of)

    @property
    def directory(self) -> Directory:
        return Directory(self.live.bundle, self.incident, self.now)

    @property
    def loud(self) -> bool:
        """Whether the recipient's rules for `high` apply; when that cannot be told, they do."""
        return self.holds(self.live.loud, when_failed=True)[0]

    def page(
        self, found: Found, *, through: str, why: str, act_by: datetime | None = None, otherwise: str = ""
    ) -> Page:
        """Ask somebody to take the incident."""
        made = self.incident.pages_made + 1
        page = Page(
            page_id=derived_id(self.incident.id, "page", made),
            recipient=found.recipient,
            level=self.level_name if through != "point" else "",
            round=self.incident.chain.round,
            reason=why,
            through=through,
            by_schedule=found.by_schedule,
            loud=self.loud,
            since=self.incident.opened_at,
            act_by=act_by,
            otherwise=otherwise,
        )
        self.pages.append(page)
        asked = OpenPage(
            page_id=page.page_id,
            name=found.recipient.name,
            through=through,
            level=page.level,
            user=found.recipient.kind == "user",
        )
        self.set(pages_made=made, pages=(*self.incident.pages, asked))
        return page

    def tell(
        self,
        recipient: Recipient,
        event: str,
        *,
        text: str = "",
        reason: str = "",
        stakeholder: bool = False,
        template: str = "",
        digest: timedelta | None = None,
    ) -> None:
        """Tell somebody; the same recipient hears of one event once a decision."""
        for notice in self.notices:
            if (notice.event, notice.recipient) == (event, recipient) and (
                event != "inform" or notice.text == text
            ):
                return
        self.notices.append(
            Notice(
                notice_id=derived_id(self.incident.id, self.incident.version + 1, len(self.notices)),
                event=event,
                recipient=recipient,
                text=text,
                reason=reason,
                stakeholder=stakeholder,
                template=template,
                digest_seconds=digest.total_seconds() if digest else 0,
            )
        )

    def settle(self, why: str, by: str = "") -> None:
        """Call off every page that has not started."""
        self.settled = Settled(why=why, by=by)
        self.pages.clear()

    def finish(self) -> Decision:
        """The decision as data, under the next version of the record."""
        version = self.incident.version + 1 if self.entries or self.changes else self.incident.version
        incident = replace(self.incident, version=version, decided_at=self.now)
        message = None
        if self.changes or self.pages or self.notices or self.settled:
            message = IncidentChanged(
                message_id=derived_id(incident.id, "version", version),
                at=self.now,
                caused_at=self.caused_at,
                changes=tuple(self.changes),
                why=tuple(entry.text for entry in self.entries if entry.kind in _TELLING),
                actor=self.actor,
                incident=snapshot(incident, self.level_name, self.now),
                settled=self.settled,
                pages=tuple(self.pages),
                notices=tuple(self.notices),
            )
        return Decision(incident, tuple(self.entries), message)
