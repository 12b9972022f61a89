"""`POST /v1/customers/import`: customers by the thousand, as CSV or NDJSON; all of them or none."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from services.router.api.access import Access, Caller, Route
from services.router.api.shapes.answers import answer, answers
from services.router.api.shapes.customers import CustomersImported
from services.router.batch.engine import Engine
from services.router.customers import import_store
from services.router.customers.encoding import NAMES
from services.router.customers.import_store import SHOWN, Given, Imported
from services.router.customers.lines import BrokenError, CsvLines, JsonLines, LineFault, Lines, Read, checked
from shared import telemetry
from shared.database.pool import transaction_time
from shared.errors.bisect import bisect
from shared.errors.kinds import words
from shared.http.problems import Fault, Problem
from shared.json_object import JsonObject

log = telemetry.logger(__name__)

LARGEST: Final = 512 * 1024 * 1024  # bytes: a few million customers
_BATCH: Final = 1000
_YIELD_EVERY: Final = 50  # lines after which other requests get a turn
_KINDS: Final[Mapping[str, type[Lines]]] = {
    "text/csv": CsvLines,
    "application/x-ndjson": JsonLines,
    "application/jsonl": JsonLines,
}
_BODY: Final[JsonObject] = {
    "requestBody": {
        "required": True,
        "description": "CSV with a header, or one JSON object a line; docs/operations.md has the columns.",
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "id,name,tier,match,email\nacme,Acme,gold,acme.example;Acme Ltd,ops@acme.example",
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}
_REFUSED: Final = {
    413: f"The body is larger than {LARGEST} bytes.",
    415: "Neither text/csv nor application/x-ndjson.",
    422: "Nothing was imported: each mistake with its line and column.",
}


def importing(engine: Engine, access: Access) -> APIRouter:
    """The path."""
    router = APIRouter(prefix="/v1/customers/import", tags=["customers"], route_class=Route)

    @router.post(
        "",
        operation_id="import_customers",
        summary="Add or replace many customers at once",
        response_class=Response,
        responses=answers(CustomersImported, "All of them are stored.", _REFUSED),
        openapi_extra=_BODY,
        max_body_size=LARGEST,
    )
    async def import_customers(
        *,
        request: Request,
        caller: Annotated[Caller, Depends(access.needs("lead"))],
        dry_run: Annotated[bool, Query(description="only tell what would be done")] = False,
        replace: Annotated[bool, Query(description="remove every customer that is not in it")] = False,
    ) -> Response:
        reading = _Reading(engine, caller, _lines(request.headers.get("content-type", "")))
        try:
            await reading.read(request.stream())
            done = await _store_all(engine, reading, replace=replace, dry_run=dry_run)
        finally:
            await import_store.clear(engine.database, reading.id)
        if not dry_run:
            await import_store.after(engine.database)
            log.info(
                "customers imported",
                action="customers_imported",
                actor=caller.actor.name,
                **{name: getattr(done, name) for name in ("added", "changed", "removed")},
            )
        return answer(_shown(done, reading, dry_run=dry_run))

    return router


def _lines(content_type: str) -> Lines:
    message = Message()
    message["content-type"] = content_type
    kind = message.get_content_type() if content_type else ""
    if kind not in _KINDS:
        fault = Fault("Content-Type", f"{kind[:100]!r}; expected text/csv or application/x-ndjson")
        raise Problem(415, "unsupported-media-type", "This content type is not taken here", faults=[fault])
    charset = str(message.get_param("charset") or "").lower()
    if charset and charset not in NAMES:
        fault = Fault("Content-Type", f"charset {charset[:50]!r}; expected {', '.join(NAMES)}")
        raise Problem(415, "unsupported-media-type", "This encoding is not taken here", faults=[fault])
    return _KINDS[kind](charset)


@dataclass
class _Reading:
    """One file on its way into the database; its faults are counted, and the first ones kept."""

    engine: Engine
    caller: Caller
    lines: Lines
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    customers: int = 0
    wrong: list[LineFault] = field(default_factory=list)
    count: int = 0  # of all faults
    broken: bool = False
    _batch: list[Given] = field(default_factory=list)
    _since: int = 0

    async def read(self, stream: AsyncIterator[bytes]) -> None:
        """Read all of it; after a fault the rest is still read, so that all faults are reported at once."""
        async for piece in stream:
            if not self.broken:
                await self._store_read(self.lines.feed(piece))
        if not self.broken:
            await self._store_read(self.lines.end())
        await self._lay_down()

    async def _store_read(self, read: Iterator[Read]) -> None:
        try:
            for each in read:
                self._one(each)
                if len(self._batch) >= _BATCH:
                    await self._lay_down()
                self._since += 1
                if self._since % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        except BrokenError as err:
            self.broken = True
            self._note([err.fault])

    def _one(self, read: Read) -> None:
        if isinstance(read, LineFault):
            self._note([read])
            return
        self.customers += 1
        found = checked(read, self.caller.live)
        if not isinstance(found, tuple):
            self._note(found)
        elif not self.count:
            self._batch.append(Given(read.number, *found))

    def _note(self, faults: Iterable[LineFault]) -> None:
        for fault in faults:
            self.count += 1
            if len(self.wrong) < SHOWN:
                self.wrong.append(fault)

    async def _lay_down(self) -> None:
        if self._batch and not self.count:
            await bisect(self._batch, self._keep, self._refuse)
        self._batch.clear()

    async def _keep(self, some: Sequence[Given]) -> Sequence[None]:
        await import_store.lay_down(self.engine.database, self.id, some, self.caller.now)
        return ()

    async def _refuse(self, given: Given, err: Exception) -> Sequence[None]:
        """A value that the database refuses is a fault of that line, reported like the others."""
        self._note([LineFault(given.line, "", f"it cannot be stored: {words(err)}")])
        return ()


async def _store_all(engine: Engine, reading: _Reading, *, replace: bool, dry_run: bool) -> Imported:
    if reading.count:
        raise _refused(reading.wrong, reading.count, reading)
    if not reading.customers:
        raise _refused([LineFault(1, "", "there is no customer in it")], 1, reading)

    async with engine.database.transaction() as connection:
        now, by = await transaction_time(connection), reading.caller.actor.name
        attempt = await connection.begin_nested()
        done = await import_store.apply(connection, reading.id, replace=replace, by=by, now=now)
        if dry_run or not isinstance(done, Imported):
            await attempt.rollback()
    if not isinstance(done, Imported):
        raise _refused(done, len(done), reading)
    return done


def _shown(done: Imported, reading: "_Reading", *, dry_run: bool) -> CustomersImported:
    lines, notes = reading.customers, list(reading.lines.notes)
    if done.shared_names:
        names = ", ".join(map(repr, done.shared_names))
        notes.append(f"several customers share a name ({names}): only an id or a `match` tells them apart")
    return CustomersImported(
        lines=lines,
        added=done.added,
        changed=done.changed,
        unchanged=lines - done.added - done.changed,
        removed=done.removed,
        dry_run=dry_run,
        notes=notes,
    )


def _refused(wrong: Sequence[LineFault], count: int, reading: _Reading) -> Problem:
    listed = "" if count <= len(wrong) else f"; the first {len(wrong)} are listed"
    rest = "; what comes after the last of them was not looked at" if reading.broken else ""
    many = "1 mistake" if count == 1 else f"{count} mistakes"
    customers = "1 customer" if reading.customers == 1 else f"{reading.customers} customers"
    where = f" in {customers}" if reading.customers else ", and no customer could be read"
    how = f" It was {reading.lines.encoding.note}." if reading.lines.encoding.note else ""
    return Problem(
        422,
        "customers-refused",
        "Nothing was imported",
        f"{many}{where}{listed}{rest}.{how}",
        extra={"errors": [_error(fault) for fault in wrong], "mistakes": count},
    )


def _error(fault: LineFault) -> JsonObject:
    return {
        "field": fault.column or f"line {fault.line}",
        "reason": fault.reason,
        "line": fault.line,
        "path": fault.column,
    }
