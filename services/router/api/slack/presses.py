"""What Slack posts when somebody presses a button: signed, with who it was and what the button stands for.

By Slack's own documents: `X-Slack-Signature` is `v0=` and the hex HMAC-SHA256 of `v0:timestamp:body`, a time
further off than five minutes is a replay, and the payload stands as JSON in the form's field `payload`.
"""

import hashlib
import hmac
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs

import msgspec

from services.router.domain.model.vocabulary import ActionName
from shared.auth.failed_attempts import WrongKey
from shared.events.replies import SLACK_BUTTON
from shared.http.problems import Problem
from shared.security.keys import Signer

LARGEST: Final = 256 * 1024  # bytes: the message comes back with the press
_NEAR_SECONDS: Final = 300
_DIGITS: Final = 12
_ACTIONS: Final[Mapping[str, ActionName]] = {
    "acknowledge": "acknowledge",
    "escalate": "escalate",
    "resolve": "resolve",
}


def check_signature(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> None:
    """Raises Problem 401 for what none of the secrets signed, or that was signed long ago."""
    said, signature = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    if not said.isascii() or not said.isdecimal() or len(said) > _DIGITS:
        raise _unsigned("X-Slack-Request-Timestamp is missing, or no number of seconds")
    signed = b"v0:" + said.encode() + b":" + body
    genuine = [
        hmac.compare_digest(
            signature.encode(errors="replace"),
            b"v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode(),
        )
        for secret in secrets
    ]
    if not any(genuine):
        raise _unsigned("X-Slack-Signature is not the body's by LADDER_SLACK_SIGNING_SECRET")
    if abs(now.timestamp() - int(said)) > _NEAR_SECONDS:
        raise _unsigned("it was signed more than five minutes from now, by this machine's clock")


def _unsigned(why: str) -> WrongKey:
    return WrongKey(401, "wrong-signature", "Slack did not sign this", why, sort="signature")


class _Who(msgspec.Struct, frozen=True):
    id: str = ""


class _Pressed(msgspec.Struct, frozen=True):
    action_id: str = ""
    value: str = ""
    action_ts: str = ""


class _Payload(msgspec.Struct, frozen=True):
    type: str = ""
    user: _Who = _Who()
    actions: tuple[_Pressed, ...] = ()
    response_url: str = ""


@dataclass(frozen=True, slots=True)
class Press:
    """A button that was pressed: by whom, as Slack knows them; where they are answered; what came back."""

    person: str
    answer_to: str
    value: str
    at: str

    @property
    def key(self) -> str:
        """The Idempotency-Key: the same press acts once, however often it comes."""
        return f"slack {self.at[:50]} {self.value.rpartition('.')[2][:100]}"


def read(body: bytes) -> Press | None:
    """The press in a body that Slack signed; None for anything else that it posts. Raises Problem 400."""
    try:
        fields = parse_qs(body.decode(), max_num_fields=20)
        payload = msgspec.json.decode(fields.get("payload", ["{}"])[0], type=_Payload)
    except (ValueError, msgspec.DecodeError) as err:
        raise Problem(400, "invalid-request", "This is no payload of Slack", str(err)[:200]) from err
    pressed = next((each for each in payload.actions if each.value), None)
    if payload.type != "block_actions" or pressed is None:
        return None
    return Press(payload.user.id, payload.response_url, pressed.value, pressed.action_ts)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a button stands for: `user` was asked, whom Slack knows as `person` where only they could read it.

    `stands`: where the incident stood, for what depends on it.
    """

    incident_id: uuid.UUID
    action: ActionName
    page: str = ""
    user: str = ""
    person: str = ""
    stands: str = ""


def meaning(signer: Signer, value: str, now: datetime) -> Meaning | None:
    """The meaning of a button's value; None if it is not ours, or too old."""
    claims = signer.verify(SLACK_BUTTON, value, now)
    if claims is None or claims.get("action") not in _ACTIONS:
        return None
    try:
        return Meaning(
            incident_id=uuid.UUID(str(claims["incident"])),
            action=_ACTIONS[claims["action"]],
            page=str(claims.get("page", "")),
            user=str(claims.get("user", "")),
            person=str(claims.get("person", "")),
            stands=str(claims.get("stands", "")),
        )
    except (KeyError, ValueError):
        return None
