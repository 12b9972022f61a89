"""What this process knows of the buckets that all notifiers share: enough not to ask in vain."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from cachetools import LRUCache

from services.notifier.domain.delivery import Delivery
from services.notifier.domain.rates import PROGRAMS, Bucket, ChannelRates, Rates, alone, bucket_of

_REMEMBERED: Final = 100_000
_AWHILE: Final = timedelta(seconds=5)


class Pace:
    """The rates by channel; which addresses were written to a moment ago, and which accounts are used up."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self._claiming = False
        self._resting: dict[str, datetime] = {}
        self._busy: LRUCache[str, datetime] = LRUCache(_REMEMBERED)

    def of(self, delivery: Delivery) -> ChannelRates:
        """The rates of the delivery's channel."""
        return self.rates.get(delivery.channel, PROGRAMS)

    @contextmanager
    def claiming(self) -> Iterator[None]:
        """A claim has accounts locked: nothing asks for them at the same time and waits for it."""
        self._claiming = True
        try:
            yield
        finally:
            self._claiming = False

    def startable(self, deliveries: Iterable[Delivery], now: datetime) -> list[Delivery]:
        """Those of these that may be the first to their address for a while, as far as is known here."""
        return [one for one in alone(deliveries, self.rates) if self._seems_free(one, now)]

    def _seems_free(self, delivery: Delivery, now: datetime) -> bool:
        limits = self.of(delivery)
        resting = self._claiming or now < self._resting.get(delivery.channel, now)
        if limits.account is not None and resting:
            return False
        return limits.of(delivery) is None or now >= self._busy.get(bucket_of(delivery), now)

    def started(self, delivery: Delivery, now: datetime) -> None:
        """This was the first message to its address for a while."""
        if (rate := self.of(delivery).of(delivery)) is not None:
            self._busy[bucket_of(delivery)] = now + rate.every

    def refused(self, delivery: Delivery, now: datetime) -> None:
        """It was not: another notifier has written there."""
        if self.of(delivery).of(delivery) is not None:
            self._busy[bucket_of(delivery)] = now + _AWHILE

    def learn(self, buckets: Mapping[str, Bucket]) -> None:
        """These were read and saved."""
        for name, bucket in buckets.items():
            self._busy[name] = bucket.full_at

    def resting(self, now: datetime) -> Sequence[str]:
        """The channels whose account is used up."""
        return sorted(channel for channel, until in self._resting.items() if now < until)

    def rest(self, channel: str, until: datetime) -> None:
        """Nothing can be sent by this account before that."""
        self._resting[channel] = until
