"""Actions on an incident: synchronous, through the same `handle`, once per Idempotency-Key."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, Self, assert_never

import msgspec
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api import queries, snapshots
from services.router.api.attributes import flaw
from services.router.api.idempotency import Once
from services.router.api.times import Moment
from services.router.batch import incident_store
from services.router.batch.apply import BatchResult
from services.router.batch.deciding import SignalResult
from services.router.batch.engine import Engine
from services.router.batch.inbound import InboundSignal
from services.router.domain import actions
from services.router.domain.actions.pauses import LONGEST
from services.router.domain.model.decision import Refusal
from services.router.domain.model.incident_fields import FieldChanges
from services.router.domain.model.signals import ActionArguments, ActionTaken, Actor
from services.router.domain.model.vocabulary import action_named
from services.router.policy.compiled_cache import InForce
from shared.http.problems import Fault, Problem
from shared.json_object import JsonObject

_LONG: Final = 16 * 1024
_LONGEST_SECONDS: Final = LONGEST.total_seconds()
_Name = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
_Key = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
_Text = Annotated[str, StringConstraints(max_length=_LONG, pattern=r"^[^\x00]*$")]
_EXAMPLES: Final[JsonDict] = {
    "title": "Action",
    "examples": [
        {"action": "acknowledge", "note": "I am looking at it"},
        {"action": "escalate", "because": "authority", "note": "it needs more money than I may spend"},
        {"action": "snooze", "seconds": 3600},
        {"action": "wait", "for": "customer", "until": "2026-03-02T09:00:00Z"},
        {"action": "set", "priority": 1, "attributes": {"forecast": 61000}},
        {"action": "decide", "decision": "approve", "note": "within the reserve"},
    ],
}
_NAMES: Final[JsonDict] = {"enum": [*sorted(actions.ACTIONS)]}
_MOST_ATTRIBUTES: Final = 64  # as many as one event may carry
_encoder: Final = msgspec.json.Encoder()


class ActionBody(BaseModel):
    """What to do, and its arguments. Which arguments count depends on the action."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra=_EXAMPLES,
        validate_by_name=True,
        validate_by_alias=True,
    )

    action: Annotated[str, StringConstraints(max_length=200)] = Field(
        description="what to do", json_schema_extra=_NAMES
    )
    note: _Text = Field(default="", description="why; internal, in the timeline and to whoever is paged next")
    text: _Text = Field(default="", description="update: what the stakeholders read; note: the note")
    level: _Name = Field(default="", description="escalate: to this level")
    policy: _Name = Field(default="", description="escalate: to this policy")
    because: Literal["expertise", "authority"] | None = Field(
        default=None, description="escalate: what is missing to solve it here"
    )
    assignee: _Name = Field(default="", description="acknowledge: for whom, when the key acts for nobody")
    page: _Name = Field(default="", description="the id of the page that is being answered")
    to: _Name = Field(default="", description="assign: to this user; default: the caller")
    until: Moment | None = Field(default=None, description="snooze, wait: until then; at most 30 days ahead")
    seconds: Annotated[float, Field(gt=0, le=_LONGEST_SECONDS)] | None = Field(
        default=None, description="snooze, wait: for this long, instead of `until`"
    )
    waiting_for: _Name = Field(
        default="", alias="for", description="wait: for whom, such as customer or vendor"
    )
    priority: Annotated[int, Field(strict=True, ge=1, le=5)] | None = Field(
        default=None, description="set: 1 is the most urgent; a higher number needs the role lead"
    )
    kind: Annotated[_Name, StringConstraints(min_length=1)] | None = Field(
        default=None, description="set: a kind of the policy, or incident"
    )
    service: _Name | None = Field(default=None, description="set: a service of the policy; empty: none")
    customer: _Name | None = Field(
        default=None, description="set: its id, a name or a mail address; empty: none"
    )
    attributes: Annotated[dict[_Key, JsonValue], Field(max_length=_MOST_ATTRIBUTES)] | None = Field(
        default=None, description="set: these attributes; null takes one away, the others stay"
    )
    decision: Literal["approve", "reject"] | None = Field(default=None, description="decide: which")
    into: uuid.UUID | None = Field(default=None, description="merge: into this open incident")
    rating: Annotated[int, Field(strict=True, ge=1, le=5)] | None = Field(
        default=None, description="confirm: how satisfied the customer is; 5 is the best"
    )
    who: _Name = Field(
        default="",
        description="subscribe, unsubscribe: a user (default: the caller), or with `via` an address",
    )
    via: _Name = Field(default="", description="subscribe, unsubscribe: the channel of the address")

    @field_validator("attributes")
    @classmethod
    def _can_be_kept(cls, named: JsonObject | None) -> JsonObject | None:
        wrong = flaw(named)
        if wrong:
            raise ValueError(wrong)
        return named

    @field_validator("until")
    @classmethod
    def _in_utc(cls, until: datetime | None) -> datetime | None:
        try:
            return until.astimezone(UTC) if until is not None else None
        except OverflowError:
            raise ValueError("a time beyond all calendars") from None

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.until is not None and self.seconds is not None:
            raise ValueError("either `until` or `seconds`, not both")
        return self

    def arguments(self, now: datetime) -> ActionArguments:
        """The arguments for the domain; `seconds` counts from now."""
        until = self.until if self.seconds is None else now + timedelta(seconds=self.seconds)
        return ActionArguments(
            note=self.note,
            text=self.text,
            level=self.level,
            policy=self.policy,
            because=self.because or "",
            assignee=self.assignee,
            page=self.page,
            to=self.to,
            until=until,
            waiting_for=self.waiting_for,
            changes=self._changes(),
            decision=self.decision or "",
            into=str(self.into or ""),
            rating=self.rating or 0,
            who=self.who,
            via=self.via,
        )

    def _changes(self) -> FieldChanges:
        changes: FieldChanges = {}
        if self.priority is not None:
            changes["priority"] = self.priority
        if self.kind is not None:
            changes["kind"] = self.kind
        if self.service is not None:
            changes["service"] = self.service
        if self.customer is not None:
            changes["customer"] = self.customer
        if self.attributes is not None:
            changes["attributes"] = self.attributes
        return changes


@dataclass(frozen=True, slots=True)
class Request:
    """One action as it was asked for. `key` is the Idempotency-Key, or empty."""

    incident_id: uuid.UUID
    body: ActionBody
    actor: Actor
    key: str = ""

    @property
    def once(self) -> Once:
        said = f"act on incident {self.incident_id}\n{self.body.model_dump_json()}"
        return Once(self.actor.name, self.key, said)


async def act(engine: Engine, request: Request) -> bytes:
    """Carry out the action; returns the incident afterwards, as JSON. A repeated key gets the first answer.

    Raises a Problem: 404, 409 (why, and what is possible), 403, 422; 503 when it cannot be decided.
    """
    work = _Work(engine, request)
    try:
        answer = await engine.transaction(work.run)
    except DBAPIError as err:
        if not incident_store.is_race(err):
            raise
        raise _problem(_CAME_BACK) from err
    if work.batch is not None:
        engine.committed(work.batch)
    return answer


_CAME_BACK: Final = Refusal(
    "conflict", "a newer incident of the same key is open: it goes on there", ("note", "close")
)


class _Work:
    """One attempt inside a transaction. `batch` is what to announce after the commit."""

    def __init__(self, engine: Engine, request: Request) -> None:
        self._engine = engine
        self._request = request
        self.batch: BatchResult | None = None

    async def run(self, connection: AsyncConnection, now: datetime, in_force: InForce) -> bytes:
        self.batch = None

        async def work() -> bytes:
            return await self._do(connection, now, in_force)

        return await self._request.once.answer(connection, now, work)

    async def _do(self, connection: AsyncConnection, now: datetime, in_force: InForce) -> bytes:
        request = self._request
        action = action_named(request.body.action)
        signal = ActionTaken(action, request.actor, request.body.arguments(now), request.key)
        inbound = InboundSignal(signal, str(request.incident_id))
        self.batch = await self._engine.within([inbound], connection, now, in_force)
        _raise_refusal(self.batch.results[0])
        found = await queries.one(connection, request.incident_id)
        if found is None:
            raise not_found()
        return _encoder.encode(await snapshots.one(self._engine.bundles, connection, found, now))


def not_found() -> Problem:
    """Whether there never was one, or it was deleted long after its close, nobody knows."""
    why = "there never was one, or it was closed so long ago that it is no longer kept"
    return Problem(404, "no-such-incident", "No incident has this id", why)


def _raise_refusal(handled: SignalResult) -> None:
    if handled.error:
        raise Problem(
            503,
            "stuck",
            "Ladder cannot decide about this incident at the moment",
            f"{handled.error}. It is tried again by itself, and last_resort has been paged.",
            extra={"possible": ["acknowledge", "resolve"]},
            headers={"Retry-After": "30"},
        )
    if handled.decision is None:
        raise not_found()
    refusal = handled.decision.refusal
    if refusal is not None:
        raise _problem(refusal)


def _problem(refusal: Refusal) -> Problem:
    extra = {"possible": list(refusal.possible)} if refusal.possible else {}
    match refusal.kind:
        case "forbidden":
            return Problem(403, "forbidden", "This key may not do that", refusal.reason, extra=extra)
        case "conflict":
            title = "Not possible for this incident as it is"
            return Problem(409, "conflict", title, refusal.reason, extra=extra)
        case "invalid":
            faults, title = [Fault("/action", refusal.reason)], "The action is not valid"
            return Problem(422, "invalid-request", title, refusal.reason, faults=faults, extra=extra)
        case _:
            assert_never(refusal.kind)
