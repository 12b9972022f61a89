"""The columns of an incident's row and of its timeline entries."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from services.router.domain.draft import customers
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Entry
from services.router.domain.model.incident import Incident
from services.router.domain.model.stored import encode
from shared.eventlog import codec


class Levels:
    """What a row shows beside the incident: its level's name, its customer's value, its first breach."""

    def __init__(self, context: Context, bundle_of: Callable[[Incident], CompiledBundle | None]) -> None:
        self._context = context  # the policy in force and the customers
        self._bundle_of = bundle_of

    def level(self, incident: Incident) -> str:
        if incident.chain.state in {"assignee", "grace"}:
            return incident.chain.state
        return self.place_name(incident)

    def place_name(self, incident: Incident) -> str:
        """The name of the incident's current place, whoever is asked there now."""
        bundle = self._bundle_of(incident)
        policy = bundle.policies.get(incident.chain.policy) if bundle is not None else None
        return policy.names[incident.chain.level] if policy is not None else ""

    def customer_value(self, incident: Incident) -> float:
        customer = customers.find(self._context, incident.customer).customer
        return float(customer.value or 0) if customer is not None else 0.0

    def first_breach(self, incident: Incident) -> datetime | None:
        """When the first running clock is (or was) used up, to the second, so that it stays equal."""
        if not incident.clocks:
            return None
        bundle = self._bundle_of(incident)
        calendars = bundle.calendars if bundle is not None else {}
        ends = [end for clock in incident.clocks if (end := clock.reaches(1.0, calendars)) is not None]
        return (min(ends) + timedelta(milliseconds=500)).replace(microsecond=0) if ends else None


def incident_columns(incidents: Sequence[Incident], levels: Levels) -> Mapping[str, object]:
    """The parameters of `UPSERT`, except `now`."""
    columns: dict[str, object] = {
        name: [value(incident) for incident in incidents] for name, _, value in _COLUMNS
    }
    columns["level"] = [levels.level(incident) for incident in incidents]
    columns["customer_value"] = [levels.customer_value(incident) for incident in incidents]
    columns["first_breach_at"] = [levels.first_breach(incident) for incident in incidents]
    return columns


def entry_columns(entries: Sequence[tuple[str, Entry]]) -> Mapping[str, object]:
    """The parameters of `ADD_ENTRIES`: entries with the ids of their incidents."""
    return {
        "ids": [incident_id for incident_id, _ in entries],
        "ats": [entry.at for _, entry in entries],
        "kinds": [entry.kind for _, entry in entries],
        "actors": [entry.actor for _, entry in entries],
        "texts": [entry.text for _, entry in entries],
        "reasons": [_reason(entry) for _, entry in entries],
    }


def _reason(entry: Entry) -> str | None:
    return None if entry.reason is None else codec.json_text(entry.reason.as_json())


def _state(incident: Incident) -> str:
    with codec.writable():
        return encode(incident).decode()


_COLUMNS: Final[tuple[tuple[str, str, Callable[[Incident], object]], ...]] = (
    ("id", "uuid", lambda i: i.id),
    ("integration", "text", lambda i: i.integration),
    ("dedup_key", "text", lambda i: i.dedup_key),
    ("status", "text", lambda i: i.status),
    ("priority", "smallint", lambda i: i.priority),
    ("tier", "text", lambda i: i.tier),
    ("customer", "text", lambda i: i.customer),
    ("service", "text", lambda i: i.service),
    ("kind", "text", lambda i: i.kind),
    ("assignee", "text", lambda i: i.assignee),
    ("title", "text", lambda i: i.title),
    ("policy", "text", lambda i: i.chain.policy),
    ("policy_hash", "text", lambda i: i.policy_hash),
    ("opened_at", "timestamptz", lambda i: i.opened_at),
    ("acknowledged_at", "timestamptz", lambda i: i.acknowledged_at),
    ("resolved_at", "timestamptz", lambda i: i.resolved_at),
    ("closed_at", "timestamptz", lambda i: i.closed_at),
    ("next_due_at", "timestamptz", lambda i: i.next_due_at),
    ("stuck", "boolean", lambda i: i.stuck is not None),
    ("version", "integer", lambda i: i.version),
    ("events", "bigint", lambda i: i.events),
    ("parent", "uuid", lambda i: i.parent or None),
    ("suppressed_by", "text", lambda i: i.suppressed_by),
    ("alert_group", "text", lambda i: i.alert_group or None),
    ("state", "text", _state),
)
_LATER_COLUMNS: Final = (
    ("level", "text"),
    ("customer_value", "double precision"),
    ("first_breach_at", "timestamptz"),
)


def _upsert() -> str:
    columns = [(name, kind) for name, kind, _ in _COLUMNS] + list(_LATER_COLUMNS)
    names = ", ".join(name for name, _ in columns)
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in columns)
    chosen = ", ".join("CAST(state AS json)" if name == "state" else name for name, _ in columns)
    fixed = {"id", "integration", "dedup_key", "opened_at"}
    updates = ", ".join(f"{name} = excluded.{name}" for name, _ in columns if name not in fixed)
    return f"""
        INSERT INTO router.incident ({names}, updated_at)
        SELECT {chosen}, :now FROM unnest({arrays}) WITH ORDINALITY AS given ({names}, place)
        ORDER BY integration, dedup_key, place
        ON CONFLICT (id) DO UPDATE SET {updates}, updated_at = excluded.updated_at
    """


# Index incident_pkey; new incidents of one key meet in the unique index incident_open_key.
UPSERT: Final = _upsert()
# New rows only.
ADD_ENTRIES: Final = """
    INSERT INTO router.timeline (incident_id, at, kind, actor, text, reason)
    SELECT incident_id, at, kind, actor, text, CAST(reason AS json)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:ats AS timestamptz[]), CAST(:kinds AS text[]),
                CAST(:actors AS text[]), CAST(:texts AS text[]), CAST(:reasons AS text[]))
         WITH ORDINALITY AS given (incident_id, at, kind, actor, text, reason, place)
    ORDER BY place
"""
