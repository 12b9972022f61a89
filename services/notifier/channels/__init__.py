"""The ways to reach people. To add one: a file beside this one, and a line in CHANNELS.

`tests/channels/test_registry.py` says what the policy has to know of it.
"""

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
    "CHANNELS",
    "CONCURRENCY",
    "Channel",
    "ChannelDependencies",
    "Delivered",
    "Envelope",
    "MailServer",
    "Rejected",
    "Result",
    "Unavailable",
    "build_channels",
    "sendable",
]


@dataclass(frozen=True, slots=True)
class ChannelDependencies:
    """What channels are built from."""

    outbound: Outbound
    signer: Signer
    keep: Keep  # stores messages in the inbox
    mail: MailServer | None = None


@dataclass(frozen=True, slots=True)
class ChannelType:
    """How a channel is built, and how many of its messages may be under way to one endpoint."""

    build: Callable[[ChannelDependencies], Channel]
    concurrency: int = 16
    needs_mail_server: bool = False
    reaches_people: bool = True


CHANNELS: Final[Mapping[str, ChannelType]] = {
    "webhook": ChannelType(lambda needs: WebhookChannel(needs.outbound, needs.signer)),
    "inbox": ChannelType(lambda needs: InboxChannel(needs.keep), concurrency=256),
    "email": ChannelType(lambda needs: EmailChannel(needs.mail), concurrency=8, needs_mail_server=True),
    CANARY: ChannelType(lambda _: CanaryChannel(), reaches_people=False),
}
CONCURRENCY: Final[Mapping[str, int]] = {name: each.concurrency for name, each in CHANNELS.items()}


def sendable(mail: MailServer | None) -> tuple[str, ...]:
    """The channels by which people can be reached here, with or without a mail server."""
    return tuple(
        sorted(
            name
            for name, each in CHANNELS.items()
            if each.reaches_people and (mail is not None or not each.needs_mail_server)
        )
    )


def build_channels(dependencies: ChannelDependencies) -> Mapping[str, Channel]:
    """Every channel, ready to send."""
    return {name: each.build(dependencies) for name, each in CHANNELS.items()}
