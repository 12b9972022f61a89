"""The OpenAPI document of a process: what its services say of their paths, and what holds for every path.

Every path that needs a key can refuse it, every body can be too long, every refusal is a problem document
(RFC 9457): that is said here once, so that no service can forget it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ladder.web.edge import BODY_LIMIT
from shared.http.problems import MEDIA_TYPE
from shared.json_object import JsonObject
from shared.service import Service

_TAGS: Final[Mapping[str, str]] = {
    "intake": "Other systems post what happened. 202 means that it is kept.",
    "incidents": "What became of it: list, one, its timeline, why, what comes next; and acting on it.",
    "customers": "Who is hit: in the database, by the thousand, beside those of the policy bundle.",
    "integrations": "Who may post, and what became of what they posted.",
    "heartbeats": "What is expected to beat, and whether it does.",
    "subscriptions": "Who wants to hear no more of what the policy tells them.",
    "schedules": "Who is on call when, and who stands in.",
    "silences": "What nobody is notified of, until a time.",
    "maintenance": "Planned work, once or again and again, during which nobody is notified.",
    "reports": "Figures over a time: what was promised and kept, how fast, where it was solved.",
    "policy": "The bundle that decides everything.",
    "dead-letters": "Records that could not be used: look at them, send them again, or dismiss them.",
    "replies": "Answers to messages: links (GET shows, POST acts), buttons in Slack, texts, calls. No key.",
    "receipts": "What providers say later of messages. They need no key: their signature is one.",
    "inbox": "Messages kept for people who read them here.",
    "deliveries": "Every message to every address, and what became of it.",
    "process": "Alive, ready, measured.",
}
_SECURITY: Final[Mapping[str, Any]] = {
    "key": {"type": "http", "scheme": "bearer", "description": "A key of the policy bundle."},
    "password": {
        "type": "http",
        "scheme": "basic",
        "description": "For senders that know only passwords: the key of the integration is the password.",
    },
    "genie": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`GenieKey …`: the key of an integration of kind opsgenie.",
    },
}
_TEXT: Final[JsonObject] = {"type": "string"}
_PROBLEM: Final[Mapping[str, Any]] = {
    "title": "Problem",
    "description": "What is wrong, as RFC 9457 has it; `type` is stable.",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:ladder:problem:[a-z0-9-]+$"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {
                    "field": _TEXT | {"description": "A JSON pointer into the body, `query:NAME`, a header"},
                    "reason": _TEXT,
                    "file": _TEXT | {"description": "Of a policy bundle, as line, column and path"},
                    "line": {"type": "integer"},
                    "column": {"type": "integer"},
                    "path": _TEXT,
                    "message": _TEXT,
                },
            },
        },
        "possible": {
            "type": "array",
            "items": _TEXT,
            "description": "Actions that are possible instead",
        },
    },
}
_ANSWER: Final[Mapping[str, Any]] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_UNUSABLE: Final = "A parameter or the body cannot be used; `errors` names each."
_WAIT: Final[Mapping[str, Any]] = {
    "Retry-After": {"description": "Seconds to wait before trying again.", "schema": {"type": "integer"}}
}


def complete(document: JsonObject, services: Sequence[Service]) -> JsonObject:
    """FastAPI's document with the hot routes, the refusals that every path has, and the tags in order."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for _, operation in operations(document):
        _add_refusals(operation)
    for service in services:
        for path, of_path in service.openapi_paths.items():
            document["paths"].setdefault(path, {}).update(of_path)
        schemas |= service.openapi_schemas
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas.setdefault("Problem", dict(_PROBLEM))
    components["securitySchemes"] = dict(_SECURITY)
    used = {tag for _, operation in operations(document) for tag in operation.get("tags", ())}
    document["tags"] = [{"name": tag, "description": why} for tag, why in _TAGS.items() if tag in used]
    return document


def parameters(document: Mapping[str, Any], path: str, method: str) -> frozenset[str] | None:
    """The query parameters of an operation that needs a key; None for any other."""
    operation = document["paths"].get(path, {}).get(method.lower(), {})
    if not operation.get("security"):
        return None
    return frozenset(given["name"] for given in operation.get("parameters", ()) if given["in"] == "query")


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, JsonObject]]:
    """Each path with each of its operations."""
    for path, of_path in document["paths"].items():
        for operation in of_path.values():
            if isinstance(operation, dict) and "responses" in operation:
                yield path, operation


def _add_refusals(operation: JsonObject) -> None:
    answers = operation["responses"]
    if answers.get("422", {}).get("description") == "Validation Error":
        answers["422"] = {"description": _UNUSABLE}  # FastAPI describes a body of its own, never sent here
    for status, why in _refusals(operation).items():
        said = answers.setdefault(status, {"description": why})
        if status in {"429", "503"}:
            said.setdefault("headers", dict(_WAIT))
    for status, answer in answers.items():
        if status >= "400" and answer.get("content", {MEDIA_TYPE: {}}) == {MEDIA_TYPE: {}}:
            answer["content"] = dict(_ANSWER)
    operation["responses"] = dict(sorted(answers.items()))


def _refusals(operation: Mapping[str, Any]) -> dict[str, str]:
    """Status → why, for refusals by the host and the keys rather than by the path itself."""
    said: dict[str, str] = {}
    if operation.get("security"):
        said |= {
            "401": "No key, or none that is valid now.",
            "403": "The key's role is not enough.",
            "422": _UNUSABLE,
            "429": "Too many wrong keys came from this address; a good one passes all the same.",
            "503": "The database is away, or no policy is in force yet.",
        }
    if "requestBody" in operation:
        said["408"] = "The body took too long to arrive."
        said["413"] = f"The body is larger than {BODY_LIMIT} bytes."
        if list(operation["requestBody"]["content"]) == ["application/json"]:
            said["400"] = "The body is not text."
    return said
