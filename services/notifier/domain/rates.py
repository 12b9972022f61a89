"""How often one address, or one account with a provider, is written to. Pure.

A token bucket is kept as one moment: when it is full again. It holds `burst` tokens and gains one `every` so
often, so that a token is there from `burst - 1` of these times before that moment on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, TypeAlias

from services.notifier.domain.delivery import Delivery

LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, then one every so often."""

    burst: int
    every: timedelta

    def free_at(self, full_at: datetime) -> datetime:
        """From when on the bucket holds a token."""
        return full_at - self.every * (self.burst - 1)

    def spent(self, full_at: datetime, now: datetime, tokens: int = 1) -> datetime:
        """When it is full again, after this many are taken."""
        return max(full_at, now) + self.every * tokens


PERSON: Final = Rate(3, timedelta(seconds=90))
"""Messages to one person by one address: at most nine in any ten minutes after a quiet time."""
ROOM: Final = Rate(10, timedelta(seconds=10))
"""Messages to a team's room, where incidents are followed, not only heard of."""
BREAKING: Final = Rate(3, timedelta(minutes=10))
"""Pages that break through: with those of PERSON at most twelve in ten minutes."""


@dataclass(frozen=True, slots=True)
class ChannelRates:
    """How often one person and one room are written to, and what the provider's account takes; None: as often
    as there is something to say.

    A channel without `person` is read by programs: each delivery is a message of its own.
    """

    person: Rate | None = PERSON
    room: Rate | None = ROOM
    account: Rate | None = None

    def of(self, delivery: Delivery) -> Rate | None:
        """That of the delivery's address."""
        if self.person is None or delivery.is_call or delivery.is_state:
            return None
        return self.room if delivery.recipient_kind == "team" else self.person


PEOPLE: Final = ChannelRates()
TWILIO_TEXTS: Final = ChannelRates(account=Rate(60, timedelta(seconds=1)))
"""A long number sends one segment a second in North America, and Twilio queues the rest in the order in which
it came ("Understanding Twilio Rate Limits and Message Queues"): what presses must not stand behind.
"""
TWILIO_CALLS: Final = ChannelRates(account=Rate(30, timedelta(seconds=1)))
"""One call a second unless the account has more ("How fast can I place or receive phone calls")."""
TELEGRAM: Final = ChannelRates(account=Rate(30, timedelta(seconds=1 / 30)))
"""Thirty messages a second to all chats together (Bots FAQ)."""
SLACK: Final = ChannelRates(account=Rate(60, timedelta(seconds=0.25)))
"""One a second in a channel, and a limit for the workspace that is not told ("Rate limits")."""
PROGRAMS: Final = ChannelRates(person=None, room=None)
Rates: TypeAlias = Mapping[str, ChannelRates]
"""By channel."""


def bucket_of(delivery: Delivery) -> str:
    """The name of its address's bucket; it does not show the address."""
    return f"{delivery.channel} {sha256(delivery.address.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is known of one address or account.

    `rank`: of the most pressing that its last message told. `breaking_full_at`: when the bucket of pages that
    break through is full.
    """

    full_at: datetime = LONG_AGO
    breaking_full_at: datetime = LONG_AGO
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Goes:
    """A message may go now. `breaking`: only with what presses more than the last message."""

    bucket: Bucket
    breaking: bool = False


@dataclass(frozen=True, slots=True)
class Waits:
    """Nothing may go before that."""

    until: datetime


Turn: TypeAlias = Goes | Waits


def turn(first: Delivery, bucket: Bucket, rate: Rate, now: datetime) -> Turn:
    """Whether a message that begins with this delivery, the most pressing that waits for its address, may go.

    A page that presses more than all of the last message breaks through, from a small bucket of its own.
    """
    free_at = rate.free_at(bucket.full_at)
    if free_at <= now:
        full_at = rate.spent(bucket.full_at, now)
        return Goes(Bucket(full_at, bucket.breaking_full_at, first.rank))
    if not first.is_page or first.rank >= bucket.rank:
        return Waits(free_at)
    breaks_at = BREAKING.free_at(bucket.breaking_full_at)
    if breaks_at > now:
        return Waits(min(free_at, breaks_at))
    breaking_full_at = BREAKING.spent(bucket.breaking_full_at, now)
    return Goes(Bucket(bucket.full_at, breaking_full_at, first.rank), breaking=True)


def alone(deliveries: Iterable[Delivery], rates: Rates) -> list[Delivery]:
    """Those of these that may start at once, in order, the most pressing for each address: only its first
    message goes without asking for what else waits. Of an account at most what its bucket can hold.
    """
    addresses, accounts, first = set[str](), dict[str, int](), []
    for delivery in deliveries:
        known = rates.get(delivery.channel, PROGRAMS)
        bucket = bucket_of(delivery) if known.of(delivery) is not None else ""
        left = accounts.get(delivery.channel, known.account.burst if known.account else 1)
        if bucket in addresses or left <= 0:
            continue
        if bucket:
            addresses.add(bucket)
        if known.account is not None:
            accounts[delivery.channel] = left - 1
        first.append(delivery)
    return first
