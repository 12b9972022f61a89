"""`/v1/replies/list/{token}`: all that somebody is asked for. GET shows it, POST takes what was shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from services.router.api import actions, queries
from services.router.api.access import Access
from services.router.api.links import asked, pages
from services.router.api.links.replies import PAGES, PageRoute, broken
from services.router.batch.engine import Engine
from services.router.settings import RouterSettings
from shared.clock import utcnow
from shared.http.problems import Problem
from shared.policy import Bundle

_LONGEST_FORM: Final = 16 * 1024
_LATER: Final = "try again in a moment"
_REFUSED: Final = frozenset({403, 404, 409, 422})
_OPEN: Final = ("triggered", "acknowledged")
_Cursor = Annotated[str | None, Query()]


@dataclass(frozen=True, slots=True)
class _Lists:
    """Opens lists, shows them, and takes what is on them."""

    engine: Engine
    access: Access
    settings: RouterSettings

    async def whose(self, token: str) -> tuple[queries.Asked, Bundle] | None:
        live = await self.access.live()
        found = asked.opened(self.settings.signer, token, live.spec, utcnow())
        return None if found is None else (found, live.spec)

    async def page(
        self, token: str, whose: queries.Asked, bundle: Bundle, cursor: str | None = None, said: str = ""
    ) -> HTMLResponse:
        filters = queries.Filters(status=_OPEN, asked=whose)
        async with self.engine.database.reading.transaction(_LATER) as connection:
            found = await queries.many(connection, filters, "pressing", cursor, asked.SHOWN)
            count, partial = await queries.counted(connection, filters)
        until = self.settings.signer.expires(token)
        incidents = [queries.found(row).incident for row in found.rows]
        items = [asked.line(one, whose, bundle, self.settings.signer, until) for one in incidents]
        free = sum(item.free for item in items)
        take = ""
        if free and whose.kind == "user":
            take = "Take it" if free == 1 else f"Take these {free}"
        heading = asked.heading(items, count, partial=partial)
        return pages.listing(
            f"For {bundle.display(whose.name) if whose.kind == 'user' else whose.name}",
            f"{said} {heading}".strip(),
            items,
            take=take,
            following=found.following or "",
        )

    async def take(self, whose: queries.Asked, chosen: Sequence[UUID]) -> str:
        """Take those that nobody has; one after another, each in its own transaction. Says how it went."""
        done = left = 0
        for incident_id in chosen:
            async with self.engine.database.transaction() as connection:
                found = await queries.one(connection, incident_id)
            if found is None or not asked.is_asked(found.incident, whose):
                left += 1
                continue
            page = asked.page_id(found.incident, whose)
            body = actions.ActionBody(action="acknowledge", page=page)
            try:
                await actions.act(self.engine, actions.Request(incident_id, body, asked.actor(whose)))
            except Problem as err:
                if err.status not in _REFUSED:
                    raise
                left += 1
            else:
                done += 1
        return asked.taken(done, left)


def lists(engine: Engine, access: Access, settings: RouterSettings) -> APIRouter:
    """The paths. They need no key: the token is one."""
    router = APIRouter(
        prefix="/v1/replies",
        tags=["replies"],
        route_class=PageRoute,
        default_response_class=HTMLResponse,
        responses=PAGES,
    )
    opened = _Lists(engine, access, settings)

    @router.get("/list/{token}", operation_id="show_list", summary="All that somebody is asked for")
    async def show(token: str, request: Request, cursor: _Cursor = None) -> HTMLResponse:
        found = await opened.whose(token)
        return broken(request) if found is None else await opened.page(token, *found, cursor)

    @router.post(
        "/list/{token}",
        operation_id="take_listed",
        summary="Take what is shown of it",
        responses={
            409: {"description": "A page: a room's list takes nothing.", "content": {"text/html": {}}}
        },
        max_body_size=_LONGEST_FORM,
    )
    async def take(token: str, request: Request) -> HTMLResponse:
        found = await opened.whose(token)
        if found is None:
            return broken(request)
        whose, bundle = found
        if whose.kind != "user":
            return pages.message("This list only shows it", "Open one of them to act on it.", 409)
        said = await opened.take(whose, asked.chosen(await request.body()))
        return await opened.page(token, whose, bundle, said=said)

    return router
