"""Names of hosts: whether a text can be one, and the error when one does not resolve (shared.network.dns)."""

import re
from typing import Final

_NO_NAME: Final = re.compile(r"[\s@/\\?#<>\[\]]")


class UnknownNameError(OSError):
    """The name of a host does not resolve: nobody knows it, or nobody who would know it answers."""


def can_be_host(text: str) -> bool:
    """Whether the resolver can be asked for it: it raises UnicodeError otherwise, which no loop expects."""
    try:
        text.encode("idna")
    except UnicodeError:
        return False
    return bool(text) and _NO_NAME.search(text) is None
