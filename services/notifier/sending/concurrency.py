"""How many messages may be under way, so that one endpoint that hangs delays no other.

Slots are limited per endpoint (one webhook address, one provider), per host and overall. The breaker of an
endpoint that keeps failing opens for a while; after that one message at a time tries it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.notifier.domain.delivery import Delivery

PER_ENDPOINT: Final = 16
PER_HOST: Final = 128
OVERALL: Final = 1_024
_LOOKS_PAST: Final = 4
_FAILURES_TO_OPEN: Final = 5
_SHORTEST_COOLDOWN: Final = 5.0
_LONGEST_COOLDOWN: Final = 30.0


@dataclass(slots=True)
class Breaker:
    """One endpoint's failures in a row, and until when its breaker is open."""

    failures: int = 0
    cooldown_seconds: float = _SHORTEST_COOLDOWN
    open_until: datetime | None = None

    def failed(self, now: datetime) -> None:
        self.failures += 1
        if self.failures < _FAILURES_TO_OPEN or (self.open_until and now < self.open_until):
            return
        if self.open_until is not None:
            self.cooldown_seconds = min(self.cooldown_seconds * 2, _LONGEST_COOLDOWN)
        self.open_until = now + timedelta(seconds=self.cooldown_seconds)


class ConcurrencyLimits:
    """The slots in use. `by_channel` has the limit of each endpoint of a channel, where it is not 16."""

    def __init__(self, by_channel: Mapping[str, int], *, overall: int = OVERALL) -> None:
        self._by_channel = by_channel
        self._overall = overall
        self._endpoints: Counter[str] = Counter()
        self._hosts: Counter[str] = Counter()
        self._limits: dict[str, int] = {}
        self._breakers: dict[str, Breaker] = {}
        self._under_way = 0
        self._claims = 0

    @property
    def free(self) -> int:
        return self._overall - self._under_way

    def acquire(self, delivery: Delivery, now: datetime) -> bool:
        """Take a slot for this delivery; False where none is free."""
        endpoint, host = delivery.endpoint, delivery.host
        limit = self._by_channel.get(delivery.channel, PER_ENDPOINT)
        breaker = self._breakers.get(endpoint)
        if breaker is not None and breaker.open_until is not None:
            if now < breaker.open_until:
                return False
            limit = 1
        full = self._endpoints[endpoint] >= limit or self._hosts[host] >= self._host_limit(delivery.channel)
        if full or self._under_way >= self._overall:
            return False
        self._limits[endpoint] = limit
        self._endpoints[endpoint] += 1
        self._hosts[host] += 1
        self._under_way += 1
        return True

    def release(self, delivery: Delivery) -> bool:
        """Free the delivery's slot; whether another delivery may have waited for it."""
        limit = self._limits.get(delivery.endpoint, 1)
        full_host = self._hosts[delivery.host] >= self._host_limit(delivery.channel)
        waited_for = self._endpoints[delivery.endpoint] >= limit or full_host or self.free <= 0
        for places, name in ((self._endpoints, delivery.endpoint), (self._hosts, delivery.host)):
            places[name] -= 1
            if places[name] <= 0:
                del places[name]
        self._under_way -= 1
        if delivery.endpoint not in self._endpoints:
            self._limits.pop(delivery.endpoint, None)
        return waited_for

    def _host_limit(self, channel: str) -> int:
        return max(PER_HOST, self._by_channel.get(channel, 0))

    def answered(self, endpoint: str) -> None:
        """The endpoint works."""
        self._breakers.pop(endpoint, None)

    def failed(self, endpoint: str, now: datetime) -> None:
        """The endpoint was unavailable."""
        self._breakers.setdefault(endpoint, Breaker()).failed(now)

    def passed_over(self, now: datetime) -> Sequence[tuple[Sequence[str], Sequence[str]]]:
        """The endpoints and hosts whose deliveries a claim leaves out, first; and second, if it finds none.

        A claim looks at so many deliveries and no more, and a busy endpoint may have more than that. So every
        fourth one looks past all that have sends under way: the backlog of one hides nobody else's messages.
        """
        full = self.full_endpoints(now), self.full_hosts()
        self._claims += 1
        if self._claims % _LOOKS_PAST or not self._endpoints:
            return [full]
        return [(sorted({*self._endpoints, *full[0]}), sorted(self._hosts)), full]

    def full_endpoints(self, now: datetime) -> Sequence[str]:
        """Endpoints without a free slot, or with an open breaker."""
        saturated = {name for name, count in self._endpoints.items() if count >= self._limits.get(name, 1)}
        return sorted(saturated | set(self.open_breakers(now)))

    def full_hosts(self) -> Sequence[str]:
        """Hosts without a free slot."""
        return sorted(
            name
            for name, count in self._hosts.items()
            if count >= max(PER_HOST, self._by_channel.get(name, 0))
        )

    def open_breakers(self, now: datetime) -> Mapping[str, datetime]:
        """The endpoints whose breaker is open, and until when."""
        return {
            endpoint: breaker.open_until
            for endpoint, breaker in self._breakers.items()
            if breaker.open_until is not None and now < breaker.open_until
        }
