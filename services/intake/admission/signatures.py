"""Whether a body is signed by the secret that the policy names: HMACs in headers, as GitHub, Sentry, Grafana
and many others send them.

Every secret is tried and compared in constant time, so that neither the answer nor its time says which part
was wrong.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from shared.policy.model.durations import format_duration
from shared.policy.model.integrations import Integration
from shared.policy.model.signing import BODY, GRAFANAS_TIMESTAMP, TIMESTAMP, Encoding, Signature

_MOST: Final = 8  # signatures in one header: of several secrets while a sender rotates
_BETWEEN: Final = re.compile(rb"[,\s]+")
_PARTS: Final = re.compile(rf"({re.escape(TIMESTAMP)}|{re.escape(BODY)})")


@dataclass(frozen=True, slots=True)
class Signing:
    """How one integration's posts are signed; `secrets` as the policy has them.

    `sometimes`: a header whose time is signed before the body where it is sent at all (Grafana).
    """

    header: str
    secrets: tuple[str, ...]
    prefix: str = ""
    algorithm: str = "sha256"
    encoding: Encoding = "hex"
    timestamp: str = ""
    sometimes: str = ""
    signed: str = BODY
    within: timedelta = timedelta(minutes=5)

    @classmethod
    def of(cls, integration: Integration) -> Self | None:
        """As the policy says for an integration; None: its posts need no signature."""
        said = integration.signature
        if said is None and integration.signing_secret is not None:
            said = Signature(like="grafana", secret=(integration.signing_secret,))
        if said is None:
            return None
        return cls(
            header=said.where,
            secrets=said.secret,
            prefix=said.before_it,
            algorithm=said.algorithm,
            encoding=said.encoding,
            timestamp=said.timestamp or "",
            sometimes=GRAFANAS_TIMESTAMP if said.like == "grafana" and said.signed is None else "",
            signed=said.what_is_signed,
            within=said.within,
        )

    def fault(
        self, headers: Mapping[bytes, bytes], body: bytes, secrets: Sequence[str], now: datetime
    ) -> str:
        """Why this body was not signed with a secret, in a sentence; '' if it was.

        `secrets`: those that could be read, in plain text. Names of headers are lower case in `headers`.
        """
        sent = headers.get(_name(self.header))
        if sent is None:
            return f"there is no {self.header} header"
        carrier, signed = self.timestamp, self.signed
        if not carrier and self.sometimes and _name(self.sometimes) in headers:
            carrier, signed = self.sometimes, f"{TIMESTAMP}:{BODY}"
        stamp = headers.get(_name(carrier), b"").strip() if carrier else b""
        if carrier and not stamp:
            return f"there is no {carrier} header"
        presented = self._presented(sent)
        if not presented:
            before = f" after {self.prefix!r}" if self.prefix else ""
            return f"{self.header} holds no signature in {self.encoding}{before}"
        message = b"".join(
            stamp if part == TIMESTAMP else body if part == BODY else part.encode()
            for part in _PARTS.split(signed)
        )
        digests = [
            hmac.new(each.encode(), message, getattr(hashlib, self.algorithm)).digest() for each in secrets
        ]
        same = [hmac.compare_digest(one, digest) for one in presented for digest in digests]
        if not any(same):
            return f"{self.header} is not this body's signature by the secret of the policy"
        if carrier and not _is_near(stamp, now, self.within):
            return f"{carrier} is more than {format_duration(self.within)} from now"
        return ""

    def _presented(self, sent: bytes) -> list[bytes]:
        """The signatures in the header, decoded."""
        prefix = self.prefix.encode()
        texts = [each for each in _BETWEEN.split(sent.strip()) if each.startswith(prefix)][:_MOST]
        found = (_decoded(each[len(prefix) :], self.encoding) for each in texts)
        return [each for each in found if each]


def _name(header: str) -> bytes:
    return header.lower().encode()


def _decoded(text: bytes, encoding: Encoding) -> bytes:
    """The signature's bytes; none where it is not so encoded."""
    try:
        if encoding == "hex":
            return binascii.unhexlify(text)
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_near(stamp: bytes, now: datetime, within: timedelta) -> bool:
    """Of Unix seconds; a number too large for seconds counts as milliseconds."""
    try:
        seconds = float(stamp)
    except ValueError:
        return False
    seconds = seconds / 1000 if abs(seconds) >= 1e11 else seconds
    return abs(now.timestamp() - seconds) <= within.total_seconds()
