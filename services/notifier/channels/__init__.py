"""The ways to reach people. To add one: a file beside this one, a line in CHANNELS, a contract test."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from services.notifier.channels.canary import CanaryChannel
from services.notifier.channels.email import EmailChannel, MailServer
from services.notifier.channels.envelope import Channel, Envelope
from services.notifier.channels.inbox import InboxChannel, Keep
from services.notifier.channels.results import Delivered, Rejected, Result, Unavailable
from services.notifier.channels.webhook import WebhookChannel
from shared.events.canary import CHANNEL as CANARY
from shared.network.outbound import Outbound
from shared.security.keys import Signer

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
    "sendable",
]


@dataclass(frozen=True, slots=True)
class ChannelDependencies:
    """What channels are made of."""

    outbound: Outbound
    signer: Signer
    keep: Keep  # stores letters in the inbox
    mail: MailServer | None = None


@dataclass(frozen=True, slots=True)
class ChannelType:
    """A channel: how it is made, and how many of its messages may be under way to one endpoint."""

    make: Callable[[ChannelDependencies], Channel]
    concurrency: int = 16


CHANNELS: Final[Mapping[str, ChannelType]] = {
    "webhook": ChannelType(lambda dependencies: WebhookChannel(dependencies.outbound, dependencies.signer)),
    "inbox": ChannelType(lambda dependencies: InboxChannel(dependencies.keep), concurrency=256),
    CANARY: ChannelType(lambda _: CanaryChannel()),
    "email": ChannelType(lambda dependencies: EmailChannel(dependencies.mail), concurrency=8),
}
CONCURRENCY: Final[Mapping[str, int]] = {name: kind.concurrency for name, kind in CHANNELS.items()}


def sendable(mail: MailServer | None) -> tuple[str, ...]:
    """The channels by which people can be reached here, with or without a mail server."""
    unable = {CANARY} | ({"email"} if mail is None else set())
    return tuple(sorted(name for name in CHANNELS if name not in unable))


def build_channels(dependencies: ChannelDependencies) -> Mapping[str, Channel]:
    """Every channel, ready to send."""
    return {name: kind.make(dependencies) for name, kind in CHANNELS.items()}
