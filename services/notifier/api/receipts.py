"""`/v1/receipts/…`: what providers say later of messages. They need no key: whoever posts has signed it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.notifier.channels.twilio import RECEIPTS, receipt_of
from services.notifier.sending.receipts import Receipt, Receipts
from shared import telemetry
from shared.errors.kinds import Kind, kind_of
from shared.http.problems import MEDIA_TYPE
from shared.phones import posts

_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "nobody with LADDER_TWILIO_TOKEN signed it", "content": {MEDIA_TYPE: {}}},
    404: {"description": "LADDER_TWILIO_TOKEN is not set here", "content": {MEDIA_TYPE: {}}},
    503: {"description": "not possible now: post it again", "content": {MEDIA_TYPE: {}}},
}
log = telemetry.logger(__name__)


def receipts_of_twilio(
    receipts: Receipts, now: Callable[[], datetime], tokens: Sequence[str], public_url: str
) -> APIRouter:
    """The path for receipts of text messages and calls. `tokens`: those that may sign them."""
    router = APIRouter(responses=_REFUSED)

    @router.post(
        RECEIPTS,
        status_code=204,
        tags=["receipts"],
        operation_id="take_receipt_of_twilio",
        summary="What became of a text message or a call, as Twilio posts it",
        openapi_extra=posts.BODY,
        max_body_size=posts.LONGEST,
    )
    async def take(request: Request) -> Response:
        said = receipt_of(await posts.signed_form(request, tokens, public_url))
        if said is None:  # it is under way: nothing to write down
            return Response(status_code=204)
        reference, channel, result = said
        receipt = Receipt(reference, channel, result, *_named(request))
        try:
            taken = await receipts.take(receipt, now())
        except Exception as err:
            if kind_of(err) not in {Kind.AWAY, Kind.MISMATCH}:
                raise
            log.debug("database away", action="receipt_not_taken", error=repr(err))  # loops report it
            raise posts.unavailable("the database cannot be reached") from err
        if taken == "not known yet":
            raise posts.unavailable("no delivery that it can be about is written down (yet)")
        return Response(status_code=204)

    return router


def _named(request: Request) -> tuple[str, int]:
    """The message and the attempt that the address names."""
    attempt = request.query_params.get("attempt", "")
    try:
        message = str(UUID(request.query_params.get("message", "")))
    except ValueError:
        return "", 0
    return message, int(attempt) if attempt.isascii() and attempt.isdecimal() and len(attempt) < 9 else 0
