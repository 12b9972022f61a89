"""`GET /v1/channels`: by which channels people can be reached here, and what is missing for the others."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

from fastapi import APIRouter, Depends

from services.notifier.api.access import holder_with
from services.notifier.api.models import ChannelState, ChannelStates
from services.notifier.channels import Readiness
from shared.auth.access import KeyFirst
from shared.policy import Bundle


def channels(bundle: Callable[[], Bundle | None], readiness: Sequence[Readiness]) -> APIRouter:
    """The path. What it says does not change while the process runs."""
    router = APIRouter(route_class=KeyFirst)
    said = ChannelStates(items=[ChannelState.model_validate(asdict(one)) for one in readiness])

    @router.get(
        "/v1/channels",
        dependencies=[Depends(holder_with("viewer", bundle))],
        tags=["deliveries"],
        operation_id="list_channels",
        summary="The channels, and what is missing before they can be sent",
    )
    async def listed() -> ChannelStates:
        return said

    return router
