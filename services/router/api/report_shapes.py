"""What reports answer with: items with the groups that were asked for, then figures. Times are in seconds.

A share is between 0 and 1, and null where there is nothing to take a share of; so are means and percentiles.
"""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

Share = Annotated[float, Meta(ge=0, le=1)]


class Grouped(msgspec.Struct, frozen=True, kw_only=True):
    """The groups; one that was not asked for is left out. `period` is the local date on which it begins."""

    period: str | UnsetType = UNSET
    tier: str | UnsetType = UNSET
    service: str | UnsetType = UNSET
    customer: str | UnsetType = UNSET
    policy: str | UnsetType = UNSET
    priority: int | UnsetType = UNSET


class SlaItem(Grouped, frozen=True, kw_only=True):
    """One target: how often promised, kept, broken, neither yet; `compliance`: kept of what is decided."""

    target: str
    promised: int
    in_time: int
    breached: int
    running: int
    compliance: Share | None


class ResponseItem(Grouped, frozen=True, kw_only=True):
    """How fast and how well. MTTA: opened → first taken; MTTR: opened → last resolved; wall time.

    `asked`: solved after a level was asked; `right_first_time` of those: neither handed up nor passed.
    """

    incidents: int
    acknowledged: int
    acknowledged_share: Share | None
    mtta_mean: float | None
    mtta_p50: int | None
    mtta_p90: int | None
    mtta_p95: int | None
    resolved: int
    mttr_mean: float | None
    mttr_p50: int | None
    mttr_p90: int | None
    mttr_p95: int | None
    reopened: int
    reopenings: int
    asked: int
    right_first_time: int
    right_first_time_share: Share | None
    avoided: int
    closed: int
    confirmed: int
    confirmed_share: Share | None
    rated: int
    rating_mean: float | None


class LevelItem(Grouped, frozen=True, kw_only=True):
    """A level of a policy: how often it was reached, how those stays ended, how long they lasted."""

    level: str
    reached: int
    solved: int
    solved_share: Share | None
    handed_up: int
    passed: int
    left_otherwise: int
    there_now: int
    held_mean: float | None
    held_p50: int | None
    held_p90: int | None
    pages: int


class SlaReport(msgspec.Struct, frozen=True, kw_only=True):
    items: list[SlaItem]


class ResponseReport(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ResponseItem]


class LevelReport(msgspec.Struct, frozen=True, kw_only=True):
    items: list[LevelItem]


REPORTS: Final[tuple[type[msgspec.Struct], ...]] = (SlaReport, ResponseReport, LevelReport)
REPORT_ITEMS: Final = frozenset({"SlaItem", "ResponseItem", "LevelItem"})
