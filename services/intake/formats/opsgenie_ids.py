"""The ids given to Opsgenie's clients. They contain what they name, so no database has to know them."""

import base64
import binascii
from datetime import datetime
from typing import Final

import msgspec

from services.intake.formats.sanitize import clean

_MARK: Final = "ladder-"
_ALERT: Final = _MARK + "a-"
_REQUEST: Final = _MARK + "r-"
_encoder: Final = msgspec.json.Encoder()


def alert_id(alias: str) -> str:
    """The id of the alert with this alias."""
    return _ALERT + _packed(alias.encode())


def alias_of(identifier: str) -> str | None:
    """The alias in such an id; None for an id that is not one of Ladder's."""
    raw = _unpacked(identifier, _ALERT)
    return None if raw is None else clean(raw.decode("utf-8", "replace"))


class Request(msgspec.Struct, array_like=True):
    """What a request id says: enough to answer for it later."""

    verb: str
    alias: str
    at: datetime


def request_id(verb: str, alias: str, at: datetime) -> str:
    """The id of an accepted request."""
    return _REQUEST + _packed(_encoder.encode(Request(verb, alias, at)))


def request_of(identifier: str) -> Request | None:
    """What was accepted under this id; None for an id that is not one of Ladder's."""
    raw = _unpacked(identifier, _REQUEST)
    try:
        return None if raw is None else msgspec.json.decode(raw, type=Request)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unpacked(identifier: str, mark: str) -> bytes | None:
    if not identifier.startswith(mark):
        return None
    text = identifier.removeprefix(mark)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
