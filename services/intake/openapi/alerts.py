"""OpenAPI's description of the paths of Opsgenie's API."""

from collections.abc import Mapping
from typing import Any, Final

from services.intake.formats.opsgenie import CREATE, DELETE, REMOVALS, VERBS
from services.intake.openapi.parts import (
    IDEMPOTENCY,
    TAGS,
    again,
    json_of,
    object_of,
    problem_of,
    text_of,
)
from shared.json_object import JsonObject

_GENIE: Final[list[Any]] = [{"genie": []}, {"key": []}]
_REQUEST_ID: Final = "ladder-r-WyJjcmVhdGUiLCJkaXNrIiwiMjAyNi0wMS0wNVQwODowMDowMFoiXQ"
_ACCEPTED: Final[Mapping[str, Any]] = {
    "result": "Request will be processed",
    "took": 0.0,
    "requestId": _REQUEST_ID,
}
_STATUS: Final[Mapping[str, Any]] = {
    "data": {
        "success": True,
        "isSuccess": True,
        "action": "Create",
        "status": "Accepted by Ladder's event log",
        "processedAt": "2026-01-05T08:00:00Z",
        "integrationId": "",
        "alertId": "ladder-a-ZGlzaw",
        "alias": "disk",
    },
    "took": 0.0,
    "requestId": _REQUEST_ID,
}
_CREATED: Final[Mapping[str, Any]] = {
    "message": "Disk full",
    "alias": "disk",
    "priority": "P1",
    "details": {"host": "db-1"},
}


def _path(name: str, description: str) -> JsonObject:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": text_of(minLength=1),
    }


_IDENTIFIER: Final = _path("identifier", "The alias, percent-encoded, or an id that Ladder told.")
_IDENTIFIER_TYPE: Final[Mapping[str, Any]] = {
    "name": "identifierType",
    "in": "query",
    "required": False,
    "description": "alias, or id (when left out). tiny is refused: nothing is looked up.",
    "schema": text_of(enum=["alias", "id"]),
}
_SAID: Final[list[Any]] = [
    {"name": name, "in": "query", "required": False, "description": why, "schema": text_of()}
    for name, why in (
        ("user", "Who asks."),
        ("source", "Where they ask."),
        ("note", "Why."),
        ("tags", "Those to remove."),
        ("keys", "Those to remove."),
    )
]


def _refused(status: str) -> JsonObject:
    what = {
        "401": "A key is needed that may post here",
        "403": "This key may not post here",
        "404": "No request has this id",
        "408": "The body took too long to arrive",
        "413": "The body is too large",
        "415": "The content encoding, or the body's type, is not taken here",
        "422": "The alert or the action cannot be accepted",
        "429": "More than the integration's rate allows, or too many wrong keys from this address",
        "501": "Alerts are not read here: GET /v1/incidents has them",
        "503": "The event log did not acknowledge; nothing was accepted",
    }[status]
    answer = {
        "description": what,
        "content": json_of("AlertRefused", {"message": what, "took": 0.0, "requestId": _REQUEST_ID}),
    }
    return again(answer) if status in ("429", "503") else answer


def _answers(*statuses: str, accepted: bool = True) -> JsonObject:
    said = {status: _refused(status) for status in statuses}
    if not accepted:
        return said
    return {
        "202": {
            "description": "The event log has acknowledged it.",
            "content": json_of("AlertAccepted", _ACCEPTED),
        },
        **said,
    }


_POSTING: Final = ("401", "403", "408", "413", "415", "422", "429", "503")


_NOT_SERVED: Final = problem_of("Nothing of this name can be done to an alert", "method-not-allowed", 405)
_NOTHING_TO_DO: Final[Mapping[str, Any]] = {
    **_NOT_SERVED,
    "content": {**_NOT_SERVED["content"], **json_of("AlertRefused")},
}


def _post(operation: str, summary: str, parameters: list[Any], schema: str, example: Any) -> JsonObject:
    return {
        "tags": TAGS,
        "operationId": operation,
        "summary": summary,
        "description": "As Opsgenie's alert API. What is only too long is cut.",
        "security": _GENIE,
        "parameters": [*parameters, IDEMPOTENCY],
        "requestBody": {"required": schema == "Alert", "content": json_of(schema, example)},
        "responses": _answers(*_POSTING) | ({} if schema == "Alert" else {"405": _NOTHING_TO_DO}),
    }


def _delete(operation: str, summary: str, parameters: list[Any]) -> JsonObject:
    return {
        "tags": TAGS,
        "operationId": operation,
        "summary": summary,
        "security": _GENIE,
        "parameters": [*parameters, _IDENTIFIER_TYPE, *_SAID, IDEMPOTENCY],
        "responses": _answers(*_POSTING) | {"405": _NOTHING_TO_DO},
    }


def _unread(operation: str, parameters: list[Any]) -> JsonObject:
    return {
        "tags": TAGS,
        "operationId": operation,
        "summary": "Not served: alerts are read as incidents",
        "security": _GENIE,
        "parameters": parameters,
        "responses": _answers("401", "403", "429", "501", "503", accepted=False),
    }


def _verb(names: list[str]) -> JsonObject:
    path = _path("verb", "What to do.")
    return path | {"schema": text_of(enum=names)}


_DONE: Final = [name for name in VERBS if name not in (CREATE, DELETE)]
ALERT_PATHS: Final[Mapping[str, Any]] = {
    "/v2/alerts": {
        "post": _post("create_alert", "Create an alert", [], "Alert", _CREATED),
        "get": _unread("list_alerts", []),
    },
    "/v2/alerts/requests/{request}": {
        "get": {
            "tags": TAGS,
            "operationId": "get_alert_request",
            "summary": "What became of a request",
            "security": _GENIE,
            "parameters": [_path("request", "The requestId that was told.")],
            "responses": {
                "200": {"description": "It was accepted.", "content": json_of("AlertRequest", _STATUS)},
                **_answers("401", "403", "404", "429", "503", accepted=False),
            },
        }
    },
    "/v2/alerts/{identifier}": {
        "delete": _delete("delete_alert", "Resolve an alert that is deleted", [_IDENTIFIER]),
        "get": _unread("get_alert", [_IDENTIFIER, _IDENTIFIER_TYPE]),
    },
    "/v2/alerts/{identifier}/{verb}": {
        "post": _post(
            "act_on_alert",
            "Close, acknowledge, unacknowledge, snooze, escalate or assign an alert, or change it",
            [_IDENTIFIER, _verb(_DONE), _IDENTIFIER_TYPE],
            "AlertAction",
            {"user": "ana@example.com", "note": "looked at it"},
        ),
        "put": _post(
            "change_alert",
            "The same; some clients change alerts by PUT",
            [_IDENTIFIER, _verb(_DONE), _IDENTIFIER_TYPE],
            "AlertAction",
            {"message": "Disk nearly full"},
        ),
        "patch": _post(
            "patch_alert",
            "The same; some clients change alerts by PATCH",
            [_IDENTIFIER, _verb(_DONE), _IDENTIFIER_TYPE],
            "AlertAction",
            {"message": "Disk nearly full"},
        ),
        "delete": _delete(
            "delete_of_alert",
            "Record that tags or details were removed",
            [_IDENTIFIER, _verb(list(REMOVALS))],
        ),
        "get": _unread("get_of_alert", [_IDENTIFIER, _verb(_DONE), _IDENTIFIER_TYPE]),
    },
}


def alert_schemas() -> JsonObject:
    """The components that these paths name."""
    people = {"description": "Kept as an attribute."}
    common = {"user": text_of(), "source": text_of(), "note": text_of(description="Becomes a note.")}
    return {
        "Alert": object_of(
            ("message",),
            message=text_of(minLength=1, description="The title."),
            alias=text_of(description="The key. Made and told when missing."),
            description=text_of(),
            priority=text_of(description="P1 to P5 (P3): critical, error, warning, info, info."),
            details={"description": "An object: the attributes."},
            entity=text_of(),
            tags=people,
            responders=people,
            visibleTo=people,
            actions=people,
            **common,
        ),
        "AlertAction": object_of(
            endTime=text_of(description="snooze: until when, ISO 8601."),
            owner=object_of(id=text_of(), username=text_of()),
            escalation=object_of(
                id=text_of(), name=text_of(description="escalate: a policy or a level; else the next level.")
            ),
            details={"description": "details: what to add."},
            tags={"description": "tags: recorded only."},
            responder={"description": "responders: recorded only."},
            message=text_of(),
            description=text_of(),
            priority=text_of(),
            **common,
        ),
        "AlertAccepted": object_of(
            ("result", "took", "requestId"),
            result=text_of(),
            took={"type": "number"},
            requestId=text_of(description="Ask `/v2/alerts/requests/…` for the alert's id."),
        ),
        "AlertRefused": object_of(
            ("message", "took", "requestId"),
            message=text_of(),
            errors={"type": "object", "additionalProperties": text_of()},
            took={"type": "number"},
            requestId=text_of(),
        ),
        "AlertRequest": object_of(
            ("data", "took", "requestId"),
            data=object_of(
                ("isSuccess", "action", "status", "processedAt", "alertId", "alias"),
                success={"type": "boolean"},
                isSuccess={"type": "boolean"},
                action=text_of(),
                status=text_of(),
                processedAt=text_of(format="date-time"),
                integrationId=text_of(),
                alertId=text_of(),
                alias=text_of(),
            ),
            took={"type": "number"},
            requestId=text_of(),
        ),
    }
