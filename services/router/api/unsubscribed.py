"""`/v1/unsubscribed`: who has left a subscription of the policy, and the undoing of it."""

import uuid
from datetime import UTC
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api.access import Access, Caller, Route
from services.router.api.idempotency import IdempotencyKey, Once
from services.router.api.shapes.answers import answer, answers
from services.router.api.shapes.subscribers import UnsubscribedItem, UnsubscribedList
from services.router.batch.engine import Engine
from services.router.duty import unsubscribed as store
from services.router.duty.unsubscribed import Departure
from services.router.policy.compiled_cache import InForce
from shared.http.cursors import cursor_of, moment_and_id
from shared.http.problems import Problem

_MOST: Final = 500
_UNKNOWN: Final = {404: "Nobody has left by this id."}


def unsubscribed(engine: Engine, access: Access) -> APIRouter:
    """The paths."""
    router = APIRouter(prefix="/v1/unsubscribed", tags=["subscriptions"], route_class=Route)

    @router.get(
        "",
        operation_id="list_unsubscribed",
        summary="Who has left a subscription of the policy, the newest first",
        response_class=Response,
        responses=answers(UnsubscribedList, "One page of them."),
        dependencies=[Depends(access.needs("viewer"))],
    )
    async def listed(
        *,
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> Response:
        after = moment_and_id(cursor) if cursor is not None else None
        async with engine.database.reading.transaction("ask for fewer (`limit`)") as connection:
            found = await store.find(connection, after, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        following = cursor_of([last.at.isoformat(), str(last.id)]) if last else None
        return answer(UnsubscribedList(items=[_item(each) for each in found[:limit]], next=following))

    @router.delete(
        "/{unsubscribed_id}",
        operation_id="undo_unsubscribed",
        summary="Let them hear of it again",
        response_class=Response,
        responses=answers(UnsubscribedItem, "It as it was.", _UNKNOWN),
    )
    async def undo(
        unsubscribed_id: str,
        caller: Annotated[Caller, Depends(access.needs("lead"))],
        idempotency_key: IdempotencyKey = "",
    ) -> Response:
        once = Once(caller.actor.name, idempotency_key, f"undo unsubscribed\n{unsubscribed_id}")

        async def work(connection: AsyncConnection, now: object, in_force: InForce) -> bytes:
            del now, in_force

            async def remove() -> bytes:
                return msgspec.json.encode(_item(await _removed(connection, unsubscribed_id)))

            return await once.answer(connection, caller.now, remove)

        return Response(await engine.transaction(work), media_type="application/json")

    return router


async def _removed(connection: AsyncConnection, written: str) -> Departure:
    try:
        found = await store.remove(connection, uuid.UUID(written))
    except ValueError:
        found = None
    if found is None:
        raise Problem(404, "no-such-unsubscribed", "Nobody has left by this id")
    return found


def _item(made: Departure) -> UnsubscribedItem:
    left = made.left
    return UnsubscribedItem(
        id=str(made.id),
        subscription=left.subscription,
        recipient=f"{left.kind}:{left.name}" if left.name else left.kind,
        contact=made.contact,
        address=made.shown,
        at=made.at.astimezone(UTC),
        by=made.by,
    )
