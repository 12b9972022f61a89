"""`/v1/replies/link/{token}`: the signed link in a page. GET shows what it would do, POST does it.

Mail scanners and chat previews open links: that is why GET never acts.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from services.router.api import actions, queries
from services.router.api.access import Access, Route
from services.router.domain.incident import Incident
from services.router.domain.signals import Actor
from services.router.engine import Engine
from services.router.settings import RouterSettings
from shared.clock import utcnow
from shared.policy import Bundle
from shared.problems import Problem
from shared.security import Signer

PURPOSE: Final = "reply"
_VERBS: Final = {"acknowledge": "Take it", "resolve": "Resolve it"}
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
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
        return Actor(f"user:{self.user}" if self.user else f"link:{self.recipient}", "responder", self.user)


def replies(engine: Engine, access: Access, settings: RouterSettings) -> APIRouter:
    """The paths. They need no key: the token is one."""
    router = APIRouter(prefix="/v1/replies", tags=["replies"], route_class=Route)
    pages: dict[int | str, dict[str, Any]] = {
        404: {"description": "The link is broken or has expired.", "content": {"text/html": {}}},
    }

    async def opened(token: str) -> tuple[Reply, Incident, Bundle] | None:
        reply = read(settings.signer, token, utcnow())
        if reply is None:
            return None
        live = await access.live()
        async with engine.database.transaction() as connection:
            found = await queries.one(connection, reply.incident_id)
        return None if found is None else (reply, found.incident, live.bundle)

    @router.get("/link/{token}", summary="What the link would do", responses=pages)
    async def show(token: str) -> HTMLResponse:
        found = await opened(token)
        if found is None:
            return _broken()
        reply, incident, bundle = found
        return _page(_title(incident), _before(reply, incident, bundle), _button(reply, incident))

    @router.post("/link/{token}", summary="Do what the link says", responses=pages)
    async def do(token: str) -> HTMLResponse:
        found = await opened(token)
        if found is None:
            return _broken()
        reply, incident, bundle = found
        body = actions.ActionBody(action=reply.action, page=reply.page)
        try:
            await actions.act(engine, actions.Request(reply.incident_id, body, reply.actor()))
        except Problem as err:
            if err.status not in {403, 409, 422}:
                raise
            return _page(_title(incident), f"Nothing was changed: {err.detail}.", status=err.status)
        done = "You have taken it." if reply.action == "acknowledge" and reply.user else "Done."
        return _page(_title(incident), f"{done} {_known(reply, bundle)}")

    return router


def read(signer: Signer, token: str, now: datetime) -> Reply | None:
    """What the token stands for; None for one that is altered, expired or not a reply."""
    claims = signer.verify(PURPOSE, token, now)
    if claims is None or claims.get("action") not in _VERBS:
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


def _title(incident: Incident) -> str:
    return incident.title


def _display(user: str, bundle: Bundle) -> str:
    known = bundle.users.get(user)
    return known.name if known is not None else user


def _known(reply: Reply, bundle: Bundle) -> str:
    if reply.user:
        return f"Recorded for {_display(reply.user, bundle)}."
    return f"Recorded for {reply.recipient or 'the holder of this link'}."


def _before(reply: Reply, incident: Incident, bundle: Bundle) -> str:
    facts = [f"Priority {incident.priority}"]
    if incident.customer_name or incident.customer:
        facts.append(f"{incident.customer_name or incident.customer} ({incident.tier})")
    if incident.service:
        facts.append(incident.service)
    facts.append(f"open since {incident.opened_at:%Y-%m-%d %H:%M} UTC")
    state = ""
    if not incident.is_open:
        state = f" It is {incident.status} already; there is nothing left to do."
    elif incident.status == "acknowledged" and incident.assignee:
        state = f" {_display(incident.assignee, bundle)} has taken it."
    whom = f" You are {_display(reply.user, bundle)}." if reply.user else ""
    return f"{', '.join(facts)}.{state}{whom}"


def _button(reply: Reply, incident: Incident) -> str:
    if not incident.is_open:
        return ""
    return f'<form method="post"><button type="submit">{_VERBS[reply.action]}</button></form>'


def _broken() -> HTMLResponse:
    text = "This link is broken or has expired. The incident is still there: use the newest message about it."
    return _page("Not a valid link", text, status=404)


def _page(title: str, text: str, more: str = "", status: int = 200) -> HTMLResponse:
    """A page that needs nothing but itself. `more` is HTML; everything else is escaped."""
    body = (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        "<meta name=robots content=noindex><title>Ladder</title>"
        "<style>body{font:18px/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem}"
        "button{font:inherit;padding:.8rem 2rem;border:0;border-radius:.5rem;background:#0b5;color:#fff}"
        "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}}</style>"
        f"<h1>{escape(title)}</h1><p>{escape(text)}</p>{more}</html>"
    )
    return HTMLResponse(body, status, headers=_HEADERS)
