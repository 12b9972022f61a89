"""`/v1/policy/try`: what a post would do, decided as a real one is, with nothing kept."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api.access import Access, Caller, Route
from services.router.api.shapes.answers import answer, answers
from services.router.api.shapes.dry_run import Trial, trial
from services.router.batch import gather
from services.router.batch.engine import Engine
from services.router.domain.dry_run import tried
from services.router.policy.compiled_cache import moment, required
from shared.events import IncidentEvent
from shared.http.problems import Fault, Problem
from shared.policy import Bundle

LARGEST: Final = 9 * 1024 * 1024  # bytes; the most that Alertmanager may post, and what surrounds it
_REFUSED: Final = {
    404: "The policy in force has no integration of this name.",
    413: "The body is larger than intake takes.",
    422: "Intake would refuse the post: for which reason, and where in it.",
    501: "This process does not read posts.",
}


_EXAMPLE: Final[JsonDict] = {
    "integration": "crm",
    "body": {"ticket": {"id": 48151, "subject": "The invoice cannot be paid", "state": "open"}},
    "headers": {"X-Shop": "Prague"},
}


class ReadsPosts(Protocol):
    """Intake's reading of a post: its events, and how many were ignored. Raises Problem 404, 413, 422."""

    def __call__(
        self, bundle: Bundle, integration: str, body: bytes, headers: Mapping[str, str], now: datetime
    ) -> tuple[Sequence[IncidentEvent], int]: ...


class TryBody(BaseModel):
    """A post that is tried. The body as JSON, or as the text that it is."""

    model_config = ConfigDict(
        extra="forbid",
        defer_build=False,
        title="TriedPost",
        json_schema_extra={"examples": [_EXAMPLE]},
    )

    integration: Annotated[str, Field(min_length=1, max_length=100)]
    body: Any = None
    text: Annotated[str | None, Field(description="The body as it stands, instead of `body`.")] = None
    headers: Annotated[
        dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=100, default_factory=dict)
    ]


def trying(engine: Engine, access: Access, read_post: ReadsPosts | None) -> APIRouter:
    """The path."""
    router = APIRouter(prefix="/v1/policy", tags=["policy"], route_class=Route)

    @router.post(
        "/try",
        operation_id="try_post",
        summary="What would come of a post: its events, their route, and who would be paged",
        response_class=Response,
        responses=answers(Trial, "What would happen. Nothing is stored or sent.", _REFUSED),
        max_body_size=LARGEST,
    )
    async def attempt(
        post: TryBody, caller: Annotated[Caller, Depends(access.needs("responder"))]
    ) -> Response:
        if read_post is None:
            raise Problem(501, "not-served", "Posts are not tried here")
        body = _bytes(post)
        events, ignored = await asyncio.to_thread(
            read_post, caller.live.spec, post.integration, body, post.headers, caller.now
        )
        reading = engine.database.reading
        async with reading.transaction("ask again later") as connection:
            now, in_force = await moment(connection)
            unit = await gather.to_look_at(
                connection,
                events=events,
                bundles=engine.bundles,
                in_force=required(in_force),
                now=now,
            )
            standing = await _standing(connection, post.integration, [event.dedup_key for event in events])
        found = await reading.result(tried(events, unit.context(), now))
        count = len(events)
        return answer(trial(post.integration, now, found, events=count, ignored=ignored, standing=standing))

    return router


def _bytes(post: TryBody) -> bytes:
    """The body as it would arrive. Raises Problem 422."""
    if post.text is not None:
        return post.text.encode("utf-8", "replace")
    try:
        return json.dumps(post.body).encode()
    except RecursionError as err:
        fault = Fault("body", "the JSON is nested too deeply")
        raise Problem(422, "invalid-event", "The event cannot be accepted", faults=[fault]) from err


async def _standing(connection: AsyncConnection, integration: str, keys: Sequence[str]) -> dict[str, str]:
    """The open incidents of these keys, by key."""
    rows = await connection.execute(_STANDING, {"integration": integration, "keys": list(keys)})
    return {row.dedup_key: str(row.id) for row in rows}


_STANDING: Final = text("""
    SELECT dedup_key, id FROM router.incident
    WHERE integration = :integration AND dedup_key = ANY(CAST(:keys AS text[]))
      AND status IN ('triggered', 'acknowledged')
""")
