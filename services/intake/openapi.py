"""What OpenAPI says of intake's paths, which are plain ASGI and cannot say it themselves."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.intake.formats.contract import DESCRIPTION_LENGTH, TITLE_LENGTH
from services.intake.formats.native import BATCH, NativeEvent
from shared.problems import MEDIA_TYPE

_TAGS: Final = ["intake"]
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


def _named(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _json(schema: str, example: Any = None, media_type: str = "application/json") -> dict[str, Any]:
    content: dict[str, Any] = {"schema": _named(schema)}
    return {media_type: content | ({"example": example} if example else {})}


def _problem(description: str, kind: str, status: int, field: str = "", reason: str = "") -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": f"urn:ladder:problem:{kind}",
        "title": description,
        "status": status,
    }
    if field:
        example["errors"] = [{"field": field, "reason": reason}]
    return {"description": description, "content": _json("Problem", example, MEDIA_TYPE)}


def _again(answer: dict[str, Any]) -> dict[str, Any]:
    wait = {"description": "Seconds to wait before trying again.", "schema": {"type": "integer"}}
    return answer | {"headers": {"Retry-After": wait}}


_IDEMPOTENCY: Final[Mapping[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The sender's own id of this post: the same key again is the same events.",
    "schema": {"type": "string", "maxLength": 255},
}
_NAME: Final[Mapping[str, Any]] = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The integration's name in the policy.",
    "schema": {"type": "string"},
}
_QUERY_KEY: Final[Mapping[str, Any]] = {
    "name": "key",
    "in": "query",
    "required": False,
    "description": "The key, for senders that cannot set a header.",
    "schema": {"type": "string"},
}
_REFUSALS: Final[Mapping[str, Any]] = {
    "401": _problem("A key is needed that may post here", "unauthorized", 401),
    "403": _problem("This key may not post here", "forbidden", 403),
    "408": _problem("The body took too long to arrive", "body-too-slow", 408),
    "413": _problem("The body is too large", "too-large", 413, "body", "larger than 1048576 bytes"),
    "415": _problem(
        "This content type is not taken here",
        "unsupported-media-type",
        415,
        "Content-Type",
        "'text/xml'; expected application/json or application/x-ndjson",
    ),
    "422": _problem("The event cannot be accepted", "invalid-event", 422, "/title", "needed for a trigger"),
    "503": _again(
        _problem("The event log did not acknowledge; nothing was accepted", "log-unavailable", 503)
    ),
}
_ACCEPTED: Final[Mapping[str, Any]] = {
    "description": "The event log has acknowledged every event.",
    "content": _json(
        "EventsAccepted", {"accepted": 1, "events": [{"event_id": _ID, "dedup_key": "checkout-5xx"}]}
    ),
}


def _pagerduty_answers(message: str) -> dict[str, Any]:
    def refused(description: str, status: str, text: str, error: str) -> dict[str, Any]:
        example = {"status": status, "message": text, "errors": [error]}
        return {"description": description, "content": _json("PagerDutyRefused", example)}

    return {
        "202": {
            "description": "The event log has acknowledged the event.",
            "content": _json(
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
        "503": _again(
            refused(
                "Nothing was accepted; try again",
                "error",
                "The event log did not acknowledge; nothing was accepted",
                "log-unavailable",
            )
        ),
    }


def _enqueue(operation: str, summary: str, schema: str, example: Any, message: str) -> dict[str, Any]:
    return {
        "post": {
            "tags": _TAGS,
            "operationId": operation,
            "summary": summary,
            "description": "As PagerDuty's Events API v2. The credential is `routing_key`.",
            "security": [],
            "parameters": [_IDEMPOTENCY],
            "requestBody": {"required": True, "content": _json(schema, example)},
            "responses": _pagerduty_answers(message),
        }
    }


def _named_post(operation: str, parameters: list[Any], security: list[Any]) -> dict[str, Any]:
    shapes = ["AlertmanagerWebhook", "PagerDutyEvent", "NativeEvent", "NativeBatch"]
    return {
        "post": {
            "tags": _TAGS,
            "operationId": operation,
            "summary": "Post to one integration, in the format of its kind",
            "description": (
                "Alertmanager: one incident per alert, keyed by its fingerprint; all or nothing. "
                "An integration of kind pagerduty answers as `/v2/enqueue` does."
            ),
            "security": security,
            "parameters": [*parameters, _IDEMPOTENCY],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {"anyOf": [_named(shape) for shape in shapes]},
                        "example": _ALERTS,
                    },
                    "application/x-ndjson": {"schema": {"type": "string"}},
                },
            },
            "responses": {
                "202": {
                    "description": _ACCEPTED["description"],
                    "content": {
                        "application/json": {
                            "schema": {"anyOf": [_named("EventsAccepted"), _named("PagerDutyAccepted")]}
                        }
                    },
                },
                "400": {
                    "description": "An integration of kind pagerduty: something is wrong with the event.",
                    "content": _json("PagerDutyRefused"),
                },
                **_REFUSALS,
                "501": _problem("Integrations of this kind are not served yet", "format-not-served", 501),
            },
        }
    }


_BY_KEY: Final[list[Any]] = [{"key": []}, {"password": []}]
PATHS: Final[Mapping[str, Any]] = {
    "/v1/events": {
        "post": {
            "tags": _TAGS,
            "operationId": "post_events",
            "summary": "Post one event, an array of up to 1,000, or newline-delimited events",
            "description": (
                "202 only after the event log has acknowledged every event. A batch with a bad member is "
                "refused whole, naming each bad member by index and field. At most 1 MiB; gzip is taken."
            ),
            "security": _BY_KEY,
            "parameters": [_IDEMPOTENCY, _QUERY_KEY],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {"anyOf": [_named("NativeEvent"), _named("NativeBatch")]},
                        "example": _EVENT,
                    },
                    "application/x-ndjson": {
                        "schema": {"type": "string", "description": "One event a line."},
                        "example": '{"title": "one"}\n{"title": "two"}\n',
                    },
                },
            },
            "responses": {"202": _ACCEPTED, **_REFUSALS},
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
    "/v1/integrations/{name}": _named_post("post_to_integration", [_NAME, _QUERY_KEY], _BY_KEY),
    "/v1/integrations/{name}/{key}": _named_post(
        "post_to_integration_with_key",
        [_NAME, {**_NAME, "name": "key", "description": "The key, for senders that cannot set a header."}],
        [],
    ),
}


def _object(required: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})


def _text(**more: Any) -> dict[str, Any]:
    return {"type": "string", **more}


def _foreign_schemas() -> dict[str, Any]:
    """Bodies of other systems: what is read of them. Nothing else in them is looked at, little is refused."""
    payload = {
        "summary": _text(description=f"Cut to {TITLE_LENGTH} characters."),
        "source": _text(),
        "severity": _text(description="critical, error, warning, info; anything else is read as error."),
        "timestamp": _text(description="ISO 8601; one that cannot be read is noted."),
        "component": _text(),
        "group": _text(),
        "class": _text(),
        "custom_details": {"description": "Usually an object; anything else is kept as `details`."},
    }
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    alert = _object(
        status=_text(description="firing or resolved"),
        labels=texts,
        annotations=texts
        | {"description": f"summary, description (cut to {DESCRIPTION_LENGTH} characters), *_url"},
        startsAt=_text(),
        endsAt=_text(),
        generatorURL=_text(),
        fingerprint=_text(description="Computed from the labels when missing."),
    )
    return {
        "PagerDutyEvent": _object(
            ("routing_key", "event_action"),
            routing_key=_text(),
            event_action=_text(enum=["trigger", "acknowledge", "resolve"]),
            dedup_key=_text(description="Needed to acknowledge and resolve; made when a trigger has none."),
            payload=_object(("summary", "source", "severity"), **payload),
            client=_text(),
            client_url=_text(),
            links={"type": "array", "items": _object(href=_text(), text=_text())},
            images={"type": "array", "items": _object(src=_text(), href=_text(), alt=_text())},
        ),
        "PagerDutyChange": _object(
            ("routing_key", "payload"),
            routing_key=_text(),
            payload=_object(
                ("summary",),
                **{name: payload[name] for name in ("summary", "source", "timestamp", "custom_details")},
            ),
            links={"type": "array", "items": _object(href=_text(), text=_text())},
        ),
        "PagerDutyAccepted": _object(
            ("status", "message", "dedup_key"), status=_text(), message=_text(), dedup_key=_text()
        ),
        "PagerDutyRefused": _object(
            ("status", "message"),
            status=_text(),
            message=_text(),
            errors={"type": "array", "items": {"type": "string"}},
        ),
        "AlertmanagerWebhook": _object(
            ("alerts",),
            version=_text(),
            groupKey=_text(),
            status=_text(),
            receiver=_text(),
            externalURL=_text(),
            truncatedAlerts={"type": "integer"},
            groupLabels=texts,
            commonLabels=texts,
            commonAnnotations=texts,
            alerts={"type": "array", "items": alert},
        ),
    }


def schemas() -> dict[str, Any]:
    """The components that the paths name. `Problem` is the host's."""
    _, native = msgspec.json.schema_components([NativeEvent], ref_template="#/components/schemas/{name}")
    pair = _object(("event_id", "dedup_key"), event_id=_text(format="uuid"), dedup_key=_text())
    return {
        **native,
        "NativeBatch": {"type": "array", "maxItems": BATCH, "items": _named("NativeEvent")},
        "EventsAccepted": _object(
            ("accepted", "events"),
            accepted={"type": "integer", "description": "How many events the log acknowledged."},
            events={"type": "array", "items": pair},
        ),
        **_foreign_schemas(),
    }
