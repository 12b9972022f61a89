"""`/v1/dead-letters`: records that could not be used: list them, show one, replay, dismiss."""

import base64
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api.access import Access, Caller, Route
from services.router.api.idempotency import IdempotencyKey, Once
from services.router.api.shapes.answers import answer, answers
from services.router.api.shapes.dead_letters import DeadLetterItem, DeadLetterList, DeadLetterShown
from services.router.batch import dead_letter_store
from services.router.batch.apply import BatchResult
from services.router.batch.dead_letter_store import Decided, Letter, State, Wanted
from services.router.batch.engine import Engine
from services.router.policy.compiled_cache import InForce
from shared.eventlog.packed_headers import unpack
from shared.http.cursors import bad_cursor, cursor_of, moment_of, place_of, reading_cursor
from shared.http.problems import Problem
from shared.json_object import JsonObject

_MOST: Final = 500
_SHOWN: Final = 64 * 1024  # bytes of a body
_JSON: Final = "application/json"
_UNKNOWN: Final = {404: "No dead letter has this id, or it is no longer kept."}
_DECIDED: Final = _UNKNOWN | {409: "It was replayed or dismissed already."}
_encoder: Final = msgspec.json.Encoder()
_LetterId: TypeAlias = Annotated[str, Path(alias="letter_id", max_length=200)]
_Text: TypeAlias = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
_Deciding: TypeAlias = Callable[[AsyncConnection, Letter], Awaitable[None]]


class DismissBody(BaseModel):
    """Why nothing has to come of it."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"title": "Dismissal", "examples": [{"note": "sent by hand meanwhile"}]},
    )

    note: Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")] = Field(
        default="", description="why; kept with the letter"
    )


def dead_letters(engine: Engine, access: Access) -> APIRouter:
    """The paths. A record may hold secrets, such as a webhook's address: only admins see it."""
    router = APIRouter(prefix="/v1/dead-letters", tags=["dead-letters"], route_class=Route)
    _add_list(router, engine, access)
    _add_one(router, engine, access)
    _add_replay(router, engine, access)
    _add_dismiss(router, engine, access)
    return router


def _add_list(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.get(
        "",
        operation_id="list_dead_letters",
        summary="Records that could not be used, the newest first",
        response_class=Response,
        responses=answers(DeadLetterList, "One page of them."),
        dependencies=[Depends(access.needs("lead"))],
    )
    async def listed(
        *,
        state: Annotated[Sequence[State], Query(description="repeatable")] = (),
        topic: Annotated[_Text, Query(description="of this topic only")] = "",
        service: Annotated[_Text, Query(description="set aside by router or notifier only")] = "",
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> Response:
        wanted = Wanted(state, topic, service, _opened(cursor), limit + 1)
        async with engine.database.reading.transaction("name a `topic`, or ask for fewer") as connection:
            found = await dead_letter_store.find(connection, wanted)
        last = found[limit - 1] if len(found) > limit else None
        following = cursor_of([last.at.isoformat(), last.id]) if last else None
        return answer(DeadLetterList(items=[_item(each) for each in found[:limit]], next=following))


def _add_one(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.get(
        "/{letter_id}",
        operation_id="get_dead_letter",
        summary="One of them, with what it holds",
        response_class=Response,
        responses=answers(DeadLetterShown, "It.", _UNKNOWN),
        dependencies=[Depends(access.needs("admin"))],
    )
    async def one(letter_id: _LetterId) -> Response:
        async with engine.database.reading.transaction("ask again later") as connection:
            found = _known(await dead_letter_store.one(connection, _id_of(letter_id)))
        return answer(_shown(found))


def _add_replay(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.post(
        "/{letter_id}/replay",
        operation_id="replay_dead_letter",
        summary="Publish the record again, under its key and with its id",
        response_class=Response,
        responses=answers(
            DeadLetterItem,
            "It is on its way; if it still cannot be used, it comes back as another dead letter.",
            _UNKNOWN | {409: "It was decided already, or not all of it is kept."},
        ),
    )
    async def replay(
        letter_id: _LetterId,
        caller: Annotated[Caller, Depends(access.needs("admin"))],
        idempotency_key: IdempotencyKey = "",
    ) -> Response:
        async def again(connection: AsyncConnection, letter: Letter) -> None:
            _refuse_incomplete(letter)
            await dead_letter_store.replay(connection, letter)

        once = Once(caller.actor.name, idempotency_key, f"replay dead letter\n{letter_id}")
        return await _decide(engine, once, letter_id, Decided("replayed", once.caller), again)


def _add_dismiss(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.post(
        "/{letter_id}/dismiss",
        operation_id="dismiss_dead_letter",
        summary="Nothing has to come of it",
        response_class=Response,
        responses=answers(DeadLetterItem, "It is dismissed; it stays to be read until it is old.", _DECIDED),
    )
    async def dismiss(
        letter_id: _LetterId,
        body: DismissBody,
        caller: Annotated[Caller, Depends(access.needs("admin"))],
        idempotency_key: IdempotencyKey = "",
    ) -> Response:
        async def nothing(connection: AsyncConnection, letter: Letter) -> None:
            del connection, letter

        said = f"dismiss dead letter\n{letter_id}\n{body.note}"
        once = Once(caller.actor.name, idempotency_key, said)
        return await _decide(engine, once, letter_id, Decided("dismissed", once.caller, body.note), nothing)


async def _decide(
    engine: Engine, once: Once, letter_id: str, what: Decided, carry_out: _Deciding
) -> Response:
    """Carry out the decision and record it, once; resolves the topic's incident with its last letter."""
    batches: list[BatchResult] = []

    async def work(connection: AsyncConnection, now: datetime, in_force: InForce) -> bytes:
        batches.clear()

        async def decided() -> bytes:
            letter = _known(await dead_letter_store.locked(connection, _id_of(letter_id)))
            _refuse_decided(letter)
            await carry_out(connection, letter)
            after = await dead_letter_store.decide(connection, letter, what, now)
            batches.append(
                await dead_letter_store.resolve_when_none_is_left(engine, letter, connection, now, in_force)
            )
            return _encoder.encode(_item(after))

        return await once.answer(connection, now, decided)

    answered = await engine.transaction(work)
    engine.wake_relay()
    for batch in batches:
        engine.committed(batch)
    return Response(answered, media_type=_JSON)


def _refuse_decided(letter: Letter) -> None:
    if letter.state != "waiting":
        assert letter.decided_at is not None
        why = f"it was {letter.state} at {letter.decided_at.isoformat()} by {letter.decided_by}"
        raise Problem(409, "conflict", "It was decided already", why)


def _refuse_incomplete(letter: Letter) -> None:
    if letter.kept is None:
        why = "what it holds is not here: its record has not come from the log (yet), or had gone from it"
    elif not letter.complete:
        why = f"only {letter.kept:,} of its {letter.size or 0:,} bytes are kept: it was too large for the log"
    elif letter.from_topic not in dead_letter_store.TOPICS:
        why = f"{letter.from_topic} is not a topic that records are published to again"
    else:
        return
    raise Problem(409, "conflict", "It cannot be replayed", why)


def _id_of(written: str) -> str:
    """The id as it is stored; a text that the database cannot hold is no letter's id."""
    return _known(None).id if "\0" in written else written


def _known(found: Letter | None) -> Letter:
    if found is None:
        why = "there never was one, or it is so old that it is no longer kept"
        raise Problem(404, "no-such-dead-letter", "No dead letter has this id", why)
    return found


def _item(letter: Letter) -> DeadLetterItem:
    return DeadLetterItem(**_facts(letter))


def _shown(letter: Letter) -> DeadLetterShown:
    whole = letter.value or b""
    encoding, body = _readable(whole[:_SHOWN], cut=len(whole) > _SHOWN)
    headers = {} if letter.headers is None else unpack(letter.headers)
    return DeadLetterShown(
        **_facts(letter),
        headers={name: value.decode(errors="replace") for name, value in headers.items()},
        sha256=letter.sha256,
        encoding=encoding if letter.value is not None else "",
        body=body,
        cut=len(whole) > _SHOWN or (letter.kept is not None and not letter.complete),
    )


def _readable(body: bytes, *, cut: bool) -> tuple[str, str]:
    """How the body is shown, and the text. A cut may split a character of up to four bytes."""
    for dropped in range(4 if cut else 1):
        try:
            return "text", body[: len(body) - dropped].decode()
        except UnicodeDecodeError:
            continue
    return "base64", base64.b64encode(body).decode()


def _facts(letter: Letter) -> JsonObject:
    return {
        "id": letter.id,
        "at": letter.at.astimezone(UTC),
        "service": letter.service,
        "reason": letter.reason,
        "from_topic": letter.from_topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "key": letter.shown_key,
        "size": letter.size,
        "complete": letter.complete,
        "state": letter.state,
        "decided_at": letter.decided_at.astimezone(UTC) if letter.decided_at else None,
        "decided_by": letter.decided_by,
        "note": letter.note,
    }


def _opened(cursor: str | None) -> tuple[datetime, str] | None:
    if cursor is None:
        return None
    with reading_cursor():
        written, letter_id = place_of(cursor)
        if not isinstance(letter_id, str) or "\0" in letter_id:
            raise bad_cursor()
        return moment_of(written), letter_id
