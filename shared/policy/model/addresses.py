"""What an address of each channel looks like, as far as can be seen without using it.

One rule for every door: the policy, the API, an import, and the channel that writes it into a header.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

LONGEST: Final = 2_000  # characters
PHONES: Final = frozenset({"sms", "voice"})  # channels whose addresses are telephone numbers
_LOCAL: Final = re.compile(r"[^\x00-\x20\x7f-\x9f()<>@,;:\\\"\[\]]{1,64}")
_DOMAIN: Final = re.compile(r"(?:[^\W_]|-|\.)+|\[[0-9A-Fa-f:.]+\]")
_SLACK: Final = re.compile(r"#?[\w.-]{1,80}")
_APPRISE: Final = re.compile(r"[A-Za-z0-9]+://\S")
_TOPIC: Final = re.compile(r"[-_A-Za-z0-9]{1,64}")
_BETWEEN_DIGITS: Final = re.compile(r"\(0\)|[ ().\-/\u00a0]")
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_CHAT: Final = re.compile(r"(?:-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32})(?:/[0-9]{1,10})?")
_MATTERMOST: Final = re.compile(
    r"[a-z0-9]{26}|@[a-z0-9][a-z0-9._-]{0,63}|[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9_-]*"
)


class NoMailAddressError(ValueError):
    """The text says whose part of the address is wrong."""


@dataclass(frozen=True, slots=True)
class MailAddress:
    """`Ana Novak <ana@example.com>`: `name` may be empty; a domain in another script is written in ASCII."""

    name: str
    local: str
    domain: str

    @property
    def spec(self) -> str:
        """`ana@example.com`."""
        return f"{self.local}@{self.domain}"

    def __str__(self) -> str:
        """For people and settings; a mail's header needs more (`mail_headers.py`)."""
        return f"{self.name} <{self.spec}>" if self.name else self.spec


def mail_address(text: str) -> MailAddress:
    """`ana@example.com` or `Ana Novak <ana@example.com>` (RFC 5321, dot-atoms). Raises NoMailAddressError."""
    if not text.isprintable():
        raise NoMailAddressError("line breaks, NUL and their like have no place in a mail address")
    name, angle, rest = text.rpartition("<")
    spec = rest.strip().removesuffix(">") if angle else text.strip()
    local, at, domain = spec.rpartition("@")
    dots = local.startswith(".") or local.endswith(".") or ".." in local
    if not at or dots or "=?" in local or not _LOCAL.fullmatch(local):
        raise NoMailAddressError(f"{spec!r} is not a mail address")
    return MailAddress(name.strip().strip('"').strip(), local, _in_ascii(spec, domain))


def _in_ascii(spec: str, domain: str) -> str:
    if not _DOMAIN.fullmatch(domain):
        raise NoMailAddressError(f"{spec!r} is not a mail address: no domain")
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode()
    except UnicodeError as err:
        raise NoMailAddressError(f"{spec!r} is not a mail address: no domain") from err


def mailbox(channel: str, address: str) -> str | None:
    """The mailbox behind an address, the same for each way to write it; None where no person shares one.

    One message to a mailbox serves everybody meant by it, as one to a telephone does; a program behind a URL
    reads for whom each is.
    """
    if channel in PHONES:
        return phone_number(address) or None
    if channel != "email":
        return None
    try:
        return mail_address(address).spec.casefold()
    except NoMailAddressError:
        return None


def phone_number(text: str) -> str:
    """The number as ITU-T E.164 writes it, `+420777000111`; '' for a text that is no international number.

    Blanks and marks between the digits make no difference, `00` is `+`, and a `(0)`, which is dialled only
    inside the country, is left out.
    """
    digits = _BETWEEN_DIGITS.sub("", text.strip())
    digits = f"+{digits[2:]}" if digits.startswith("00") else digits
    return digits if _NUMBER.fullmatch(digits) else ""


def place(channel: str, address: str) -> str:
    """What stands for an address where it must not be read: the same for each way to write a mailbox."""
    written = mailbox(channel, address) or address
    return sha256(f"{channel}\n{written}".encode()).hexdigest()[:32]


def expected(channel: str, address: str) -> str | None:
    """What an address of this channel should be; None: it is, as far as can be seen."""
    if not address.strip() or len(address) > LONGEST or not address.isprintable():
        return f"one line of at most {LONGEST:,} characters"
    form = _FORMS.get(channel)
    return form.words if form is not None and not form.fits(address) else None


def _is_mail(address: str) -> bool:
    try:
        mail_address(address)
    except NoMailAddressError:
        return False
    return True


def _is_topic(address: str) -> bool:
    topic = urlsplit(address).path.rpartition("/")[2] if _is_url(address) else address
    return _TOPIC.fullmatch(topic) is not None


def _is_apprise(address: str) -> bool:
    return _APPRISE.match(address) is not None


def _is_url(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _Form:
    """What an address looks like, in words."""

    fits: Callable[[str], bool]
    words: str


def _is_slack(address: str) -> bool:
    return _SLACK.fullmatch(address) is not None or _is_url(address)


def _is_chat(address: str) -> bool:
    return _CHAT.fullmatch(address) is not None


def _is_mattermost(address: str) -> bool:
    return _MATTERMOST.fullmatch(address) is not None or _is_url(address)


_URL: Final = _Form(_is_url, "a URL that begins with http:// or https://")
_PHONE: Final = _Form(
    lambda address: bool(phone_number(address)), "a phone number with its country, such as +420777000111"
)
_FORMS: Final[Mapping[str, _Form]] = {
    "email": _Form(_is_mail, "a mail address"),
    "webhook": _URL,
    "teams": _URL,
    "mattermost": _Form(
        _is_mattermost, "a channel's id, team/channel, @person, or the URL of an incoming webhook"
    ),
    "telegram": _Form(_is_chat, "the id of a chat (-1001234567890, in a forum with /topic), or @channel"),
    "slack": _Form(
        _is_slack, "#channel, the id of a person (U024BE7LH) or channel, or the URL of an incoming webhook"
    ),
    "ntfy": _Form(
        _is_topic,
        "a topic (letters, digits, - and _, at most 64) or its URL, such as https://ntfy.example/t",
    ),
    "apprise": _Form(_is_apprise, "a URL of Apprise, such as pover://user@token"),
    "sms": _PHONE,
    "voice": _PHONE,
}
