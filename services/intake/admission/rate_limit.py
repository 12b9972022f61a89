"""How many events an integration may post: a bucket of tokens in this process, filled by passing time."""

from datetime import datetime, timedelta

from shared.policy.model.durations import Rate


class Bucket:
    """Holds as many tokens as events are allowed in the rate's own span, and fills evenly.

    A batch of any size is accepted as soon as a token is left; what it took beyond that has to fill up again
    first. So the rate holds over time, and no batch is refused for ever.
    """

    def __init__(self, rate: Rate) -> None:
        self._most = float(rate.count)
        self._per_second = rate.count / rate.seconds
        self._left = self._most
        self._at: datetime | None = None

    def admit(self, events: int, now: datetime) -> timedelta | None:
        """Take this many tokens; if none is left, how long until there is one again."""
        if self._at is not None and now > self._at:
            filled = (now - self._at).total_seconds() * self._per_second
            self._left = min(self._most, self._left + filled)
        self._at = now if self._at is None else max(now, self._at)
        if self._left >= min(1.0, self._most):
            self._left -= events
            return None
        return timedelta(seconds=(min(1.0, self._most) - self._left) / self._per_second)

    def give_back(self, events: int) -> None:
        """They were not accepted after all."""
        self._left = min(self._most, self._left + events)
