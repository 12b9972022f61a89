"""Who may post: what intake knows of the policy in force, and the check of a key against it."""

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
from services.intake.mapping.offload import Turns
from services.intake.mapping.transform import Dressing
from shared import telemetry
from shared.auth.failed_attempts import WrongKey
from shared.events import IncidentEvent
from shared.http.problems import Problem
from shared.policy import Bundle, Integration
from shared.security.keys import Key, owner_of

log = telemetry.logger(__name__)


@dataclass(frozen=True, slots=True)
class Sender:
    """One integration: its keys and what it overrides."""

    name: str
    kind: str
    keys: tuple[Key, ...]
    dressing: Dressing = field(default_factory=Dressing)
    bucket: Bucket | None = None  # None: as many events as it likes
    signing: Signing | None = None  # None: its posts need no signature
    topics: frozenset[str] | None = None  # of Amazon SNS, whose messages these are; None: they are not
    keyless: bool = False  # a signature stands in the key's place
    turns: Turns = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "turns", Turns(self.dressing))


class Admission:
    """The integrations of one policy, and the names that it knows."""

    def __init__(
        self,
        senders: Iterable[Sender],
        *,
        strangers: Iterable[tuple[str, tuple[Key, ...]]] = (),
        kinds: Mapping[str, Mapping[str, str]] | None = None,
        services: Iterable[str] = (),
        heartbeats: Iterable[str] = (),
    ) -> None:
        """`strangers` have keys that are known and may not post, such as the API's."""
        self.senders = {sender.name: sender for sender in senders}
        self._by_kind: dict[str, Sequence[tuple[Sender, tuple[Key, ...]]]] = {
            kind: [(sender, sender.keys) for sender in self.senders.values() if sender.kind == kind]
            for kind in {sender.kind for sender in self.senders.values()}
        }
        self._everybody = [*((sender.name, sender.keys) for sender in self.senders.values()), *strangers]
        self._kinds = kinds or {}
        self._services = frozenset(services)
        self.heartbeats = frozenset(heartbeats)

    @classmethod
    def under(cls, bundle: Bundle) -> Self:
        """The admission that this bundle describes. Compiles mappings: about a millisecond for each."""
        return cls(
            (
                Sender(
                    name=name,
                    kind=integration.kind,
                    keys=tuple(integration.keys),
                    dressing=_dressing(name, integration),
                    bucket=Bucket(integration.rate) if integration.rate else None,
                    signing=Signing.of(integration),
                    topics=frozenset(integration.topics) if integration.confirm else None,
                    keyless=integration.lets_in and not integration.keys,
                )
                for name, integration in bundle.integrations.items()
            ),
            strangers=[(f"api:{name}", tuple(key.keys)) for name, key in bundle.api_keys.items()],
            kinds={name: kind.attributes for name, kind in bundle.kinds.items()},
            services=bundle.services,
            heartbeats=bundle.heartbeats,
        )

    def of_kind(self, kind: str, secret: str, now: datetime, *, or_kind: str = "") -> Sender:
        """The integration of this kind (or of the other one) that owns the key. Raises Problem: 401, 403."""
        found = owner_of(secret, self._by_kind.get(kind, ()), now) if secret else None
        if found is None and or_kind and secret:
            found = owner_of(secret, self._by_kind.get(or_kind, ()), now)
        if found is None:
            self.turn_away(secret, now)
        return found

    def anybody(self, secret: str, now: datetime) -> Sender:
        """The integration that owns the key, whatever its kind. Raises Problem: 401, 403."""
        integrations = [(sender, sender.keys) for sender in self.senders.values()]
        found = owner_of(secret, integrations, now) if secret else None
        if found is None:
            self.turn_away(secret, now)
        return found

    def named(self, name: str, secret: str, now: datetime) -> Sender:
        """The integration of this name, if the key is its own. Raises Problem: 401, 403."""
        sender = self.senders.get(name)
        found = owner_of(secret, [(sender, sender.keys)] if sender else [], now) if secret else None
        if found is None:
            self.turn_away(secret, now)
        return found

    def noted(self, event: IncidentEvent) -> IncidentEvent:
        """The event, with notes about what this policy does not know."""
        return with_unknown_names(event, self._kinds, self._services)

    def turn_away(self, secret: str, now: datetime) -> NoReturn:
        """Raise Problem 401 or 403.

        Which part was wrong is not said: not whether the integration exists, nor whether a key expired.
        """
        if secret and owner_of(secret, self._everybody, now) is not None:
            raise Problem(403, "forbidden", "This key may not post here")
        raise (WrongKey if secret else Problem)(
            401,
            "unauthorized",
            "A key is needed that may post here",
            headers={"www-authenticate": 'Bearer realm="ladder", Basic realm="ladder"'},
        )


def noted_by(bundle: Bundle, event: IncidentEvent) -> IncidentEvent:
    """The event, with notes about what this policy does not know."""
    kinds = {name: kind.attributes for name, kind in bundle.kinds.items()}
    return with_unknown_names(event, kinds, frozenset(bundle.services))


def _dressing(name: str, integration: Integration) -> Dressing:
    dressing = Dressing.of(integration)
    if dressing.broken:
        log.warning("mapping left out", action="intake.mapping", integration=name, why=dressing.broken)
    return dressing


_LETS_IN: Final = re.compile(  # words of names that say so, of senders and of proxies before Ladder
    rb"(?:^|[-_])(?:authorization|auth|cookie2?|credentials?|hmac|jwt|passw(?:or)?d|secret|signature|token|jws"
    rb"|(?:api|access|routing|private)[-_]?key)(?:[-_]|$)"
)


def shown_headers(headers: Mapping[bytes, bytes], secret: str, signature: str = "") -> dict[str, str]:
    """The headers as expressions see them: lower-case names, clean text, and nothing that lets anybody in: no
    key, cookie, token or signature (`signature`: the header that the policy names).
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
    """Whoever knows only one field for a key puts it into either; the user name counts when alone."""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode("utf-8", "replace").partition(":")
    except (binascii.Error, ValueError):
        return ""
    return password or user
