"""The router's tables as the API's queries see them; migrations create them."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)

SCHEMA: Final = "router"
metadata: Final = MetaData(schema=SCHEMA)
_at: Final = DateTime(timezone=True)

incident: Final = Table(
    "incident",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("ordinal", BigInteger, nullable=False),
    Column("integration", Text, nullable=False),
    Column("dedup_key", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("tier", Text, nullable=False),
    Column("customer", Text, nullable=False),
    Column("customer_value", Double, nullable=False),
    Column("service", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("assignee", Text, nullable=False),
    Column("suppressed_by", Text, nullable=False),
    Column("alert_group", Text),
    Column("title", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("policy_hash", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("opened_at", _at, nullable=False),
    Column("acknowledged_at", _at),
    Column("resolved_at", _at),
    Column("closed_at", _at),
    Column("first_breach_at", _at),
    Column("next_due_at", _at),
    Column("stuck", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("parent", Uuid),
    Column("updated_at", _at, nullable=False),
    Column("state", JSON, nullable=False),
)

timeline: Final = Table(
    "timeline",
    metadata,
    Column("seq", BigInteger, primary_key=True),
    Column("incident_id", Uuid, primary_key=True),
    Column("at", _at, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("reason", JSON),
)
