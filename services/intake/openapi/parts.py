"""The pieces that the descriptions of intake's paths are made of."""

from collections.abc import Mapping
from typing import Any, Final

from shared.http.problems import MEDIA_TYPE
from shared.json_object import JsonObject

TAGS: Final = ["intake"]
BY_KEY: Final[list[Any]] = [{"key": []}, {"password": []}]


def named(schema: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{schema}"}


def json_of(schema: str, example: Any = None, media_type: str = "application/json") -> JsonObject:
    content: JsonObject = {"schema": named(schema)}
    return {media_type: content | ({"example": example} if example else {})}


def problem_of(description: str, kind: str, status: int, field: str = "", reason: str = "") -> JsonObject:
    example: JsonObject = {
        "type": f"urn:ladder:problem:{kind}",
        "title": description,
        "status": status,
    }
    if field:
        example["errors"] = [{"field": field, "reason": reason}]
    return {"description": description, "content": json_of("Problem", example, MEDIA_TYPE)}


def again(answer: JsonObject) -> JsonObject:
    wait = {"description": "Seconds to wait before trying again.", "schema": {"type": "integer"}}
    return answer | {"headers": {"Retry-After": wait}}


IDEMPOTENCY: Final[Mapping[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The sender's own id of this post: the same key again is the same events. With another "
    "content it is refused (422, `idempotency-key-reused`) where that is known, and counts as another "
    "event where it is not.",
    "schema": {"type": "string", "maxLength": 255},
}
NAME: Final[Mapping[str, Any]] = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The integration's name in the policy.",
    "schema": {"type": "string"},
}
QUERY_KEY: Final[Mapping[str, Any]] = {
    "name": "key",
    "in": "query",
    "required": False,
    "description": "The key, for senders that cannot set a header.",
    "schema": {"type": "string"},
}
REFUSALS: Final[Mapping[str, Any]] = {
    "401": problem_of("A key is needed that may post here", "unauthorized", 401),
    "403": problem_of("This key may not post here", "forbidden", 403),
    "408": problem_of("The body took too long to arrive", "body-too-slow", 408),
    "413": problem_of("The body is too large", "too-large", 413, "body", "larger than 1048576 bytes"),
    "415": problem_of(
        "This content type is not taken here",
        "unsupported-media-type",
        415,
        "Content-Type",
        "'text/xml'; expected application/json or application/x-ndjson",
    ),
    "422": problem_of("The event cannot be accepted", "invalid-event", 422, "/title", "needed for a trigger"),
    "429": again(
        problem_of(
            "The integration's rate is exceeded (Alertmanager and Grafana are told 503), or too many wrong "
            "keys came from this address",
            "rate-limited",
            429,
        )
    ),
    "503": again(
        problem_of("The event log did not acknowledge; nothing was accepted", "log-unavailable", 503)
    ),
}


def object_of(required: tuple[str, ...] = (), /, **properties: Any) -> JsonObject:
    return {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})


def text_of(**more: Any) -> JsonObject:
    return {"type": "string", **more}
