"""Calls: it is said twice, and a key answers it. Whatever picks up, without a key nothing is acknowledged."""

import re
from typing import Final
from xml.etree.ElementTree import fromstring

from services.notifier.channels.envelope import Envelope
from services.notifier.channels.results import Rejected, Result
from services.notifier.channels.shown import Shown
from services.notifier.channels.twilio import TwilioAccount, TwilioSettings
from services.notifier.domain.delivery import Delivery
from services.notifier.domain.messages.cutting import cut
from services.notifier.domain.messages.rendered import RenderedMessage
from shared.network.outbound import Outbound
from shared.phones import twiml
from shared.phones.answers import PRESSED
from shared.policy.model.addresses import phone_number
from shared.security.keys import Signer
from shared.security.short_references import shortened

ANSWERS: Final = "/v1/replies/twilio/voice/"
LONGEST_TWIML: Final = 4_000  # characters, by code 32018
_LONGEST_SAID: Final = 500  # half a minute, said twice; escaped it still fits
_PRIORITY: Final = re.compile(r"\[P([1-5])\] ")
_ADDRESS: Final = re.compile(r"https?://\S+")
_UNANSWERED: Final = "No key was pressed, so nothing was taken by this call. Goodbye."


class VoiceSettings(TwilioSettings):
    """What calls need."""

    @property
    def missing(self) -> str:
        return self.lacks(LADDER_TWILIO_VOICE_FROM=self.caller)


class VoiceChannel:
    """Calls a number. `public_url`: where the pressed key and receipts are to be posted."""

    def __init__(self, settings: VoiceSettings, outbound: Outbound, signer: Signer, public_url: str) -> None:
        self._settings = settings
        self._signer = signer
        self._public_url = public_url
        self._account = TwilioAccount(settings, outbound, public_url)

    async def close(self) -> None:
        await self._account.close()

    async def send(self, envelope: Envelope) -> Result:
        if lacking := self._settings.missing:
            return Rejected(lacking)
        number = phone_number(envelope.address)
        if not number:
            return Rejected("the address is not a telephone number with its country, such as +420777000111")
        spoken = twiml_of(envelope, self._signer, self._public_url)
        form = {"To": number, "From": self._settings.caller, "Twiml": spoken}
        return await self._account.post("Calls", form, envelope.delivery, envelope.at)


def twiml_of(envelope: Envelope, signer: Signer, public_url: str) -> str:
    """What is said, and which keys answer it."""
    said = _said(envelope.rendered)
    link = envelope.rendered.links.get("acknowledge", "")
    token = shortened(signer, "reply", link.rpartition("/")[2], envelope.at) if link else ""
    if not token:
        return twiml.twice(said)
    return twiml.question(f"{said} {_keys(envelope.delivery)}", f"{public_url}{ANSWERS}{token}", _UNANSWERED)


def _said(rendered: RenderedMessage) -> str:
    title = _PRIORITY.sub(lambda found: f"Priority {found[1]}. ", rendered.title)
    for_whom = dict(rendered.facts).get("For", "")
    act_by = f"Act by {rendered.act_by}" if rendered.act_by else ""
    told = [f"Ladder calls. {title}", f"For {for_whom}" if for_whom else "", rendered.opening, act_by]
    text = " ".join(f"{part.rstrip('. ')}." for part in told if part)
    return cut(_ADDRESS.sub("", text), _LONGEST_SAID)


def _keys(delivery: Delivery) -> str:
    """Which keys do what. Only a person of the policy can hand it up."""
    done = "if you have seen it" if delivery.only_looks else "to take it"
    take = f"Press {PRESSED['acknowledge']} {done}"
    return (
        f"{take}, or {PRESSED['escalate']} to hand it up."
        if delivery.recipient_kind == "user"
        else f"{take}."
    )


def shown(envelope: Envelope, signer: Signer, public_url: str) -> Shown:
    """What is said, once each."""
    made = twiml_of(envelope, signer, public_url)
    said = dict.fromkeys(say.text or "" for say in fromstring(made).iter("Say"))  # noqa: S314 - our own
    return Shown("\n\n".join(said), {"Twiml": made}, size=f"{len(made):,} of {LONGEST_TWIML:,} characters")
