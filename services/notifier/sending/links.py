"""The links in a message: to the incident, and signed ones that answer a page or a question."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final, NotRequired, TypedDict
from urllib.parse import quote

from services.notifier.domain.delivery import OUTSIDE, Delivery, Digest
from shared.events import ONE_INCIDENT, UNSUBSCRIBE
from shared.policy.model.addresses import place
from shared.security.keys import Signer

END_TEST: Final = "end of a test page"  # what its link is signed for
LINK_LASTS: Final = timedelta(days=7)
CONFIRM_LASTS: Final = timedelta(days=90)  # a customer may take their time; what is over says so
_LONGEST_WHY: Final = 200
SHOW_LASTS: Final = timedelta(days=90)  # to look at where it stands


def links_of(delivery: Delivery, public_url: str, signer: Signer) -> Mapping[str, str]:
    """By name: always `incident`; for a page `acknowledge`, for a handoff `take_over` or `acknowledge`.

    A question to a customer has only `confirm` and `refuse`. They are the same at every attempt.
    """
    if delivery.event == "confirm":
        return {
            action: _signed(delivery, public_url, signer, action, CONFIRM_LASTS)
            for action in ("confirm", "refuse")
        }
    if delivery.content.digest is not None:
        return _of_each(delivery, delivery.content.digest, public_url, signer)
    if not delivery.incident_id:
        return {}
    if delivery.is_call:
        return {"incident": f"{public_url}/v1/incidents/{delivery.incident_id}"}  # a program reads it
    if delivery.is_test:
        return {"acknowledge": _ends_test(delivery, public_url, signer)}
    links = {}
    if delivery.is_page:
        links["acknowledge"] = _signed(delivery, public_url, signer, "acknowledge", LINK_LASTS)
    elif takes_over := _takes_over(delivery):
        links[takes_over] = _signed(delivery, public_url, signer, "acknowledge", LINK_LASTS)
    links["incident"] = _signed(delivery, public_url, signer, "show", SHOW_LASTS)
    return links


def _of_each(delivery: Delivery, digest: Digest, public_url: str, signer: Signer) -> Mapping[str, str]:
    """For each incident of a digest the page that shows it, by its id."""
    listed = [entry.newest for entry in digest.entries]
    return {
        one.incident.id: _signed(
            replace(delivery, incident_id=one.incident.id, content=one),
            public_url,
            signer,
            "show",
            SHOW_LASTS,
        )
        for one in listed
    }


def answers_of(delivery: Delivery, public_url: str, signer: Signer) -> Mapping[str, str]:
    """Links that act at once when they are posted to, for channels with buttons of their own.

    By action: `acknowledge`; for the page of a person who is asked to take it also `escalate`. The router
    takes each of them once, and only while this page is what the person is asked.
    """
    if not delivery.is_page or delivery.is_call or delivery.recipient_kind == "customer":
        return {}
    if delivery.is_test:
        return {"acknowledge": _ends_test(delivery, public_url, signer)}
    actions = ["acknowledge"]
    if delivery.recipient_kind == "user" and not delivery.only_looks:
        actions.append("escalate")
    return {action: _signed(delivery, public_url, signer, action, LINK_LASTS) for action in actions}


def unsubscribe_of(delivery: Delivery, public_url: str, signer: Signer) -> str:
    """The link by which its reader leaves the subscription that it came by; '' for what no subscription sent.

    Good for ever, like the address that it stands for. The address itself is not in it: links are passed on.
    """
    notice = delivery.content.notice
    if notice is None or not notice.subscription:
        return ""
    kind, by_address = delivery.recipient_kind, delivery.recipient_kind in ("customer", "address")
    claims = {
        "subscription": notice.subscription,
        "kind": kind,
        "name": "" if kind == "address" else delivery.recipient,
        "place": place(delivery.channel, delivery.address) if by_address else "",
        "contact": delivery.contact if kind == "customer" else "",
    }
    if notice.subscription == ONE_INCIDENT:
        claims["incident"] = delivery.incident_id
    return f"{public_url}/v1/replies/unsubscribe/{signer.sign(UNSUBSCRIBE, claims)}"


def list_link(delivery: Delivery, public_url: str, signer: Signer) -> str:
    """To all that its reader is asked for; '' for readers who are shown one incident at a time."""
    kind, name = delivery.recipient_kind, delivery.recipient
    if kind not in ("user", "team") or delivery.rank >= OUTSIDE:
        return ""
    token = signer.sign(
        "list", {kind: name}, delivery.content.at + LINK_LASTS
    )  # a text message has to hold it
    return f"{public_url}/v1/replies/list/{token}"


def _ends_test(delivery: Delivery, public_url: str, signer: Signer) -> str:
    """`GET` shows what it is, `POST` calls off what is still to come of the test."""
    claims = {"incident": delivery.incident_id, "user": delivery.recipient}
    token = signer.sign(END_TEST, claims, delivery.content.at + LINK_LASTS)
    return f"{public_url}/v1/users/{quote(delivery.recipient, safe='')}/test-page/{token}"


def _takes_over(delivery: Delivery) -> str:
    """What the person who comes on call is offered at a handoff: to take it over, or to take it."""
    incident = delivery.content.incident
    if delivery.event != "handoff" or delivery.recipient_kind != "user":
        return ""
    if incident.status not in ("triggered", "acknowledged") or incident.assignee == delivery.recipient:
        return ""
    return "take_over" if incident.assignee else "acknowledge"


class _Claims(TypedDict):
    """What a link says: `services.router.api.links.tokens` reads it."""

    incident: str
    page: str
    user: str  # '' unless it is one
    recipient: str
    action: str
    outside: NotRequired[bool]
    template: NotRequired[str]
    why: NotRequired[str]


def _signed(delivery: Delivery, public_url: str, signer: Signer, action: str, lasts: timedelta) -> str:
    """What `GET /v1/replies/link/…` shows and `POST` acts on; good for so long from the message on."""
    kind, content = delivery.recipient_kind, delivery.content
    claims: _Claims = {
        "incident": delivery.incident_id,
        "page": delivery.page_id,
        "user": delivery.recipient if kind == "user" else "",
        "recipient": f"{kind}:{delivery.recipient}",
        "action": action,
    }
    if action == "show":
        if kind == "address":
            claims["recipient"] = "address"  # it may hold a secret, and a link is passed on
        notice = content.notice
        if kind == "customer" or (notice is not None and notice.stakeholder):
            claims["outside"] = True
            claims["template"] = notice.template if notice is not None else ""
    elif content.page is not None and kind != "customer":
        claims["why"] = content.page.reason[:_LONGEST_WHY]
    token = signer.sign("reply", claims, content.at + lasts)
    return f"{public_url}/v1/replies/link/{token}"
