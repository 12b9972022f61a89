"""What OpenAPI says of intake is what it does."""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator
from schemathesis import Case

from ladder.host import assemble
from services.intake.app import build
from services.intake.settings import IntakeSettings
from shared.service import Service
from tests.services.intake.fakes import PROMETHEUS, SCRIPTS, FakeLog, bearer, intake
from tests.services.intake.posts import recorded


def service() -> Service:
    return build(IntakeSettings(), log=FakeLog())


def document():
    described = service()
    schemas = {
        **described.openapi_schemas,
        "Problem": {"type": "object", "required": ["type", "title", "status"]},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "intake", "version": "1"},
        "paths": described.openapi_paths,
        "components": {"schemas": schemas},
    }


schema = schemathesis.openapi.from_dict(json.loads(json.dumps(document())))


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}"} | document())


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("NativeBatch", "native_batch.json"),
        ("PagerDutyEvent", "pagerduty_from_alertmanager.json"),
        ("PagerDutyEvent", "pagerduty_from_python_client.json"),
        ("PagerDutyChange", "pagerduty_change.json"),
        ("AlertmanagerWebhook", "alertmanager_firing.json"),
    ],
)
def test_real_bodies_fit_their_schemas(name, body):
    validator(name).validate(json.loads(recorded(body)))


def test_every_route_is_described_and_every_example_fits_its_schema():
    described = service()
    assert {route.path for route in described.routes} == set(described.openapi_paths)
    examples = 0
    for operations in described.openapi_paths.values():
        operation = operations["post"]
        for part in (operation["requestBody"], *operation["responses"].values()):
            content = part["content"].get("application/json", {})
            if "example" in content:
                Draft202012Validator(content["schema"] | document()).validate(content["example"])
                examples += 1
    assert examples > 10


def test_the_hosts_document_holds_intakes_paths():
    app = assemble([service()], loopback=True)
    assert app._app.openapi()["paths"].keys() >= service().openapi_paths.keys()


@schema.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
async def test_answers_are_as_described(case: Case):
    """Any body that the schema can think of gets an answer that the document knows."""
    async with intake(FakeLog()) as client:
        sent = case.as_transport_kwargs()
        body = sent.get("json", sent.get("data"))
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        path = case.path.replace("{name}", "prometheus").replace("{key}", PROMETHEUS)
        key = PROMETHEUS if "integrations" in case.path else SCRIPTS
        response = await client.post(
            path, content=content, headers=bearer(key) | {"content-type": case.media_type or ""}
        )
    assert response.status_code < 500
    known = case.operation.definition.raw["responses"][str(response.status_code)]
    described = known["content"][response.headers["content-type"]]
    Draft202012Validator(described["schema"] | document()).validate(response.json())
