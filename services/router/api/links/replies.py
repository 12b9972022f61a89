"""`/v1/replies/link/{token}`: the signed link in a message. GET shows what it would do, POST does it.

Mail scanners and chat previews open links: that is why GET never acts. A link to look at (`show`) never acts.
"""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api import actions, queries, snapshots
from services.router.api.access import Access, Route
from services.router.api.idempotency import was_done
from services.router.api.incidents import coming_of
from services.router.api.links import customer_answer, incident_page, offers, pages
from services.router.api.links.incident_page import Seen
from services.router.api.links.offers import Button
from services.router.api.links.tokens import PURPOSE, Reply, expires, is_theirs, read, request_of
from services.router.batch import gather
from services.router.batch.engine import Engine
from services.router.domain.draft import customers
from services.router.domain.forecast import NextStep
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context
from services.router.domain.model.incident import Incident
from services.router.policy.compiled_cache import moment, required
from services.router.settings import RouterSettings
from shared import telemetry
from shared.auth.failed_attempts import WrongKey, answer_to
from shared.clock import utcnow
from shared.http.problems import Problem
from shared.policy import Bundle
from shared.security.keys import Signer

log = telemetry.logger(__name__)

_LONGEST_ANSWER: Final = 64 * 1024
_WAIT: Final = "Nothing was changed. Try again in a few seconds."
_LATER: Final = "try again in a moment"
_STEPS: Final = 6  # looked ahead: the level's own timeout is among the first
_CHANGED: Final = "Nothing was changed: it has changed since this page was opened. Look again."
_REFUSED_ASPAGES: Final = frozenset({403, 409, 422})
PAGES: Final[dict[int | str, dict[str, Any]]] = {
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


class PageRoute(Route):
    """A path for people: a refusal is a page, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_as_page(request: Request) -> Response:
            try:
                return await handle(request)
            except Problem as err:
                why = f"{_WAIT} ({err.detail or err.title}.)"
                page = pages.message("Not possible at the moment", why, err.status)
                page.headers.update(err.headers)
                return page

        return handle_as_page


@dataclass(frozen=True, slots=True)
class SignedLinks:
    """Opens links, shows what is behind them, does what they say."""

    engine: Engine
    access: Access
    settings: RouterSettings

    async def opened(self, token: str) -> tuple[Reply, Incident, Bundle] | None:
        reply = read(self.settings.signer, token, utcnow())
        if reply is None:
            return None
        live = await self.access.live()
        async with self.engine.database.transaction() as connection:
            found = await queries.one(connection, reply.incident_id)
            if found is None:
                return None
            customer = await self._customer(connection, found.incident.customer, live)
        return (reply, found.incident, live.spec) if is_theirs(reply, customer, live.spec) else None

    async def _customer(self, connection: AsyncConnection, said: str, live: CompiledBundle) -> str:
        """The customer's id; when the incident opened, the text that names them may have been unknown."""
        if not said or said in live.spec.customers:
            return said
        _, in_force = await moment(connection)
        known = await gather.named_customers(
            connection, [said], bundles=self.engine.bundles, in_force=required(in_force), live=live
        )
        return customers.find(Context(live, customers=known), said).id

    async def page(
        self, token: str, reply: Reply, bundle: Bundle, said: str = "", status: int = 200
    ) -> HTMLResponse:
        """The incident as it is, and what the holder can do. `said`: the result of the last act."""
        seen = await self._seen(reply, bundle)
        buttons = list(_buttons(token, reply, seen, self.settings.signer))
        if reply.sees_public:
            link = f"{self.settings.public_url}/v1/replies/link/{token}"
            shown = await incident_page.public(seen, reply.template, link)
        else:
            shown = incident_page.inside(seen, reply.user, reply.why)
        return pages.incident(shown, buttons, said, status)

    async def _seen(self, reply: Reply, bundle: Bundle) -> Seen:
        engine = self.engine
        async with engine.database.transaction() as connection:
            found = await queries.one(connection, reply.incident_id)
            if found is None:
                raise actions.not_found()
            now, _ = await moment(connection)
            snapshot = await snapshots.one(engine.bundles, connection, found, now)
            updates = await queries.updates(connection, reply.incident_id, incident_page.UPDATES)
        coming = () if reply.sees_public else await _next(engine, found.incident)
        return Seen(found.incident, found.level, snapshot, updates, coming, bundle)

    async def answered(self, token: str, reply: Reply, incident: Incident, form: bytes) -> HTMLResponse:
        """Carry out a customer's answer; returns the page."""
        try:
            await actions.act(self.engine, request_of(reply, token, form))
        except Problem as err:
            if err.status not in _REFUSED_ASPAGES:
                raise
            return pages.message(incident.title, customer_answer.state(incident), err.status)
        return pages.message(incident.title, customer_answer.done(reply.action))

    async def done(self, token: str, reply: Reply, bundle: Bundle, form: bytes) -> HTMLResponse:
        """Carry out what somebody inside pressed; returns the page."""
        if await self._out_of_date(token, reply):
            return await self.page(token, reply, bundle, _CHANGED, 409)
        try:
            await actions.act(self.engine, request_of(reply, token, form))
        except Problem as err:
            if err.status not in _REFUSED_ASPAGES:
                raise
            why = f"Nothing was changed: {err.detail or err.title}."
            return await self.page(token, reply, bundle, why, err.status)
        return await self.page(token, reply, bundle, _done(reply, bundle))

    async def _out_of_date(self, token: str, reply: Reply) -> bool:
        """Whether the incident has moved since the form was offered, other than by that form.

        If what the form did has been undone since, the incident is where it was, and the form does not act
        again. A message's own button to hand it up counts as long as its page does.
        """
        if not (reply.seen or reply.hands_up):
            return False
        async with self.engine.database.transaction() as connection:
            found = await queries.one(connection, reply.incident_id)
            if found is None:
                return False
            if reply.hands_up and not offers.may_hand_up(found.incident, reply.user, reply.page):
                return not await was_done(connection, reply.actor().name, reply.key(token))
            if reply.hands_up:
                return False
            as_offered = reply.seen == offers.stands(found.incident, found.level)
            if as_offered and reply.done:
                return False  # it does not move the incident
            return as_offered == await was_done(connection, reply.actor().name, reply.key(token))


def replies(engine: Engine, access: Access, settings: RouterSettings) -> APIRouter:
    """The paths. They need no key: the token is one."""
    router = APIRouter(
        prefix="/v1/replies",
        tags=["replies"],
        route_class=PageRoute,
        default_response_class=HTMLResponse,
        responses=PAGES,
    )
    links = SignedLinks(engine, access, settings)

    @router.get("/link/{token}", operation_id="show_link", summary="What the link would do")
    async def show(token: str, request: Request) -> HTMLResponse:
        found = await links.opened(token)
        if found is None:
            return broken(request)
        reply, incident, bundle = found
        if reply.is_answer:
            return _question(reply, incident)
        return await links.page(token, reply, bundle)

    @router.post(
        "/link/{token}",
        operation_id="follow_link",
        summary="Do what the link says",
        responses=_REFUSED,
        max_body_size=_LONGEST_ANSWER,
    )
    async def do(token: str, request: Request) -> HTMLResponse:
        found = await links.opened(token)
        if found is None:
            return broken(request)
        reply, incident, bundle = found
        if reply.is_answer:
            return await links.answered(token, reply, incident, await request.body())
        if not reply.acts:
            return await links.page(token, reply, bundle, "This link only shows it.", 409)
        return await links.done(token, reply, bundle, await request.body())

    return router


def _question(reply: Reply, incident: Incident) -> HTMLResponse:
    """The incident's state, and what a customer can answer."""
    state, asked = customer_answer.state(incident), customer_answer.question(reply.action, incident)
    if asked is None:
        return pages.message(incident.title, state)
    return pages.question(incident.title, state, asked)


def _buttons(token: str, reply: Reply, seen: Seen, signer: Signer) -> Iterator[Button]:
    """One button per offer, valid as long as the link itself."""
    if not reply.acts:
        return
    until = expires(signer, token)
    for offer in offers.offers(seen.incident, reply.user, reply.page, seen.bundle):
        claims = {
            "incident": str(reply.incident_id),
            "page": reply.page if offer.answers else "",
            "user": reply.user,
            "recipient": reply.recipient,
            "action": offer.action,
            "why": reply.why,
            "seen": offers.stands(seen.incident, seen.level),
            "done": offer.done,
            "version": seen.snapshot.version,  # if it comes back to where it stood, that is another form
        }
        yield Button(offer, signer.sign(PURPOSE, claims, until))


async def _next(engine: Engine, incident: Incident) -> Sequence[NextStep]:
    """What comes next if nobody acts; empty when that cannot be determined now."""
    if not incident.is_open:
        return ()
    reading = engine.database.reading
    try:
        async with reading.transaction(_LATER) as connection:
            now, in_force = await moment(connection)
            unit = await gather.to_look_at(
                connection,
                incident=incident,
                bundles=engine.bundles,
                in_force=required(in_force),
                now=now,
            )
        return await reading.result(coming_of(incident, unit, steps=_STEPS))
    except Problem as err:  # many readers at once: this page is for somebody who has to act
        log.debug("forecast unavailable: page shown without it", action="page_without_next", error=err.title)
        return ()


def broken(request: Request) -> HTMLResponse:
    """The page for an invalid link; an address that sends too many of them has to wait."""
    wrong = WrongKey(404, "broken-link", "Not a valid link", sort="link")
    problem = answer_to(request.scope, wrong)
    if problem is wrong:
        return pages.broken()
    page = pages.message("Too many links that are not valid", "Try again in a minute.", problem.status)
    page.headers.update(problem.headers)
    return page


def _done(reply: Reply, bundle: Bundle) -> str:
    """What has just been done, and for whom it is recorded."""
    if reply.user:
        done = reply.done or offers.DONE[reply.action]
        return f"{done} Recorded for {bundle.display(reply.user)}."
    return f"Done. Recorded for {reply.recipient or 'the holder of this link'}."
