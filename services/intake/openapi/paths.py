"""OpenAPI's description of intake's paths, which are plain ASGI and cannot describe themselves."""

from collections.abc import Mapping
from typing import Any, Final

from services.intake.formats.native import BATCH
from services.intake.openapi.alerts import ALERT_PATHS
from services.intake.openapi.heartbeats import BEAT_PATHS, PING_PATHS
from services.intake.openapi.parts import (
    BY_KEY,
    IDEMPOTENCY,
    NAME,
    QUERY_KEY,
    REFUSALS,
    TAGS,
    again,
    json_of,
    named,
)
from shared.json_object import JsonObject

_EVENT: Final[Mapping[str, Any]] = {
    "dedup_key": "checkout-5xx",
    "title": "Checkout answers 5xx to one request in five",
    "severity": "critical",
    "customer": "acme",
    "service": "checkout",
    "attributes": {"error_rate": 0.21},
    "occurred_at": "2026-01-05T08:00:00Z",
}
_ENQUEUED: Final[Mapping[str, Any]] = {
    "routing_key": "0123456789abcdef0123456789abcdef",
    "event_action": "trigger",
    "dedup_key": "checkout-5xx",
    "payload": {
        "summary": "Checkout answers 5xx",
        "source": "lb-1",
        "severity": "critical",
        "timestamp": "2026-01-05T08:00:00Z",
        "custom_details": {"rate": 0.21},
    },
}
_CHANGED: Final[Mapping[str, Any]] = {
    "routing_key": "0123456789abcdef0123456789abcdef",
    "payload": {"summary": "Release 42 is out", "source": "ci", "timestamp": "2026-01-05T08:00:00Z"},
}
_CLOUDEVENT: Final[Mapping[str, Any]] = {
    "specversion": "1.0",
    "id": "A234-1234-1234",
    "source": "/databases/db-1",
    "type": "com.example.disk.full",
    "subject": "sda1",
    "time": "2026-01-05T08:00:00Z",
    "data": {"title": "Disk full", "severity": "critical", "attributes": {"used": 0.99}},
}
_ALERTS: Final[Mapping[str, Any]] = {
    "version": "4",
    "groupKey": '{}:{alertname="HighErrorRate"}',
    "status": "firing",
    "receiver": "ladder",
    "truncatedAlerts": 0,
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "HighErrorRate", "service": "checkout", "severity": "critical"},
            "annotations": {"summary": "Checkout answers 5xx"},
            "startsAt": "2026-01-05T08:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example/graph",
            "fingerprint": "d2a2b3c4d5e6f708",
        }
    ],
}
_ID: Final = "1b7a2f0e-7a53-4b7e-9f0c-0c7a1d7f6f11"

_ACCEPTED: Final[Mapping[str, Any]] = {
    "description": "The event log has acknowledged every event.",
    "content": json_of(
        "EventsAccepted", {"accepted": 1, "events": [{"event_id": _ID, "dedup_key": "checkout-5xx"}]}
    ),
}


def _pagerduty_answers(message: str) -> JsonObject:
    def refused(description: str, status: str, text: str, error: str) -> JsonObject:
        example = {"status": status, "message": text, "errors": [error]}
        return {"description": description, "content": json_of("PagerDutyRefused", example)}

    return {
        "202": {
            "description": "The event log has acknowledged the event.",
            "content": json_of(
                "PagerDutyAccepted", {"status": "success", "message": message, "dedup_key": "checkout-5xx"}
            ),
        },
        "400": refused(
            "Something is wrong with the event, or with its routing key",
            "invalid event",
            "Event object is invalid",
            "/payload/summary: is missing",
        ),
        "408": refused(
            "The body took too long to arrive", "error", "The body took too long", "body-too-slow"
        ),
        "413": refused(
            "The body is too large", "error", "The body is too large", "body: larger than 524288 bytes"
        ),
        "415": refused(
            "The body is not JSON",
            "error",
            "This content type is not taken here",
            "Content-Type: expected application/json",
        ),
        "429": again(
            refused("More than the integration's rate allows", "error", "Later, please", "rate-limited")
        ),
        "503": again(
            refused(
                "Nothing was accepted; try again",
                "error",
                "The event log did not acknowledge; nothing was accepted",
                "log-unavailable",
            )
        ),
    }


def _enqueue(operation: str, summary: str, schema: str, example: Any, message: str) -> JsonObject:
    return {
        "post": {
            "tags": TAGS,
            "operationId": operation,
            "summary": summary,
            "description": "As PagerDuty's Events API v2. The credential is `routing_key`.",
            "security": [],
            "parameters": [IDEMPOTENCY],
            "requestBody": {"required": True, "content": json_of(schema, example)},
            "responses": _pagerduty_answers(message),
        }
    }


def _named_post(operation: str, parameters: list[Any], security: list[Any]) -> JsonObject:
    shapes = ["AlertmanagerWebhook", "PagerDutyEvent", "NativeEvent", "NativeBatch", "AnyJson"]
    post = {
        "tags": TAGS,
        "operationId": operation,
        "summary": "Post to one integration, in the format of its kind",
        "description": (
            "Alertmanager: one incident per alert, keyed by its fingerprint; all or nothing. "
            "An integration of kind pagerduty answers as `/v2/enqueue` does, one of kind opsgenie as "
            "`/v2/alerts`. Kind json: any object, or an array of them; `map` of the integration says "
            "what it means; a title or key that it cannot say is a 422 that names the expression. "
            "Signatures are checked where the integration says so; they may stand in the key's place."
        ),
        "security": security,
        "parameters": [*parameters, IDEMPOTENCY],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"anyOf": [named(shape) for shape in shapes]},
                    "example": _ALERTS,
                },
                "application/cloudevents+json": {"schema": named("CloudEvent")},
                "application/x-ndjson": {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "202": {
                "description": _ACCEPTED["description"],
                "content": {
                    "application/json": {
                        "schema": {
                            "anyOf": [
                                named("EventsAccepted"),
                                named("PagerDutyAccepted"),
                                named("AlertAccepted"),
                            ]
                        }
                    }
                },
            },
            "400": {
                "description": "An integration of kind pagerduty: something is wrong with the event.",
                "content": json_of("PagerDutyRefused"),
            },
            **REFUSALS,
        },
    }
    by_put = {
        "operationId": f"put_{operation.removeprefix('post_')}",
        "summary": "The same; Grafana can be told to PUT",
    }
    return {"post": post, "put": {**post, **by_put}}


PATHS: Final[Mapping[str, Any]] = {
    "/v1/events": {
        "post": {
            "tags": TAGS,
            "operationId": "post_events",
            "summary": "Post one event, an array of up to 1,000, or newline-delimited events",
            "description": (
                "202 only after the event log has acknowledged every event. A batch with a bad member is "
                "refused whole, naming each bad member by index and field. At most 1 MiB; gzip is taken. "
                "CloudEvents 1.0 are taken in every mode; in binary mode the body is the data and the "
                "attributes stand in `ce-` headers. Their source and id name the event."
            ),
            "security": BY_KEY,
            "parameters": [IDEMPOTENCY, QUERY_KEY],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {"anyOf": [named("NativeEvent"), named("NativeBatch")]},
                        "example": _EVENT,
                    },
                    "application/cloudevents+json": {"schema": named("CloudEvent"), "example": _CLOUDEVENT},
                    "application/cloudevents-batch+json": {
                        "schema": {"type": "array", "maxItems": BATCH, "items": named("CloudEvent")}
                    },
                    "application/x-ndjson": {
                        "schema": {"type": "string", "description": "One event a line."},
                        "example": '{"title": "one"}\n{"title": "two"}\n',
                    },
                },
            },
            "responses": {"202": _ACCEPTED, **REFUSALS},
        }
    },
    "/v2/enqueue": _enqueue(
        "enqueue", "Post a PagerDuty event", "PagerDutyEvent", _ENQUEUED, "Event processed"
    ),
    "/v2/change/enqueue": _enqueue(
        "enqueue_change",
        "Post a PagerDuty change event: recorded, never notifies",
        "PagerDutyChange",
        _CHANGED,
        "Change event processed",
    ),
    "/v1/integrations/{name}": _named_post("post_to_integration", [NAME, QUERY_KEY], BY_KEY),
    "/v1/integrations/{name}/{key}": _named_post(
        "post_to_integration_with_key",
        [NAME, {**NAME, "name": "key", "description": "The key, for senders that cannot set a header."}],
        [],
    ),
    **ALERT_PATHS,
    **BEAT_PATHS,
    **PING_PATHS,
}
