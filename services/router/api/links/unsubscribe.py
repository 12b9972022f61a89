"""`/v1/replies/unsubscribe/{token}`: the link in a mail by which its reader hears no more of it.

GET shows what it would do, POST does it: mail programs post to it at once (RFC 8058), people press a button.
The same page takes it back. What the policy subscribes is kept by target and address (`departures`), and
survives the policy; who subscribed to one incident leaves that one.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api import actions, queries
from services.router.api.access import Access
from services.router.api.links import pages
from services.router.api.links.replies import PageRoute, broken
from services.router.batch import gather
from services.router.batch.engine import Engine
from services.router.domain.draft.recipients import shown_address
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Left
from services.router.domain.model.incident import Incident
from services.router.domain.model.parts import Subscriber
from services.router.domain.model.signals import Actor
from services.router.duty import unsubscribed as store
from services.router.duty.unsubscribed import Departure
from services.router.policy.compiled_cache import InForce, moment, required
from services.router.settings import RouterSettings
from shared import telemetry
from shared.clock import utcnow
from shared.events import ONE_INCIDENT, UNSUBSCRIBE
from shared.http.problems import Problem
from shared.policy.model.addresses import place
from shared.policy.model.targets import AddressTarget
from shared.security.keys import Signer

log = telemetry.logger(__name__)

_LONGEST_FORM: Final = 16 * 1024
_LEFT: Final = "You hear no more of it. If that was a mistake, the button takes it back."
_OVER: Final = frozenset({403, 404, 409, 422})


@dataclass(frozen=True, slots=True)
class Leaving:
    """The content of a token: who would leave what. `incident`: where it is one that they subscribed to."""

    left: Left
    contact: str = ""
    incident: uuid.UUID | None = None

    @property
    def by(self) -> str:
        """Whose hand it is, without an address."""
        left = self.left
        return f"link:{left.kind}:{left.name}" if left.name else f"link:{left.kind}"


def read(signer: Signer, token: str, now: datetime) -> Leaving | None:
    """The content of a token; None if it is altered or made for something else."""
    claims = signer.verify(UNSUBSCRIBE, token, now)
    if claims is None:
        return None
    named = [str(claims.get(name, "")) for name in ("subscription", "kind", "name", "place")]
    incident = uuid.UUID(str(claims["incident"])) if named[0] == ONE_INCIDENT else None
    return Leaving(Left(*named), str(claims.get("contact", "")), incident)


@dataclass(frozen=True, slots=True)
class _Link:
    """Shows what the link does, and does it."""

    engine: Engine
    access: Access

    async def shown(self, leaving: Leaving) -> HTMLResponse:
        """Whether they are subscribed, and the button that changes it."""
        if leaving.incident is not None:
            found = await self._incident(leaving.incident)
            if found is None:
                return _gone()
            return _page(leaving, left=_subscriber(leaving, found) is None)
        async with self.engine.database.transaction() as connection:
            return _page(leaving, left=await store.has_left(connection, leaving.left))

    async def changed(self, leaving: Leaving, *, again: bool) -> HTMLResponse:
        """They leave, or (`again`) come back; to do it twice changes nothing."""
        if leaving.incident is not None:
            return await self._one_incident(leaving, leaving.incident, again=again)
        live = await self.access.live()

        async def work(connection: AsyncConnection, now: datetime, in_force: InForce) -> bool:
            if again:
                return await store.take_back(connection, leaving.left)
            if await store.has_left(connection, leaving.left):
                return False
            shown = await self._shown_as(connection, leaving, live, in_force)
            made = Departure(uuid.uuid4(), leaving.left, leaving.contact, shown, now, leaving.by)
            return await store.add(connection, made)

        if await self.engine.transaction(work):
            what, about = ("subscribed again" if again else "unsubscribed"), leaving.left
            log.info(what, action="unsubscribed", subscription=about.subscription, kind=about.kind)
        return _page(leaving, left=not again, said="" if again else _LEFT)

    async def _shown_as(
        self, connection: AsyncConnection, leaving: Leaving, live: CompiledBundle, in_force: InForce
    ) -> str:
        """The address as people may see it; '' where nobody has it any more."""
        left = leaving.left
        known: list[tuple[str, str]] = []
        if left.kind == "address":
            targets = (target for each in live.spec.subscriptions for target in each.who)
            known = [(one.channel, one.address) for one in targets if isinstance(one, AddressTarget)]
        elif left.kind == "customer":
            found = live.spec.customers.get(left.name)
            if found is None:
                said = await gather.named_customers(
                    connection, [left.name], bundles=self.engine.bundles, in_force=in_force, live=live
                )
                found = said[left.name].customer if left.name in said else None
            known = [(one.channel, one.address) for one in found.contacts.values()] if found else []
        same = (
            f"{way} {shown_address(address)}" for way, address in known if place(way, address) == left.place
        )
        return next(same, "")

    async def _one_incident(self, leaving: Leaving, incident_id: uuid.UUID, *, again: bool) -> HTMLResponse:
        """By the action of that name, as anybody's."""
        found = await self._incident(incident_id)
        if found is None:
            return _gone()
        meant = _subscriber(leaving, found)
        if again or meant is None:
            return _page(leaving, left=meant is None)
        body = actions.ActionBody(action="unsubscribe", who=meant.who, via=meant.via)
        user = leaving.left.name if leaving.left.kind == "user" else ""
        try:
            request = actions.Request(incident_id, body, Actor(leaving.by, "lead", user))
            await actions.act(self.engine, request)
        except Problem as err:
            if err.status not in _OVER:
                raise
            return _gone()
        return _page(leaving, left=True)

    async def _incident(self, incident_id: uuid.UUID) -> Incident | None:
        async with self.engine.database.transaction() as connection:
            required((await moment(connection))[1])
            found = await queries.one(connection, incident_id)
        return found.incident if found is not None else None


def unsubscribe(engine: Engine, access: Access, settings: RouterSettings) -> APIRouter:
    """The paths. They need no key: the token is one."""
    router = APIRouter(
        prefix="/v1/replies",
        tags=["replies"],
        route_class=PageRoute,
        default_response_class=HTMLResponse,
        responses=_PAGES,
    )
    link = _Link(engine, access)

    @router.get("/unsubscribe/{token}", operation_id="show_unsubscribe", summary="What the link would do")
    async def show(token: str, request: Request) -> HTMLResponse:
        leaving = read(settings.signer, token, utcnow())
        return broken(request) if leaving is None else await link.shown(leaving)

    @router.post(
        "/unsubscribe/{token}",
        operation_id="unsubscribe",
        summary="Hear no more of it, as RFC 8058 has it; with `again=1` take that back",
        max_body_size=_LONGEST_FORM,
    )
    async def do(token: str, request: Request) -> HTMLResponse:
        leaving = read(settings.signer, token, utcnow())
        if leaving is None:
            return broken(request)
        fields = parse_qs((await request.body()).decode(errors="replace"), max_num_fields=20)
        return await link.changed(leaving, again=fields.get("again") == ["1"])

    return router


def _subscriber(leaving: Leaving, incident: Incident) -> Subscriber | None:
    """Who of its subscribers is meant; None when they are none (any more)."""
    left = leaving.left
    for each in incident.subscribers:
        same = place(each.via, each.who) == left.place if each.via else each.who == left.name
        if same and bool(each.via) == (left.kind == "address"):
            return each
    return None


def _page(leaving: Leaving, *, left: bool, said: str = "") -> HTMLResponse:
    if leaving.incident is not None and left:
        return pages.message("Unsubscribed", "You hear no more of this problem.")
    if left:
        return pages.unsubscribe("Unsubscribed", said or _LEFT, "Hear of it again", again=True)
    return pages.unsubscribe("Hear no more of it?", _subscribed_to(leaving), "Unsubscribe", again=False)


def _subscribed_to(leaving: Leaving) -> str:
    """What they would hear no more, in words for them."""
    if leaving.incident is not None:
        return "You subscribed to this one problem and hear how it goes on."
    if leaving.left.kind in ("user", "team"):
        return (
            f"You hear, as a stakeholder, what the policy tells {leaving.left.subscription}. "
            "Whoever unsubscribes is still paged, and hears the end of what they were paged for."
        )
    return "At this address you hear of problems and how they go on."


def _gone() -> HTMLResponse:
    return pages.message("Nothing more will come", "It is over and no longer kept: you hear no more of it.")


_PAGES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A page for a person."},
    404: {"description": "A page: the link is broken.", "content": {"text/html": {}}},
    429: {"description": "A page: too many broken links from this address.", "content": {"text/html": {}}},
    422: {"description": "A page: the link is not one.", "content": {"text/html": {}}},
    503: {"description": "A page: not possible at the moment.", "content": {"text/html": {}}},
}
