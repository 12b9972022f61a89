"""What the notifier's API is asked and answers."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from services.notifier.domain.delivery import State


class InboxMessage(BaseModel):
    """A message in somebody's stored inbox.

    The link to acknowledge is included for keys that act as this user, and for admins.
    """

    id: UUID
    user: str
    at: datetime
    event: str
    title: str
    text: str
    reason: str
    incident_id: str
    page_id: str
    links: dict[str, str]


class InboxMessages(BaseModel):
    """Newest first; `next` is the cursor of the following page."""

    items: list[InboxMessage]
    next: str | None


class DeliveryState(BaseModel):
    """One message to one address. Where it went is named by the contact; the address itself is not shown."""

    id: UUID
    incident_id: str
    page_id: str
    notice_id: str
    event: str
    recipient_kind: str
    recipient: str
    channel: str
    contact: str
    state: State
    attempts: int
    reason: str
    delayed_by: str = Field(
        description="why it did not go out at once: `rule high[1] after 2m`, `quiet hours until …`"
    )
    last_error: str
    next_attempt_at: datetime | None
    give_up_at: datetime
    created_at: datetime
    caused_at: datetime | None
    first_attempt_at: datetime | None
    sent_at: datetime | None
    retried_at: datetime | None = Field(description="when somebody last had it sent once more by hand")
    retried_by: str


class DeliveryStates(BaseModel):
    """Newest first; `next` is the cursor of the following page.

    `partial`: the search stopped before the page was full; it goes on at `next`.
    """

    items: list[DeliveryState]
    next: str | None
    partial: bool = False


class Endpoint(BaseModel):
    """An endpoint that is sent nothing: disabled for good, or until its breaker closes again."""

    endpoint: str
    state: Literal["disabled", "resting"]
    since: datetime | None = None
    until: datetime | None = None
    reason: str


class Endpoints(BaseModel):
    """Those that are sent nothing now; working endpoints are not listed."""

    items: list[Endpoint]
    next: None = None


class ChannelState(BaseModel):
    """One way to reach people. `missing` names what has to be set before it reaches every address."""

    channel: str
    sends: Literal["all", "urls", "nothing"] = Field(
        description="to which addresses: `urls` are web addresses"
    )
    missing: str


class ChannelStates(BaseModel):
    """Every channel that a policy may name."""

    items: list[ChannelState]
    next: None = None


class Filters(BaseModel):
    """Which deliveries are listed; what is left out does not matter."""

    incident: str = Field(default="", max_length=200)
    page: str = Field(default="", max_length=200)
    state: list[State] = Field(default=[], description="one or more states")
    recipient: str = Field(default="", max_length=2_000)
    limit: int = Field(default=50, ge=1, le=500, description="how many at most")
    cursor: str = Field(default="", max_length=200, description="`next` of the page before")


class PageTrialStep(BaseModel):
    """One step of a test page."""

    delivery_id: UUID = Field(description="`GET /v1/deliveries/{delivery_id}` says what became of it")
    contact: str
    channel: str
    at: datetime
    delayed_by: str = Field(description="why it does not go out at once: `rule high[1] after 2m`")
    cannot_be_sent: str = Field(
        description="what keeps this channel from being sent here; '' if nothing does"
    )


class PageTrial(BaseModel):
    """A test that has begun: its steps in order. Its deliveries are listed under `id` as their incident."""

    id: str
    user: str
    loudness: Literal["high", "low"]
    steps: list[PageTrialStep]
    note: str


class PageTrialEnded(BaseModel):
    """How many steps of running tests were called off."""

    user: str
    called_off: int
