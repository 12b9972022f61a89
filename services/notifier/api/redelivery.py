"""Sending a delivery once more by hand."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from sqlalchemy import select

from services.notifier.api.access import holder_with
from services.notifier.api.models import DeliveryState
from services.notifier.api.shown import DELIVERIES, NOT_FOUND, delivery_state, no_delivery, read
from services.notifier.domain.redelivery import due_again, refusal, with_present_contact
from services.notifier.storage import redelivery
from services.notifier.storage.tables import delivery
from shared import telemetry
from shared.auth.access import Holder
from shared.database.pool import Database
from shared.http.problems import MEDIA_TYPE, Problem
from shared.policy import Bundle

_CONFLICT: Final[dict[int | str, dict[str, Any]]] = {
    409: {
        "description": "it does not go again: `detail` says why, and what to do",
        "content": {MEDIA_TYPE: {}},
    }
}
log = telemetry.logger(__name__)


def add_redelivery(
    router: APIRouter, database: Database, bundle: Callable[[], Bundle | None], wake: Callable[[], None]
) -> None:
    """`wake` tells the sender that something is due."""
    responder = Depends(holder_with("responder", bundle))

    @router.post(
        "/v1/deliveries/{delivery_id}/retry",
        status_code=202,
        tags=DELIVERIES,
        operation_id="retry_delivery",
        summary="Send a delivery once more",
        responses=NOT_FOUND | _CONFLICT,
        description="With the same id, at once, to where its contact leads now; one that waits goes now. Not "
        "when nobody needs its page any more, or when there is nowhere to send it to.",
    )
    async def retry(delivery_id: UUID, holder: Annotated[Holder, responder]) -> DeliveryState:
        policy = bundle()
        assert policy is not None  # its key was found in it
        by = f"user:{holder.user}" if holder.user else f"api:{holder.key}"
        now = database.now()
        async with database.transaction() as connection:
            found = await redelivery.locked(connection, str(delivery_id))
            if found is None:
                raise no_delivery()
            asked, standing = found
            present = with_present_contact(asked, policy)
            if present is not None:
                why = await redelivery.disabled_because(connection, present.endpoint)
                standing = replace(standing, disabled_because=why)
            refused = refusal(asked, present, standing)
            if present is None or refused is not None:
                assert refused is not None
                raise Problem(409, refused.kind, "It is not sent again", refused.detail)
            await redelivery.send_again(connection, due_again(present, now), by, now)
        wake()
        log.info("sent again by hand", action="delivery_retried", delivery=asked.id, actor=by)
        return delivery_state((await read(database, select(delivery).where(delivery.c.id == asked.id)))[0])
