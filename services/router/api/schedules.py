"""`/v1/schedules`: a schedule's shifts as JSON, or at a private address without a key as iCalendar."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api.access import Access, Caller, Route
from services.router.api.ical import Feed, calendar_of, event, of_feed
from services.router.api.overrides import in_utc, invalid
from services.router.api.shapes.answers import answer, answers, refusals_of
from services.router.api.shapes.duty import CalendarFeed, ScheduleItem, ScheduleList, ShiftItem, ShiftList
from services.router.api.times import Moment
from services.router.batch.engine import Engine
from services.router.duty import override_store
from services.router.policy.compiled_cache import moment, required
from services.router.settings import RouterSettings
from shared import telemetry
from shared.auth.failed_attempts import WrongKey
from shared.clock import utcnow
from shared.database.pool import transaction_time
from shared.database.readers import Reading
from shared.http.problems import MEDIA_TYPE, Fault, Problem
from shared.json_object import JsonObject
from shared.policy import Bundle, Schedule
from shared.policy.oncall.roster import Roster, roster_of
from shared.policy.oncall.schedules import Override, Shift, TooFineError
from shared.security.keys import Key

log = telemetry.logger(__name__)

PURPOSE: Final = "shifts"
_NO_SUCH: Final = (404, "no-such-schedule", "No schedule has this name")
CALENDAR: Final = "text/calendar"
_TOLD: Final = timedelta(days=14)  # of shifts, when `to` is left out
_FURTHEST: Final = timedelta(days=366)
_BEHIND: Final = timedelta(days=28)  # in a calendar
_AHEAD: Final = timedelta(days=182)
_LONGEST_SHIFT: Final = timedelta(days=35)  # how far a calendar looks for a shift's true beginning and end
_HOLDER: Final = r"^(?:everybody|(?:user|api):[a-z0-9][a-z0-9_-]*)?$"
_UNKNOWN: Final = {404: "No schedule has this name."}
_Filter: TypeAlias = Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")]
_Token: TypeAlias = Annotated[str, Query(max_length=2000, description="the token of a private address")]
_ICS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The shifts, four weeks back and half a year ahead.",
          "content": {CALENDAR: {"schema": {"type": "string"}}}},
    404: {"description": "No schedule, or the address is not valid (any more).", "content": {MEDIA_TYPE: {}}},
    429: {"description": "Too many wrong ones came from this address.", "content": {MEDIA_TYPE: {}}},
    503: {"description": "The database is away, or no policy is in force yet.", "content": {MEDIA_TYPE: {}}},
}  # fmt: skip


def schedules(engine: Engine, access: Access, settings: RouterSettings) -> APIRouter:
    """The paths."""
    router = APIRouter(prefix="/v1/schedules", tags=["schedules"], route_class=Route)
    _add_list(router, access)
    _add_shifts(router, engine, access)
    _add_feed(router, engine, access, settings)
    _add_end(router, engine, access)
    _add_calendar(router, engine, settings)
    return router


def _add_list(router: APIRouter, access: Access) -> None:
    @router.get(
        "",
        operation_id="list_schedules",
        summary="The schedules of the policy in force",
        response_class=Response,
        responses=answers(ScheduleList, "By name."),
    )
    async def listed(caller: Annotated[Caller, Depends(access.needs("viewer"))]) -> Response:
        found = sorted(caller.live.spec.schedules.items())
        return answer(ScheduleList(items=[_item(name, schedule) for name, schedule in found]))


def _add_shifts(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.get(
        "/{name}/shifts",
        operation_id="list_shifts",
        summary="Who has the schedule when, without gap or overlap",
        response_class=Response,
        responses=answers(ShiftList, "By their begin; `user` is empty where nobody is on call.", _UNKNOWN),
    )
    async def listed(
        name: str,
        caller: Annotated[Caller, Depends(access.needs("viewer"))],
        *,
        begins: Annotated[Moment | None, Query(alias="from", description="RFC 3339; now")] = None,
        ends: Annotated[
            Moment | None, Query(alias="to", description="RFC 3339; two weeks after `from`")
        ] = None,
        user: _Filter = "",
    ) -> Response:
        bundle = caller.live.spec
        schedule = _known(bundle, name)
        since, until = _range(in_utc(begins, "query:from") or caller.now, in_utc(ends, "query:to"))
        async with engine.database.reading.transaction("ask for a shorter time") as connection:
            standing = await override_store.by_schedule(connection, since, until, name)
        try:
            found = await _listed(engine.database.reading, _roster(bundle, name, standing), since, until)
        except TooFineError as err:
            raise invalid(Fault("query:to", f"{err}: ask for a shorter one")) from err
        except (OverflowError, ValueError) as err:
            raise invalid(Fault("query:from", "too far away to tell")) from err
        items = [_shown(each) for each in found if user in {"", each.user}]
        return answer(
            ShiftList(schedule=name, timezone=schedule.timezone, from_=since, to=until, items=items)
        )


def _add_feed(router: APIRouter, engine: Engine, access: Access, settings: RouterSettings) -> None:
    @router.post(
        "/{name}/feed",
        operation_id="create_calendar_feed",
        summary="A private address of the shifts for a calendar program",
        response_class=Response,
        responses=answers(
            CalendarFeed,
            "It works until it is ended, and while its user and the key that asked for it are in the policy.",
            _UNKNOWN,
        ),
    )
    async def feed(
        name: str,
        request: Request,
        caller: Annotated[Caller, Depends(access.needs("viewer"))],
        user: _Filter = "",
    ) -> Response:
        _known(caller.live.spec, name)
        if user and user not in caller.live.spec.users:
            raise invalid(Fault("query:user", f"no user {user!r} in the policy in force"))
        async with engine.database.transaction() as connection:
            made_at = await transaction_time(connection)
        holder = {"user": caller.holder.user} if caller.holder.user else {"key": caller.holder.key}
        claims = {"schedule": name, "by": caller.holder.mark, "at": made_at.isoformat()} | holder
        query = {"token": settings.signer.sign(PURPOSE, claims)}
        if user:
            query["user"] = user
        place = settings.public_url or str(request.base_url)
        url = f"{place.rstrip('/')}/v1/schedules/{quote(name)}/shifts.ics?{urlencode(query)}"
        return answer(CalendarFeed(schedule=name, user=user, url=url))


def _add_end(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.delete(
        "/{name}/feed",
        operation_id="end_calendar_feeds",
        summary="End the private addresses of a schedule that somebody has",
        status_code=204,
        response_class=Response,
        responses=refusals_of(_UNKNOWN | {403: "Only a lead ends those of others."})
        | {204: {"description": "Those that were made until now show nothing any more."}},
    )
    async def end(
        name: str,
        caller: Annotated[Caller, Depends(access.needs("viewer"))],
        holder: Annotated[
            str,
            Query(max_length=200, pattern=_HOLDER, description="user:NAME, api:NAME or everybody; yourself"),
        ] = "",
    ) -> Response:
        _known(caller.live.spec, name)
        mine = caller.actor.name
        whose = holder or mine
        if whose != mine:
            caller.holder.require("lead")
        async with engine.database.transaction() as connection:
            await connection.execute(_END, {"schedule": name, "holder": whose, "by": mine})
        log.info("calendar links revoked", action="calendars_ended", schedule=name, holder=whose, actor=mine)
        return Response(status_code=204)


def _add_calendar(router: APIRouter, engine: Engine, settings: RouterSettings) -> None:
    @router.get(
        "/{name}/shifts.ics",
        operation_id="get_shift_calendar",
        summary="The shifts as iCalendar; needs no key: the token is one",
        response_class=Response,
        responses=_ICS,
    )
    async def calendar(name: str, token: _Token = "", user: _Filter = "") -> Response:
        now = utcnow()
        claims = settings.signer.verify(PURPOSE, token, now)
        if claims is None or claims.get("schedule") != name:
            raise WrongKey(*_NO_SUCH, sort="link")
        async with engine.database.reading.transaction("ask again later") as connection:
            bundle, changed_at = await _in_force(engine, connection)
            if not _still_holds(bundle, claims, now) or await _was_ended(connection, claims):
                raise _unknown()
            _known(bundle, name)
            day = now.replace(hour=0, minute=0, second=0, microsecond=0)
            since, until = day - _BEHIND - _LONGEST_SHIFT, day + _AHEAD + _LONGEST_SHIFT
            standing = await override_store.by_schedule(connection, since, until, name)
            latest = await connection.scalar(_LATEST, {"schedule": name})
        try:
            found = await _listed(engine.database.reading, _roster(bundle, name, standing), since, until)
        except TooFineError as err:
            raise Problem(422, "invalid-request", "Its turns are too short for a calendar", str(err)) from err
        listed = [each for each in found if each.ends > day - _BEHIND and each.begins < day + _AHEAD]
        stamp = max(changed_at, latest or changed_at)
        shown = Feed(name, user, bundle, stamp)
        events = await engine.database.reading.made(of_feed(shown, listed), lambda each: event(shown, each))
        return Response(
            calendar_of(shown, events),
            media_type=CALENDAR,
            headers={
                "Cache-Control": "private, max-age=300",
                "Referrer-Policy": "no-referrer",
                "Content-Disposition": f'inline; filename="{name}.ics"',
            },
        )


async def _in_force(engine: Engine, connection: AsyncConnection) -> tuple[Bundle, datetime]:
    _, found = await moment(connection)
    in_force = required(found)
    return (await engine.bundles.one(connection, in_force.hash)).spec, in_force.at


async def _was_ended(connection: AsyncConnection, claims: JsonObject) -> bool:
    holder = f"user:{claims['user']}" if "user" in claims else f"api:{claims.get('key')}"
    ended_at = await connection.scalar(_ENDED, {"schedule": claims["schedule"], "holder": holder})
    return ended_at is not None and _made_at(claims) <= ended_at


def _made_at(claims: JsonObject) -> datetime:
    """When the address was issued; older releases did not record it."""
    return datetime.fromisoformat(claims["at"]) if "at" in claims else datetime.min.replace(tzinfo=UTC)


def _still_holds(bundle: Bundle, claims: JsonObject, now: datetime) -> bool:
    """Whether the holder of the address may still read, by the key that asked for it."""
    keys = [key for owner in bundle.api_keys.values() for key in owner.keys if _works(key, now)]
    if "by" in claims and not any(key.sha256.lower().startswith(claims["by"]) for key in keys):
        return False
    if "user" in claims:
        return claims["user"] in bundle.users
    owner = bundle.api_keys.get(str(claims.get("key")))
    return owner is not None and any(_works(key, now) for key in owner.keys)


def _works(key: Key, now: datetime) -> bool:
    return key.expires is None or now < key.expires


async def _listed(reading: Reading, roster: Roster, begins: datetime, ends: datetime) -> list[Shift]:
    """The shifts; yields in between, since a year of short ones takes time."""
    return await reading.made(roster.shifts(begins, ends), lambda shift: shift)


def _roster(bundle: Bundle, name: str, standing: Mapping[str, Sequence[Override]]) -> Roster:
    found = roster_of(bundle, name, standing)
    if found is None:
        raise _unknown()
    return found


def _range(begins: datetime, ends: datetime | None) -> tuple[datetime, datetime]:
    try:
        ends = ends or begins + _TOLD
    except OverflowError as err:
        raise invalid(Fault("query:from", "too far away to tell")) from err
    if ends <= begins:
        raise invalid(Fault("query:to", "it must be later than `from`"))
    if ends - begins > _FURTHEST:
        raise invalid(Fault("query:to", f"at most {_FURTHEST.days} days after `from`"))
    return begins, ends


def _item(name: str, schedule: Schedule) -> ScheduleItem:
    layers = [layer.name or f"layer {number}" for number, layer in enumerate(schedule.layers, 1)]
    users = list(dict.fromkeys(user for layer in schedule.layers for user in layer.rotation))
    return ScheduleItem(
        name=name, timezone=schedule.timezone, handoff=schedule.handoff, layers=layers, users=users
    )  # fmt: skip


def _shown(shift: Shift) -> ShiftItem:
    return ShiftItem(
        user=shift.user or "",
        from_=shift.begins,
        to=shift.ends,
        layers=list(shift.layers),
        overrides=list(shift.overrides),
        passed=list(shift.passed),
    )


def _known(bundle: Bundle, name: str) -> Schedule:
    schedule = bundle.schedules.get(name)
    if schedule is None:
        raise _unknown()
    return schedule


def _unknown() -> Problem:
    return Problem(*_NO_SUCH)


_END: Final = text("""
    INSERT INTO router.calendar_end (schedule, holder, ended_at, ended_by)
    VALUES (:schedule, :holder, now(), :by)
    ON CONFLICT (schedule, holder) DO UPDATE SET ended_at = excluded.ended_at, ended_by = excluded.ended_by
""")
_ENDED: Final = text("""
    SELECT max(ended_at) FROM router.calendar_end
    WHERE schedule = :schedule AND holder IN (:holder, 'everybody')
""")
_LATEST: Final = text("SELECT max(made_at) FROM router.override WHERE schedule IN (:schedule, '')")
