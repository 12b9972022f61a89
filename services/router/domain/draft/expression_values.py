"""Names and values that a policy's expressions see of an incident (docs/policy.md, "When: conditions")."""

from services.router.domain.draft import customers
from services.router.domain.model.context import Context
from services.router.domain.model.incident import Incident


def values(incident: Incident, context: Context, level: str) -> dict[str, object]:
    """Every name an expression may use. Absent text is '', an absent number 0."""
    live = context.live.spec
    customer = live.customers.get(incident.customer)
    if customer is None and incident.customer:
        customer = customers.find(context, incident.customer).customer
    service = live.services.get(incident.service)
    return {
        "title": incident.title,
        "description": incident.description,
        "kind": incident.kind,
        "source": incident.source,
        "severity": incident.severity or "",
        "impact": incident.impact,
        "urgency": incident.urgency,
        "priority": incident.priority,
        "tier": incident.tier,
        "customer.id": incident.customer,
        "customer.name": incident.customer_name,
        "customer.value": (customer.value if customer is not None else None) or 0,
        "service": incident.service,
        "team": (service.team if service is not None else None) or "",
        "attributes": incident.attributes,
        "labels": incident.labels,
        "status": incident.status,
        "waiting_for": incident.waiting.party if incident.waiting is not None else "",
        "level": level,
        "round": incident.chain.round,
        "reopened": incident.reopened,
        "events": incident.events,
        "acknowledged": incident.acknowledged is not None and incident.status != "triggered",
        "assignee": incident.assignee,
    }
