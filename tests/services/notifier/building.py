"""What a test says of messages, pages and policies: only what matters to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from shared.eventlog import Partition, Received
from shared.eventlog.codec import encode
from shared.events import (
    ESCALATIONS,
    Contact,
    IncidentChanged,
    IncidentSnapshot,
    Notice,
    Page,
    Recipient,
    Settled,
)
from shared.policy import Bundle

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_offsets = count()


def bundle(users=None, teams=None, **rest) -> Bundle:
    """A policy with these users: name → contacts, or a whole user."""
    people = {}
    for name, said in (users or {"ana": {"bot": {"webhook": "http://example.test/ana"}}}).items():
        whole = "contacts" in said or "timezone" in said
        people[name] = said if whole else {"name": name.title(), "contacts": said}
        people[name].setdefault("name", name.title())
    sections = {
        "version": 1,
        "last_resort": ["user:" + next(iter(people))],
        "users": people,
        "teams": teams or {},
        "policies": {
            "one": {
                "levels": [
                    {"name": "desk", "notify": ["user:" + next(iter(people))], "acknowledge_within": "5m"}
                ],
                "finally": {"notify": ["user:" + next(iter(people))], "every": "15m"},
            }
        },
        "routes": [{"policy": "one"}],
        **rest,
    }
    return Bundle.model_validate(sections)


def incident(**said) -> IncidentSnapshot:
    fields = {
        "id": "inc-1",
        "integration": "scripts",
        "dedup_key": "checkout-down",
        "title": "Checkout is down",
        "kind": "incident",
        "status": "triggered",
        "priority": 1,
        "tier": "gold",
        "customer": "acme",
        "customer_name": "Acme",
        "service": "checkout",
        "policy": "one",
        "level": "desk",
        "opened_at": T0,
        "version": 1,
    }
    return IncidentSnapshot(**(fields | said))


def user(name="ana") -> Recipient:
    return Recipient(kind="user", name=name)


def address(url: str, channel="webhook") -> Recipient:
    contact = Contact(name=channel, channel=channel, address=url)
    return Recipient(kind="address", name=url, contacts=(contact,))


def page(recipient=None, **said) -> Page:
    fields = {
        "page_id": "page-1",
        "recipient": recipient or user(),
        "level": "desk",
        "reason": "Ana is on call in schedule desk",
        "since": T0,
        "act_by": T0 + timedelta(minutes=5),
        "otherwise": "level experts is paged",
    }
    return Page(**(fields | said))


def notice(event="opened", recipient=None, **said) -> Notice:
    return Notice(
        **({"notice_id": f"notice-{event}", "event": event, "recipient": recipient or user()} | said)
    )


def changed(*pages, notices=(), settled=None, **said) -> IncidentChanged:
    """A message; its version and incident are those of `incident=` or of `version=`."""
    snapshot = said.pop("incident", None) or incident(version=said.pop("version", 1))
    fields = {
        "message_id": f"{snapshot.id}-{snapshot.version}",
        "at": T0,
        "caused_at": T0,
        "incident": snapshot,
        "settled": Settled(why=settled, by=said.pop("by", "")) if settled else None,
        "pages": pages,
        "notices": tuple(notices),
    }
    return IncidentChanged(**(fields | said))


def received(message: IncidentChanged, *, at: datetime, partition: int = 0) -> Received:
    """The record that brings this message."""
    record = encode(message)
    where = Partition(ESCALATIONS, partition)
    return Received(where, next(_offsets), record.key, record.value, record.headers, at)


def garbled(record: Received) -> Received:
    return replace(record, value=b"{not json")
