"""`/v1/incidents`: list, one, timeline, explain, actions."""

import uuid
from collections.abc import Generator, Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import Row

from services.router.api import actions, queries, snapshots
from services.router.api.access import Access, Caller, Route
from services.router.api.idempotency import IdempotencyKey
from services.router.api.shapes.answers import answer, answers, as_json, page
from services.router.api.shapes.incidents import (
    ComingStep,
    Explanation,
    IncidentList,
    PastStep,
    PolicyName,
    Timeline,
    TimelineItem,
)
from services.router.batch import gather
from services.router.batch.engine import Engine
from services.router.batch.unit_of_work import UnitOfWork
from services.router.domain.forecast import MOST_STEPS, NextStep, foreseen
from services.router.domain.model.incident import Incident
from services.router.policy.compiled_cache import moment, required
from shared import telemetry
from shared.database.pool import transaction_time
from shared.events import IncidentSnapshot, Status

log = telemetry.logger(__name__)

_MOST: Final = 500
_MOST_ENTRIES: Final = 1000
_ALL_ENTRIES: Final = 5000  # of one incident's past, for an explanation
_NARROWER: Final = (
    "narrow it by `customer`, `service` or `assignee`, by both `integration` and `dedup_key`, or ask for "
    "fewer at a time (`limit`)"
)
_LATER: Final = "ask again later"
_UNKNOWN: Final = {404: "No incident has this id."}
_REFUSED_ACTIONS: Final = _UNKNOWN | {
    403: "The key's role is not enough for this action.",
    409: "The incident is not in a state for it; `detail` says why, `possible` what can be done instead.",
}
_Text: TypeAlias = Annotated[str, Query(max_length=500, pattern=r"^[^\x00]*$")]
_Limit: TypeAlias = Annotated[int, Query(ge=1, le=_MOST)]
_Cursor: TypeAlias = Annotated[str | None, Query(max_length=500)]
_Priority: TypeAlias = Annotated[int, Query(ge=1, le=5)]


def incident_id_of(incident_id: str) -> uuid.UUID:
    """The id in a path; a text that is not an id names no incident (404)."""
    try:
        return uuid.UUID(incident_id)
    except ValueError as err:
        raise actions.not_found() from err


IncidentId: TypeAlias = Annotated[uuid.UUID, Depends(incident_id_of)]


def incidents(engine: Engine, access: Access) -> APIRouter:
    """The paths."""
    router = APIRouter(prefix="/v1/incidents", tags=["incidents"], route_class=Route)
    reading = Depends(access.needs("viewer"))
    _add_list(router, engine, reading)
    _add_one(router, engine, reading)
    _add_timeline(router, engine, reading)
    _add_explain(router, engine, reading)
    _add_actions(router, engine, access)
    return router


def _add_list(router: APIRouter, engine: Engine, reading: Any) -> None:
    @router.get(
        "",
        operation_id="list_incidents",
        summary="Incidents, newest first or the most pressing first",
        response_class=Response,
        responses=answers(IncidentList, "One page of them."),
        dependencies=[reading],
    )
    async def listed(
        *,
        status: Annotated[Sequence[Status], Query()] = (),
        priority: Annotated[Sequence[_Priority], Query()] = (),
        integration: _Text = "",
        dedup_key: _Text = "",
        customer: _Text = "",
        service: _Text = "",
        assignee: _Text = "",
        q: _Text = "",
        limit: _Limit = 50,
        cursor: _Cursor = None,
        sort: queries.Sort = "newest",
    ) -> Response:
        filters = queries.Filters(status, integration, dedup_key, customer, service, assignee, priority, q)
        async with engine.database.reading.transaction(_NARROWER) as connection:
            now = await transaction_time(connection)
            found = await queries.many(connection, filters, sort, cursor, limit)
        items = await snapshots.page(engine, found.rows, now)
        return page(items, found.following, partial=found.partial)


def _add_one(router: APIRouter, engine: Engine, reading: Any) -> None:
    @router.get(
        "/{incident_id}",
        operation_id="get_incident",
        summary="One incident",
        response_class=Response,
        responses=answers(IncidentSnapshot, "The incident as it is now.", _UNKNOWN),
        dependencies=[reading],
    )
    async def one(incident_id: IncidentId) -> Response:
        async with engine.database.reading.transaction(_LATER) as connection:
            now = await transaction_time(connection)
            found = await queries.one(connection, incident_id)
            if found is None:
                raise actions.not_found()
            shown = await snapshots.one(engine.bundles, connection, found, now)
        return answer(shown)


def _add_timeline(router: APIRouter, engine: Engine, reading: Any) -> None:
    @router.get(
        "/{incident_id}/timeline",
        operation_id="get_timeline",
        summary="What happened to it, oldest first, each with its reason",
        response_class=Response,
        responses=answers(Timeline, "One page of its timeline.", _UNKNOWN),
        dependencies=[reading],
    )
    async def timeline(
        incident_id: IncidentId,
        limit: Annotated[int, Query(ge=1, le=_MOST_ENTRIES)] = 200,
        cursor: _Cursor = None,
    ) -> Response:
        async with engine.database.reading.transaction("ask for fewer entries (`limit`)") as connection:
            if await queries.one(connection, incident_id) is None:
                raise actions.not_found()
            rows = await queries.entries(connection, incident_id, cursor, limit + 1)
            items = await engine.database.reading.made(rows, lambda row: (row.seq, _entry(row)))
        following = str(items[limit - 1][0]) if len(items) > limit else None
        return page([entry for _, entry in items[:limit]], following)


def _add_explain(router: APIRouter, engine: Engine, reading: Any) -> None:
    @router.get(
        "/{incident_id}/explain",
        operation_id="explain_incident",
        summary="Why it stands where it stands, and what happens next if nobody does anything",
        response_class=Response,
        responses=answers(Explanation, "Past with reasons; next steps with times.", _UNKNOWN),
        dependencies=[reading],
    )
    async def explain(incident_id: IncidentId) -> Response:
        reading = engine.database.reading
        async with reading.transaction(_LATER) as connection:
            found = await queries.one(connection, incident_id)
            if found is None:
                raise actions.not_found()
            rows = await queries.entries(connection, incident_id, None, _ALL_ENTRIES)
            past: Any = await reading.made(rows, _past)  # encoded one by one
            now, in_force = await moment(connection)
            unit = await gather.to_look_at(
                connection,
                incident=found.incident,
                bundles=engine.bundles,
                in_force=required(in_force),
                now=now,
            )
        coming = await reading.result(coming_of(found.incident, unit))
        return answer(
            Explanation(
                past=past,
                next=[ComingStep(at=step.at, what=step.what, unless=step.unless) for step in coming],
                policy=PolicyName(name=found.incident.chain.policy, hash=found.incident.policy_hash),
            )
        )


def _add_actions(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.post(
        "/{incident_id}/actions",
        operation_id="act_on_incident",
        summary="Do something to it: take it, hand it up, assign, snooze, set, decide, resolve, …",
        response_class=Response,
        responses=answers(IncidentSnapshot, "The incident as it is afterwards.", _REFUSED_ACTIONS),
    )
    async def act(
        incident_id: IncidentId,
        body: actions.ActionBody,
        caller: Annotated[Caller, Depends(access.needs("viewer"))],
        idempotency_key: IdempotencyKey = "",
    ) -> Response:
        request = actions.Request(incident_id, body, caller.actor, idempotency_key)
        with telemetry.about(incident=str(incident_id)):
            done = await actions.act(engine, request)
            log.info("action applied", action="action", what=body.action, actor=caller.actor.name)
        return Response(done, media_type="application/json")


def _entry(row: Row[Any]) -> msgspec.Raw:
    item = TimelineItem(at=row.at, kind=row.kind, actor=row.actor, text=row.text, reason=_raw(row.reason))
    return as_json(item)


def _past(row: Row[Any]) -> msgspec.Raw:
    step = PastStep(at=row.at, kind=row.kind, actor=row.actor, what=row.text, because=_raw(row.reason))
    return as_json(step)


def coming_of(
    incident: Incident,
    unit: UnitOfWork,
    *,
    steps: int = MOST_STEPS,
) -> Generator[None, None, Sequence[NextStep]]:
    """What its policy does next; for an incident that cannot be decided, the next try."""
    if incident.stuck is not None:
        what = f"Ladder tries again to decide; it could not because of {incident.stuck.error}"
        return [NextStep(incident.stuck.retry_at, what, "somebody resolves it before")]
    bundle = unit.bundles[incident.policy_hash]
    if isinstance(bundle, Exception):
        due = incident.next_due_at
        what = f"Ladder tries to decide; the policy it started with cannot be used: {bundle}"
        return [NextStep(due, what, "somebody re-applies the policy in force")] if due is not None else []
    return (yield from foreseen(incident, unit.context(), bundle, since=unit.now, steps=steps))


def _raw(reason: str | None) -> msgspec.Raw | None:
    return None if reason is None else msgspec.Raw(reason.encode())
