"""What the API answers with, beside the incident itself (shared.events.IncidentSnapshot)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from fastapi import Response

from shared.events import IncidentSnapshot
from shared.problems import MEDIA_TYPE

_JSON: Final = "application/json"
_NO_REFUSALS: Final[Mapping[int, str]] = {}
_encoder: Final = msgspec.json.Encoder()


class IncidentList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of incidents; `next` is the cursor of the following one, null on the last."""

    items: list[IncidentSnapshot]
    next: str | None


class TimelineItem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `reason` names the rule, its expression, what it saw and what lost."""

    at: datetime
    kind: str
    actor: str
    text: str
    reason: msgspec.Raw | None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first."""

    items: list[TimelineItem]
    next: str | None


class PastStep(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    kind: str
    actor: str
    what: str
    because: msgspec.Raw | None


class ComingStep(msgspec.Struct, frozen=True, kw_only=True):
    """What happens then, unless."""

    at: datetime
    what: str
    unless: str


class PolicyName(msgspec.Struct, frozen=True, kw_only=True):
    """The policy that the incident follows, in the bundle that it started with."""

    name: str
    hash: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """How it came to this, and what comes next if nobody does anything."""

    past: list[PastStep]
    next: list[ComingStep]
    policy: PolicyName


class NextOnCall(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    user: str
    from_: datetime


class OnCallItem(msgspec.Struct, frozen=True, kw_only=True):
    """Who has the schedule. `user` is empty when nobody has it; `reason` says why."""

    schedule: str
    user: str
    until: datetime
    layer: str
    reason: str
    next: NextOnCall


class OnCallList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[OnCallItem]


class PolicyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The policy in force. `not_in_force` says which parts of it do nothing yet."""

    hash: str
    revision: int
    at: datetime
    source: str
    by: str
    not_in_force: list[str]


SHAPES: Final[tuple[type[msgspec.Struct], ...]] = (
    IncidentSnapshot,
    IncidentList,
    Timeline,
    Explanation,
    OnCallList,
    PolicyStatus,
)


def schemas() -> Mapping[str, Any]:
    """All shapes as JSON Schema. Every field is always there."""
    _, components = msgspec.json.schema_components(
        SHAPES, schema_hook=_schema_of, ref_template="#/components/schemas/{name}"
    )
    for schema in components.values():
        if schema.get("type") == "object" and "properties" in schema and schema.get("title") != "Link":
            schema["required"] = list(schema["properties"])
    return components


def _schema_of(kind: type) -> dict[str, Any]:
    if kind is msgspec.Raw:
        return {"type": "object"}
    raise NotImplementedError


def answer(body: msgspec.Struct, status: int = 200) -> Response:
    """The body as JSON."""
    return Response(_encoder.encode(body), status, media_type=_JSON)


def answers(
    shape: type[msgspec.Struct], description: str, refusals: Mapping[int, str] = _NO_REFUSALS
) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a path that answers 200 with this shape, or refuses.

    `refusals` are those of this path alone; the host adds those of every path (no key, no database).
    """
    schema = {"$ref": f"#/components/schemas/{shape.__name__}"}
    refused: dict[int | str, dict[str, Any]] = {
        status: {"description": why, "content": {MEDIA_TYPE: {}}} for status, why in refusals.items()
    }
    return {200: {"description": description, "content": {_JSON: {"schema": schema}}}} | refused
