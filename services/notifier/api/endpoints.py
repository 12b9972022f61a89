"""Endpoints that nothing is sent to: those that said that they are gone, and those that rest."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from sqlalchemy import delete, select

from services.notifier.api.access import holder_with
from services.notifier.api.models import Endpoint, Endpoints
from services.notifier.api.shown import DELIVERIES, NOT_FOUND, read, storable
from services.notifier.domain.delivery import without_secrets
from services.notifier.sending.concurrency import ConcurrencyLimits
from services.notifier.storage.tables import delivery, endpoint_disabled
from shared.database.pool import Database
from shared.http.problems import Problem
from shared.policy import Bundle


def add_endpoints(
    router: APIRouter,
    database: Database,
    concurrency: ConcurrencyLimits,
    bundle: Callable[[], Bundle | None],
) -> None:
    """The paths."""
    viewer, admin = Depends(holder_with("viewer", bundle)), Depends(holder_with("admin", bundle))

    @router.get(
        "/v1/deliveries/endpoints",
        dependencies=[viewer],
        tags=DELIVERIES,
        operation_id="list_endpoints",
        summary="Endpoints that nothing is sent to now",
    )
    async def endpoints() -> Endpoints:
        rows = await read(database, select(endpoint_disabled).order_by(endpoint_disabled.c.at))
        disabled = [
            Endpoint(
                endpoint=without_secrets(row.endpoint), state="disabled", since=row.at, reason=row.reason
            )
            for row in rows
        ]
        why = "unavailable again and again"
        resting = [
            Endpoint(endpoint=without_secrets(name), state="resting", until=until, reason=why)
            for name, until in sorted(concurrency.open_breakers(database.now()).items())
        ]
        return Endpoints(items=disabled + resting)

    @router.delete(
        "/v1/deliveries/endpoints",
        dependencies=[admin],
        status_code=204,
        tags=DELIVERIES,
        operation_id="enable_endpoint",
        summary="Send to a disabled endpoint again",
        responses=NOT_FOUND,
        description="That of a `delivery` (an address is often a secret, and stays out of logs this way), or "
        "the one with this address (`endpoint`).",
    )
    async def enable(
        endpoint: Annotated[str, Query(max_length=2_000)] = "",
        delivery_id: Annotated[UUID | None, Query(alias="delivery")] = None,
    ) -> None:
        named = storable("query:endpoint", endpoint)
        if delivery_id is not None:
            rows = await read(database, select(delivery.c.endpoint).where(delivery.c.id == str(delivery_id)))
            named = rows[0].endpoint if rows else ""
        async with database.transaction() as connection:
            gone = await connection.execute(
                delete(endpoint_disabled).where(endpoint_disabled.c.endpoint == named)
            )
            if gone.rowcount == 0:
                raise Problem(404, "not-found", "This endpoint is not disabled")
