"""Text messages: two segments at most, the title first, then how to answer."""

from typing import Any, Final

from services.notifier.channels.envelope import Envelope
from services.notifier.channels.results import Rejected, Result
from services.notifier.channels.shown import Shown
from services.notifier.channels.twilio import TwilioAccount, TwilioSettings
from services.notifier.domain.delivery import Delivery
from services.notifier.domain.messages.rendered import RenderedMessage
from shared.network.outbound import Outbound
from shared.phones import texts
from shared.phones.answers import TEXTED, code_of
from shared.policy.model.addresses import phone_number
from shared.security.keys import Signer
from shared.security.short_references import shortened

_ANSWERED_BY_LINK: Final = {"take_over": "Take it over", "confirm": "Yes", "refuse": "No"}


class SmsSettings(TwilioSettings):
    """What text messages need."""

    @property
    def missing(self) -> str:
        return self.lacks(LADDER_TWILIO_FROM=self.twilio_from)


class SmsChannel:
    """Texts a number. `public_url`: where receipts are to be posted."""

    def __init__(self, settings: SmsSettings, outbound: Outbound, signer: Signer, public_url: str) -> None:
        self._settings = settings
        self._signer = signer
        self._account = TwilioAccount(settings, outbound, public_url)

    async def close(self) -> None:
        await self._account.close()

    async def send(self, envelope: Envelope) -> Result:
        if lacking := self._settings.missing:
            return Rejected(lacking)
        number = phone_number(envelope.address)
        if not number:
            return Rejected("the address is not a telephone number with its country, such as +420777000111")
        sender = self._settings.twilio_from
        by = "MessagingServiceSid" if sender.startswith("MG") else "From"
        two_way = by == "MessagingServiceSid" or sender.lstrip("+").isdecimal()
        form: dict[str, Any] = {
            "To": number,
            by: sender,
            "Body": text_of(envelope, self._signer, two_way=two_way),
        }
        return await self._account.post("Messages", form, envelope.delivery, envelope.at)


def text_of(envelope: Envelope, signer: Signer, *, two_way: bool) -> str:
    """What is texted. `two_way`: the sender is a number, to which people can answer."""
    delivery, rendered = envelope.delivery, envelope.rendered
    answers = _answers(delivery) if two_way else ""
    links = _links(envelope, signer)
    tails = (f"{answers} {links}", answers, links)
    return texts.fitted(_said(rendered), *(tail.strip() for tail in tails if tail.strip()))


def _said(rendered: RenderedMessage) -> str:
    """Title, what is asked, and for whom and until when, as far as it fits."""
    for_whom, act_by = dict(rendered.facts).get("For", ""), rendered.act_by
    told = [rendered.opening, f"For {for_whom}" if for_whom else "", f"Act by {act_by}" if act_by else ""]
    sentences = [f"{part.rstrip('. ')}." for part in told if part]
    return f"{rendered.title}\n{' '.join(sentences)}"


def _answers(delivery: Delivery) -> str:
    """How to answer a page; with the code an answer means this incident, whatever else is open."""
    if not delivery.is_page or delivery.is_test or delivery.recipient_kind == "customer":
        return ""
    code, take = code_of(delivery.incident_id), TEXTED["acknowledge"]
    done = "seen it" if delivery.only_looks else "take it"
    said = f"Text {take} {done}"
    if delivery.recipient_kind == "user":
        said += f", {TEXTED['resolve']} resolved"
    return f"{said}; if several are open {take} {code}."


def _links(envelope: Envelope, signer: Signer) -> str:
    """The message's own links in short: those that answer it, or else the one that shows it, or all of it."""
    links = envelope.rendered.links
    if "list" in links:
        return links["list"]
    asked = [(name, links[name]) for name in _ANSWERED_BY_LINK if name in links]
    shown = [("", links[name]) for name in ("acknowledge", "incident") if name in links][:1]
    found = []
    for name, link in asked or shown:
        base, _, token = link.rpartition("/")
        if short := shortened(signer, "reply", token, envelope.at):
            found.append(f"{_ANSWERED_BY_LINK[name]}: {base}/{short}" if name else f"{base}/{short}")
    return " ".join(found)


def shown(envelope: Envelope, signer: Signer, public_url: str) -> Shown:
    """The text of a sender to whom people can answer."""
    del public_url
    text = text_of(envelope, signer, two_way=True)
    count = texts.segments(text)
    gsm = texts.is_gsm(text)
    counted = f"{texts.units(text, gsm=gsm)} {'characters' if gsm else 'UTF-16 units'}"
    size = f"{count} segment{'' if count == 1 else 's'} ({counted})"
    return Shown(text, {"Body": text, "segments": count}, size=size)
