"""OpenAPI's description of the paths of heartbeats."""

from collections.abc import Mapping
from typing import Any, Final

from services.intake.openapi.parts import (
    BY_KEY,
    NAME,
    QUERY_KEY,
    REFUSALS,
    TAGS,
    json_of,
    object_of,
    problem_of,
    text_of,
)
from shared.json_object import JsonObject

_HEARTBEAT: Final[Mapping[str, Any]] = {**NAME, "description": "The heartbeat's name in the policy."}
_SIGNAL: Final[Mapping[str, Any]] = {
    **NAME,
    "name": "signal",
    "description": (
        "`start`, `fail`, `log`, or an exit status: 0 is a beat, anything else a failure. Without a key "
        "elsewhere, anything else here is the key, and it beats."
    ),
    "example": "0",
}
_RUN: Final[Mapping[str, Any]] = {
    "name": "rid",
    "in": "query",
    "required": False,
    "description": "Which run it is of, where several overlap.",
    "schema": {"type": "string"},
}


def _beats(operation: str, summary: str, parameters: list[Any], security: list[Any] = BY_KEY) -> JsonObject:
    said = {
        "tags": TAGS,
        "summary": summary,
        "description": (
            "As healthchecks.io's pings, by POST, GET or HEAD, with any integration's key. A heartbeat "
            "of the policy that has not been heard of for longer than its `every` and `late_after` becomes "
            "an incident; so does a run that does not end within `late_after` of its `start`, and one that "
            "fails does so at once. The next beat resolves it. The first 16 KiB of the body are kept, as the "
            "description of what failed."
        ),
        "security": security,
        "parameters": [*parameters, _RUN],
        "responses": {
            "202": {
                "description": "The event log has acknowledged it.",
                "content": json_of(
                    "Beaten",
                    {"heartbeat": "nightly-backup", "at": "2026-01-05T02:00:00Z", "signal": "beat"},
                ),
            },
            **{status: REFUSALS[status] for status in ("401", "403", "408", "422", "429", "503")},
            "404": problem_of("The policy in force has no heartbeat of this name", "no-such-heartbeat", 404),
        },
    }
    body = {"required": False, "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "post": {**said, "operationId": operation, "requestBody": body},
        "get": {**said, "operationId": f"{operation}_by_get"},
    }


BEAT_PATHS: Final[Mapping[str, Any]] = {
    "/v1/heartbeats/{name}": _beats("beat", "Say that it still beats", [_HEARTBEAT, QUERY_KEY]),
    "/v1/heartbeats/{name}/{signal}": _beats(
        "signal", "Say that it begins, ended, failed, or something else", [_HEARTBEAT, _SIGNAL, QUERY_KEY]
    ),
    "/v1/heartbeats/{name}/{key}/{signal}": _beats(
        "signal_with_key",
        "The same, for senders that cannot set a header",
        [_HEARTBEAT, {**NAME, "name": "key", "description": "The key of an integration."}, _SIGNAL],
        security=[],
    ),
}
_PING: Final[Mapping[str, Any]] = {
    "tags": TAGS,
    "summary": "Opsgenie's heartbeat ping: it beats",
    "description": "As in Opsgenie's heartbeat API; with any integration's key, also as `apiKey`.",
    "security": BY_KEY,
    "parameters": [_HEARTBEAT],
    "responses": {
        "202": {
            "description": "The event log has acknowledged it.",
            "content": json_of(
                "AlertAccepted", {"result": "PONG - Heartbeat received", "took": 0.0, "requestId": "…"}
            ),
        },
        **{
            status: {"description": why, "content": json_of("AlertRefused")}
            for status, why in (
                ("401", "A key is needed that may post here"),
                ("403", "This key may not post here"),
                ("404", "The policy in force has no heartbeat of this name"),
                ("408", "The body took too long to arrive"),
                ("429", "Too many wrong keys came from this address"),
                ("503", "The event log did not acknowledge"),
            )
        },
    },
}
PING_PATHS: Final[Mapping[str, Any]] = {
    "/v2/heartbeats/{name}/ping": {
        method: {**_PING, "operationId": f"ping_by_{method}"} for method in ("get", "post", "put", "patch")
    }
}
BEAT_SCHEMAS: Final[Mapping[str, Any]] = {
    "Beaten": object_of(
        ("heartbeat", "at", "signal"),
        heartbeat=text_of(),
        at=text_of(format="date-time"),
        signal=text_of(enum=["beat", "start", "fail", "log"]),
    )
}
