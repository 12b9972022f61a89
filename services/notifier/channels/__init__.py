"""The ways to reach people. To add one: a file beside this one, a line in CHANNELS, a contract test."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from services.notifier.channels.email import EmailChannel, MailServer
from services.notifier.channels.envelope import Channel, Envelope
from services.notifier.channels.inbox import InboxChannel, Keep
from services.notifier.channels.results import Delivered, Rejected, Result, Unavailable
from services.notifier.channels.webhook import WebhookChannel
from services.notifier.outbound import Outbound
from shared.security import Signer

__all__ = [
    "AT_ONCE",
    "CHANNELS",
    "Channel",
    "Delivered",
    "Envelope",
    "MailServer",
    "Means",
    "Rejected",
    "Result",
    "Unavailable",
    "opened",
]


@dataclass(frozen=True, slots=True)
class Means:
    """What channels are made of."""

    outbound: Outbound
    signer: Signer
    keep: Keep  # stores letters in the inbox
    mail: MailServer | None = None


CHANNELS: Final[Mapping[str, Callable[[Means], Channel]]] = {
    "webhook": lambda means: WebhookChannel(means.outbound, means.signer),
    "inbox": lambda means: InboxChannel(means.keep),
    "email": lambda means: EmailChannel(means.mail),
}
# How many messages may be under way to one endpoint; what is not listed gets 16.
AT_ONCE: Final[Mapping[str, int]] = {"inbox": 256, "email": 8}


def opened(means: Means) -> Mapping[str, Channel]:
    """Every channel, ready to send."""
    return {name: make(means) for name, make in CHANNELS.items()}
