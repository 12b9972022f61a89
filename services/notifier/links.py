"""The links in a message: to the incident, and the signed one by which a page is answered."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from services.notifier.domain.values import Delivery
from shared.security import Signer

LINK_LASTS: Final = timedelta(days=7)


def links_of(delivery: Delivery, public_url: str, signer: Signer) -> Mapping[str, str]:
    """By name: `incident`, and of a page `acknowledge`, the same at every attempt."""
    incident = {"incident": f"{public_url}/v1/incidents/{delivery.incident_id}"}
    return (
        {"acknowledge": _acknowledge(delivery, public_url, signer)} | incident
        if delivery.is_page
        else incident
    )


def _acknowledge(delivery: Delivery, public_url: str, signer: Signer) -> str:
    """What `GET /v1/replies/link/…` shows and `POST` acts on; good for seven days from the page on."""
    claims = {
        "incident": delivery.incident_id,
        "page": delivery.page_id,
        "user": delivery.recipient if delivery.recipient_kind == "user" else "",
        "recipient": f"{delivery.recipient_kind}:{delivery.recipient}",
        "action": "acknowledge",
    }
    token = signer.sign("reply", claims, delivery.content.at + LINK_LASTS)
    return f"{public_url}/v1/replies/link/{token}"
