"""`POST /v1/replies/twilio/sms` and `…/voice/{reference}`: what Twilio posts when somebody answers.

It is answered with TwiML: what is texted back, or said in the call. A stranger's text is answered by silence.
"""

import uuid
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from cachetools import TTLCache
from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api import actions, queries
from services.router.api.access import Access, Route
from services.router.api.idempotency import Once, was_done
from services.router.api.links import offers
from services.router.api.links.replies import SignedLinks
from services.router.api.phone import asked, wording, words
from services.router.api.phone.asked import Holder
from services.router.api.phone.words import Answer, Said
from services.router.api.shapes.answers import refusals_of
from services.router.batch.engine import Engine
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import Actor
from services.router.policy.compiled_cache import InForce
from services.router.settings import RouterSettings
from shared import telemetry
from shared.events import IncidentSnapshot
from shared.http.problems import Fault, Problem
from shared.phones import posts, texts, twiml
from shared.phones.answers import PRESSED
from shared.policy import Bundle
from shared.policy.model.addresses import phone_number

_CALLER: Final = "telephone"
_GOOD_FOR: Final = timedelta(minutes=10)  # a text that comes again: later than that it is a replay
_EXPLAINED_EVERY: Final = 600.0  # seconds: two machines that do not understand each other soon stop
_REFUSED: Final = frozenset({403, 404, 409, 422})
_BY_KEY: Final[Mapping[str, Answer]] = {
    PRESSED["acknowledge"]: "acknowledge",
    PRESSED["escalate"]: "escalate",
}
_OUT_OF_DATE: Final = "This call is out of date. Please use the newest message about it. Goodbye."
_KEYS: Final = f"Press {PRESSED['acknowledge']} to take it, or {PRESSED['escalate']} to hand it up."
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "TwiML: what is texted back, or said.", "content": {twiml.MEDIA_TYPE: {}}},
    **refusals_of(
        {
            401: "Nobody with LADDER_TWILIO_TOKEN signed it.",
            404: "LADDER_TWILIO_TOKEN is not set here.",
            422: "It has no id of a message or a call.",
            429: "Too many wrong signatures came from this address.",
            503: "Not possible at the moment.",
        }
    ),
}
log = telemetry.logger(__name__)


class Resolved(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a text was found to mean, kept with its id: an incident to act on, or only what to say."""

    at: datetime
    say: str = ""
    incident: str = ""
    page: str = ""
    user: str = ""
    other: str = ""


def _answered(text: str) -> Response:
    return Response(twiml.message(texts.fitted(text)), media_type=twiml.MEDIA_TYPE)


def _spoken(text: str) -> Response:
    return Response(twiml.last_words(text), media_type=twiml.MEDIA_TYPE)


def _answering(say: Callable[[str], Response]) -> type[Route]:
    """A path on which whoever waits at the telephone hears that it is not possible now."""

    class AnsweringRoute(Route):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handle_and_say(request: Request) -> Response:
                try:
                    return await handle(request)
                except Problem as err:
                    if err.status < 500:
                        raise
                    log.warning("an answer by telephone was not taken", action="answer_refused", why=str(err))
                    return say(wording.NOT_NOW)

            return handle_and_say

    return AnsweringRoute


def telephone(engine: Engine, access: Access, settings: RouterSettings) -> APIRouter:
    """The paths. They need no key: the signature is one."""
    router = APIRouter()
    router.include_router(_texts(_Texts(engine, access), settings))
    router.include_router(_calls(_Calls(engine, SignedLinks(engine, access, settings)), settings))
    return router


def _texts(texting: "_Texts", settings: RouterSettings) -> APIRouter:
    router = APIRouter(prefix="/v1/replies/twilio", tags=["replies"], route_class=_answering(_answered))

    @router.post(
        "/sms",
        operation_id="answer_by_text",
        summary="Somebody texted an answer, as Twilio posts it",
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra=posts.BODY,
        max_body_size=posts.LONGEST,
    )
    async def take(request: Request) -> Response:
        form = await posts.signed_form(request, settings.twilio_tokens, settings.public_url)
        sid = _id(form.get("MessageSid") or form.get("SmsMessageSid") or form.get("SmsSid"), "MessageSid")
        said = await texting.taken(sid, phone_number(form.get("From", "")), form.get("Body", ""))
        return _answered(said) if said else Response(twiml.silence(), media_type=twiml.MEDIA_TYPE)

    return router


def _calls(calling: "_Calls", settings: RouterSettings) -> APIRouter:
    router = APIRouter(prefix="/v1/replies/twilio", tags=["replies"], route_class=_answering(_spoken))

    @router.post(
        "/voice/{reference}",
        operation_id="answer_by_key",
        summary="Somebody pressed a key in a call, as Twilio posts it",
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra=posts.BODY,
        max_body_size=posts.LONGEST,
    )
    async def take(reference: str, request: Request) -> Response:
        form = await posts.signed_form(request, settings.twilio_tokens, settings.public_url)
        sid = _id(form.get("CallSid"), "CallSid")
        said = await calling.taken(sid, reference, form.get("Digits", ""))
        if said is not None:
            return _spoken(said)
        again = (
            f"{settings.public_url.rstrip('/')}{request.url.path}"
            if settings.public_url
            else str(request.url)
        )
        question = twiml.question(_KEYS, again, "Nothing was changed. Goodbye.")
        return Response(question, media_type=twiml.MEDIA_TYPE)

    return router


def _id(said: str | None, name: str) -> str:
    if not said or len(said) > 200 or not said.isprintable():
        fault = Fault(f"/{name}", "the provider's id of it is missing")
        raise Problem(422, "invalid-request", "The request is not valid", faults=[fault])
    return said


class _Texts:
    """Answers that are texted."""

    def __init__(self, engine: Engine, access: Access) -> None:
        self._engine = engine
        self._access = access
        self._explained: TTLCache[str, bool] = TTLCache(10_000, _EXPLAINED_EVERY)

    async def taken(self, sid: str, number: str, body: str) -> str:
        """Carry out what a text says; returns what to text back, '' for nothing."""
        said = words.read(body)
        if said == "of the provider":
            return ""
        bundle = (await self._access.live()).spec
        holder = asked.holder_of(number, bundle)
        if holder is None:
            return ""
        if said is None:
            return self._explanation(number)
        once = Once(_CALLER, sid, f"{number}\n{body}")

        async def work(
            connection: AsyncConnection, now: datetime, in_force: InForce
        ) -> tuple[Resolved, datetime]:
            del in_force

            async def resolve() -> bytes:
                return msgspec.json.encode(await _resolved(connection, said, holder, bundle, now))

            answer = await once.answer(connection, now, resolve)
            return msgspec.json.decode(answer, type=Resolved), now

        resolved, now = await self._engine.transaction(work)
        if resolved.say:
            return resolved.say
        if now - resolved.at > _GOOD_FOR:
            return wording.ANSWERED_BEFORE
        return await self._done(sid, said, resolved, bundle)

    def _explanation(self, number: str) -> str:
        if number in self._explained:
            return ""
        self._explained[number] = True
        return wording.NOT_UNDERSTOOD

    async def _done(self, sid: str, said: Said, resolved: Resolved, bundle: Bundle) -> str:
        user, incident_id = resolved.user, uuid.UUID(resolved.incident)
        actor = Actor(f"user:{user}" if user else f"{_CALLER}:{resolved.other}", "responder", user)
        page = resolved.page if said.answer == "acknowledge" else ""
        body = actions.ActionBody(action=said.answer, page=page, note=said.note)
        try:
            done = await actions.act(self._engine, actions.Request(incident_id, body, actor, f"text {sid}"))
        except Problem as err:
            if err.status not in _REFUSED:
                raise
            return await _why_not(self._engine, incident_id, user, bundle, err)
        shown = msgspec.json.decode(done, type=IncidentSnapshot)
        return wording.about(wording.done(said.answer, shown, user, bundle), shown.title)


async def _resolved(
    connection: AsyncConnection, said: Said, holder: Holder, bundle: Bundle, now: datetime
) -> Resolved:
    """What the text means, as things stand now."""
    candidates, all_seen = await asked.find(connection, said, holder, now)
    meant = asked.meant(said, candidates, all_seen=all_seen)
    one = meant.one
    if one is None:
        return Resolved(now, say=wording.which(said.answer, meant, bundle, by_code=bool(said.code)))
    if one.standing == "over":
        return Resolved(
            now, say=wording.about(wording.standing(one.incident, one.user, bundle), one.incident.title)
        )
    if said.answer != "acknowledge" and not one.user:
        return Resolved(now, say=wording.about(wording.ONLY_PEOPLE, one.incident.title))
    if said.answer == "escalate" and not offers.may_hand_up(one.incident, one.user, one.page):
        return Resolved(now, say=wording.about(wording.NOT_THEIRS, one.incident.title))
    return Resolved(now, incident=one.incident.id, page=one.page, user=one.user, other=one.other)


class _Calls:
    """Answers by a key in a call."""

    def __init__(self, engine: Engine, links: SignedLinks) -> None:
        self._engine = engine
        self._links = links

    async def taken(self, sid: str, reference: str, digits: str) -> str | None:
        """Carry out what a key says; returns what to say, None where another key has to be pressed."""
        found = await self._links.opened(reference)
        if found is None or not found[0].acts:
            return _OUT_OF_DATE
        reply, incident, bundle = found
        answer = _BY_KEY.get(digits[:1])
        if answer is None:
            return None
        actor, key = reply.actor(), f"call {sid} {digits[:1]}"
        if answer == "escalate" and not await self._may_hand_up(reply.user, reply.page, incident, actor, key):
            return wording.NOT_THEIRS
        page = reply.page if answer == "acknowledge" else ""
        body = actions.ActionBody(action=answer, page=page)
        try:
            done = await actions.act(self._engine, actions.Request(reply.incident_id, body, actor, key))
        except Problem as err:
            if err.status not in _REFUSED:
                raise
            return await _why_not(self._engine, reply.incident_id, reply.user, bundle, err)
        shown = msgspec.json.decode(done, type=IncidentSnapshot)
        return wording.done(answer, shown, reply.user, bundle)

    async def _may_hand_up(self, user: str, page: str, incident: Incident, actor: Actor, key: str) -> bool:
        """Whether it is theirs to hand up, or was handed up by this very key."""
        if offers.may_hand_up(incident, user, page):
            return True
        async with self._engine.database.transaction() as connection:
            return await was_done(connection, actor.name, key)


async def _why_not(
    engine: Engine, incident_id: uuid.UUID, user: str, bundle: Bundle, refused: Problem
) -> str:
    """Why nothing was done: who has it, or what stands against it."""
    async with engine.database.transaction() as connection:
        found = await queries.one(connection, incident_id)
    if found is None:
        return wording.refused("it is no longer kept")
    incident = found.incident
    if refused.status == 409 and (
        not incident.is_open or incident.parent or incident.assignee not in ("", user)
    ):
        return wording.about(wording.standing(incident, user, bundle), incident.title)
    return wording.about(wording.refused(refused.detail or refused.title), incident.title)
