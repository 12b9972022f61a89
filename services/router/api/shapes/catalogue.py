"""Every shape that the API answers with, as JSON Schema."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.router.api.shapes.customers import CustomerItem, CustomerList, CustomersImported
from services.router.api.shapes.dead_letters import DeadLetterItem, DeadLetterList, DeadLetterShown
from services.router.api.shapes.dry_run import Trial
from services.router.api.shapes.duty import (
    CalendarFeed,
    MaintenanceItem,
    MaintenanceList,
    OnCallList,
    OverrideItem,
    OverrideList,
    OverrideMade,
    ScheduleList,
    ShiftList,
    SilenceItem,
    SilenceList,
)
from services.router.api.shapes.incidents import Explanation, IncidentList, Timeline
from services.router.api.shapes.policy import (
    FailingExpression,
    PolicyChecked,
    PolicyFinding,
    PolicyStatus,
    PolicyTaken,
    Sending,
)
from services.router.api.shapes.reports import REPORT_ITEMS, REPORTS
from services.router.api.shapes.senders import HeartbeatList, IntegrationItem, IntegrationList
from services.router.api.shapes.subscribers import UnsubscribedItem, UnsubscribedList
from shared.events import IncidentSnapshot
from shared.json_object import JsonObject

SHAPES: Final[tuple[type[msgspec.Struct], ...]] = (
    IncidentSnapshot,
    IncidentList,
    Timeline,
    Explanation,
    OnCallList,
    HeartbeatList,
    IntegrationItem,
    IntegrationList,
    OverrideItem,
    OverrideMade,
    OverrideList,
    ScheduleList,
    ShiftList,
    CalendarFeed,
    CustomerItem,
    CustomerList,
    CustomersImported,
    SilenceItem,
    SilenceList,
    MaintenanceItem,
    MaintenanceList,
    DeadLetterItem,
    DeadLetterShown,
    DeadLetterList,
    FailingExpression,
    PolicyFinding,
    Sending,
    PolicyChecked,
    PolicyStatus,
    PolicyTaken,
    Trial,
    UnsubscribedItem,
    UnsubscribedList,
    *REPORTS,
)
_AS_THEY_ARE: Final = REPORT_ITEMS | {"Link"}  # a field of theirs may be left out


def schemas() -> Mapping[str, Any]:
    """All shapes as JSON Schema. Every field is always there, but for a group that was not asked for."""
    _, components = msgspec.json.schema_components(
        SHAPES, schema_hook=_schema_of, ref_template="#/components/schemas/{name}"
    )
    for schema in components.values():
        as_it_is = schema.get("title") in _AS_THEY_ARE
        if schema.get("type") == "object" and "properties" in schema and not as_it_is:
            schema["required"] = list(schema["properties"])
    return components


def _schema_of(kind: type) -> JsonObject:
    if kind is msgspec.Raw:
        return {"type": "object"}
    raise NotImplementedError
