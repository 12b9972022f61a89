"""The keys of the example bundle. They are public, so they count only where nobody else can reach Ladder."""

import ipaddress
from typing import Final

from shared.security.keys import digest

DEMO_KEY: Final = "ladder-demo-key"
DEMO_ROUTING_KEY: Final = "ladder0demo0key0for0pagerduty000"
DEMO_KEYS: Final = frozenset({DEMO_KEY, DEMO_ROUTING_KEY})
DEMO_DIGESTS: Final = frozenset(digest(key) for key in DEMO_KEYS)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
