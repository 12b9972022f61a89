"""Grafana's alerting webhook (grafana/alerting: receivers/webhook/v1; its documentation: webhook-notifier).

Alertmanager's shape with `version: "1"`, and more of each alert: the values behind it, and where to look.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from services.intake.formats.alertmanager import Alertmanager

SIGNATURE: Final = b"x-grafana-alerting-signature"
TIMESTAMP: Final = b"x-grafana-alerting-timestamp"
_OLDEST: Final = timedelta(minutes=5)
_PLACES: Final = (("dashboardURL", "dashboard"), ("panelURL", "panel"), ("silenceURL", "silence"))


def _addresses(
    alert: Mapping[str, Any], group: Mapping[str, Any], annotations: Mapping[str, str]
) -> Iterable[tuple[Any, Any, bool]]:
    yield alert.get("generatorURL"), "source", False
    for name, text in _PLACES:
        yield alert.get(name), text, False
    yield alert.get("imageURL"), "panel", True
    for name, value in annotations.items():
        if name.lower().endswith(("_url", "url")) and value.startswith(("http://", "https://")):
            yield value, name, False
    yield group.get("externalURL"), "Grafana", False


GRAFANA: Final = Alertmanager(
    kind="grafana",
    sender="Grafana",
    of_the_group=("receiver", "groupKey", "groupLabels", "orgId"),
    of_the_alert=("values", "valueString", "ruleUID"),
    addresses=_addresses,
)


def is_genuine(headers: Mapping[bytes, bytes], body: bytes, secret: str, now: datetime) -> bool:
    """Whether the signature is the secret's: hex HMAC-SHA256 of the body, or of `timestamp:body`.

    The latter where Grafana is told to send a timestamp (in `X-Grafana-Alerting-Timestamp`, unix seconds);
    one that is more than 5 minutes away from now is refused.
    """
    sent = headers.get(SIGNATURE, b"").strip().lower()
    stamp = headers.get(TIMESTAMP)
    signed = body if stamp is None else stamp.strip() + b":" + body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
    return hmac.compare_digest(sent, expected) and (stamp is None or _is_recent(stamp, now))


def _is_recent(stamp: bytes, now: datetime) -> bool:
    try:
        seconds = float(stamp)
    except ValueError:
        return False
    return abs(now.timestamp() - seconds) <= _OLDEST.total_seconds()
