"""`/v1/silences` and `/v1/maintenance`: no notifications for a while. They survive policy changes."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api.access import Access, Caller, Route
from services.router.api.idempotency import IdempotencyKey, Once
from services.router.api.overrides import in_utc
from services.router.api.shapes.answers import answer, answers
from services.router.api.shapes.duty import MaintenanceItem, MaintenanceList, SilenceItem, SilenceList
from services.router.api.silence_requests import (
    MaintenanceBody,
    SilenceBody,
    check_calendars,
    check_condition,
    check_end,
)
from services.router.batch.engine import Engine
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.duty import maintenance_windows, overlay, silence_store
from services.router.duty.silence_store import Stored, Table, Wanted
from services.router.policy.compiled_cache import InForce
from shared.http.cursors import cursor_of, moment_and_id
from shared.http.problems import Problem

_MOST: Final = 500
_JSON: Final = "application/json"
_encoder: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class _Kind:
    """The differences between the two."""

    table: Table
    item: type[msgspec.Struct]
    items: type[msgspec.Struct]
    shown: Callable[[Stored, CompiledBundle, datetime], msgspec.Struct]
    noun: str


def silences(engine: Engine, access: Access) -> APIRouter:
    """The paths of silences."""
    router = APIRouter(prefix="/v1/silences", tags=["silences"], route_class=Route)

    @router.post(
        "",
        operation_id="create_silence",
        summary="Notify nobody of what matches, until a time",
        response_class=Response,
        status_code=201,
        responses=answers(
            SilenceItem, "It is in force; levels under way stop within a moment.", _BROKEN, status=201
        ),
    )
    async def create(
        body: SilenceBody,
        caller: Annotated[Caller, Depends(access.needs("lead"))],
        idempotency_key: IdempotencyKey = "",
    ) -> Response:
        until = in_utc(body.until, "/until")
        assert until is not None

        def made(now: datetime) -> Stored:
            check_end("/until", until, now, now)
            return Stored(uuid.uuid4(), body.when, now, until, caller.actor.name, now, comment=body.comment)

        once = Once(caller.actor.name, idempotency_key, f"create silence\n{body.model_dump_json()}")
        return await _create(engine, once, made, _SILENCE)

    _add_reading(router, engine, access, _SILENCE)
    return router


def maintenance(engine: Engine, access: Access) -> APIRouter:
    """The paths of maintenance."""
    router = APIRouter(prefix="/v1/maintenance", tags=["maintenance"], route_class=Route)

    @router.post(
        "",
        operation_id="create_maintenance",
        summary="Plan work during which nobody is notified of what matches",
        response_class=Response,
        status_code=201,
        responses=answers(MaintenanceItem, "It is planned, or in force already.", _BROKEN, status=201),
    )
    async def create(
        body: MaintenanceBody,
        caller: Annotated[Caller, Depends(access.needs("lead"))],
        idempotency_key: IdempotencyKey = "",
    ) -> Response:
        starts, until = in_utc(body.from_, "/from"), in_utc(body.to, "/to")

        def made(now: datetime) -> Stored:
            if starts is not None and until is not None:
                check_end("/to", until, starts, now)
            return Stored(
                uuid.uuid4(),
                body.when,
                starts,
                until,
                caller.actor.name,
                now,
                name=body.name,
                then=body.then,
                window=body.window,
            )

        said = body.model_dump_json(by_alias=True)
        once = Once(caller.actor.name, idempotency_key, f"create maintenance\n{said}")
        return await _create(engine, once, made, _MAINTENANCE)

    _add_reading(router, engine, access, _MAINTENANCE)
    return router


async def _create(engine: Engine, once: Once, made: Callable[[datetime], Stored], kind: _Kind) -> Response:
    async def work(connection: AsyncConnection, now: datetime, in_force: InForce) -> bytes:
        live = await engine.bundles.one(connection, in_force.hash)

        async def make() -> bytes:
            stored = made(now)
            await asyncio.to_thread(check_condition, live, stored.when)
            check_calendars(live, stored)
            await silence_store.add(connection, stored)
            return _encoder.encode(kind.shown(stored, live, now))

        return await once.answer(connection, now, make)

    answered = await engine.transaction(work)
    engine.spread.set()
    return Response(answered, 201, media_type=_JSON)


def _add_reading(router: APIRouter, engine: Engine, access: Access, kind: _Kind) -> None:
    _add_list(router, engine, access, kind)
    _add_one(router, engine, access, kind)
    _add_delete(router, engine, access, kind)


def _add_list(router: APIRouter, engine: Engine, access: Access, kind: _Kind) -> None:
    @router.get(
        "",
        operation_id=f"list_{kind.table}",
        summary=f"Every {kind.noun} that is planned or in force, the newest first",
        response_class=Response,
        responses=answers(kind.items, "One page of them."),
    )
    async def listed(
        caller: Annotated[Caller, Depends(access.needs("viewer"))],
        *,
        past: Annotated[bool, Query(description="those that are over instead")] = False,
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> Response:
        async with engine.database.reading.transaction("ask for fewer (`limit`)") as connection:
            wanted = Wanted(past, moment_and_id(cursor) if cursor is not None else None, limit + 1)
            found = await silence_store.find(connection, kind.table, wanted, caller.now)
        last = found[limit - 1] if len(found) > limit else None
        following = cursor_of([last.made_at.isoformat(), str(last.id)]) if last else None
        items = await engine.database.reading.made(
            found[:limit], lambda each: kind.shown(each, caller.live, caller.now)
        )
        return answer(kind.items(items=items, next=following))


def _add_one(router: APIRouter, engine: Engine, access: Access, kind: _Kind) -> None:
    @router.get(
        f"/{{{kind.table}_id}}",
        operation_id=f"get_{kind.table}",
        summary=f"One {kind.noun}",
        response_class=Response,
        responses=answers(kind.item, "It.", _unknown(kind)),
    )
    async def one(
        stored_id: Annotated[str, Path(alias=f"{kind.table}_id")],
        caller: Annotated[Caller, Depends(access.needs("viewer"))],
    ) -> Response:
        async with engine.database.reading.transaction("ask again later") as connection:
            found = await _found(connection, kind, stored_id)
        return answer(kind.shown(found, caller.live, caller.now))


def _add_delete(router: APIRouter, engine: Engine, access: Access, kind: _Kind) -> None:
    @router.delete(
        f"/{{{kind.table}_id}}",
        operation_id=f"delete_{kind.table}",
        summary=f"End a {kind.noun} now; one that has not begun is taken back",
        response_class=Response,
        responses=answers(
            kind.item,
            "It as it is now; what it kept quiet and still stands is paged within a moment.",
            _unknown(kind) | {409: "It is over already: it is history."},
        ),
    )
    async def delete(
        stored_id: Annotated[str, Path(alias=f"{kind.table}_id")],
        caller: Annotated[Caller, Depends(access.needs("lead"))],
        idempotency_key: IdempotencyKey = "",
    ) -> Response:
        once = Once(caller.actor.name, idempotency_key, f"delete {kind.table}\n{stored_id}")

        async def work(connection: AsyncConnection, now: datetime, in_force: InForce) -> bytes:
            live = await engine.bundles.one(connection, in_force.hash)

            async def end() -> bytes:
                found = await _found(connection, kind, stored_id, lock=True)
                _refuse_history(found, now)
                ended = await silence_store.end(connection, kind.table, found, now) or found
                return _encoder.encode(kind.shown(ended, live, now))

            return await once.answer(connection, now, end)

        answered = await engine.transaction(work)
        engine.spread.set()
        return Response(answered, media_type=_JSON)


def _refuse_history(found: Stored, now: datetime) -> None:
    if found.state(now) == "over":
        assert found.until is not None
        why = f"it ended at {found.until.isoformat()}; it is history"
        raise Problem(409, "conflict", "It is over already", why)


async def _found(connection: AsyncConnection, kind: _Kind, written: str, *, lock: bool = False) -> Stored:
    try:
        found = await silence_store.one(connection, kind.table, uuid.UUID(written), lock=lock)
    except ValueError:
        found = None
    if found is None:
        raise Problem(404, f"no-such-{kind.table}", f"No {kind.noun} has this id")
    return found


def _unknown(kind: _Kind) -> dict[int, str]:
    return {404: f"No {kind.noun} has this id."}


_BROKEN: Final = {422: "Something is wrong with it; of a condition with line and column."}


def _silence(stored: Stored, live: CompiledBundle, now: datetime) -> SilenceItem:
    assert stored.starts is not None
    assert stored.until is not None
    return SilenceItem(
        id=str(stored.id),
        when=stored.when,
        from_=stored.starts.astimezone(UTC),
        until=stored.until.astimezone(UTC),
        comment=stored.comment,
        by=stored.by,
        made_at=stored.made_at.astimezone(UTC),
        state=stored.state(now),
        broken=overlay.broken(live, stored.when),
    )


def _maintenance(stored: Stored, live: CompiledBundle, now: datetime) -> MaintenanceItem:
    return MaintenanceItem(
        id=str(stored.id),
        name=stored.name,
        when=stored.when,
        from_=stored.starts.astimezone(UTC) if stored.starts else None,
        to=stored.until.astimezone(UTC) if stored.until else None,
        window=maintenance_windows.shown(stored.window),
        then=stored.then,
        by=stored.by,
        made_at=stored.made_at.astimezone(UTC),
        state=stored.state(now),
        broken=overlay.broken(live, stored.when, stored.window),
    )


_SILENCE: Final = _Kind("silence", SilenceItem, SilenceList, _silence, "silence")
_MAINTENANCE: Final = _Kind("maintenance", MaintenanceItem, MaintenanceList, _maintenance, "maintenance")
