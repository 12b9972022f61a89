"""What a provider or a library said, without what it may repeat: the address it was for, and secrets.

Reasons are stored, shown by the API, reported and logged; an address is often a secret by itself.
"""

import re
from collections.abc import Iterator
from email.utils import parseaddr
from typing import Final
from urllib.parse import urlsplit

from shared.security.secret_files import is_secret

_SHORTEST: Final = 4  # a shorter piece stands in any text
_THE_ADDRESS: Final = "(the address)"


def unrevealed(reason: str, *, named: str, address: str, secret: str) -> str:
    """The reason without the address and the secret. `named`: as the policy has the address."""
    instead = named if is_secret(named) else _THE_ADDRESS
    for piece in sorted({*_of_address(address)}, key=len, reverse=True):
        if len(piece) >= _SHORTEST:
            reason = re.sub(re.escape(piece), lambda _: instead, reason, flags=re.IGNORECASE)
    for part in secret.split():
        if len(part) >= _SHORTEST:
            reason = reason.replace(part, "(the secret)")
    return reason


def _of_address(address: str) -> Iterator[str]:
    """The address, and each part of it that is as telling: a URL but for its host, a mailbox, digits."""
    yield address
    if "://" in address:
        yield from _of_url(address)
    elif "@" in address:
        yield parseaddr(address)[1]
    elif address.startswith("+"):
        yield address[1:]


def _of_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    yield from (target, parts.path, parts.query, parts.fragment, parts.netloc.rpartition("@")[0])
