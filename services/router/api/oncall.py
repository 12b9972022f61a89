"""`/v1/oncall`: who is on call on each schedule."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from services.router.api.access import Access, Caller, Route
from services.router.api.overrides import in_utc, invalid
from services.router.api.shapes.answers import answer, answers
from services.router.api.shapes.duty import NextOnCall, OnCallItem, OnCallList
from services.router.api.times import Moment
from services.router.batch.engine import Engine
from services.router.duty import override_store
from shared.http.problems import Fault
from shared.policy import Bundle
from shared.policy.oncall.roster import Roster, roster_of
from shared.policy.oncall.schedules import Override


def oncall(engine: Engine, access: Access) -> APIRouter:
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
        at: Annotated[Moment | None, Query(description="RFC 3339; now when left out")] = None,
    ) -> Response:
        moment = in_utc(at, "query:at") or caller.now
        try:
            async with engine.database.reading.transaction("ask again later") as connection:
                standing = await override_store.by_schedule(connection, moment)
            items = await engine.database.reading.made(
                sorted(caller.live.spec.schedules),
                lambda name: _item(name, _roster(caller.live.spec, name, standing), moment),
            )
        except (OverflowError, ValueError) as err:
            raise invalid(Fault("query:at", "too far away to tell")) from err
        return answer(OnCallList(items=items))

    return router


def _roster(bundle: Bundle, name: str, standing: Mapping[str, Sequence[Override]]) -> Roster:
    found = roster_of(bundle, name, standing)
    assert found is not None, "its name was listed"
    return found


def _item(name: str, roster: Roster, at: datetime) -> OnCallItem:
    duty = roster.on_call(at)
    return OnCallItem(
        schedule=name,
        user=duty.user or "",
        until=duty.until,
        layer=duty.layer,
        reason=duty.reason,
        next=NextOnCall(user=duty.next_user, from_=duty.next_from),
        override=duty.override.id if duty.override else "",
        passed=list(duty.passed),
    )
