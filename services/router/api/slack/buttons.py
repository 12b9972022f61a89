"""`POST /v1/replies/slack`: what Slack posts when somebody presses a button in a message.

Slack ignores what is in the answer to a press: whoever pressed is answered at the press's `response_url`, so
that only they see it. Nothing goes out from here; the notifier sends it, as it sends everything.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import msgspec
from fastapi import APIRouter, Request, Response

from services.router.api import actions, queries
from services.router.api.access import Access, Route, unavailable
from services.router.api.shapes.answers import refusals_of
from services.router.api.slack import presses
from services.router.api.slack.presser import NotKnownError, page_of, presser
from services.router.api.slack.presses import Meaning, Press
from services.router.batch.engine import Engine
from services.router.domain.model.signals import Actor
from services.router.settings import RouterSettings
from services.router.tables import SCHEMA
from shared import telemetry
from shared.clock import utcnow
from shared.eventlog import codec
from shared.events import Announced, Contact, IncidentSnapshot, Recipient
from shared.events.replies import ANSWERED
from shared.http.problems import Problem
from shared.outbox import outbox
from shared.policy import Bundle

_WITHIN_SECONDS: Final = 2.2  # Slack waits for three
_ANSWERED_SECONDS: Final = 0.5
_TO_SAY: Final = frozenset({403, 404, 409, 422})
_TOO_OLD: Final = (
    "Nothing was changed: this button is too old, or not Ladder's any more. Use the newest message, or the "
    "link in this one."
)
_GONE: Final = "Nothing was changed: this incident is no longer kept."
_MOVED: Final = (
    "Nothing was changed: it has moved on since this message was sent. Use the newest one, or the link in it."
)
_DONE: Final[Mapping[str, str]] = {
    "escalate": "It was handed up. You hear how it goes on.",
    "resolve": "It is resolved.",
}
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "It was read; whoever pressed is answered in Slack."},
    **refusals_of(
        {
            400: "It is no payload of Slack.",
            401: "Slack did not sign it, or long ago.",
            404: "No signing secret is set here.",
            429: "Too many wrong signatures came from this address.",
            503: "Not possible at the moment: Slack tells whoever pressed to try again.",
        }
    ),
}
log = telemetry.logger(__name__)


def slack_buttons(engine: Engine, access: Access, settings: RouterSettings) -> APIRouter:
    """The path. It needs no key: the signature is one."""
    router = APIRouter(prefix="/v1/replies", tags=["replies"], route_class=Route)

    @router.post(
        "/slack",
        operation_id="press_slack_button",
        summary="A button in a message of Slack was pressed",
        response_class=Response,
        responses=_RESPONSES,
        max_body_size=presses.LARGEST,
    )
    async def press(request: Request) -> Response:
        secrets = settings.slack_signing_secrets
        if not secrets:
            raise Problem(
                404, "no-slack", "Slack is not set up here", "LADDER_SLACK_SIGNING_SECRET is not set"
            )
        body = await request.body()
        presses.check_signature(request.headers, body, secrets, utcnow())
        pressed = presses.read(body)
        if pressed is not None:
            try:
                async with asyncio.timeout(_WITHIN_SECONDS):
                    said = await _carry_out(engine, settings, pressed, (await access.live()).spec)
            except TimeoutError as err:
                raise unavailable("it took too long; look at the incident before you press again") from err
            await _answer(engine, pressed, said)
        return Response()

    return router


async def _carry_out(engine: Engine, settings: RouterSettings, pressed: Press, bundle: Bundle) -> str:
    """Do what the button says; returns what to say to whoever pressed it."""
    meaning = presses.meaning(settings.signer, pressed.value, utcnow())
    if meaning is None:
        return _TOO_OLD
    try:
        actor = presser(pressed.person, meaning, bundle)
    except NotKnownError as err:
        return str(err)
    if await _has_moved(engine, meaning):
        return _MOVED
    body = actions.ActionBody(action=meaning.action, page=page_of(meaning, actor))
    try:
        done = await actions.act(engine, actions.Request(meaning.incident_id, body, actor, pressed.key))
    except Problem as err:
        if err.status not in _TO_SAY:
            raise
        return _GONE if err.status == 404 else f"Nothing was changed: {err.detail or err.title}."
    return _done(meaning, actor, msgspec.json.decode(done, type=IncidentSnapshot), bundle)


async def _has_moved(engine: Engine, meaning: Meaning) -> bool:
    """Whether it stands elsewhere than when the button was shown, where that matters.

    Two who press "Hand it up" of the same message hand it up once.
    """
    if not meaning.stands:
        return False
    async with engine.database.transaction() as connection:
        found = await queries.one(connection, meaning.incident_id)
    if found is None:
        return False
    chain = found.incident.chain
    return meaning.stands != f"{chain.policy}/{found.level}/{chain.round}"


def _done(meaning: Meaning, actor: Actor, incident: IncidentSnapshot, bundle: Bundle) -> str:
    if meaning.action != "acknowledge":
        said = _DONE[meaning.action]
    elif incident.assignee == actor.user:
        said = "You have taken it."
    elif incident.assignee:
        said = f"You have seen it; {bundle.display(incident.assignee)} has it."
    else:
        said = "You have seen it."
    return f"{said} Recorded for {bundle.display(actor.user)}."


async def _answer(engine: Engine, pressed: Press, said: str) -> None:
    """Have the notifier say it to whoever pressed. What was done is done, whether or not that works."""
    if not pressed.answer_to:
        return
    now = utcnow()
    there = Contact(name="slack", channel="slack", address=pressed.answer_to)
    message = Announced(
        message_id=str(uuid5(NAMESPACE_URL, f"{pressed.key} {pressed.answer_to}")),
        at=now,
        event=ANSWERED,
        title="Ladder",
        text=said,
        recipients=(Recipient(kind="address", name="whoever pressed a button", contacts=(there,)),),
    )
    try:
        async with asyncio.timeout(_ANSWERED_SECONDS), engine.database.transaction() as connection:
            await outbox.add(connection, SCHEMA, [codec.encode(message)])
    except Exception as err:  # noqa: BLE001 - the action itself is stored
        log.warning("whoever pressed is not answered", action="press_unanswered", error=repr(err)[:300])
