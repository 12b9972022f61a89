"""What OpenAPI says of intake is what it does."""

import asyncio
import functools
import json

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from jsonschema import Draft202012Validator
from schemathesis import Case
from schemathesis.core import NotSet
from starlette.applications import Starlette

from ladder.web.host import assemble
from services.intake.app import build
from services.intake.formats.opsgenie import CREATE, DELETE, VERBS
from services.intake.settings import IntakeSettings
from shared.service import Service
from tests.services.intake.fakes import OPSGENIE, PROMETHEUS, SCRIPTS, FakeLog, bearer
from tests.services.intake.posts import recorded
from tests.waiting import until


def service() -> Service:
    return build(IntakeSettings(), log=FakeLog())


@functools.cache
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


def without_lines(described):
    """The document without newline-delimited bodies, which schemathesis cannot write, nor CloudEvents."""
    copy = json.loads(json.dumps(described))
    for operations in copy["paths"].values():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {})
            for kind in [kind for kind in content if kind != "application/json"]:
                del content[kind]
    return copy


schema = schemathesis.openapi.from_dict(without_lines(document()))


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
        ("AlertmanagerWebhook", "grafana_test.json"),
        ("AnyJson", "ticket.json"),
        ("CloudEvent", "cloudevents_structured.json"),
        ("CloudEvent", "cloudevents_pull_request.json"),
        ("Alert", "opsgenie_from_alertmanager.json"),
        ("Alert", "opsgenie_from_python_sdk.json"),
    ],
)
def test_real_bodies_fit_their_schemas(name, body):
    validator(name).validate(json.loads(recorded(body)))


def test_every_route_is_described_and_every_example_fits_its_schema():
    described = service()
    assert {route.path for route in described.routes} == set(described.openapi_paths)
    examples = 0
    for operations in described.openapi_paths.values():
        for operation in operations.values():
            body = operation.get("requestBody", {"content": {}})
            for part in (body, *operation["responses"].values()):
                for content in part["content"].values():
                    if "example" in content and content["schema"] != {"type": "string"}:
                        examples += 1
                        if "$ref" in content["schema"] or "anyOf" in content["schema"]:
                            Draft202012Validator(content["schema"] | document()).validate(content["example"])
    assert examples > 50


def test_every_method_of_every_route_is_described():
    described = service()
    for route in described.routes:
        known = {method.upper() for method in described.openapi_paths[route.path]}
        assert known <= (route.methods or set())
        assert (route.methods or set()) - known <= {"HEAD"}, route.path


def test_the_hosts_document_holds_intakes_paths():
    app = assemble([service()], loopback=True)
    assert app.app.openapi()["paths"].keys() >= service().openapi_paths.keys()


def written(body) -> bytes:
    if isinstance(body, bytes | NotSet):
        return body if isinstance(body, bytes) else b""
    return json.dumps(body).encode()


@schema.parametrize()
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
def test_answers_are_as_described(case: Case):
    """Any body that the schema can think of gets an answer that the document knows."""
    asyncio.run(_is_answered_as_described(case))  # schemathesis's own loops are never closed


async def _is_answered_as_described(case: Case) -> None:
    described = service()
    path = case.path.replace("{key}", PROMETHEUS)
    path = path.replace("{name}", "backup" if "heartbeats" in path else "prometheus")
    path = path.replace("{identifier}", "disk").replace("{request}", "unknown")
    verb = (case.path_parameters or {}).get("verb")
    path = path.replace("{verb}", verb if verb in set(VERBS) - {CREATE, DELETE} else "notes")
    key = PROMETHEUS if "integrations" in case.path else OPSGENIE if "alerts" in path else SCRIPTS
    body = written(case.body)
    transport = httpx2.ASGITransport(Starlette(routes=described.routes))
    async with (
        described.running(),
        httpx2.AsyncClient(transport=transport, base_url="http://ladder") as client,
    ):
        await until(lambda: not described.unready())
        response = await client.request(
            case.method,
            path,
            content=body,
            headers=bearer(key) | {"content-type": "application/json"},
            params={"identifierType": "alias"},
        )
    described_answers = document()["paths"][case.path][case.method.lower()]["responses"]
    answer = described_answers[str(response.status_code)]
    schema_of_answer = answer["content"][response.headers["content-type"]]["schema"]
    Draft202012Validator(schema_of_answer | document()).validate(response.json())
