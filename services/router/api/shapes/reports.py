"""What reports answer with: items with the groups that were asked for, then figures.

Times are in seconds, to the millisecond. A share is between 0 and 1, and null where there is nothing to
take a share of; so are means and percentiles.
"""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from shared.policy import Whose

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
    """One target: how often promised, kept, broken, neither yet; `compliance`: kept of what is decided.

    `kept_by`: whose act keeps it, as the SLA says: a person's only, or anybody's, a machine's too.
    """

    target: str
    kept_by: Whose
    promised: int
    in_time: int
    breached: int
    running: int
    compliance: Share | None


class ResponseItem(Grouped, frozen=True, kw_only=True):
    """How fast and how well. MTTA: opened → first taken; MTTR: opened → last resolved; wall time.

    `acknowledged_by`: whose acknowledgement counts in `acknowledged` and `mtta_…`: a person's, or anybody's.
    `asked`: solved after a level was asked; `right_first_time` of those: neither handed up nor passed.
    """

    incidents: int
    acknowledged_by: Whose
    acknowledged: int
    acknowledged_share: Share | None
    mtta_mean: float | None
    mtta_p50: float | None
    mtta_p90: float | None
    mtta_p95: float | None
    resolved: int
    mttr_mean: float | None
    mttr_p50: float | None
    mttr_p90: float | None
    mttr_p95: float | None
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
    held_p50: float | None
    held_p90: float | None
    pages: int


class SlaReport(msgspec.Struct, frozen=True, kw_only=True):
    items: list[SlaItem]


class ResponseReport(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ResponseItem]


class LevelReport(msgspec.Struct, frozen=True, kw_only=True):
    items: list[LevelItem]


REPORTS: Final[tuple[type[msgspec.Struct], ...]] = (SlaReport, ResponseReport, LevelReport)
REPORT_ITEMS: Final = frozenset({"SlaItem", "ResponseItem", "LevelItem"})
