"""`/v1/heartbeats`: what is expected to beat, and whether it does. Beats themselves go to intake."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from services.router.api.access import Access, Caller, Route
from services.router.api.shapes.answers import answer, answers
from services.router.api.shapes.senders import HeartbeatItem, HeartbeatList
from services.router.batch.engine import Engine
from services.router.domain.heartbeats import HeartbeatState
from services.router.loops import heartbeats as stored
from shared.policy import Heartbeat
from shared.policy.model.durations import format_duration


def heartbeats(engine: Engine, access: Access) -> APIRouter:
    """The path."""
    router = APIRouter(prefix="/v1/heartbeats", tags=["heartbeats"], route_class=Route)

    @router.get(
        "",
        operation_id="list_heartbeats",
        summary="The heartbeats of the policy in force, when each came last, and which are late",
        response_class=Response,
        responses=answers(HeartbeatList, "By name."),
    )
    async def every(caller: Annotated[Caller, Depends(access.needs("viewer"))]) -> Response:
        async with engine.database.reading.transaction("ask again later") as connection:
            watched = await stored.every(connection)
        expected = caller.live.spec.heartbeats
        return answer(
            HeartbeatList(
                items=[
                    _item(name, heartbeat, watched.get(name)) for name, heartbeat in sorted(expected.items())
                ]
            )
        )

    return router


def _item(name: str, heartbeat: Heartbeat, watched: HeartbeatState | None) -> HeartbeatItem:
    """One heartbeat; one that the policy has only just named may not be watched yet."""
    return HeartbeatItem(
        name=name,
        every=format_duration(heartbeat.every),
        late_after=format_duration(heartbeat.late_after),
        state=watched.state if watched is not None else "waiting",
        last=watched.beat_at if watched is not None else None,
        by=watched.by if watched is not None else "",
        late_at=watched.due_at if watched is not None and watched.late_at is None else None,
        late_since=watched.late_at if watched is not None else None,
        failed_at=watched.failed_at if watched is not None else None,
        started_at=watched.started_at if watched is not None else None,
        took_seconds=watched.took.total_seconds()
        if watched is not None and watched.took is not None
        else None,
        said=watched.said if watched is not None else "",
    )
