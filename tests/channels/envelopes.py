"""Envelopes for the contract tests of channels."""

from datetime import timedelta

from services.notifier.channels import Envelope
from services.notifier.domain.messages.compose import render
from services.notifier.domain.plan import plan
from services.notifier.sending.links import answers_of, links_of, unsubscribe_of
from shared.clock import utcnow
from shared.security.keys import Signer
from tests.services.notifier.building import bundle, changed, incident, page

SIGNER = Signer(("a key",))
PUBLIC_URL = "https://ladder.test"


def envelope(address, *, secret="", told=None, asked=None, at=None, **said):
    """A page (`asked`) – or the notice `told` – to this address, as it is handed to a channel."""
    at = at or utcnow()
    message = changed(
        *([] if told else [asked or page(act_by=at + timedelta(minutes=5))]),
        notices=[told] if told else [],
        incident=incident(**said),
    )
    policy = bundle({"ana": {"contacts": {"it": {"inbox": "ana"}}}})
    delivery = plan(message, policy, at).deliveries[0]
    links = links_of(delivery, PUBLIC_URL, SIGNER)
    answers = answers_of(delivery, PUBLIC_URL, SIGNER)
    leave = unsubscribe_of(delivery, PUBLIC_URL, SIGNER)
    made = render(delivery, policy, links, at)
    return Envelope(delivery, made, address, secret, at, answers=answers, unsubscribe=leave)
