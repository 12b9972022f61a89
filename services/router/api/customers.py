"""`/v1/customers`: those in the database, and those of the policy in force."""

import heapq
from collections.abc import Generator, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import ConfigDict
from pydantic.config import JsonDict
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api.access import Access, Caller, Route
from services.router.api.idempotency import IdempotencyKey, Once
from services.router.api.shapes.answers import answer, answers, as_json, page, refusals_of
from services.router.api.shapes.customers import CustomerItem, CustomerList
from services.router.batch.engine import Engine
from services.router.customers import store
from services.router.customers.book import customer_of
from services.router.customers.faults import KEPT, faults
from services.router.customers.store import Filters
from services.router.domain.draft.recipients import shown_address
from services.router.domain.model.compiled_bundle import CompiledBundle
from shared import telemetry
from shared.database.pool import transaction_time
from shared.http.cursors import bad_cursor, cursor_of, place_of
from shared.http.problems import Fault, Problem
from shared.policy.model.people import ContactSpec, Customer
from shared.policy.model.targets import NAME_PATTERN

log = telemetry.logger(__name__)

_MOST: Final = 500
_encoder: Final = msgspec.json.Encoder()
_EXAMPLE: Final[JsonDict] = {
    "name": "Acme",
    "tier": "gold",
    "value": 250000,
    "owner": "petra",
    "match": ["acme.example", "Acme Ltd"],
    "contacts": {"mail": {"email": "ops@acme.example"}},
}
_Id: TypeAlias = Annotated[str, Path(max_length=100, description="`[a-z0-9][a-z0-9_-]*`")]
_Put: TypeAlias = Annotated[
    str, Path(max_length=100, pattern=f"^{NAME_PATTERN}$", description="`[a-z0-9][a-z0-9_-]*`")
]
_Text: TypeAlias = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
_UNKNOWN: Final = {404: "No customer has this id."}
_OF_THE_BUNDLE: Final = {409: "The policy bundle defines this customer; `detail` says where."}


class CustomerBody(Customer):
    """A customer, as a bundle writes it."""

    model_config = ConfigDict(defer_build=False, title="Customer", json_schema_extra={"examples": [_EXAMPLE]})


def customers(engine: Engine, access: Access) -> APIRouter:
    """The paths."""
    router = APIRouter(prefix="/v1/customers", tags=["customers"], route_class=Route)
    _add_list(router, engine, access)
    _add_one(router, engine, access)
    _add_put(router, engine, access)
    _add_delete(router, engine, access)
    return router


def _add_list(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.get(
        "",
        operation_id="list_customers",
        summary="Customers in the order of their ids: the bundle's and the database's",
        response_class=Response,
        responses=answers(CustomerList, "One page of them."),
    )
    async def listed(
        *,
        caller: Annotated[Caller, Depends(access.needs("viewer"))],
        q: Annotated[_Text, Query(description="how an id, a name or a `match` begins")] = "",
        tier: _Text = "",
        owner: _Text = "",
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 50,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> Response:
        filters, after = Filters(q, tier, owner), _opened(cursor)
        own = caller.live.spec.customers
        reading = engine.database.reading
        async with reading.transaction("narrow it by `q`, `tier` or `owner`, or by `limit`") as connection:
            rows = await store.many(connection, filters, after, list(own), limit + 1)
        stored = {row.id: row for row in rows}
        of_bundle = await reading.result(_in_bundle(caller.live, filters, after))
        names = heapq.nsmallest(limit + 1, [*stored, *of_bundle])
        items = await reading.made(
            names[:limit],
            lambda name: as_json(
                _stored(stored[name], caller) if name in stored else _of_bundle(name, caller)
            ),
        )
        return page(items, cursor_of(["id", names[limit - 1]]) if len(names) > limit else None)


def _add_one(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.get(
        "/{customer_id}",
        operation_id="get_customer",
        summary="One customer; secrets are not shown",
        response_class=Response,
        responses=answers(CustomerItem, "The customer as it counts now.", _UNKNOWN),
    )
    async def one(customer_id: _Id, caller: Annotated[Caller, Depends(access.needs("viewer"))]) -> Response:
        if customer_id in caller.live.spec.customers:
            return answer(_of_bundle(customer_id, caller))
        async with engine.database.reading.transaction("ask again later") as connection:
            row = await store.one(connection, customer_id) if "\0" not in customer_id else None
        if row is None:
            raise _not_found(customer_id)
        return answer(_stored(row, caller))


def _add_put(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.put(
        "/{customer_id}",
        operation_id="put_customer",
        summary="Add a customer, or replace one: what is left out is gone",
        response_class=Response,
        responses=answers(
            CustomerItem,
            "It is stored, and counts from the next decision on.",
            {409: "The policy bundle defines this customer, or another customer has one of its `match`."},
        ),
    )
    async def put(
        customer_id: _Put,
        body: CustomerBody,
        caller: Annotated[Caller, Depends(access.needs("lead"))],
        idempotency_key: IdempotencyKey = "",
    ) -> Response:
        _refuse_bundles_own(customer_id, caller.live)
        by = caller.actor.name
        once = Once(by, idempotency_key, f"put customer {customer_id}\n{body.model_dump_json()}")
        async with engine.database.transaction() as connection:
            await store.lock(connection)
            now = await transaction_time(connection)

            async def put_in() -> bytes:
                customer = _with_kept(body, await store.one(connection, customer_id))
                _refuse_faulty(customer, caller.live)
                await _refuse_names_in_use(connection, customer_id, customer, caller.live)
                await store.put(connection, customer_id, customer, by=by, now=now)
                namesakes = await store.namesakes(connection, customer_id, customer)
                row = await store.one(connection, customer_id)
                assert row is not None
                return _encoder.encode(_stored(row, caller, _namesakes_note(customer, namesakes)))

            stored = await once.answer(connection, now, put_in)
        log.info("customer stored", action="customer_put", customer=customer_id, actor=by)
        return Response(stored, media_type="application/json")


def _add_delete(router: APIRouter, engine: Engine, access: Access) -> None:
    @router.delete(
        "/{customer_id}",
        operation_id="delete_customer",
        summary="Remove a customer; what is said of it in incidents stays",
        status_code=204,
        response_class=Response,
        responses=refusals_of(_UNKNOWN | _OF_THE_BUNDLE)
        | {204: {"description": "It is gone; it counts for nothing from the next decision on."}},
    )
    async def delete(
        customer_id: _Id,
        caller: Annotated[Caller, Depends(access.needs("lead"))],
        idempotency_key: IdempotencyKey = "",
    ) -> Response:
        _refuse_bundles_own(customer_id, caller.live)
        by = caller.actor.name
        once = Once(by, idempotency_key, f"delete customer {customer_id}")
        async with engine.database.transaction() as connection:
            await store.lock(connection)

            async def remove() -> bytes:
                if "\0" in customer_id or not await store.remove(connection, customer_id):
                    raise _not_found(customer_id)
                return b""

            await once.answer(connection, await transaction_time(connection), remove)
        log.info("customer removed", action="customer_removed", customer=customer_id, actor=by)
        return Response(status_code=204)


def _opened(cursor: str | None) -> str:
    """The id after which the page begins. Raises a 422 for an invalid cursor."""
    if cursor is None:
        return ""
    match place_of(cursor):
        case ["id", str(after)] if len(after) <= 100 and "\0" not in after and after.isascii():
            return after
    raise bad_cursor()


def _in_bundle(live: CompiledBundle, filters: Filters, after: str) -> Generator[None, None, Sequence[str]]:
    """The bundle's customers after this id, unsorted."""
    begins, found = filters.q.casefold(), []
    for name, customer in live.spec.customers.items():
        if (
            name > after
            and (not filters.tier or customer.tier == filters.tier)
            and (not filters.owner or customer.owner == filters.owner)
            and any(each.casefold().startswith(begins) for each in (name, customer.name, *customer.match))
        ):
            found.append(name)
        yield
    return found


def _stored(row: Row[Any], caller: Caller, notes: Sequence[str] = ()) -> CustomerItem:
    said = {"changed_at": row.changed_at, "changed_by": row.changed_by, "notes": list(notes)}
    return _item(row.id, customer_of(row), "api", caller, said)


def _of_bundle(customer_id: str, caller: Caller) -> CustomerItem:
    return _item(customer_id, caller.live.spec.customers[customer_id], "policy", caller, {})


def _item(
    customer_id: str, customer: Customer, source: str, caller: Caller, said: Mapping[str, Any]
) -> CustomerItem:
    whole = caller.holder.may("lead")
    return CustomerItem(
        id=customer_id,
        name=customer.name,
        tier=customer.tier,
        value=customer.value,
        owner=customer.owner,
        match=list(customer.match),
        contacts={name: _contact(contact, whole=whole) for name, contact in customer.contacts.items()},
        source=source,
        **said,
    )


def _contact(contact: ContactSpec, *, whole: bool) -> dict[str, str]:
    """A contact without its secret; for viewers a URL loses its path, which is often a secret, too."""
    address = contact.address
    shown: dict[str, str] = {contact.channel: address if whole else shown_address(address)}
    if contact.secret:
        shown["secret"] = contact.secret if contact.secret.startswith("secret:") else KEPT
    return shown


def _with_kept(customer: Customer, row: Row[Any] | None) -> Customer:
    """Secrets sent back as they are shown are kept. Raises a 422 if none is stored."""
    before = customer_of(row).contacts if row is not None else {}
    kept: dict[str, ContactSpec] = {}
    for name, contact in customer.contacts.items():
        if contact.secret != KEPT:
            continue
        secret = before[name].secret if name in before else None
        if secret is None:
            reason = f"{KEPT} keeps a secret that is stored, and there is none"
            raise _invalid([Fault(f"/contacts/{name}/secret", reason)])
        kept[name] = contact.model_copy(update={"secret": secret})
    return customer.model_copy(update={"contacts": customer.contacts | kept}) if kept else customer


def _refuse_bundles_own(customer_id: str, live: CompiledBundle) -> None:
    if customer_id in live.spec.customers:
        why = f"customers.{customer_id} stands in the policy bundle {live.hash[:12]}: change it there"
        raise Problem(409, "conflict", "The policy defines this customer", why)


def _refuse_faulty(customer: Customer, live: CompiledBundle) -> None:
    wrong = [Fault("/" + "/".join(fault.path), fault.reason) for fault in faults(customer, live)]
    if wrong:
        raise _invalid(wrong)


async def _refuse_names_in_use(
    connection: AsyncConnection, customer_id: str, customer: Customer, live: CompiledBundle
) -> None:
    owners = {
        each.text: each.customer for each in await store.names_in_use(connection, customer_id, customer)
    }
    wrong = []
    for number, said in enumerate(customer.match):
        if said.casefold() in live.customers:
            who = f"customers.{live.customers[said.casefold()]} of the policy bundle {live.hash[:12]}"
            wrong.append(Fault(f"/match/{number}", f"{said!r} is {who}"))
        elif said.casefold() in owners:
            wrong.append(Fault(f"/match/{number}", f"{said!r} is customer {owners[said.casefold()]}"))
    if wrong:
        why = "Each `match` is one customer's only."
        raise Problem(409, "conflict", "Another customer is known by that", why, faults=wrong)


def _namesakes_note(customer: Customer, others: Sequence[str]) -> list[str]:
    if not others:
        return []
    several = ", ".join(others)
    return [f"{several} can be meant by {customer.name!r}, too: only an id or a `match` tells them apart"]


def _invalid(wrong: Sequence[Fault]) -> Problem:
    return Problem(422, "invalid-request", "The request is not valid", faults=wrong)


def _not_found(customer_id: str) -> Problem:
    return Problem(404, "not-found", "No such customer", f"nobody has the id {customer_id[:100]!r}")
