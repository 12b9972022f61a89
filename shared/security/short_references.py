"""Signed references short enough for a text message: those of links (`Signer`), in a third of the space.

base64url of: a byte that says what follows, the incident's id, the hour in which it ends, the page's id where
there is one, the recipient, NUL and the template where there is one; and 96 bits of HMAC-SHA256.
"""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from shared.security.keys import Signer

_PURPOSE: Final = "short reference"
_ACTIONS: Final = ("show", "acknowledge", "confirm", "refuse")
_PAGE: Final = 0x10
_OUTSIDE: Final = 0x20
_MAC: Final = 12  # bytes
_HEAD: Final = 1 + 16 + 4
_LONGEST: Final = 1_000  # characters
_HOUR: Final = 3_600


def shortened(signer: Signer, purpose: str, token: str, now: datetime) -> str:
    """The same reference in short, ending up to an hour later; '' if it cannot be said so, or is not good.

    Left out is why its holder was asked: the message itself says so.
    """
    claims = signer.verify(purpose, token, now)
    expires = signer.expires(token) if claims is not None else None
    if claims is None or expires is None or claims.get("action") not in _ACTIONS:
        return ""
    try:
        incident = uuid.UUID(str(claims["incident"]))
        page = uuid.UUID(str(claims["page"])) if claims.get("page") else None
    except (KeyError, ValueError):
        return ""
    flags = (
        _ACTIONS.index(claims["action"]) | (_PAGE if page else 0) | (_OUTSIDE if claims.get("outside") else 0)
    )
    hour = int(expires.timestamp()) // _HOUR + 1
    names = "\0".join((str(claims.get("recipient", "")), str(claims.get("template", "")))).rstrip("\0")
    body = bytes([flags]) + incident.bytes + hour.to_bytes(4, "big") + (page.bytes if page else b"")
    payload = body + names.encode()
    mac = _mac(signer.derived(_PURPOSE)[0], payload)
    return base64.urlsafe_b64encode(payload + mac).rstrip(b"=").decode()


def claims_of(signer: Signer, token: str, now: datetime) -> Mapping[str, Any] | None:
    """The claims of a short reference, as those of a long one; None if it is altered or has ended."""
    if len(token) > _LONGEST:
        return None
    try:
        whole = _decoded(token)
    except ValueError:
        return None
    payload, presented = whole[:-_MAC], whole[-_MAC:]
    genuine = [hmac.compare_digest(presented, _mac(key, payload)) for key in signer.derived(_PURPOSE)]
    if not any(genuine) or len(payload) < _HEAD:
        return None
    flags, rest = payload[0], payload[_HEAD:]
    if now >= _ends(payload):
        return None
    page = str(uuid.UUID(bytes=rest[:16])) if flags & _PAGE else ""
    recipient, _, template = (rest[16:] if page else rest).decode().partition("\0")
    return {
        "incident": str(uuid.UUID(bytes=payload[1:17])),
        "page": page,
        "recipient": recipient,
        "user": recipient.removeprefix("user:") if recipient.startswith("user:") else "",
        "action": _ACTIONS[flags & 0x0F],
        "outside": bool(flags & _OUTSIDE),
        "template": template,
    }


def expires(token: str) -> datetime:
    """Until when a short reference that was found good is good."""
    return _ends(_decoded(token))


def _decoded(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def _ends(payload: bytes) -> datetime:
    return datetime.fromtimestamp(int.from_bytes(payload[17:_HEAD], "big") * _HOUR, UTC)


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.new(key, payload, hashlib.sha256).digest()[:_MAC]
