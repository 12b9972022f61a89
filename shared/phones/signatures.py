"""`X-Twilio-Signature`: whether a request comes from whoever holds the account's token.

The base64 HMAC-SHA1 of the URL that was called and, behind it, every parameter of the form with its value, by
name (Twilio's "Validating signatures"). The URL's fragment, which asks for retries, is not signed; its port
may be. Which URL was called, a process behind a proxy cannot see: it knows its public one.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit

Form: TypeAlias = Sequence[tuple[str, str]]
HEADER: Final = "x-twilio-signature"
_MOST_FIELDS: Final = 200
_PORTS: Final = {"https": 443, "http": 80}


def form_of(body: bytes) -> Form:
    """The fields of a form, in order; none where it is not one."""
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except (UnicodeDecodeError, ValueError):
        return ()


def is_signed(presented: str, urls: Iterable[str], form: Form, tokens: Sequence[str]) -> bool:
    """Whether one of the tokens signed this form for one of the URLs, compared in constant time.

    Several tokens are good while one replaces the other.
    """
    signed = [
        hmac.compare_digest(presented.encode(), signature(url, form, token).encode())
        for each in urls
        for url in _spellings(each)
        for token in tokens
    ]
    return any(signed)


def signature(url: str, form: Form, token: str) -> str:
    """The signature of this form for this URL."""
    fields = "".join(f"{name}{value}" for name, value in sorted(set(form)))
    digest = hmac.new(token.encode(), (url + fields).encode(errors="replace"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def _spellings(url: str) -> Iterable[str]:
    """The URL with and without the port that its scheme has anyway."""
    parts = urlsplit(url)
    default = _PORTS.get(parts.scheme)
    host = parts.netloc.removesuffix(f":{default}")
    if default is None or (parts.port is not None and parts.port != default):
        return (url,)
    return tuple(parts._replace(netloc=netloc).geturl() for netloc in (host, f"{host}:{default}"))
