"""What the notifier decides about: a delivery – one message to one address – and what it is about."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from shared.events import LOOKING, IncidentSnapshot, Notice, Page

STATE: Final = "state"  # the event of a delivery that changes the first message of a conversation
TEST: Final = "test"  # the event of a page by way of trial, and its `through`
LOW: Final = 10
NOTICE: Final = 20
OUTSIDE: Final = 30
"""Where ranks of low pages begin, of notices, and of notices that show nothing internal."""
State: TypeAlias = Literal["pending", "sending", "sent", "delivered", "failed", "cancelled"]


class Earlier(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened to an incident before its newest state, in a digest."""

    at: datetime
    event: str
    text: str = ""


class DigestEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One incident of a digest: what its newest message would say, and what came before, oldest first."""

    newest: "Content"
    earlier: tuple[Earlier, ...] = ()


class Digest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Several incidents in one message, the newest state first; `incidents` counts also those not listed."""

    since: datetime
    entries: tuple[DigestEntry, ...]
    incidents: int


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a delivery says: enough to render it again at every attempt. Either a page or a notice.

    `digest`: of a notice that tells of several incidents, instead of `incident`.
    """

    at: datetime
    incident: IncidentSnapshot
    page: Page | None = None
    notice: Notice | None = None
    actor: str = ""
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one address. `id` travels with it and is the same at every attempt.

    `version` is the version of the incident that asked for it. `attempts` includes the one under way, and
    keeps a late result from being taken for that of a later claim. `message_id`: of the message that a claim
    put it into, whose outcome is not known. `later`: how many later moments the personal rules name for its
    page; `delayed_by`: why it did not go out at once, in words; `quiet_until`: it waits until then for the
    end of quiet hours.
    """

    id: str
    incident_id: str
    version: int
    recipient_kind: str
    recipient: str
    channel: str
    contact: str
    address: str
    event: str
    content: Content = field(repr=False)
    created_at: datetime
    give_up_at: datetime
    next_attempt_at: datetime
    secret: str = field(default="", repr=False)
    page_id: str = ""
    notice_id: str = ""
    message_id: str = ""
    attempts: int = 0
    caused_at: datetime | None = None
    first_attempt_at: datetime | None = None
    later: int = 0
    delayed_by: str = ""
    quiet_until: datetime | None = None

    @property
    def is_page(self) -> bool:
        return bool(self.page_id)

    @property
    def is_call(self) -> bool:
        """Whether it starts automation instead of notifying somebody."""
        return self.event == "call"

    @property
    def is_state(self) -> bool:
        """Whether it shows in a message sent before where the incident stands, and notifies nobody."""
        return self.event == STATE

    @property
    def is_test(self) -> bool:
        """Whether somebody only tries out how they are paged."""
        return self.event == TEST

    @property
    def is_end_notice(self) -> bool:
        """Whether it says that an incident is over, only to those a page has reached (rule 21)."""
        return self.content.notice is not None and self.content.notice.paged_since > 0

    @property
    def is_repeat(self) -> bool:
        """Whether its recipient was paged for this before: it replaces pages that are still pending."""
        return self.content.page is not None and self.content.page.again

    @property
    def only_looks(self) -> bool:
        """Whether it only asks to look at the incident: it never replaces a page that asks to take it."""
        return self.content.page is not None and self.content.page.through in LOOKING

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Incident, recipient and contact: what a newer page replaces."""
        return self.incident_id, self.recipient_kind, self.recipient, self.contact

    @property
    def is_urgent(self) -> bool:
        """Retried at short intervals, not for long, and cancelled once nobody needs it any more."""
        return self.is_page or self.is_call

    @property
    def rank(self) -> int:
        """Its place in the order of sending: loud pages, low pages and calls, notices; each by priority."""
        priority, page, notice = self.content.incident.priority, self.content.page, self.content.notice
        if page is not None:
            return priority if page.loud else LOW + priority
        if self.is_call:
            return LOW + priority
        return (OUTSIDE if notice is not None and notice.stakeholder else NOTICE) + priority

    @property
    def endpoint(self) -> str:
        """What fails and recovers as one: the address if it is a URL (or a secret that may be one), otherwise
        the provider behind the channel.
        """
        return self.address if self.has_endpoint else self.channel

    @property
    def has_endpoint(self) -> bool:
        """Whether its endpoint is its own, rather than the provider through which everybody is reached."""
        return "://" in self.address or self.address.startswith("secret:")

    @property
    def shares_endpoint(self) -> bool:
        """Whether other addresses fail and recover with it: those of one provider's account."""
        return self.endpoint == self.channel

    @property
    def host(self) -> str:
        """What shares one machine: the host of a URL, otherwise the channel."""
        try:
            return urlsplit(self.address).netloc.rpartition("@")[2].lower() or self.channel
        except ValueError:  # an address that is no URL; the channel will reject it
            return self.channel


def without_secrets(address: str) -> str:
    """An address, or a name, that may be shown: of a URL scheme and host, of a mailbox its domain.

    Of a telephone number the beginning. Names stay as they are.
    """
    scheme, mark, rest = address.partition("://")
    if mark:
        return f"{scheme}://{rest.partition('/')[0].partition('?')[0].rpartition('@')[2]}/…"
    if "@" in address:
        return f"…@{address.rpartition('@')[2].rstrip('>')}"
    return f"{address[:4]}…" if address.startswith("+") else address
