"""Who there is: users, teams, schedules, customers, services, and the windows of time they live by."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Optional

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    PrivateAttr,
    StringConstraints,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from shared.events import Contact
from shared.policy.model.base import Expression, Name, Number, OneOrMore, Part, Role, Text
from shared.policy.model.durations import DurationOrNone, ShiftLength
from shared.policy.model.targets import CHANNELS, Channel, parse_address
from shared.policy.model.windows import Day, Days, LocalTime, TimeOfDay, Zone


class ContactSpec(Part):
    """One way to reach somebody: `{slack: U024BE7LH}`, `{webhook: "https://…", secret: "secret:NAME"}`.

    Address and secret may be `secret:NAME`: read from the secret folder when it is used.
    """

    channel: Channel
    address: str
    secret: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_surface(cls, written: Any) -> Any:
        if not isinstance(written, Mapping):
            raise ValueError(_CONTACT)  # noqa: TRY004 - pydantic reports ValueError with its place
        if "channel" in written:
            return written
        channels = [key for key in written if key in CHANNELS]
        if len(channels) != 1 or set(written) - {channels[0], "secret"}:
            raise ValueError(_CONTACT)
        fields = {"channel": channels[0], "address": parse_address(written[channels[0]])}
        if "secret" in written:
            if channels[0] != "webhook":
                raise ValueError("a secret only beside a webhook")
            fields["secret"] = parse_address(written["secret"])
        return fields

    @model_serializer
    def _to_surface(self) -> dict[str, str]:
        return {self.channel: self.address} | ({"secret": self.secret} if self.secret else {})

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _core: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        address = {"type": "string", "minLength": 1, "maxLength": 2000}
        return {
            "type": "object",
            "properties": dict.fromkeys([*CHANNELS, "secret"], address),
            "minProperties": 1,
            "maxProperties": 2,
            "additionalProperties": False,
        }


_CONTACT = (
    f"a contact such as {{email: a@example.com}} (one of {', '.join(CHANNELS)}; a webhook may have a secret)"
)
Contacts = dict[Name, ContactSpec]


def as_contacts(specs: Mapping[str, ContactSpec]) -> tuple[Contact, ...]:
    """As messages carry them."""
    return tuple(
        Contact(name=name, channel=spec.channel, address=spec.address, secret=spec.secret or "")
        for name, spec in specs.items()
    )


class DayWindow(Part):
    """A span of one day, in minutes after midnight, or what a calendar has on that day."""

    from_: TimeOfDay = Field(default=0, alias="from")
    to: TimeOfDay = 1440
    timezone: Zone | None = None  # where absent: the zone of what it belongs to
    calendar: Name | None = None
    # What `calendar` names, which the bundle fills in; None: nothing that is known, so it never opens.
    _means: Optional["Calendar"] = PrivateAttr(default=None)

    @property
    def means(self) -> Optional["Calendar"]:
        """The calendar of this name, in the bundle that this is part of."""
        return self._means

    def bind(self, means: Optional["Calendar"]) -> None:
        """Say what `calendar` names: once, while the bundle is made."""
        self._means = means

    @model_validator(mode="after")
    def _calendar_or_times(self) -> "DayWindow":
        if self.calendar is not None and self.model_fields_set - {"calendar", "unless"}:
            raise ValueError("either `calendar`, or days and times of its own")
        return self


class Window(DayWindow):
    """A span of time that comes again; `days` names the days on which it starts. Or a calendar's hours."""

    days: Days = frozenset(range(7))


class QuietHours(Window):
    """When a user wants nothing that can wait, except where `unless` is true."""

    unless: Expression | None = None


Windows = Annotated[tuple[Window, ...], Field(min_length=1), OneOrMore()]


class RuleStep(Part):
    """One step of a personal notification rule: this contact, so long after the page."""

    via: Name
    after: DurationOrNone = Field(default="0s", validate_default=True)


class PersonalRules(Part):
    """How somebody wants to be paged; an empty list means every contact at once."""

    high: tuple[RuleStep, ...] = ()
    low: tuple[RuleStep, ...] = ()


class User(Part):
    name: Text
    timezone: Zone = "UTC"
    manager: Name | None = None
    role: Role = "responder"
    skills: tuple[Name, ...] = ()
    may_approve: dict[Name, Annotated[Number, Field(ge=0)]] = Field(default_factory=dict)
    contacts: Contacts = Field(default_factory=dict)
    rules: PersonalRules = PersonalRules()
    quiet_hours: Annotated[tuple[QuietHours, ...], Field(min_length=1), OneOrMore()] | None = None


class Team(Part):
    members: tuple[Name, ...] = ()
    lead: Name | None = None
    contacts: Contacts = Field(default_factory=dict)  # the team's own room


class Layer(Part):
    """A rotation: who follows whom, how long a turn lasts, from when until when, and in which windows only.

    `count`: whether turns that fall wholly outside its windows are used up (`all`) or left out (`open`).
    """

    name: Text | None = None
    rotation: Annotated[tuple[Name, ...], Field(min_length=1)]
    shift: ShiftLength
    starts: LocalTime
    ends: LocalTime | None = None
    only: Windows | None = None
    count: Literal["all", "open"] = "all"


class Schedule(Part):
    """Who is on call when; a later layer covers an earlier one where it is active."""

    timezone: Zone
    handoff: Annotated[str, StringConstraints(strict=True, pattern="^(?:inform|page|none)$")] = "inform"
    layers: Annotated[tuple[Layer, ...], Field(min_length=1)]


class Holidays(Part):
    """Days on which no window of the calendar starts, and days that have hours of their own.

    A day of `hours` has those, holiday or not; then come dates (`add` before `remove`), then yearly ones,
    then the public holidays.
    """

    country: Annotated[str, StringConstraints(strict=True, pattern="^[A-Z]{2}$")] | None = None
    subdivision: Annotated[str, StringConstraints(strict=True, pattern="^[A-Z0-9-]{1,10}$")] | None = None
    add: tuple[Day, ...] = ()
    remove: tuple[Day, ...] = ()
    hours: dict[Day, Annotated[tuple[DayWindow, ...], OneOrMore()]] = Field(default_factory=dict)


class Calendar(Part):
    """Business hours."""

    timezone: Zone
    hours: Annotated[tuple[Window, ...], Field(min_length=1), OneOrMore(listed=True)]
    holidays: Holidays = Holidays()


class Customer(Part):
    """A customer; `match` lists other names and domains by which senders call it."""

    name: Text
    tier: Name | None = None
    value: Annotated[Number, Field(ge=0)] | None = None
    owner: Name | None = None
    match: tuple[Text, ...] = ()
    contacts: Contacts = Field(default_factory=dict)


class Service(Part):
    name: Text | None = None
    team: Name | None = None
    depends_on: tuple[Name, ...] = ()
