"""What OpenAPI says is what is served: every path, every refusal, and whatever a stranger may send."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest
import schemathesis
from fastapi.routing import iter_route_contexts
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator
from schemathesis import Case, checks

from ladder.web.openapi import operations
from tests.api.assembled import APP, DOCUMENT
from tests.api.hosted import PAGER, Office
from tests.api.test_writes import KINDS, at, make

_METHODS = ("get", "put", "post", "delete", "patch")
_PAGES = {"/v1/replies/link/{token}", "/v1/replies/list/{token}", "/v1/replies/unsubscribe/{token}"}
_PAGES |= {"/v1/users/{name}/test-page/{token}"}
_KEYLESS = {"/", "/healthz", "/readyz", "/metrics", "/docs", *_PAGES}
_KEYLESS |= {"/v1/replies/slack"}
_KEYLESS |= {"/v1/receipts/twilio", "/v1/replies/twilio/sms", "/v1/replies/twilio/voice/{reference}"}
_KEYLESS |= {"/v1/schedules/{name}/shifts.ics"}
_KEY_IN_BODY_OR_PATH = {
    "/v2/enqueue",
    "/v2/change/enqueue",
    "/v1/integrations/{name}/{key}",
    "/v1/heartbeats/{name}/{key}/{signal}",
}
_REPORTS = ("sla", "response", "levels")
_OF_PAGERDUTY = {"/v2/enqueue", "/v2/change/enqueue"}
_OF_OPSGENIE = ("/v2/alerts", "/v2/heartbeats")  # whose reads and pings take nothing that could be wrong


def each() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, of_path in DOCUMENT["paths"].items():
        for method, operation in of_path.items():
            yield path, method, operation


def named(path: str, method: str) -> str:
    return f"{method.upper()} {path}"


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    routes = {
        (context.path, method.lower())
        for context in iter_route_contexts(APP.app.router.routes)
        for method in context.methods or ()
    }
    hot = [*APP._exact.values(), *APP._patterns]
    routes |= {(route.path, method.lower()) for route in hot for method in route.methods}
    served = {route for route in routes if route[1] != "head"} - {("/openapi.json", "get")}
    assert served == {(path, method) for path, method, _ in each()}


async def test_what_runs_describes_itself_the_same_way(office: Office) -> None:
    assert (await office.get("/openapi.json", key="")).json() == DOCUMENT


def test_every_operation_has_a_name_a_summary_and_a_tag_that_is_explained() -> None:
    explained = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    for path, method, operation in each():
        assert operation["summary"], named(path, method)
        assert set(operation["tags"]) <= explained, named(path, method)
    names = [operation["operationId"] for _, _, operation in each()]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)


def test_every_operation_that_needs_a_key_says_which_and_how_it_is_refused() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    for path, method, operation in each():
        security = operation.get("security", [])
        assert all(set(one) <= set(schemes) for one in security), named(path, method)
        open_to_all = path in _KEYLESS | _KEY_IN_BODY_OR_PATH
        assert bool(security) != open_to_all, named(path, method)
        if security:
            wanted = {"401", "403", "422", "429", "503"}
            if path.startswith(_OF_OPSGENIE) and (method == "get" or path.endswith("/ping")):
                wanted -= {"422"}
            assert wanted <= set(operation["responses"]), named(path, method)


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("post", "/v1/events", {"202", "401", "403", "408", "413", "415", "422", "429", "503"}),
        ("post", "/v2/enqueue", {"202", "400", "408", "413", "415", "429", "503"}),
        (
            "post",
            "/v1/integrations/{name}",
            {"202", "400", "401", "403", "408", "413", "415", "422", "429", "503"},
        ),
        ("get", "/v1/incidents", {"200", "401", "403", "422", "429", "503"}),
        ("get", "/v1/incidents/{incident_id}", {"200", "401", "403", "404", "422", "429", "503"}),
        ("get", "/v1/incidents/{incident_id}/timeline", {"200", "401", "403", "404", "422", "429", "503"}),
        ("get", "/v1/incidents/{incident_id}/explain", {"200", "401", "403", "404", "422", "429", "503"}),
        (
            "post",
            "/v1/incidents/{incident_id}/actions",
            {"200", "400", "401", "403", "404", "408", "409", "413", "422", "429", "503"},
        ),
        ("get", "/v1/incidents/{incident_id}/members", {"200", "401", "403", "404", "422", "429", "503"}),
        *(
            case
            for path, name in (
                ("/v1/overrides", "override_id"),
                ("/v1/silences", "silence_id"),
                ("/v1/maintenance", "maintenance_id"),
            )
            for case in (
                ("get", path, {"200", "401", "403", "422", "429", "503"}),
                ("get", f"{path}/{{{name}}}", {"200", "401", "403", "404", "422", "429", "503"}),
                ("delete", f"{path}/{{{name}}}", {"200", "401", "403", "404", "409", "422", "429", "503"}),
            )
        ),
        ("post", "/v1/overrides", {"201", "400", "401", "403", "408", "413", "422", "429", "503"}),
        ("post", "/v1/silences", {"201", "400", "401", "403", "408", "413", "422", "429", "503"}),
        ("post", "/v1/maintenance", {"201", "400", "401", "403", "408", "413", "422", "429", "503"}),
        (
            "put",
            "/v1/customers/{customer_id}",
            {"200", "400", "401", "403", "408", "409", "413", "422", "429", "503"},
        ),
        ("delete", "/v1/customers/{customer_id}", {"204", "401", "403", "404", "409", "422", "429", "503"}),
        ("post", "/v1/customers/import", {"200", "401", "403", "408", "413", "415", "422", "429", "503"}),
        *((("get", f"/v1/reports/{name}", {"200", "401", "403", "422", "429", "503"})) for name in _REPORTS),
        ("get", "/v1/dead-letters", {"200", "401", "403", "422", "429", "503"}),
        ("get", "/v1/dead-letters/{letter_id}", {"200", "401", "403", "404", "422", "429", "503"}),
        (
            "post",
            "/v1/dead-letters/{letter_id}/replay",
            {"200", "401", "403", "404", "409", "422", "429", "503"},
        ),
        (
            "post",
            "/v1/dead-letters/{letter_id}/dismiss",
            {"200", "400", "401", "403", "404", "408", "409", "413", "422", "429", "503"},
        ),
        ("put", "/v1/policy", {"200", "401", "403", "408", "409", "413", "422", "429", "503"}),
        ("post", "/v1/policy/check", {"200", "401", "403", "408", "413", "422", "429", "503"}),
        ("get", "/v1/deliveries/{delivery_id}", {"200", "401", "403", "404", "422", "429", "503"}),
        (
            "post",
            "/v1/deliveries/{delivery_id}/retry",
            {"202", "401", "403", "404", "409", "422", "429", "503"},
        ),
        ("get", "/v1/replies/unsubscribe/{token}", {"200", "404", "422", "429", "503"}),
        ("post", "/v1/replies/unsubscribe/{token}", {"200", "404", "422", "429", "503"}),
        ("get", "/v1/replies/link/{token}", {"200", "404", "422", "429", "503"}),
        ("post", "/v1/replies/link/{token}", {"200", "403", "404", "409", "422", "429", "503"}),
        ("get", "/v1/replies/list/{token}", {"200", "404", "422", "429", "503"}),
        ("post", "/v1/replies/list/{token}", {"200", "404", "409", "422", "429", "503"}),
    ],
)
def test_an_operation_tells_exactly_how_it_answers(method: str, path: str, statuses: set[str]) -> None:
    assert set(DOCUMENT["paths"][path][method]["responses"]) == statuses


def test_every_refusal_is_a_problem_but_for_pages_for_people_and_for_the_words_of_other_systems() -> None:
    problem = {"application/problem+json"}
    for path, method, operation in each():
        for status, answer in operation["responses"].items():
            if status < "400":
                continue
            kinds = set(answer["content"])
            if path in _PAGES:
                assert kinds == {"text/html"}
            elif path in _OF_PAGERDUTY or (path.startswith("/v1/integrations/") and status == "400"):
                assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/PagerDutyRefused")
            elif path.startswith(_OF_OPSGENIE) and status != "405":
                assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/AlertRefused")
            elif path.startswith(_OF_OPSGENIE):
                assert kinds == {"application/json", "application/problem+json"}  # the host's, or its own
            elif path == "/":
                assert kinds == {"text/html", "application/json"}
            elif path in {"/healthz", "/readyz"}:
                assert kinds == {"application/json"}
            else:
                assert kinds == problem, (named(path, method), status)
                schema = answer["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, (named(path, method), status)


def test_every_answer_and_every_body_has_a_schema_that_exists_and_is_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    named_ones = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(DOCUMENT)))
    assert named_ones == set(DOCUMENT["components"]["schemas"])
    for path, _, operation in each():
        for media in _contents(operation):
            assert "schema" in media or path in _PAGES or path.startswith("/v1/replies/"), path


def _contents(operation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for part in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from part.get("content", {}).values()


def test_what_is_posted_comes_with_an_example_that_fits() -> None:
    for path, operation in operations(DOCUMENT):
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            if kind != "application/json" or path in {"/v1/policy", "/v1/policy/check"}:
                continue
            schema = media["schema"]
            shown = media.get("example") or _resolved(schema)["examples"][0]
            Draft202012Validator(schema | {"components": DOCUMENT["components"]}).validate(shown)


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _without_lines() -> dict[str, Any]:
    """Newline-delimited bodies are left out: schemathesis cannot write them."""
    copy: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    for _, operation in operations(copy):
        operation.get("requestBody", {}).get("content", {}).pop("application/x-ndjson", None)
        operation.get("requestBody", {}).get("content", {}).pop("application/yaml", None)
    return copy


_SCHEMA = schemathesis.openapi.from_dict(_without_lines())
_CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="session")
async def known(office: Office) -> dict[str, str]:
    """By the names in paths, what exists."""
    made = {"incident_id": str((await office.opened("for-strangers"))["id"])}
    for kind in KINDS:
        answer = await make(
            office, kind, **({"from": at(days=90), "to": at(days=91)} if "to" in kind.body else {})
        )
        made[f"{kind.path.rpartition('/')[2].removesuffix('s')}_id"] = answer.json()["id"]
    names = {"user": "ana", "key": "prometheus", "customer_id": "acme", "identifier": "disk"}
    return made | names


def _key_of(path: str) -> str:
    begins = {
        "/v1/integrations": "prometheus",
        "/v1/events": "scripts",
        "/v2/alerts": "genie",
        "/v2/heartbeats": "genie",
    }
    begins |= {"/v1/heartbeats/": "scripts"}
    return next((key for start, key in begins.items() if path.startswith(start)), "admin")


def _name_of(path: str) -> str:
    """What `{name}` stands for."""
    names = {"/v1/schedules": "desk", "/v1/heartbeats": "backup", "/v2/heartbeats": "backup"}
    return next((name for start, name in names.items() if path.startswith(start)), "prometheus")


@_SCHEMA.parametrize()
@settings(
    max_examples=15, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
def test_whatever_is_sent_is_answered_as_described(case: Case, office: Office, known: dict[str, str]) -> None:
    """Half of the ids and names are those of something that exists."""
    given = case.path_parameters
    if len(json.dumps(str(case.query) + str(case.body), default=str)) % 2:
        there = known | {"name": _name_of(case.path)}
        given.update({name: there[name] for name in given if name in there})
    if isinstance(case.body, dict) and "routing_key" in case.body:
        case.body["routing_key"] = PAGER
    headers = {"Authorization": f"Bearer {_key_of(case.path)}"}
    unread = case.method == "GET" and case.path.startswith("/v2/alerts")  # 501, and described as such
    expected = _CHECKS[1:] if unread else _CHECKS
    answer = case.call_and_validate(base_url=office.url, headers=headers, checks=expected)
    if answer.status_code == 201:  # what was created by chance must not keep the other tests quiet
        httpx2.delete(f"{office.url}{case.path}/{answer.json()['id']}", headers=headers)
