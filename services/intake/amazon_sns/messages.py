"""Messages of Amazon SNS, and whether Amazon signed them (its documentation: "HTTP/HTTPS notification JSON
format", "Verifying the signatures of Amazon SNS messages").

Pure: the certificate is given. Where it may come from is decided here, too: SNS's own hosts, over https.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from services.intake.formats.sanitize import Unreadable, read_json
from services.intake.formats.times import read_time

Kind: TypeAlias = Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]

OLDEST: Final = timedelta(hours=2)  # SNS tries for an hour at most
_AHEAD: Final = timedelta(minutes=15)
# A region's name, not any name: sns.s3-eu-west-1.amazonaws.com is somebody's bucket called "sns".
_HOST: Final = re.compile(
    r"sns\.[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?", re.ASCII
)
# No other path of that host: its API's answers can echo what a stranger sent, even a certificate.
_CERTIFICATE: Final = re.compile(r"/SimpleNotificationService-[0-9a-f]{8,64}\.pem", re.ASCII)
_LONGEST_URL: Final = 2048
_SIGNED: Final[Mapping[Kind, tuple[str, ...]]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
    "UnsubscribeConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
_MAY_LACK: Final = "Subject"
_HASHES: Final[Mapping[str, type[hashes.HashAlgorithm]]] = {"1": hashes.SHA1, "2": hashes.SHA256}


@dataclass(frozen=True, slots=True)
class SnsMessage:
    """One message as it came. Nothing in it is to be trusted before it is verified."""

    kind: Kind
    fields: Mapping[str, str]
    at: datetime

    @property
    def id(self) -> str:
        return self.fields["MessageId"]

    @property
    def topic(self) -> str:
        """The ARN of the topic that it came from."""
        return self.fields["TopicArn"]

    @property
    def certificate_url(self) -> str:
        """The address of the certificate whose key signed it."""
        return self.fields["SigningCertURL"]

    @property
    def signed_text(self) -> bytes:
        """What is signed: names and values of certain fields, in alphabetical order, each on its own line."""
        names = (name for name in _SIGNED[self.kind] if name in self.fields)
        return "".join(f"{name}\n{self.fields[name]}\n" for name in names).encode()


def read(body: bytes) -> SnsMessage | Unreadable:
    """The message in a body."""
    found = read_json(body)
    if isinstance(found, Unreadable):
        return found
    said = found.value if isinstance(found.value, dict) else {}
    kind = next((known for known in _SIGNED if known == said.get("Type")), None)
    if kind is None:
        return Unreadable("this is no message of SNS: its Type says so (raw message delivery is not signed)")
    fields = {name: value for name, value in said.items() if isinstance(value, str)}
    needed = [name for name in _SIGNED[kind] if name != _MAY_LACK] + ["Signature", "SigningCertURL"]
    missing = next((name for name in needed if name not in fields), "")
    if missing:
        return Unreadable(f"a message of SNS has a {missing}")
    at = read_time(fields["Timestamp"])
    if not isinstance(at, datetime):
        return Unreadable("the Timestamp is no time")
    return SnsMessage(kind, fields, at)


def is_of_amazon(url: str) -> bool:
    """Whether this is an address of SNS itself: https, the default port, no user or password."""
    if len(url) > _LONGEST_URL or not url.isascii() or re.search(r"[\s\\]", url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and "@" not in parts.netloc
        and port in (None, 443)
        and _HOST.fullmatch(parts.hostname or "") is not None
    )


def _is_of_a_certificate(url: str) -> bool:
    parts = urlsplit(url)
    return _CERTIFICATE.fullmatch(parts.path) is not None and not parts.query and not parts.fragment


def place_fault(message: SnsMessage) -> str:
    """Why nothing is fetched for this message, in a sentence; '' if both its addresses are Amazon's."""
    url = message.certificate_url
    if not (is_of_amazon(url) and _is_of_a_certificate(url)):
        return "its SigningCertURL does not lead to a certificate of SNS"
    if message.kind == "Notification":
        return ""
    subscribing = message.fields["SubscribeURL"]
    if not is_of_amazon(subscribing):
        return "its SubscribeURL does not lead to SNS"
    if parse_qs(urlsplit(subscribing).query).get("Action") != ["ConfirmSubscription"]:
        return "its SubscribeURL does not confirm a subscription"
    return ""


def age_fault(message: SnsMessage, now: datetime) -> str:
    """Why its time is refused, '' if it is not: otherwise an old message could be replayed."""
    if now - message.at > OLDEST:
        return f"its Timestamp is more than {OLDEST.total_seconds() / 3600:g} hours old"
    return "its Timestamp lies ahead" if message.at - now > _AHEAD else ""


def signature_fault(message: SnsMessage, certificate: bytes, now: datetime) -> str:
    """Why the key of this certificate (PEM) did not sign this message; '' if it did."""
    version = message.fields.get("SignatureVersion", "1")
    if version not in _HASHES:
        return f"its SignatureVersion is {version[:20]!r}; 1 and 2 are known"
    try:
        known = x509.load_pem_x509_certificate(certificate)
        signature = base64.b64decode(message.fields["Signature"], validate=True)
    except (ValueError, binascii.Error):
        return "its certificate or its signature cannot be read"
    if not known.not_valid_before_utc <= now <= known.not_valid_after_utc:
        return "its certificate is not valid now"
    key = known.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return "its certificate has no RSA key"
    try:
        key.verify(signature, message.signed_text, padding.PKCS1v15(), _HASHES[version]())
    except InvalidSignature:
        return "its signature is not this message's"
    return ""


def confirmed_by(answer: bytes) -> Any:
    """The subscription's ARN in SNS's answer (XML); '' if the subscription is not confirmed."""
    found = re.search(rb"<SubscriptionArn>\s*(arn:[^<\s]{1,512})\s*</SubscriptionArn>", answer)
    return found[1].decode("ascii", "replace") if found else ""
