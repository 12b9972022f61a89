"""The notifier's paths: stored inboxes and deliveries; others in files of their own."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel
from sqlalchemy import ColumnElement, FromClause, Row, Uuid, literal, select, tuple_

from services.notifier.api.access import holder_with, may_answer_for, require_reader
from services.notifier.api.channels import channels
from services.notifier.api.endpoints import add_endpoints
from services.notifier.api.models import (
    DeliveryState,
    DeliveryStates,
    Filters,
    InboxMessage,
    InboxMessages,
)
from services.notifier.api.redelivery import add_redelivery
from services.notifier.api.shown import (
    DELIVERIES,
    NARROWER,
    NOT_FOUND,
    delivery_state,
    fields_of,
    no_delivery,
    read,
    storable,
)
from services.notifier.channels import Readiness
from services.notifier.domain.messages.rendered import ACTING_LINKS
from services.notifier.sending.concurrency import ConcurrencyLimits
from services.notifier.storage.tables import delivery, inbox_message
from shared.auth.access import Holder, KeyFirst
from shared.database.pool import Database
from shared.events import canary
from shared.http.cursors import cursor_of, moment_and_id, number_of
from shared.http.problems import MEDIA_TYPE
from shared.policy import Bundle

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
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
Limit = Annotated[int, Query(ge=1, le=500, description="how many at most")]
Cursor = Annotated[str, Query(max_length=200, description="`next` of the page before")]


def routes(
    database: Database,
    bundle: Callable[[], Bundle | None],
    concurrency: ConcurrencyLimits,
    readiness: Sequence[Readiness],
    wake: Callable[[], None],
) -> APIRouter:
    """The notifier's paths. `readiness`: what its channels can send; `wake` says that something is due."""
    router = APIRouter(responses=REFUSALS, route_class=KeyFirst)
    _add_inbox(router, database, bundle)
    add_endpoints(router, database, concurrency, bundle)
    _add_deliveries(router, database, Depends(holder_with("viewer", bundle)))
    add_redelivery(router, database, bundle, wake)
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
        query = select(inbox_message).where(inbox_message.c.user == storable("path:user", user))
        if cursor:
            query = query.where(inbox_message.c.seq < number_of(cursor))
        rows = await read(database, query.order_by(inbox_message.c.seq.desc()).limit(limit + 1))
        answers = may_answer_for(holder, user)

        def shown(row: Row[Any]) -> bytes:
            message = InboxMessage.model_validate(fields_of(row))
            return _json(message if answers else _without_answer(message))

        items = await database.reading.made(rows[:limit], shown)
        return _page(items, str(rows[limit - 1].seq) if len(rows) > limit else None)


def _add_deliveries(router: APIRouter, database: Database, viewer: Any) -> None:
    @router.get(
        "/v1/deliveries",
        dependencies=[viewer],
        tags=DELIVERIES,
        operation_id="list_deliveries",
        summary="Deliveries, newest first",
        response_model=DeliveryStates,
    )
    async def deliveries(asked: Annotated[Filters, Query()]) -> Response:
        rows, passed = await _listed(database, asked)
        following = _cursor(rows[asked.limit - 1]) if len(rows) > asked.limit else None
        items = await database.reading.made(rows[: asked.limit], lambda row: _json(delivery_state(row)))
        if following is None and passed is not None:
            return _page(items, _cursor(passed), partial=True)
        return _page(items, following, partial=False)

    @router.get(
        "/v1/deliveries/{delivery_id}",
        dependencies=[viewer],
        tags=DELIVERIES,
        operation_id="get_delivery",
        summary="One delivery",
        responses=NOT_FOUND,
    )
    async def one(delivery_id: UUID) -> DeliveryState:
        rows = await read(database, select(delivery).where(delivery.c.id == str(delivery_id)))
        if not rows:
            raise no_delivery()
        return delivery_state(rows[0])


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
        column: storable(f"query:{column.removesuffix('_id')}", value)
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
    async with database.reading.transaction(NARROWER) as connection:
        rows = list(await connection.execute(whole))
        if len(rows) > asked.limit or not (equal or asked.state):
            return rows, None
        return rows, (await connection.execute(passed.offset(SCANNED - 1).limit(1))).one_or_none()


def _newest(table: FromClause) -> Sequence[ColumnElement[Any]]:
    return table.c.created_at.desc(), table.c.id.desc()


def _json(item: BaseModel) -> bytes:
    """One item of a page by itself: a whole page at once would hold up whoever pages."""
    return item.model_dump_json().encode()


def _page(items: Sequence[bytes], following: str | None, **more: bool) -> Response:
    rest = msgspec.json.encode({"next": following} | more)
    body = b'{"items":[' + b",".join(items) + b"]," + rest[1:]
    return Response(body, media_type="application/json")


def _cursor(row: Row[Any]) -> str:
    return cursor_of([row.created_at.isoformat(), row.id])


def _place(cursor: str) -> tuple[datetime, str]:
    at, identity = moment_and_id(cursor)
    return at, str(identity)
