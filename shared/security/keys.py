"""API keys and signed references.

Keys are compared as SHA-256 in constant time and every candidate is looked at, so that neither the answer
nor its time says which part was wrong. Signed references (acknowledge links) are
`base64url(claims).base64url(HMAC-SHA256)`, bound to one purpose, and may expire.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from shared.json_object import JsonObject


class Key(Protocol):
    """A key as the bundle holds it: the hex SHA-256 of the secret and the instant it stops working."""

    @property
    def sha256(self) -> str: ...
    @property
    def expires(self) -> datetime | None: ...


Owner = TypeVar("Owner")


def digest(secret: str) -> str:
    """The hex SHA-256 under which a bundle lists a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def owner_of(secret: str, owners: Iterable[tuple[Owner, Iterable[Key]]], now: datetime) -> Owner | None:
    """The first owner that lists this secret and whose key has not expired; None if there is none."""
    presented = digest(secret)
    found: Owner | None = None
    for owner, keys in owners:
        for key in keys:
            same = hmac.compare_digest(presented, key.sha256.lower())
            if same and (key.expires is None or now < key.expires) and found is None:
                found = owner
    return found


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with the first key, accepts every key in the list (so that a key can be rotated)."""

    keys: tuple[str, ...]

    def sign(self, purpose: str, claims: Mapping[str, Any], expires: datetime | None = None) -> str:
        """A token that carries the claims readably and cannot be altered."""
        body = dict(claims) | ({"exp": int(expires.timestamp())} if expires else {})
        payload = _encode(json.dumps(body, separators=(",", ":"), sort_keys=True).encode())
        return f"{payload}.{_encode(self._mac(self.keys[0], purpose, payload))}"

    def verify(self, purpose: str, token: str, now: datetime) -> JsonObject | None:
        """The claims, or None for a token that is altered, expired or made for another purpose.

        Nothing is read out of a token before it is known to be ours: whoever made it up reaches no parser.
        """
        payload, _, signature = token.partition(".")
        try:
            presented = _decode(signature)
        except ValueError:
            return None
        genuine = [hmac.compare_digest(presented, self._mac(key, purpose, payload)) for key in self.keys]
        if not any(genuine):
            return None
        claims: JsonObject = json.loads(_decode(payload))
        expires = claims.pop("exp", None)
        if expires is not None and now >= datetime.fromtimestamp(expires, UTC):
            return None
        return claims

    def expires(self, token: str) -> datetime | None:
        """Until when a token that was verified is good; None: for ever."""
        until = json.loads(_decode(token.partition(".")[0])).get("exp")
        return datetime.fromtimestamp(until, UTC) if until is not None else None

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """32 bytes for another use (a webhook secret that the bundle does not give), stable per purpose.

        One of each key: whoever checks with what came of the old key goes on while it is rotated.
        """
        return tuple(self._mac(key, "derive", purpose) for key in self.keys)

    @staticmethod
    def _mac(key: str, purpose: str, payload: str) -> bytes:
        return hmac.new(key.encode(), f"{purpose}\n{payload}".encode(), hashlib.sha256).digest()
