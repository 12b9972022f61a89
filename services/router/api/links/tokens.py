"""Tokens of signed links: which incident, whose link it is, and what it may do."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs

from services.router.api import actions
from services.router.api.links import customer_answer, offers
from services.router.domain.model.signals import Actor
from shared.policy import Bundle
from shared.security import short_references
from shared.security.keys import Signer

PURPOSE: Final = "reply"
SHOW: Final = "show"
_KNOWN: Final = offers.FORMS | customer_answer.ANSWERS | {SHOW}


@dataclass(frozen=True, slots=True)
class Reply:
    """The content of a token.

    For a form, `seen`: where the incident stood when it was offered; `done`: what to say of an act that does
    not move it.
    """

    incident_id: uuid.UUID
    page: str
    user: str
    recipient: str
    action: str
    why: str = ""
    outside: bool = False
    template: str = ""
    seen: str = ""
    done: str = ""

    def actor(self) -> Actor:
        """The actor. Whoever holds the link was paged: that makes a responder."""
        if self.is_answer:
            return Actor(self.recipient, "responder")
        return Actor(f"user:{self.user}" if self.user else f"link:{self.recipient}", "responder", self.user)

    @property
    def is_answer(self) -> bool:
        """Whether a customer is asked, rather than somebody who was paged."""
        return self.action in customer_answer.ANSWERS

    @property
    def sees_public(self) -> bool:
        """Whether the holder is outside and sees nothing internal, whatever they may do."""
        return self.outside or self.recipient.startswith("customer:")

    @property
    def acts(self) -> bool:
        """Whether the holder can act through it."""
        return self.action in offers.FORMS and not self.outside

    @property
    def hands_up(self) -> bool:
        """Whether a message's own button hands it up at once, without the page with its forms."""
        return self.action == "escalate" and not self.seen

    def key(self, token: str) -> str:
        """The request's Idempotency-Key, made from the token: a form that is sent twice acts once."""
        return f"link {token.rpartition('.')[2]}" if self.seen or self.hands_up else ""


def read(signer: Signer, token: str, now: datetime) -> Reply | None:
    """The content of a token; None if it is altered, expired or not a reply."""
    claims = signer.verify(PURPOSE, token, now) or short_references.claims_of(signer, token, now)
    if claims is None or claims.get("action") not in _KNOWN:
        return None
    try:
        return Reply(
            incident_id=uuid.UUID(str(claims["incident"])),
            page=str(claims.get("page", "")),
            user=str(claims.get("user", "")),
            recipient=str(claims.get("recipient", "")),
            action=str(claims["action"]),
            why=str(claims.get("why", "")),
            outside=bool(claims.get("outside", False)),
            template=str(claims.get("template", "")),
            seen=str(claims.get("seen", "")),
            done=str(claims.get("done", "")),
        )
    except (KeyError, ValueError):
        return None


def expires(signer: Signer, token: str) -> datetime | None:
    """Until when a token that was read is good; None: for ever."""
    return short_references.expires(token) if "." not in token else signer.expires(token)


def is_theirs(reply: Reply, customer: str, bundle: Bundle) -> bool:
    """Whether the holder may still see this customer's incident.

    `customer` is an id. Somebody who has left, and another customer, may not.
    """
    kind, _, name = reply.recipient.partition(":")
    if reply.user and reply.user not in bundle.users:
        return False
    return kind != "customer" or customer == name


def request_of(reply: Reply, token: str, form: bytes) -> actions.Request:
    """The action that the token stands for, with the form's fields."""
    if reply.is_answer:
        said = customer_answer.answer(reply.action, form)
        body = actions.ActionBody(action=reply.action, page=reply.page, **said)
        return actions.Request(reply.incident_id, body, reply.actor())
    fields = parse_qs(form[: customer_answer.LONGEST_FORM].decode(errors="replace"), max_num_fields=20)
    note = fields.get("note", [""])[0].replace("\0", "").strip()[: offers.LONGEST_NOTE]
    page = reply.page if reply.action == "acknowledge" else ""
    to = reply.user if reply.action == "assign" else ""
    body = actions.ActionBody(action=reply.action, page=page, note=note, to=to)
    return actions.Request(reply.incident_id, body, reply.actor(), reply.key(token))
