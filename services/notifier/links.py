"""The links in a message: to the incident, and the signed ones by which a page or a question is answered."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from services.notifier.domain.values import Delivery
from shared.security import Signer

LINK_LASTS: Final = timedelta(days=7)
CONFIRM_LASTS: Final = timedelta(days=90)  # a customer may take their time; what is over says so


def links_of(delivery: Delivery, public_url: str, signer: Signer) -> Mapping[str, str]:
    """By name: `incident`, of a page `acknowledge`, of a question to a customer only `confirm` and `refuse`.

    The same at every attempt.
    """
    if delivery.event == "confirm":
        return {
            action: _signed(delivery, public_url, signer, action, CONFIRM_LASTS)
            for action in ("confirm", "refuse")
        }
    if not delivery.incident_id:
        return {}
    incident = {"incident": f"{public_url}/v1/incidents/{delivery.incident_id}"}
    if delivery.is_page:
        return {"acknowledge": _signed(delivery, public_url, signer, "acknowledge", LINK_LASTS)} | incident
    return incident


def _signed(delivery: Delivery, public_url: str, signer: Signer, action: str, lasts: timedelta) -> str:
    """What `GET /v1/replies/link/…` shows and `POST` acts on; good for so long from the message on."""
    claims = {
        "incident": delivery.incident_id,
        "page": delivery.page_id,
        "user": delivery.recipient if delivery.recipient_kind == "user" else "",
        "recipient": f"{delivery.recipient_kind}:{delivery.recipient}",
        "action": action,
    }
    token = signer.sign("reply", claims, delivery.content.at + lasts)
    return f"{public_url}/v1/replies/link/{token}"
