"""Grafana's alerting webhook (grafana/alerting: receivers/webhook/v1; its documentation: webhook-notifier).

Alertmanager's shape with `version: "1"`, and more of each alert: the values behind it, and where to look.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from services.intake.formats.alertmanager import Alertmanager, annotated
from services.intake.formats.lenient import LinkSent

_PLACES: Final = (("dashboardURL", "dashboard"), ("panelURL", "panel"), ("silenceURL", "silence"))


def _addresses(
    alert: Mapping[str, Any], group: Mapping[str, Any], annotations: Mapping[str, str]
) -> Iterable[LinkSent]:
    yield alert.get("generatorURL"), "source", False
    for name, text in _PLACES:
        yield alert.get(name), text, False
    yield alert.get("imageURL"), "panel", True
    yield from annotated(annotations)
    yield group.get("externalURL"), "Grafana", False


GRAFANA: Final = Alertmanager(
    kind="grafana",
    sender="Grafana",
    of_the_group=("receiver", "groupKey", "groupLabels", "orgId"),
    of_the_alert=("values", "valueString", "ruleUID"),
    addresses=_addresses,
)
