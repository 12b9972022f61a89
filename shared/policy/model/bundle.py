"""The policy bundle as one frozen value; its field names are the YAML keys.

Durations are `timedelta`, times of day minutes after midnight, targets values of targets.py.
Expressions stay text: `shared.policy.cel.expressions` compiles them.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.policy.model.base import Expression, Name, Part, Role
from shared.policy.model.calendar_names import ALWAYS, bind, bind_calendars
from shared.policy.model.escalation import (
    Grouping,
    Kind,
    Policy,
    PriorityRow,
    Route,
    Sla,
    Subscription,
    Suppression,
    Targets,
)
from shared.policy.model.integrations import ApiKey, Call, Heartbeat, Integration, NamedSecrets, Template
from shared.policy.model.people import Calendar, Customer, DayWindow, Schedule, Service, Team, User

__all__ = ["ALWAYS", "Bundle"]


class Bundle(Part):
    """Everything an organisation decides about escalation."""

    version: Literal[1]
    last_resort: Targets
    users: dict[Name, User] = Field(default_factory=dict)
    teams: dict[Name, Team] = Field(default_factory=dict)
    schedules: dict[Name, Schedule] = Field(default_factory=dict)
    calendars: dict[Name, Calendar] = Field(default_factory=dict)
    tiers: Annotated[tuple[Name, ...], Field(min_length=1)] = ("standard",)
    customers: dict[Name, Customer] = Field(default_factory=dict)
    services: dict[Name, Service] = Field(default_factory=dict)
    kinds: dict[Name, Kind] = Field(default_factory=dict)
    priorities: tuple[PriorityRow, ...] = ()
    loud: Expression = "true"
    slas: tuple[Sla, ...] = ()
    policies: Annotated[dict[Name, Policy], Field(min_length=1)]
    routes: Annotated[tuple[Route, ...], Field(min_length=1)]
    grouping: tuple[Grouping, ...] = ()
    suppress: tuple[Suppression, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    integrations: dict[Name, Integration] = Field(default_factory=dict)
    api_keys: dict[Name, ApiKey] = Field(default_factory=dict)
    calls: dict[Name, Call] = Field(default_factory=dict)
    heartbeats: dict[Name, Heartbeat] = Field(default_factory=dict)
    templates: dict[Name, Template] = Field(default_factory=dict)
    secrets: NamedSecrets = NamedSecrets()

    @model_validator(mode="after")
    def _calendars_of_windows(self) -> "Bundle":
        bind_calendars(self.calendars)
        bind(self._windows(), self.calendars)
        return self

    def _windows(self) -> Iterator[DayWindow]:
        """Every window outside of calendars."""
        for user in self.users.values():
            yield from user.quiet_hours or ()
        for schedule in self.schedules.values():
            for layer in schedule.layers:
                yield from layer.only or ()
        for suppression in self.suppress:
            yield from suppression.window or ()

    def tier_of(self, name: str | None) -> str:
        """The tier as named, or the last one for what is unknown."""
        return name if name in self.tiers else self.tiers[-1]

    def display(self, user: str) -> str:
        """The name that people use: `Ana Novak` for `ana`; of nobody there is, the name as it stands."""
        known = self.users.get(user)
        return known.name if known is not None else user

    def role_of(self, api_key: str) -> Role:
        """What the holder of this API key may do."""
        key = self.api_keys[api_key]
        if key.role is not None:
            return key.role
        user = self.users.get(key.acts_as or "")
        return user.role if user else "viewer"
