"""What would be sent: a message of the router, worded for one recipient and formed for one channel. Pure.

Nothing is stored or sent. The links are signed, by whatever key is given.
"""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from services.notifier.channels import CHANNELS, Envelope, Shown
from services.notifier.domain.contacts import contacts_of
from services.notifier.domain.messages.compose import render
from services.notifier.domain.messages.rendered import RenderedMessage
from services.notifier.domain.plan import plan
from services.notifier.sending.links import answers_of, links_of, unsubscribe_of
from shared.events import Contact, IncidentChanged, Notice, Page
from shared.policy import Bundle
from shared.security.keys import Signer
from shared.security.secret_files import is_secret


@dataclass(frozen=True, slots=True)
class Previewed:
    """A message as it would be sent: what it says, and what it looks like on the channel."""

    rendered: RenderedMessage
    shown: Shown


def channels() -> tuple[str, ...]:
    """The channels that have something to show, in the order of their registry."""
    return tuple(name for name, each in CHANNELS.items() if each.reaches_people)


def previewed(
    message: IncidentChanged,
    asked: Page | Notice,
    channel: str,
    bundle: Bundle,
    *,
    public_url: str,
    signer: Signer,
    now: datetime,
) -> Previewed:
    """This page or notice of the message, as its recipient would get it by this channel, as of now.

    It goes to their contact of that channel where the policy has one, and otherwise to nobody's address.
    """
    recipient = asked.recipient
    own = [each for each in contacts_of(recipient, bundle) if each.channel == channel]
    address = own[0].address if own and not is_secret(own[0].address) else ""
    contact = Contact(name=own[0].name if own else channel, channel=channel, address=address)
    told = msgspec.structs.replace(asked, recipient=msgspec.structs.replace(recipient, contacts=(contact,)))
    alone = msgspec.structs.replace(
        message,
        pages=(told,) if isinstance(told, Page) else (),
        notices=(told,) if isinstance(told, Notice) else (),
    )
    delivery = plan(alone, bundle, now).deliveries[0]  # by rules a contact may be used more than once
    rendered = render(delivery, bundle, links_of(delivery, public_url, signer), now)
    answers = answers_of(delivery, public_url, signer)
    leave = unsubscribe_of(delivery, public_url, signer)
    envelope = Envelope(delivery, rendered, address, "", now, answers=answers, unsubscribe=leave)
    return Previewed(rendered, CHANNELS[channel].shows(envelope, signer, public_url))
