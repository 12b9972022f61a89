"""`/v1/replies/link/{token}`: the signed link in a message. GET shows what it would do, POST does it.

Mail scanners and chat previews open links: that is why GET never acts.
"""

import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from services.router.api import actions, confirming, pages, queries
from services.router.api.access import Access, Route
from services.router.domain.incident import Incident
from services.router.domain.signals import Actor
from services.router.engine import Engine
from services.router.settings import RouterSettings
from shared.clock import utcnow
from shared.guesses import WrongKey, judged
from shared.policy import Bundle
from shared.problems import Problem
from shared.security import Signer

PURPOSE: Final = "reply"
_LONGEST_ANSWER: Final = 64 * 1024
_WAIT: Final = "Nothing was changed. Try again in a few seconds."
_VERBS: Final = {"acknowledge": "Take it", "resolve": "Resolve it"}
_PAGES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A page for a person."},
    404: {"description": "A page: the link is broken or has expired.", "content": {"text/html": {}}},
    429: {"description": "A page: too many broken links from this address.", "content": {"text/html": {}}},
    422: {
        "description": "A page: the link asks for what is not possible any more.",
        "content": {"text/html": {}},
    },
    503: {"description": "A page: not possible at the moment.", "content": {"text/html": {}}},
}
_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    403: {"description": "A page: this person may not do it.", "content": {"text/html": {}}},
    409: {"description": "A page: somebody else was faster, or it is over.", "content": {"text/html": {}}},
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a token stands for."""

    incident_id: uuid.UUID
    page: str
    user: str
    recipient: str
    action: str

    def actor(self) -> Actor:
        """As whom it acts. Who holds the link was paged: that makes a responder."""
        if self.is_answer:
            return Actor(self.recipient, "responder")
        return Actor(f"user:{self.user}" if self.user else f"link:{self.recipient}", "responder", self.user)

    @property
    def is_answer(self) -> bool:
        """Whether a customer is asked, and not somebody who was paged."""
        return self.action in confirming.ANSWERS


class PageRoute(Route):
    """A path for people: what is not possible at the moment is told as a page, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_as_page(request: Request) -> Response:
            try:
                return await handle(request)
            except Problem as err:
                page = pages.page(
                    "Not possible at the moment", f"{_WAIT} ({err.detail or err.title}.)", status=err.status
                )
                page.headers.update(err.headers)
                return page

        return handle_as_page


def replies(engine: Engine, access: Access, settings: RouterSettings) -> APIRouter:
    """The paths. They need no key: the token is one."""
    router = APIRouter(
        prefix="/v1/replies",
        tags=["replies"],
        route_class=PageRoute,
        default_response_class=HTMLResponse,
        responses=_PAGES,
    )

    async def opened(token: str) -> tuple[Reply, Incident, Bundle] | None:
        reply = read(settings.signer, token, utcnow())
        if reply is None:
            return None
        live = await access.live()
        async with engine.database.transaction() as connection:
            found = await queries.one(connection, reply.incident_id)
        return None if found is None else (reply, found.incident, live.bundle)

    @router.get("/link/{token}", operation_id="show_link", summary="What the link would do")
    async def show(token: str, request: Request) -> HTMLResponse:
        found = await opened(token)
        if found is None:
            return _broken(request)
        return _asked(*found)

    @router.post(
        "/link/{token}",
        operation_id="follow_link",
        summary="Do what the link says",
        responses=_REFUSED,
        max_body_size=_LONGEST_ANSWER,
    )
    async def do(token: str, request: Request) -> HTMLResponse:
        found = await opened(token)
        if found is None:
            return _broken(request)
        reply, incident, bundle = found
        said = confirming.answer(reply.action, await request.body()) if reply.is_answer else {}
        body = actions.ActionBody(action=reply.action, page=reply.page, **said)
        try:
            await actions.act(engine, actions.Request(reply.incident_id, body, reply.actor()))
        except Problem as err:
            if err.status not in {403, 409, 422}:
                raise
            return _refused(reply, incident, err)
        return _done(reply, incident, bundle)

    return router


def read(signer: Signer, token: str, now: datetime) -> Reply | None:
    """What the token stands for; None for one that is altered, expired or not a reply."""
    claims = signer.verify(PURPOSE, token, now)
    if claims is None or claims.get("action") not in _VERBS.keys() | confirming.ANSWERS:
        return None
    try:
        return Reply(
            incident_id=uuid.UUID(str(claims["incident"])),
            page=str(claims.get("page", "")),
            user=str(claims.get("user", "")),
            recipient=str(claims.get("recipient", "")),
            action=str(claims["action"]),
        )
    except (KeyError, ValueError):
        return None


def _broken(request: Request) -> HTMLResponse:
    """The page of a link that is none; too many of them from one address wait."""
    wrong = WrongKey(404, "broken-link", "Not a valid link", sort="link")
    problem = judged(request.scope, wrong)
    if problem is wrong:
        return pages.broken()
    page = pages.page("Too many links that are not valid", "Try again in a minute.", status=problem.status)
    page.headers.update(problem.headers)
    return page


def _asked(reply: Reply, incident: Incident, bundle: Bundle) -> HTMLResponse:
    if reply.is_answer:
        form = confirming.question(reply.action, incident)
        return pages.page(incident.title, confirming.state(incident), more=form)
    facts = _facts(reply, incident, bundle)
    return pages.page(incident.title, _state(reply, incident, bundle), more=facts)


def _refused(reply: Reply, incident: Incident, err: Problem) -> HTMLResponse:
    why = confirming.state(incident) if reply.is_answer else f"Nothing was changed: {err.detail}."
    return pages.page(incident.title, why, status=err.status)


def _done(reply: Reply, incident: Incident, bundle: Bundle) -> HTMLResponse:
    if reply.is_answer:
        return pages.page(incident.title, confirming.done(reply.action))
    done = "You have taken it." if reply.action == "acknowledge" and reply.user else "Done."
    return pages.page(incident.title, f"{done} {_known(reply, bundle)}")


def _display(user: str, bundle: Bundle) -> str:
    known = bundle.users.get(user)
    return known.name if known is not None else user


def _known(reply: Reply, bundle: Bundle) -> str:
    if reply.user:
        return f"Recorded for {_display(reply.user, bundle)}."
    return f"Recorded for {reply.recipient or 'the holder of this link'}."


def _state(reply: Reply, incident: Incident, bundle: Bundle) -> str:
    """What has been done already, if anything."""
    if not incident.is_open:
        return f"It is {incident.status} already; there is nothing left to do."
    if incident.status == "acknowledged" and incident.assignee:
        if incident.assignee == reply.user:
            return "You have taken it."
        return f"{_display(incident.assignee, bundle)} has taken it."
    return ""


def _facts(reply: Reply, incident: Incident, bundle: Bundle) -> str:
    """What it is about, and the button; HTML."""
    customer = incident.customer_name or incident.customer
    facts = {
        "Priority": str(incident.priority),
        "For": f"{customer} ({incident.tier})" if customer else "",
        "Service": incident.service,
        "Open since": _local(incident.opened_at, reply.user, bundle),
        "You are": _display(reply.user, bundle) if reply.user else "",
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    return f"<dl>{rows}</dl>{_button(reply, incident)}"


def _local(at: datetime, user: str, bundle: Bundle) -> str:
    """On the clock of the person who reads it."""
    known = bundle.users.get(user)
    return f"{at.astimezone(ZoneInfo(known.timezone if known else 'UTC')):%Y-%m-%d %H:%M %Z}"


def _button(reply: Reply, incident: Incident) -> str:
    mine = reply.action == "acknowledge" and incident.assignee == reply.user != ""
    if not incident.is_open or (mine and incident.status == "acknowledged"):
        return ""
    return pages.form(_VERBS[reply.action])
