"""What a provider posts: its form is read only when whoever holds the account's token has signed it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request

from shared.auth.failed_attempts import WrongKey
from shared.http.problems import Problem
from shared.phones.signatures import HEADER, form_of, is_signed

LONGEST: Final = 64 * 1024  # bytes of a form
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "additionalProperties": {"type": "string"}}
            }
        },
    }
}
"""The form, for OpenAPI: the provider's documentation names its fields."""
_NOT_SET_UP: Final = "LADDER_TWILIO_TOKEN is not set in this process"
_WHY: Final = (
    "it has to be made with LADDER_TWILIO_TOKEN for the address that was called, which has to begin with "
    "LADDER_PUBLIC_URL"
)


async def signed_form(request: Request, tokens: Sequence[str], public_url: str) -> Mapping[str, str]:
    """The fields of a form that one of the tokens signed. Raises a 401, and a 404 where there is no token."""
    if not tokens:
        raise Problem(404, "not-set-up", "No provider of telephony is set up here", _NOT_SET_UP)
    form = form_of(await request.body())
    called = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    urls = [str(request.url), *([public_url.rstrip("/") + called] if public_url else [])]
    if not is_signed(request.headers.get(HEADER, ""), urls, form, tokens):
        raise WrongKey(401, "wrong-signature", "The signature is not good", _WHY, sort="signature")
    return dict(form)


def unavailable(why: str) -> Problem:
    """A 503: it may be posted again."""
    return Problem(503, "unavailable", "Not possible at the moment", why, headers={"Retry-After": "2"})
