"""What a decision needs from outside its incident, as values gathered by the shell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.parts import Then
from shared.events import Status, Upstream
from shared.policy.cel.expressions import Condition
from shared.policy.model.people import Customer, Window
from shared.policy.oncall.schedules import Override


@dataclass(frozen=True, slots=True)
class Silence:
    """Notifications for what matches are off until a time (`/v1/silences`)."""

    id: str
    when: str
    condition: Condition | None  # None: it matches everything
    starts: datetime
    until: datetime
    comment: str
    by: str


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Planned work (`/v1/maintenance`): once from `starts` to `until`, or repeatedly in `window`."""

    id: str
    name: str
    when: str
    condition: Condition | None
    then: Then  # what happens to incidents still open at the end
    starts: datetime | None
    until: datetime | None
    window: tuple[Window, ...] | None
    by: str


class Left(NamedTuple):
    """Somebody who wants to hear no more by a subscription: `Notice.subscription` says which.

    `name` is empty for a bare address; `place` stands for the address (`addresses.place`), and is empty for
    users and rooms, who leave with all their contacts.
    """

    subscription: str
    kind: str
    name: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Overlay:
    """What changes from hour to hour and survives policy changes; its revision grows with each change."""

    revision: int = 0
    overrides: Mapping[str, Sequence[Override]] = field(default_factory=dict)  # by schedule, by their start
    silences: Sequence[Silence] = ()
    maintenance: Sequence[Maintenance] = ()
    left: frozenset[Left] = frozenset()  # subscriptions of the policy that somebody left


NOTHING_CHANGED: Final = Overlay()


@dataclass(frozen=True, slots=True)
class Cause:
    """An incident that explains others while it is open (`while_open`). `ended`: when it was resolved."""

    incident_id: str
    title: str
    ended: datetime | None = None
    opened_at: datetime | None = None
    under: tuple[str, ...] = ()  # the rules by which it could itself be suppressed


@dataclass(frozen=True, slots=True)
class Group:
    """The open incident under which others of the same values are grouped."""

    parent: str
    title: str
    joined_at: datetime  # when the last one joined


@dataclass(frozen=True, slots=True)
class MergeTarget:
    """Another incident as it was when an action named it: what a merge has to know."""

    id: str
    title: str
    status: Status
    parent: str = ""
    merged: bool = False


@dataclass(frozen=True, slots=True)
class KnownCustomer:
    """A customer that was added through the API or an import."""

    id: str
    customer: Customer
    how: str  # in words, how the text named it
    shared_by: Sequence[str] = ()  # others of the same name: then nobody is meant


@dataclass(frozen=True, slots=True)
class Heard:
    """From when until when Ladder has heard its senders without a break.

    `proven`: canaries show that they could get through; otherwise only that what came in was read.
    """

    since: datetime
    until: datetime
    proven: bool = True


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision needs from outside its incident."""

    live: CompiledBundle  # the policy in force: people, schedules, customers, subscriptions
    remembered_resolve: datetime | None = None  # source time of an orphaned resolve of the same key
    overlay: Overlay = NOTHING_CHANGED
    customers: Mapping[str, KnownCustomer] = field(
        default_factory=dict
    )  # by what was asked for: id, name, mail
    # By grouping rule and values; None: there is no group. What was not looked up is absent.
    groups: Mapping[tuple[str, str], Group | None] = field(default_factory=dict)
    causes: Mapping[str, Sequence[Cause]] = field(default_factory=dict)  # by suppression rule
    rotations: Mapping[tuple[str, str], str] = field(default_factory=dict)  # round_robin: the name asked last
    open_by_service: Mapping[str, Sequence[Upstream]] = field(
        default_factory=dict
    )  # open incidents, by service
    merge_targets: Mapping[str, MergeTarget] = field(default_factory=dict)  # by id: what an action names
    heard: Heard | None = None  # None: always
