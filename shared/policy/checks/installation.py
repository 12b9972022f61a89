"""Where a bundle is to work: what its notifiers can send, the time, and who stands in for whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shared.events.canary import BY_URL
from shared.policy.oncall.schedules import Override
from shared.security.secret_files import is_secret

_FRESH: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Installation:
    """Where a bundle is to work, as far as it is known.

    `now` None: nothing is said that depends on the time. `sends`: the channels that its notifiers can send
    (`ntfy:url`: only to addresses that are URLs), as one of them said at `said_at`; None: none has said.
    """

    now: datetime | None = None
    sends: frozenset[str] | None = None
    said_at: datetime | None = None
    overrides: Mapping[str, Sequence[Override]] = field(default_factory=dict)

    def can_send(self, channel: str, address: str) -> bool:
        """Whether this address can be sent by this channel here, as far as that can be seen: a secret may be
        anything.
        """
        if self.sends is None or channel in self.sends:
            return True
        may_be_url = "://" in address or is_secret(address)
        return may_be_url and f"{channel}{BY_URL}" in self.sends

    def why_not(self, channel: str) -> str:
        """Why a channel cannot be sent, in words."""
        if channel == "email":
            why = "no mail server is set"
        elif self.sends and f"{channel}{BY_URL}" in self.sends:
            why = "the notifier has no settings for it and reaches only addresses that are URLs"
        else:
            why = "the notifier has no settings for it"
        if self.now is None or self.said_at is None or self.now - self.said_at < _FRESH:
            return why
        return f"{why} (as a notifier said {_ago(self.now - self.said_at)} ago)"


def _ago(age: timedelta) -> str:
    hours = int(age.total_seconds() // 3600)
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours} h" if hours else f"{int(age.total_seconds() // 60)} min"


NOWHERE: Final = Installation()
"""Nothing is known."""
