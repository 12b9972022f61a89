"""`/v1/incidents/{id}/members`: incidents grouped under an incident, or merged into it."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response

from services.router.api import actions, queries, snapshots
from services.router.api.access import Access, Route
from services.router.api.incidents import IncidentId
from services.router.api.shapes.answers import answers, page
from services.router.api.shapes.incidents import IncidentList
from services.router.batch.engine import Engine
from shared.database.pool import transaction_time
from shared.events import Status

_MOST: Final = 500
_NARROWER: Final = "ask for fewer at a time (`limit`)"


def members(engine: Engine, access: Access) -> APIRouter:
    """The path."""
    router = APIRouter(prefix="/v1/incidents", tags=["incidents"], route_class=Route)

    @router.get(
        "/{incident_id}/members",
        operation_id="list_members",
        summary="What is grouped under it, or was merged into it, newest first",
        response_class=Response,
        responses=answers(IncidentList, "One page of them.", {404: "No incident has this id."}),
        dependencies=[Depends(access.needs("viewer"))],
    )
    async def listed(
        incident_id: IncidentId,
        *,
        status: Annotated[Sequence[Status], Query()] = (),
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 50,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> Response:
        filters = queries.Filters(status=status, parent=incident_id)
        async with engine.database.reading.transaction(_NARROWER) as connection:
            now = await transaction_time(connection)
            if await queries.one(connection, incident_id) is None:
                raise actions.not_found()
            found = await queries.many(connection, filters, "newest", cursor, limit)
        items = await snapshots.page(engine, found.rows, now)
        return page(items, found.following, partial=found.partial)

    return router
