"""`/v1/oncall`: who has which schedule."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime

from services.router.api.access import Access, Caller, Route
from services.router.api.shapes import NextOnCall, OnCallItem, OnCallList, answer, answers
from shared.policy import Schedule
from shared.policy.oncall import on_call
from shared.problems import Fault, Problem


def oncall(access: Access) -> APIRouter:
    """The path."""
    router = APIRouter(prefix="/v1/oncall", tags=["schedules"], route_class=Route)

    @router.get(
        "",
        operation_id="list_on_call",
        summary="Who is on call, now or at another time",
        response_class=Response,
        responses=answers(OnCallList, "One item a schedule."),
    )
    async def who(
        caller: Annotated[Caller, Depends(access.needs("viewer"))],
        at: Annotated[AwareDatetime | None, Query(description="RFC 3339; now when left out")] = None,
    ) -> Response:
        moment = (at or caller.now).astimezone(UTC)
        schedules = caller.live.bundle.schedules
        try:
            items = [_item(name, schedule, moment) for name, schedule in sorted(schedules.items())]
        except (OverflowError, ValueError) as err:
            fault = Fault("query:at", "too far away to tell")
            raise Problem(422, "invalid-request", "The request is not valid", faults=[fault]) from err
        return answer(OnCallList(items=items))

    return router


def _item(name: str, schedule: Schedule, at: datetime) -> OnCallItem:
    duty = on_call(schedule, at)
    return OnCallItem(
        schedule=name,
        user=duty.user or "",
        until=duty.until,
        layer=duty.layer,
        reason=duty.reason,
        next=NextOnCall(user=duty.next_user, from_=duty.next_from),
    )
