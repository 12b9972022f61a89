"""Bodies recorded from real senders, and posts as formats see them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.intake.formats import FORMATS, Post, Reading, Refused
from shared.events import IncidentEvent

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
POST = Post("scripts", NOW)


def recorded(name: str) -> bytes:
    return (Path(__file__).parent / "bodies" / name).read_bytes()


def as_body(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def read(kind: str, value: Any, post: Post = POST) -> list[IncidentEvent]:
    """The events of a body that must be accepted."""
    found = FORMATS[kind].read(as_body(value), post)
    assert isinstance(found, Reading), found
    return list(found.events)


def read_one(kind: str, value: Any, post: Post = POST) -> IncidentEvent:
    (event,) = read(kind, value, post)
    return event


def faults(kind: str, value: Any, post: Post = POST) -> dict[str, str]:
    """Field → reason, of a body that must be refused."""
    found = FORMATS[kind].read(as_body(value), post)
    assert isinstance(found, Refused), found
    return {fault.field: fault.reason for fault in found.faults}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value
