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

from ladder.host import assemble
from services.intake.app import build
from services.intake.settings import IntakeSettings
from shared.service import Service
from tests.services.intake.fakes import PROMETHEUS, SCRIPTS, FakeLog, bearer
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
    """The document without newline-delimited bodies, which schemathesis cannot write."""
    copy = json.loads(json.dumps(described))
    for operations in copy["paths"].values():
        operations["post"]["requestBody"]["content"].pop("application/x-ndjson", None)
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
    path = case.path.replace("{name}", "prometheus").replace("{key}", PROMETHEUS)
    key = PROMETHEUS if "integrations" in case.path else SCRIPTS
    body = written(case.body)
    transport = httpx2.ASGITransport(Starlette(routes=described.routes))
    async with (
        described.running(),
        httpx2.AsyncClient(transport=transport, base_url="http://ladder") as client,
    ):
        await until(lambda: not described.unready())
        response = await client.post(path, content=body, headers=bearer(key))
    answer = document()["paths"][case.path]["post"]["responses"][str(response.status_code)]
    schema_of_answer = answer["content"][response.headers["content-type"]]["schema"]
    Draft202012Validator(schema_of_answer | document()).validate(response.json())
