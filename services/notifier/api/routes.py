"""The notifier's paths: stored inboxes, deliveries and endpoints."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel
from sqlalchemy import ColumnElement, FromClause, Row, Uuid, delete, literal, select, tuple_

from services.notifier.api.access import holder_with, may_answer_for, require_reader
from services.notifier.api.channels import channels
from services.notifier.api.models import (
    DeliveryState,
    DeliveryStates,
    Endpoint,
    Endpoints,
    Filters,
    InboxMessage,
    InboxMessages,
)
from services.notifier.channels import Readiness
from services.notifier.domain.delivery import without_secrets
from services.notifier.domain.messages.rendered import ACTING_LINKS
from services.notifier.sending.concurrency import ConcurrencyLimits
from services.notifier.storage.tables import delivery, endpoint_disabled, inbox_message
from shared.auth.access import Holder, KeyFirst
from shared.database.pool import Database
from shared.events import canary
from shared.http.cursors import cursor_of, moment_and_id, number_of
from shared.http.problems import MEDIA_TYPE, Fault, Problem
from shared.policy import Bundle

_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": why, "content": {MEDIA_TYPE: {}}}
    for status, why in (
        (401, "no API key, or an unknown one"),
        (403, "the key's role is not enough"),
        (422, "a parameter cannot be used"),
        (503, "no policy yet, or the database is away"),
    )
}
SCANNED: Final = 20_000
"""The most deliveries looked at for one page where no index helps."""
_LOOKED_AT: Final = ("id", "created_at", "incident_id", "page_id", "recipient", "state")
_NARROWER: Final = "name an `incident`, or ask for fewer at a time (`limit`)"
_DELIVERIES: Final[list[str | Enum]] = ["deliveries"]
_NOT_FOUND: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "there is no such thing", "content": {MEDIA_TYPE: {}}}
}
Limit = Annotated[int, Query(ge=1, le=500, description="how many at most")]
Cursor = Annotated[str, Query(max_length=200, description="`next` of the page before")]


def routes(
    database: Database,
    bundle: Callable[[], Bundle | None],
    concurrency: ConcurrencyLimits,
    readiness: Sequence[Readiness],
) -> APIRouter:
    """The notifier's paths. `readiness`: what its channels can send."""
    router = APIRouter(responses=_REFUSALS, route_class=KeyFirst)
    viewer, admin = Depends(holder_with("viewer", bundle)), Depends(holder_with("admin", bundle))
    _add_inbox(router, database, bundle)
    _add_endpoints(router, database, concurrency, viewer, admin)
    _add_deliveries(router, database, viewer)
    router.include_router(channels(bundle, readiness))
    return router


def _add_inbox(router: APIRouter, database: Database, bundle: Callable[[], Bundle | None]) -> None:
    viewer = Depends(holder_with("viewer", bundle))

    @router.get(
        "/v1/inbox/{user}",
        tags=["inbox"],
        operation_id="get_inbox",
        summary="Somebody's stored inbox, newest first",
        response_model=InboxMessages,
        description="One's own for a key that acts as this user, others' from the role responder on.",
    )
    async def inbox(
        user: Annotated[str, Path(max_length=2_000)],
        holder: Annotated[Holder, viewer],
        limit: Limit = 50,
        cursor: Cursor = "",
    ) -> Response:
        require_reader(holder, user)
        query = select(inbox_message).where(inbox_message.c.user == _text("path:user", user))
        if cursor:
            query = query.where(inbox_message.c.seq < number_of(cursor))
        rows = await _read(database, query.order_by(inbox_message.c.seq.desc()).limit(limit + 1))
        answers = may_answer_for(holder, user)

        def shown(row: Row[Any]) -> bytes:
            message = InboxMessage.model_validate(_fields(row))
            return _json(message if answers else _without_answer(message))

        items = await database.reading.made(rows[:limit], shown)
        return _page(items, str(rows[limit - 1].seq) if len(rows) > limit else None)


def _add_deliveries(router: APIRouter, database: Database, viewer: Any) -> None:
    @router.get(
        "/v1/deliveries",
        dependencies=[viewer],
        tags=_DELIVERIES,
        operation_id="list_deliveries",
        summary="Deliveries, newest first",
        response_model=DeliveryStates,
    )
    async def deliveries(asked: Annotated[Filters, Query()]) -> Response:
        rows, passed = await _listed(database, asked)
        following = _cursor(rows[asked.limit - 1]) if len(rows) > asked.limit else None
        items = await database.reading.made(rows[: asked.limit], lambda row: _json(_state(row)))
        if following is None and passed is not None:
            return _page(items, _cursor(passed), partial=True)
        return _page(items, following, partial=False)

    @router.get(
        "/v1/deliveries/{delivery_id}",
        dependencies=[viewer],
        tags=_DELIVERIES,
        operation_id="get_delivery",
        summary="One delivery",
        responses=_NOT_FOUND,
    )
    async def one(delivery_id: UUID) -> DeliveryState:
        rows = await _read(database, select(delivery).where(delivery.c.id == str(delivery_id)))
        if not rows:
            raise Problem(404, "not-found", "There is no such delivery")
        return _state(rows[0])


def _add_endpoints(
    router: APIRouter, database: Database, concurrency: ConcurrencyLimits, viewer: Any, admin: Any
) -> None:
    @router.get(
        "/v1/deliveries/endpoints",
        dependencies=[viewer],
        tags=_DELIVERIES,
        operation_id="list_endpoints",
        summary="Endpoints that nothing is sent to now",
    )
    async def endpoints() -> Endpoints:
        rows = await _read(database, select(endpoint_disabled).order_by(endpoint_disabled.c.at))
        disabled = [
            Endpoint(
                endpoint=without_secrets(row.endpoint), state="disabled", since=row.at, reason=row.reason
            )
            for row in rows
        ]
        why = "unavailable again and again"
        resting = [
            Endpoint(endpoint=without_secrets(name), state="resting", until=until, reason=why)
            for name, until in sorted(concurrency.open_breakers(database.now()).items())
        ]
        return Endpoints(items=disabled + resting)

    @router.delete(
        "/v1/deliveries/endpoints",
        dependencies=[admin],
        status_code=204,
        tags=_DELIVERIES,
        operation_id="enable_endpoint",
        summary="Send to a disabled endpoint again",
        responses=_NOT_FOUND,
    )
    async def enable(endpoint: Annotated[str, Query(min_length=1, max_length=2_000)]) -> None:
        named = endpoint_disabled.c.endpoint == _text("query:endpoint", endpoint)
        async with database.transaction() as connection:
            if (await connection.execute(delete(endpoint_disabled).where(named))).rowcount == 0:
                raise Problem(404, "not-found", "This endpoint is not disabled")


def _without_answer(message: InboxMessage) -> InboxMessage:
    """The message without the links that act for its reader, wherever they stand."""
    acting = [message.links[name] for name in ACTING_LINKS if name in message.links]
    if not acting:
        return message
    links = {name: address for name, address in message.links.items() if address not in acting}
    lines = [line for line in message.text.splitlines() if not any(link in line for link in acting)]
    return message.model_copy(update={"links": links, "text": "\n".join(lines)})


async def _listed(database: Database, asked: Filters) -> tuple[list[Row[Any]], Row[Any] | None]:
    """Rows, one more than asked for where there are; and where the search ended, if it did before the end.

    An index finds the deliveries of an incident; for anything else `SCANNED` are looked at, newest first.
    """
    wanted = {"incident_id": asked.incident, "page_id": asked.page, "recipient": asked.recipient}
    equal = {
        column: _text(f"query:{column.removesuffix('_id')}", value)
        for column, value in wanted.items()
        if value
    }
    passed = select(*(delivery.c[name] for name in _LOOKED_AT)).order_by(*_newest(delivery))
    passed = passed.where(delivery.c.incident_id != canary.ID)
    if asked.incident:
        passed = passed.where(delivery.c.incident_id == equal.pop("incident_id"))
    if asked.cursor:
        at, identity = _place(asked.cursor)
        place = tuple_(literal(at), literal(identity, Uuid(as_uuid=False)))
        passed = passed.where(tuple_(delivery.c.created_at, delivery.c.id) < place)
    scanned = passed.limit(SCANNED).subquery("scanned")
    found = select(scanned.c.id).where(*(scanned.c[column] == value for column, value in equal.items()))
    if asked.state:
        found = found.where(scanned.c.state.in_(asked.state))
    found = found.order_by(*_newest(scanned)).limit(asked.limit + 1)
    whole = select(delivery).where(delivery.c.id.in_(found)).order_by(*_newest(delivery))
    async with database.reading.transaction(_NARROWER) as connection:
        rows = list(await connection.execute(whole))
        if len(rows) > asked.limit or not (equal or asked.state):
            return rows, None
        return rows, (await connection.execute(passed.offset(SCANNED - 1).limit(1))).one_or_none()


def _newest(table: FromClause) -> Sequence[ColumnElement[Any]]:
    return table.c.created_at.desc(), table.c.id.desc()


async def _read(database: Database, query: Any) -> list[Row[Any]]:
    async with database.reading.transaction(_NARROWER) as connection:
        return list(await connection.execute(query))


def _json(item: BaseModel) -> bytes:
    """One item of a page by itself: a whole page at once would hold up whoever pages."""
    return item.model_dump_json().encode()


def _page(items: Sequence[bytes], following: str | None, **more: bool) -> Response:
    rest = msgspec.json.encode({"next": following} | more)
    body = b'{"items":[' + b",".join(items) + b"]," + rest[1:]
    return Response(body, media_type="application/json")


def _state(row: Row[Any]) -> DeliveryState:
    fields = _fields(row)
    content = fields["content"]
    about = content.get("page") or content.get("notice") or {}
    pending = fields["state"] == "pending"
    return DeliveryState.model_validate(
        {
            **fields,
            "recipient": without_secrets(fields["recipient"]),
            "reason": about.get("reason", ""),
            "next_attempt_at": fields["next_attempt_at"] if pending else None,
        }
    )


def _fields(row: Row[Any]) -> Mapping[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 - the documented way to a row's fields


def _cursor(row: Row[Any]) -> str:
    return cursor_of([row.created_at.isoformat(), row.id])


def _place(cursor: str) -> tuple[datetime, str]:
    at, identity = moment_and_id(cursor)
    return at, str(identity)


def _unusable(field: str, reason: str) -> Problem:
    return Problem(422, "invalid-request", "The request is not valid", faults=[Fault(field, reason)])


def _text(field: str, value: str) -> str:
    """The text, if the database can hold it."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise _unusable(field, "NUL or a surrogate")
    return value
