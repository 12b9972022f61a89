"""`/v1/overrides`: somebody stands in on a schedule, or is absent from all of them, for a while.

They survive every policy change. When several overlap, the one made last counts.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api.access import Access, Caller, Route
from services.router.api.idempotency import IdempotencyKey, Once
from services.router.api.shapes.answers import answer, answers
from services.router.api.shapes.duty import Gap, OverrideItem, OverrideList, OverrideMade
from services.router.api.times import Moment
from services.router.batch.engine import Engine
from services.router.duty import overlay
from services.router.duty import override_store as stored
from services.router.duty.override_store import StoredOverride, Wanted
from services.router.policy.compiled_cache import InForce
from services.router.policy.missing_names import faults_of
from shared.http.cursors import cursor_of, moment_and_id
from shared.http.problems import Fault, Problem
from shared.policy import Bundle
from shared.policy.errors import nearest
from shared.policy.oncall.roster import EVERY, roster_of

_MOST: Final = 500
_GAPS: Final = 100  # gaps that are listed
_AHEAD: Final = timedelta(weeks=8)  # as far as `ladder check` looks
_JSON: Final = "application/json"
_UNKNOWN: Final = {404: "No override has this id."}
_EXAMPLE: Final[JsonDict] = {
    "title": "Override",
    "examples": [
        {"schedule": "desk", "user": "petra", "from": "2030-05-01T08:00:00Z", "to": "2030-05-02T08:00:00Z"},
        {"absent": "ana", "user": "petra", "from": "2030-05-01T08:00:00Z", "to": "2030-05-15T08:00:00Z"},
    ],
}
_Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
_Filter: TypeAlias = Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")]
_encoder: Final = msgspec.json.Encoder()


class OverrideBody(BaseModel):
    """Who stands in on which schedule, or who is absent, from when until when."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_EXAMPLE)

    schedule: _Name | None = Field(default=None, description="left out only beside `absent`: every one")
    user: _Name | None = Field(default=None, description="who stands in; beside `absent`: for that person")
    absent: _Name | None = Field(
        default=None,
        description="has nothing meanwhile: what would be theirs is `user`'s, or goes to what lies beneath",
    )
    nobody: bool = Field(default=False, description="instead of `user`: a gap that is wanted")
    from_: Moment = Field(alias="from", description="RFC 3339, with an offset")
    to: Moment = Field(description="RFC 3339, with an offset; after `from`")
    comment: Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")] = ""


def overrides(engine: Engine, access: Access) -> APIRouter:
    """The paths."""
    router = APIRouter(prefix="/v1/overrides", tags=["schedules"], route_class=Route)
    _add_create(router, engine, access)
    _add_list(router, engine, access)
    _add_one(router, engine, access)
    _add_delete(router, engine, access)
    return router


def _add_create(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.post(
        "",
        operation_id="create_override",
        summary="Let somebody stand in on a schedule, or be absent from all of them",
        response_class=Response,
        status_code=201,
        responses=answers(
            OverrideMade,
            "It is in force from its `from` on, before those made earlier; what is open is handed over.",
            status=201,
        ),
    )
    async def create(
        body: OverrideBody,
        caller: Annotated[Caller, Depends(access.needs("lead"))],
        idempotency_key: IdempotencyKey = "",
    ) -> Response:
        _check_sense(body)
        begins, ends = _range(body, caller.now)
        once = Once(caller.actor.name, idempotency_key, f"create override\n{body.model_dump_json()}")

        async def work(connection: AsyncConnection, now: datetime, in_force: InForce) -> bytes:
            live = (await engine.bundles.one(connection, in_force.hash)).spec

            async def make() -> bytes:
                _check_names(body, live)
                await overlay.touch(connection)
                made = StoredOverride(
                    uuid.uuid4(), body.schedule or EVERY, body.user or "", begins, ends, body.comment,
                    caller.actor.name, now, body.absent or "",
                )  # fmt: skip
                await stored.add(connection, made)
                await stored.ask_duties(connection, made.schedule)
                gaps = await _gaps(connection, made, live, now)
                item = shown(made, live)
                return _encoder.encode(OverrideMade(**msgspec.structs.asdict(item), gaps=gaps))

            return await once.answer(connection, now, make)

        made = await engine.transaction(work)
        engine.alarm.earlier(caller.now)
        return Response(made, 201, media_type=_JSON)


def _add_list(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.get(
        "",
        operation_id="list_overrides",
        summary="Overrides, by their begin; those that are over only where `from` asks for them",
        response_class=Response,
        responses=answers(OverrideList, "One page of them."),
    )
    async def listed(
        caller: Annotated[Caller, Depends(access.needs("viewer"))],
        *,
        schedule: _Filter = "",
        begins: Annotated[Moment | None, Query(alias="from", description="RFC 3339; now")] = None,
        ends: Annotated[Moment | None, Query(alias="to", description="RFC 3339; unbounded")] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> Response:
        wanted = Wanted(
            schedule,
            in_utc(begins, "query:from") or caller.now,
            in_utc(ends, "query:to"),
            moment_and_id(cursor) if cursor is not None else None,
            limit + 1,
        )
        async with engine.database.reading.transaction("name a `schedule`, or a `to`") as connection:
            found = await stored.find(connection, wanted)
        more = len(found) > limit
        last = found[limit - 1] if more else None
        following = cursor_of([last.begins.isoformat(), str(last.id)]) if last else None
        return answer(
            OverrideList(items=[shown(each, caller.live.spec) for each in found[:limit]], next=following)
        )


def _add_one(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.get(
        "/{override_id}",
        operation_id="get_override",
        summary="One override",
        response_class=Response,
        responses=answers(OverrideItem, "The override.", _UNKNOWN),
    )
    async def one(override_id: str, caller: Annotated[Caller, Depends(access.needs("viewer"))]) -> Response:
        async with engine.database.reading.transaction("ask again later") as connection:
            found = await stored.one(connection, _id_of(override_id))
        if found is None:
            raise _not_found()
        return answer(shown(found, caller.live.spec))


def _add_delete(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.delete(
        "/{override_id}",
        operation_id="delete_override",
        summary="Take an override back; one that runs ends now",
        response_class=Response,
        responses=answers(
            OverrideItem,
            "It as it was, or (where it was running) as it is now: who had the schedule so far stays known.",
            _UNKNOWN | {409: "It is over already: it is history."},
        ),
    )
    async def delete(
        override_id: str,
        caller: Annotated[Caller, Depends(access.needs("lead"))],
        idempotency_key: IdempotencyKey = "",
    ) -> Response:
        once = Once(caller.actor.name, idempotency_key, f"delete override\n{override_id}")

        async def work(connection: AsyncConnection, now: datetime, _: InForce) -> bytes:
            async def end() -> bytes:
                ended = await _end(connection, _id_of(override_id), now)
                return _encoder.encode(shown(ended, caller.live.spec))

            return await once.answer(connection, now, end)

        left = await engine.transaction(work)
        engine.alarm.earlier(caller.now)
        return Response(left, media_type=_JSON)


async def _end(connection: AsyncConnection, override_id: uuid.UUID, now: datetime) -> StoredOverride:
    """Take it back, or end it now if it has begun; returns it. Raises a 404, or a 409 once it is over."""
    await overlay.touch(connection)
    found = await stored.one(connection, override_id)
    if found is None:
        raise _not_found()
    if found.ends <= now:
        why = f"it ended at {found.ends.isoformat()}; it is history"
        raise Problem(409, "conflict", "It is over already", why)
    if found.begins >= now:
        await stored.remove(connection, found.id)
    else:
        await stored.end(connection, found.id, now)
        found = (await stored.one(connection, found.id)) or found
    await stored.ask_duties(connection, found.schedule)
    return found


async def _gaps(connection: AsyncConnection, made: StoredOverride, live: Bundle, now: datetime) -> list[Gap]:
    """What an absence leaves to nobody, by schedule."""
    if not made.absent:
        return []
    begins = max(made.begins, now)
    standing = await stored.by_schedule(connection, begins, made.ends)
    names = [made.schedule] if made.schedule else list(live.schedules)
    found: list[Gap] = []
    for name in names:
        roster = roster_of(live, name, standing)
        if roster is not None:
            opened = roster.opened_by(str(made.id), begins, min(made.ends, begins + _AHEAD))
            found += (Gap(schedule=name, from_=since, to=until) for since, until in opened)
    return found[:_GAPS]


def shown(one: StoredOverride, live: Bundle) -> OverrideItem:
    """The override as the API shows it, under this policy."""
    return OverrideItem(
        id=str(one.id),
        schedule=one.schedule,
        user=one.user,
        from_=one.begins.astimezone(UTC),
        to=one.ends.astimezone(UTC),
        comment=one.comment,
        by=one.by,
        made_at=one.made_at.astimezone(UTC),
        absent=one.absent,
        broken="; ".join(faults_of(one, live)),
    )


def in_utc(at: datetime | None, field: str) -> datetime | None:
    """The time in UTC. Raises a 422 for one that no database can hold."""
    try:
        return None if at is None else at.astimezone(UTC)
    except (OverflowError, ValueError) as err:
        raise invalid(Fault(field, "too far away to tell")) from err


def invalid(*faults: Fault) -> Problem:
    """The Problem for a request that cannot be carried out as it was sent."""
    return Problem(422, "invalid-request", "The request is not valid", faults=faults)


def _range(body: OverrideBody, now: datetime) -> tuple[datetime, datetime]:
    begins, ends = in_utc(body.from_, "/from"), in_utc(body.to, "/to")
    assert begins is not None
    assert ends is not None
    if ends <= begins:
        raise invalid(Fault("/to", "it must be later than `from`: the override would be empty"))
    if ends <= now:
        raise invalid(Fault("/to", "it lies in the past: who was on call then is history"))
    return begins, ends


def _check_sense(body: OverrideBody) -> None:
    """Raises a 422 for a body that says too little, or two things at once."""
    wrong = []
    if body.absent is None:
        if body.schedule is None:
            wrong.append(Fault("/schedule", "which schedule? Only `absent` is on every one"))
        if body.user is None and not body.nobody:
            wrong.append(Fault("/user", "who stands in? `nobody: true` for a gap that is wanted"))
    elif body.nobody:
        wrong.append(Fault("/nobody", "not beside `absent`: what would be theirs goes to what lies beneath"))
    elif body.user == body.absent:
        wrong.append(Fault("/user", "who is absent cannot stand in for themselves"))
    if body.user is not None and body.nobody:
        wrong.append(Fault("/nobody", "not beside `user`: either somebody or nobody"))
    if wrong:
        raise invalid(*wrong)


def _check_names(body: OverrideBody, live: Bundle) -> None:
    wrong = [
        Fault(f"/{field}", _unknown(kind, name, known))
        for field, kind, name, known in (
            ("schedule", "schedule", body.schedule, live.schedules),
            ("user", "user", body.user, live.users),
            ("absent", "user", body.absent, live.users),
        )
        if name is not None and name not in known
    ]
    if wrong:
        raise invalid(*wrong)


def _unknown(kind: str, name: str, known: object) -> str:
    close = nearest(name, known)
    return f"no {kind} {name!r} in the policy in force" + (f"; did you mean {close!r}?" if close else "")


def _not_found() -> Problem:
    return Problem(404, "no-such-override", "No override has this id")


def _id_of(written: str) -> uuid.UUID:
    try:
        return uuid.UUID(written)
    except ValueError as err:
        raise _not_found() from err
