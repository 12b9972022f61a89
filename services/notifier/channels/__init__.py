"""The ways to reach people. To add one: a file beside this one, and a line in CHANNELS.

`tests/channels/test_registry.py` says what the policy has to know of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import SecretStr

from services.notifier.channels import (
    email,
    mattermost,
    ntfy,
    slack,
    sms,
    teams,
    telegram,
    voice,
    webhook,
)
from services.notifier.channels.apprise import AppriseChannel, AppriseSettings
from services.notifier.channels.canary import CanaryChannel
from services.notifier.channels.email import EmailChannel, MailServer
from services.notifier.channels.envelope import Channel, EarlierPage, Envelope
from services.notifier.channels.inbox import InboxChannel, Keep
from services.notifier.channels.mattermost import MattermostChannel, MattermostSettings
from services.notifier.channels.ntfy import NtfyChannel, NtfySettings
from services.notifier.channels.results import Delivered, Rejected, Result, Unavailable
from services.notifier.channels.settings import ChannelSettings, ReadSettings, from_environment
from services.notifier.channels.shown import Show, Shown, as_text
from services.notifier.channels.slack import SlackChannel, SlackSettings
from services.notifier.channels.sms import SmsChannel, SmsSettings
from services.notifier.channels.teams import TeamsChannel
from services.notifier.channels.telegram import TelegramChannel, TelegramSettings
from services.notifier.channels.voice import VoiceChannel, VoiceSettings
from services.notifier.channels.webhook import WebhookChannel
from services.notifier.domain.delivery import Delivery
from services.notifier.domain.rates import (
    PEOPLE,
    PROGRAMS,
    SLACK,
    TELEGRAM,
    TWILIO_CALLS,
    TWILIO_TEXTS,
    ChannelRates,
    Rates,
)
from shared.events.canary import BY_URL
from shared.events.canary import CHANNEL as CANARY
from shared.network.outbound import Outbound
from shared.security.keys import Signer

__all__ = [
    "CHANNELS",
    "CONCURRENCY",
    "RATES",
    "Channel",
    "ChannelDependencies",
    "Delivered",
    "Envelope",
    "MailServer",
    "Readiness",
    "Rejected",
    "Result",
    "Shown",
    "Unavailable",
    "build_channels",
    "conversing",
    "hidden_words",
    "missing",
    "readiness",
    "sendable",
]


async def _none_before(_: Delivery) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class ChannelDependencies:
    """What channels are built from."""

    outbound: Outbound
    signer: Signer
    keep: Keep  # stores messages in the inbox
    mail: MailServer | None = None
    settings: ReadSettings[Any] = field(default=from_environment)  # reads a channel's own settings
    earlier: EarlierPage = _none_before
    public_url: str = ""  # under which Ladder is reached, without a slash at its end; '' where none is known


@dataclass(frozen=True, slots=True)
class ChannelType:
    """How a channel is built, how many of its messages may be under way to one endpoint, and how often people
    are written to by it: what comes faster goes together (`PROGRAMS`: nothing does).

    `converses`: what it says of an incident in one place belongs together, and it can change what it said
    first.
    `urls_need_nothing`: an address that is a URL can be sent even where its settings are missing.
    `shows`: what a message looks like there (`ladder preview`).
    """

    build: Callable[[ChannelDependencies], Channel]
    concurrency: int = 16
    rates: ChannelRates = PEOPLE
    converses: bool = False
    settings: type[ChannelSettings] = ChannelSettings
    shows: Show = as_text
    urls_need_nothing: bool = False
    needs_mail_server: bool = False
    reaches_people: bool = True


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether messages can be sent by a channel here: to `all` addresses, only to `urls`, or to none.

    `missing`: what has to be set for all of them, in a sentence; it names variables, never their values.
    """

    channel: str
    sends: Literal["all", "urls", "nothing"]
    missing: str


CHANNELS: Final[Mapping[str, ChannelType]] = {
    "webhook": ChannelType(
        lambda needs: WebhookChannel(needs.outbound, needs.signer), rates=PROGRAMS, shows=webhook.shown
    ),
    "inbox": ChannelType(lambda needs: InboxChannel(needs.keep), concurrency=256, rates=PROGRAMS),
    "email": ChannelType(
        lambda needs: EmailChannel(needs.mail), concurrency=8, needs_mail_server=True, shows=email.shown
    ),
    "slack": ChannelType(
        lambda needs: SlackChannel(needs.settings(SlackSettings), needs.outbound, needs.signer),
        concurrency=8,
        rates=SLACK,
        converses=True,
        settings=SlackSettings,
        shows=slack.shown,
        urls_need_nothing=True,
    ),
    "teams": ChannelType(lambda needs: TeamsChannel(needs.outbound), concurrency=4, shows=teams.shown),
    "ntfy": ChannelType(
        lambda needs: NtfyChannel(needs.settings(NtfySettings), needs.outbound, needs.earlier),
        converses=True,
        settings=NtfySettings,
        shows=ntfy.shown,
        urls_need_nothing=True,
    ),
    "sms": ChannelType(
        lambda needs: SmsChannel(needs.settings(SmsSettings), needs.outbound, needs.signer, needs.public_url),
        rates=TWILIO_TEXTS,
        settings=SmsSettings,
        shows=sms.shown,
    ),
    "voice": ChannelType(
        lambda needs: VoiceChannel(
            needs.settings(VoiceSettings), needs.outbound, needs.signer, needs.public_url
        ),
        rates=TWILIO_CALLS,
        settings=VoiceSettings,
        shows=voice.shown,
    ),
    "telegram": ChannelType(
        lambda needs: TelegramChannel(needs.settings(TelegramSettings), needs.outbound),
        concurrency=8,
        rates=TELEGRAM,
        converses=True,
        settings=TelegramSettings,
        shows=telegram.shown,
    ),
    "mattermost": ChannelType(
        lambda needs: MattermostChannel(needs.settings(MattermostSettings), needs.outbound),
        concurrency=8,
        converses=True,
        settings=MattermostSettings,
        shows=mattermost.shown,
        urls_need_nothing=True,
    ),
    "apprise": ChannelType(
        lambda needs: AppriseChannel(needs.settings(AppriseSettings)), concurrency=1, settings=AppriseSettings
    ),
    CANARY: ChannelType(lambda _: CanaryChannel(), rates=PROGRAMS, reaches_people=False),
}
_NO_MAIL_SERVER: Final = "LADDER_SMTP_URL is not set"
CONCURRENCY: Final[Mapping[str, int]] = {name: each.concurrency for name, each in CHANNELS.items()}
RATES: Final[Rates] = {name: each.rates for name, each in CHANNELS.items()}


def missing(mail: MailServer | None, settings: ReadSettings[Any] = from_environment) -> Mapping[str, str]:
    """By channel that reaches people, in order: what has to be set before it can send; '' if it can.

    Raises BadSettingError.
    """
    return {
        name: _NO_MAIL_SERVER if each.needs_mail_server and mail is None else settings(each.settings).missing
        for name, each in sorted(CHANNELS.items())
        if each.reaches_people
    }


def readiness(mail: MailServer | None, settings: ReadSettings[Any] = from_environment) -> Sequence[Readiness]:
    """Every channel that a policy may name, in order. Raises BadSettingError."""
    return [
        Readiness(name, "all" if not why else "urls" if CHANNELS[name].urls_need_nothing else "nothing", why)
        for name, why in missing(mail, settings).items()
    ]


def sendable(mail: MailServer | None, settings: ReadSettings[Any] = from_environment) -> tuple[str, ...]:
    """The channels by which people can be reached here; `ntfy:url` where only addresses that are URLs can.

    Raises BadSettingError.
    """
    suffix = {"all": "", "urls": BY_URL}
    found = readiness(mail, settings)
    return tuple(f"{one.channel}{suffix[one.sends]}" for one in found if one.sends != "nothing")


def conversing(mail: MailServer | None, settings: ReadSettings[Any] = from_environment) -> frozenset[str]:
    """The channels that can be sent here and keep conversations."""
    able = (one.channel for one in readiness(mail, settings) if one.sends != "nothing")
    return frozenset(name for name in able if CHANNELS[name].converses)


def build_channels(dependencies: ChannelDependencies) -> Mapping[str, Channel]:
    """Every channel, ready to send."""
    return {name: each.build(dependencies) for name, each in CHANNELS.items()}


def hidden_words(mail: MailServer | None, settings: ReadSettings[Any] = from_environment) -> tuple[str, ...]:
    """The secrets of the channels' settings: nothing that is stored or logged repeats them.

    Raises BadSettingError.
    """
    found = [mail.password or ""] if mail is not None else []
    for kind in {each.settings for each in CHANNELS.values()}:
        own = settings(kind)
        values = (getattr(own, name) for name in type(own).model_fields)
        found += [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    return tuple(sorted({word for each in found for word in each.replace(",", " ").split()}))
