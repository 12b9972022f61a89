"""Who may post: the integrations of the policy in force, and the check of a key against them."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NoReturn, Self
from urllib.parse import parse_qs

from services.intake.admission.rate_limit import Bucket
from services.intake.admission.signatures import Signing
from services.intake.admission.unknown_names import with_unknown_names
from services.intake.formats.sanitize import clean
from services.intake.mapping.offload import Offload
from services.intake.mapping.transform import Transform
from shared import telemetry
from shared.auth.failed_attempts import WrongKey
from shared.events import IncidentEvent
from shared.http.problems import Problem
from shared.policy import Bundle
from shared.policy import Integration as IntegrationSpec
from shared.security.keys import Key, owner_of

log = telemetry.logger(__name__)


@dataclass(frozen=True, slots=True)
class Integration:
    """One integration: its keys and what it overrides."""

    name: str
    kind: str
    keys: tuple[Key, ...]
    transform: Transform = field(default_factory=Transform)
    bucket: Bucket | None = None  # None: no limit
    signing: Signing | None = None  # None: its posts need no signature
    topics: frozenset[str] | None = None  # of Amazon SNS, which posts here; None: it does not
    keyless: bool = False  # a signature replaces the key
    offload: Offload = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "offload", Offload(self.transform))


class Admission:
    """The integrations of one policy, and the names that it knows."""

    def __init__(
        self,
        integrations: Iterable[Integration],
        *,
        strangers: Iterable[tuple[str, tuple[Key, ...]]] = (),
        kinds: Mapping[str, Mapping[str, str]] | None = None,
        services: Iterable[str] = (),
        heartbeats: Iterable[str] = (),
    ) -> None:
        """`strangers` have known keys that may not post, such as the API's."""
        self.integrations = {integration.name: integration for integration in integrations}
        self._by_kind: dict[str, Sequence[tuple[Integration, tuple[Key, ...]]]] = {
            kind: [
                (integration, integration.keys)
                for integration in self.integrations.values()
                if integration.kind == kind
            ]
            for kind in {integration.kind for integration in self.integrations.values()}
        }
        self._everybody = [
            *((integration.name, integration.keys) for integration in self.integrations.values()),
            *strangers,
        ]
        self._kinds = kinds or {}
        self._services = frozenset(services)
        self.heartbeats = frozenset(heartbeats)

    @classmethod
    def under(cls, bundle: Bundle) -> Self:
        """The admission that this bundle describes. Compiles mappings, about a millisecond each."""
        return cls(
            (
                Integration(
                    name=name,
                    kind=spec.kind,
                    keys=tuple(spec.keys),
                    transform=_transform(name, spec),
                    bucket=Bucket(spec.rate) if spec.rate else None,
                    signing=Signing.of(spec),
                    topics=frozenset(spec.topics) if spec.confirm else None,
                    keyless=spec.lets_in and not spec.keys,
                )
                for name, spec in bundle.integrations.items()
            ),
            strangers=[(f"api:{name}", tuple(key.keys)) for name, key in bundle.api_keys.items()],
            kinds={name: kind.attributes for name, kind in bundle.kinds.items()},
            services=bundle.services,
            heartbeats=bundle.heartbeats,
        )

    def of_kind(self, kind: str, secret: str, now: datetime, *, or_kind: str = "") -> Integration:
        """The integration of this kind, or of the other one, that owns the key. Raises Problem 401, 403."""
        found = owner_of(secret, self._by_kind.get(kind, ()), now) if secret else None
        if found is None and or_kind and secret:
            found = owner_of(secret, self._by_kind.get(or_kind, ()), now)
        if found is None:
            self.deny(secret, now)
        return found

    def by_key(self, secret: str, now: datetime) -> Integration:
        """The integration that owns the key, whatever its kind. Raises Problem 401, 403."""
        integrations = [(integration, integration.keys) for integration in self.integrations.values()]
        found = owner_of(secret, integrations, now) if secret else None
        if found is None:
            self.deny(secret, now)
        return found

    def by_name(self, name: str, secret: str, now: datetime) -> Integration:
        """The integration of this name, if it owns the key. Raises Problem 401, 403."""
        integration = self.integrations.get(name)
        found = (
            owner_of(secret, [(integration, integration.keys)] if integration else [], now)
            if secret
            else None
        )
        if found is None:
            self.deny(secret, now)
        return found

    def noted(self, event: IncidentEvent) -> IncidentEvent:
        """The event, with notes about what this policy does not know."""
        return with_unknown_names(event, self._kinds, self._services)

    def deny(self, secret: str, now: datetime) -> NoReturn:
        """Raise Problem 401 or 403.

        It does not say which part was wrong: neither whether the integration exists, nor whether a key has
        expired.
        """
        if secret and owner_of(secret, self._everybody, now) is not None:
            raise Problem(403, "forbidden", "This key may not post here")
        raise (WrongKey if secret else Problem)(
            401,
            "unauthorized",
            "A key is needed that may post here",
            headers={"www-authenticate": 'Bearer realm="ladder", Basic realm="ladder"'},
        )


def annotated(bundle: Bundle, event: IncidentEvent) -> IncidentEvent:
    """The event, with notes about what this policy does not know."""
    kinds = {name: kind.attributes for name, kind in bundle.kinds.items()}
    return with_unknown_names(event, kinds, frozenset(bundle.services))


def _transform(name: str, spec: IntegrationSpec) -> Transform:
    transform = Transform.of(spec)
    if transform.broken:
        log.warning(
            "a mapping is broken: posts are read without it",
            action="intake.mapping",
            integration=name,
            why=transform.broken,
        )
    return transform


_LETS_IN: Final = re.compile(  # in names of headers, of senders and of proxies in front of Ladder
    rb"(?:^|[-_])(?:authorization|auth|cookie2?|credentials?|hmac|jwt|passw(?:or)?d|secret|signature|token|jws"
    rb"|(?:api|access|routing|private)[-_]?key)(?:[-_]|$)"
)


def shown_headers(headers: Mapping[bytes, bytes], secret: str, signature: str = "") -> dict[str, str]:
    """The headers as expressions see them: lower-case names, clean text, and no credentials – no key, cookie,
    token or signature (`signature`: the header that the policy names).
    """
    key, own = secret.encode(), signature.lower().encode()
    return {
        name.decode("latin-1"): clean(_text(value))
        for name, value in headers.items()
        if name != own and not _LETS_IN.search(name) and not (key and key in value)
    }


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def presented(headers: Mapping[bytes, bytes], query: bytes) -> str:
    """The key of a request: a Bearer token (or Opsgenie's GenieKey), the password of basic auth, or `?key=`
    (Opsgenie's `?apiKey=`); '' if there is none.
    """
    scheme, _, value = headers.get(b"authorization", b"").strip().partition(b" ")
    if scheme.lower() in (b"bearer", b"geniekey"):
        return value.strip().decode("utf-8", "replace")
    if scheme.lower() == b"basic":
        return _password(value.strip())
    if not scheme and (b"key=" in query or b"apiKey=" in query):
        said = parse_qs(query[:4096].decode("latin-1"))
        return (said.get("key") or said.get("apiKey") or [""])[0]
    return ""


def _password(encoded: bytes) -> str:
    """Senders with one field for a key put it into either; the user name counts if there is no password."""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode("utf-8", "replace").partition(":")
    except (binascii.Error, ValueError):
        return ""
    return password or user
