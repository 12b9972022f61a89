"""The notifier's tables, as the API reads them. Made by migrations/; hot statements are in deliveries.py."""

from typing import Final

from sqlalchemy import JSON, Column, DateTime, Integer, MetaData, String, Table, Uuid

SCHEMA: Final = "notifier"
_metadata = MetaData(schema=SCHEMA)
_instant = DateTime(timezone=True)

delivery = Table(
    "delivery",
    _metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("incident_id", String),
    Column("version", Integer),
    Column("page_id", String),
    Column("notice_id", String),
    Column("recipient_kind", String),
    Column("recipient", String),
    Column("channel", String),
    Column("contact", String),
    Column("event", String),
    Column("endpoint", String),
    Column("host", String),
    Column("state", String),
    Column("attempts", Integer),
    Column("next_attempt_at", _instant),
    Column("give_up_at", _instant),
    Column("content", JSON),
    Column("last_error", String),
    Column("created_at", _instant),
    Column("caused_at", _instant),
    Column("first_attempt_at", _instant),
    Column("sent_at", _instant),
    Column("delayed_by", String),
    Column("retried_at", _instant),
    Column("retried_by", String),
)

inbox_message = Table(
    "inbox_message",
    _metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", Uuid(as_uuid=False)),
    Column("user", String),
    Column("at", _instant),
    Column("event", String),
    Column("title", String),
    Column("text", String),
    Column("reason", String),
    Column("incident_id", String),
    Column("page_id", String),
    Column("links", JSON),
)

endpoint_disabled = Table(
    "endpoint_disabled",
    _metadata,
    Column("endpoint", String, primary_key=True),
    Column("at", _instant),
    Column("reason", String),
)
