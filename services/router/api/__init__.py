"""The router's API: incidents, actions, who is on call, the policy, answers to pages."""

from collections.abc import Callable

from fastapi import APIRouter

from services.router.api.access import Access
from services.router.api.customer_import import importing
from services.router.api.customers import customers
from services.router.api.dead_letters import dead_letters
from services.router.api.dry_run import ReadsPosts, trying
from services.router.api.heartbeats import heartbeats
from services.router.api.incidents import incidents
from services.router.api.integrations import integrations
from services.router.api.links.lists import lists
from services.router.api.links.replies import replies
from services.router.api.links.unsubscribe import unsubscribe
from services.router.api.members import members
from services.router.api.oncall import oncall
from services.router.api.overrides import overrides
from services.router.api.phone.paths import telephone
from services.router.api.policy import policy
from services.router.api.reports import reports
from services.router.api.schedules import schedules
from services.router.api.shapes.catalogue import schemas
from services.router.api.silences import maintenance, silences
from services.router.api.slack.buttons import slack_buttons
from services.router.api.unsubscribed import unsubscribed
from services.router.batch.engine import Engine
from services.router.settings import RouterSettings

__all__ = ["ReadsPosts", "routes", "schemas"]


def routes(
    engine: Engine,
    settings: RouterSettings,
    wake_relay: Callable[[], None],
    read_post: ReadsPosts | None = None,
) -> APIRouter:
    """Every path of the router. `read_post` is intake's, where it is at hand."""
    access = Access(engine, loopback=settings.loopback)
    router = APIRouter()
    router.include_router(incidents(engine, access))
    router.include_router(members(engine, access))
    router.include_router(oncall(engine, access))
    router.include_router(overrides(engine, access))
    router.include_router(schedules(engine, access, settings))
    router.include_router(importing(engine, access))
    router.include_router(customers(engine, access))
    router.include_router(heartbeats(engine, access))
    router.include_router(integrations(engine, access))
    router.include_router(silences(engine, access))
    router.include_router(maintenance(engine, access))
    router.include_router(policy(engine, access, wake_relay))
    router.include_router(trying(engine, access, read_post))
    router.include_router(dead_letters(engine, access))
    router.include_router(replies(engine, access, settings))
    router.include_router(unsubscribe(engine, access, settings))
    router.include_router(unsubscribed(engine, access))
    router.include_router(lists(engine, access, settings))
    router.include_router(slack_buttons(engine, access, settings))
    router.include_router(telephone(engine, access, settings))
    router.include_router(reports(engine, access))
    return router
