"""Keys and link tokens that were not good: counted, and after a burst from one address answered by 429.

Only what failed is answered so. A good key is looked at in the same way whatever its address did before, and
passes: an office behind one address is not shut out by one broken sender in it, nor anybody by somebody else.
A request without any key is no guess: clients that wait for a 401 before they show theirs get it always.
"""

import ipaddress
import math
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from cachetools import TTLCache
from prometheus_client import Counter

from shared.http.problems import Problem

Sort: TypeAlias = Literal["key", "link", "signature"]
Scope: TypeAlias = MutableMapping[str, Any]

FAILURES: Final = Counter(
    "ladder_auth_failures_total", "Keys, link tokens and signatures that were not good.", ("kind",)
)
IN_SCOPE: Final = "ladder.guesses"
_REMEMBERED: Final = 10_000  # addresses; about 2 MB


@dataclass(eq=False)
class WrongKey(Problem):
    """A key, token or signature was presented, and it is not good."""

    sort: Sort = "key"


class FailedAttempts:
    """How often each address failed lately."""

    def __init__(
        self, most: int = 30, seconds: float = 60, *, timer: Callable[[], float] = time.monotonic
    ) -> None:
        """At most `most` failures within `seconds` of the first are answered as what they are."""
        self._most: Final = most
        self._seconds: Final = seconds
        self._timer: Final = timer
        self._failed: TTLCache[str, _Window] = TTLCache(_REMEMBERED, seconds, timer)

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._failed)

    def failed(self, address: str) -> int | None:
        """Count one more; the seconds after which it may guess again, or None while it may."""
        network = network_of(address)
        window = self._failed.get(network)
        if window is None:
            window = self._failed[network] = _Window(self._timer() + self._seconds)
        window.failures += 1
        if window.failures <= self._most:
            return None
        return max(1, math.ceil(window.until - self._timer()))


@dataclass(slots=True)
class _Window:
    until: float
    failures: int = 0


def answer_to(scope: Scope, problem: Problem) -> Problem:
    """What is answered: the problem itself, or a 429 where a wrong key was one too many."""
    if not isinstance(problem, WrongKey):
        return problem
    FAILURES.labels(problem.sort).inc()
    guesses: FailedAttempts | None = scope.get(IN_SCOPE)
    client = scope.get("client")
    seconds = guesses.failed(client[0]) if guesses is not None and client else None
    if seconds is None:
        return problem
    return Problem(
        429,
        "too-many-failures",
        "Too many wrong keys or links from this address",
        "a good one passes all the same",
        headers={"Retry-After": str(seconds)},
    )


def passed(scope: Scope) -> None:
    """The key was good: the connection keeps its place when there are too many."""
    keep = (scope.get("extensions") or {}).get("ladder.passed")
    if keep is not None:
        keep()


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What stands for one party: an IPv4 address, or the /64 that an IPv6 party can number as it likes."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
