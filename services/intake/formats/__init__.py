"""The formats that other systems speak, by the `kind` of an integration.

To add one: a module with a class like those here, and a line in FORMATS.
"""

from collections.abc import Mapping
from typing import Final

from services.intake.formats.alertmanager import Alertmanager
from services.intake.formats.any_json import MappedJson
from services.intake.formats.cloudevents import CloudEvents
from services.intake.formats.contract import Answer, Format, Post, Reading, Refused, with_notes
from services.intake.formats.grafana import GRAFANA
from services.intake.formats.native import Native
from services.intake.formats.opsgenie import Opsgenie
from services.intake.formats.pagerduty import PagerDuty

__all__ = ["CHANGES", "FORMATS", "Answer", "Format", "Post", "Reading", "Refused", "with_notes"]

CHANGES: Final[Format] = PagerDuty(changes=True)
FORMATS: Final[Mapping[str, Format]] = {
    known.kind: known
    for known in (Native(), PagerDuty(), Alertmanager(), GRAFANA, CloudEvents(), MappedJson(), Opsgenie())
}
