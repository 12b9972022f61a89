"""`/v1/integrations`: who may post, and what became of their posts, which go to intake."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from services.router import post_counts
from services.router.api.access import Access, Caller, Route
from services.router.api.shapes.answers import answer, answers
from services.router.api.shapes.senders import IntegrationItem, IntegrationList, RefusedPosts
from services.router.batch.engine import Engine
from shared.events.post_counts import ACCEPTED, IGNORED, Counted
from shared.http.problems import Problem


def integrations(engine: Engine, access: Access) -> APIRouter:
    """The paths."""
    router = APIRouter(prefix="/v1/integrations", tags=["integrations"], route_class=Route)

    async def items(caller: Caller, name: str = "") -> list[IntegrationItem]:
        async with engine.database.reading.transaction("ask again later") as connection:
            kept = await post_counts.kept(connection)
        return [
            _item(each, integration.kind, kept.get(each, ()))
            for each, integration in sorted(caller.live.spec.integrations.items())
            if name in ("", each)
        ]

    @router.get(
        "",
        operation_id="list_integrations",
        summary="The integrations of the policy in force, and what became of what they posted",
        response_class=Response,
        responses=answers(IntegrationList, "By name."),
    )
    async def every(
        caller: Annotated[Caller, Depends(access.needs("viewer"))],
        name: Annotated[str, Query(description="Only this one.")] = "",
    ) -> Response:
        return answer(IntegrationList(items=await items(caller, name)))

    @router.get(
        "/{name}",
        operation_id="get_integration",
        summary="One integration, and what became of what it posted",
        response_class=Response,
        responses=answers(
            IntegrationItem,
            "What was accepted, refused (with the reasons) and ignored, and when.",
            {404: "The policy in force has no integration of this name."},
        ),
    )
    async def one(name: str, caller: Annotated[Caller, Depends(access.needs("viewer"))]) -> Response:
        found = await items(caller, name) if name else []
        if not found:
            raise Problem(404, "no-such-integration", "The policy in force has no integration of this name")
        return answer(found[0])

    return router


def _item(name: str, kind: str, counted: Sequence[Counted]) -> IntegrationItem:
    by = {each.outcome: each for each in counted}
    refused = [
        RefusedPosts(kind=each.outcome, count=each.count, at=each.at, reason=each.reason, event=each.event)
        for each in counted
        if each.outcome not in (ACCEPTED, IGNORED)
    ]
    accepted, ignored = by.get(ACCEPTED), by.get(IGNORED)
    return IntegrationItem(
        name=name,
        kind=kind,
        accepted=accepted.count if accepted else 0,
        refused=sum(each.count for each in refused),
        ignored=ignored.count if ignored else 0,
        last_accepted_at=accepted.at if accepted else None,
        last_refused_at=refused[0].at if refused else None,
        last_ignored_at=ignored.at if ignored else None,
        last_refused=refused[0] if refused else None,
        refusals=refused,
    )
