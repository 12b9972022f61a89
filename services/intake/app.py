"""Intake, assembled: its paths, the policy it follows, and whether it is ready."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

from fastapi import APIRouter
from starlette.routing import Route

from services.intake.admission.integrations import Admission
from services.intake.amazon_sns.fetch import Fetch, Fetcher
from services.intake.amazon_sns.subscriptions import Subscriptions
from services.intake.canary import Canary
from services.intake.formats import CHANGES, FORMATS
from services.intake.formats.opsgenie import CREATE, DELETE, VERBS
from services.intake.openapi.paths import PATHS
from services.intake.openapi.schemas import schemas
from services.intake.paths.events import Alerts, ByBody, ByName, Events
from services.intake.paths.heartbeats import Heartbeats, OpsgeniePings
from services.intake.paths.raw_routes import RawRoute
from services.intake.post_reports import PostReports
from services.intake.publisher import Publisher
from services.intake.settings import IntakeSettings
from shared import telemetry
from shared.clock import stopwatch, utcnow
from shared.eventlog import EventLog
from shared.loops.alongside import alongside
from shared.loops.pulse import Pulses
from shared.network.outbound import Outbound
from shared.policy.publishing.feed import PolicyFeed, PublishedPolicy
from shared.policy.publishing.usable_keys import UsableKeys
from shared.security.secret_files import Secrets
from shared.service import KnownPolicy, Service

log = telemetry.logger(__name__)

_BETWEEN_TRIES: Final = 1.0


class Intake:
    """What intake knows while it runs: who may post under the policy in force, and the topics' state."""

    def __init__(self, eventlog: EventLog, *, loopback: bool, canary_every: timedelta = timedelta()) -> None:
        self._log = eventlog
        self._keys = UsableKeys(loopback=loopback)
        self._feed = PolicyFeed(eventlog)
        self._topics: Sequence[str] | None = None  # what is wrong with them; None: not checked yet
        self.admission: Admission | None = None
        self._pulses = Pulses()
        self._canary = Canary(
            eventlog, canary_every, lambda: not self.unready(), beat=self._pulses.beat_of("intake canary")
        )
        self.posts = PostReports(eventlog, lambda: not self.unready())
        self._feed.on_change(self._follow)

    def _follow(self, published: PublishedPolicy) -> None:
        self.admission = Admission.under(self._keys.of(published.bundle))

    def unready(self) -> Sequence[str]:
        """Why posts cannot be accepted yet. A later outage of the log does not change the answer."""
        reasons = [] if self.admission else ["intake: no policy is known yet"]
        if self._topics is None:
            return [*reasons, "intake: the topics of the event log are not verified yet"]
        return [*reasons, *(f"intake: {wrong}" for wrong in self._topics)]

    def policy(self) -> KnownPolicy | None:
        """The policy that it follows."""
        return KnownPolicy.followed(self._feed)

    async def verify_once(self) -> bool:
        """Check the topics; whether they are in order. Faults are logged when they change."""
        before = self._topics
        try:
            self._topics = await self._log.verify_topics()
        except Exception as err:  # noqa: BLE001 - whatever it is, intake stays unready and looks again
            self._topics = [f"the topics could not be verified: {err!r}"]
        if self._topics and self._topics != before:
            log.warning(
                "topics are missing or misconfigured: not ready yet",
                action="intake.topics",
                wrong=list(self._topics),
            )
        return not self._topics

    async def _verify(self) -> None:
        good = await self.verify_once()
        while not good:
            await asyncio.sleep(_BETWEEN_TRIES)
            good = await self.verify_once()

    def stuck(self) -> Sequence[str]:
        """Why only a new start would help: what hands events to the log does not come back."""
        return self._pulses.stopped()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self._feed.running(), AsyncExitStack() as stack:
            if self._canary.every:
                stack.enter_context(self._pulses.beating())
            await stack.enter_async_context(alongside("intake topics", self._verify()))
            await stack.enter_async_context(alongside("intake canary", self._canary.run()))
            await stack.enter_async_context(alongside("intake posts", self.posts.run()))
            yield


def build(settings: IntakeSettings, *, log: EventLog, fetch: Fetch | None = None) -> Service:
    """The service; the caller runs the log. `fetch` replaces the guarded HTTP client."""
    intake = Intake(log, loopback=settings.loopback, canary_every=settings.canary_every)
    outside = Fetcher(Outbound.allowing(settings.outbound_allow))
    subscriptions = Subscriptions(fetch or outside.fetch, clock=stopwatch)
    rest = (
        Publisher(log, settings, intake.posts),
        lambda: intake.admission,
        utcnow,
        Secrets(settings.secrets_dir),
        subscriptions,
    )

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        async with intake.running():
            try:
                yield
            finally:
                await outside.close()

    native, pagerduty = FORMATS["native"], FORMATS["pagerduty"]
    alerts = Alerts(*rest)
    by_name = ByName(native, *rest)
    beats = Heartbeats(*rest)
    return Service(
        name="intake",
        api=APIRouter(),
        running=running,
        unready=intake.unready,
        stuck=intake.stuck,
        policy=intake.policy,
        routes=[
            Route("/v1/events", Events(native, *rest), methods=["POST"]),
            Route("/v2/enqueue", ByBody(pagerduty, *rest), methods=["POST"]),
            Route("/v2/change/enqueue", ByBody(CHANGES, *rest), methods=["POST"]),
            RawRoute("/v2/alerts", alerts, methods=["POST", "GET"]),
            RawRoute(
                "/v2/alerts/{identifier}/{verb}",
                alerts,
                methods=["POST", "PUT", "PATCH", "DELETE", "GET"],
                verbs=[verb for verb in VERBS if verb not in (CREATE, DELETE)],
            ),
            RawRoute("/v2/alerts/requests/{request}", alerts, methods=["GET"]),
            RawRoute("/v2/alerts/{identifier}", alerts, methods=["DELETE", "GET"]),
            Route("/v1/heartbeats/{name}", beats, methods=["GET", "POST"]),  # and HEAD
            Route("/v1/heartbeats/{name}/{signal}", beats, methods=["GET", "POST"]),
            Route("/v1/heartbeats/{name}/{key}/{signal}", beats, methods=["GET", "POST"]),
            Route(
                "/v2/heartbeats/{name}/ping", OpsgeniePings(*rest), methods=["GET", "POST", "PUT", "PATCH"]
            ),
            Route("/v1/integrations/{name}", by_name, methods=["POST", "PUT"]),
            Route("/v1/integrations/{name}/{key}", by_name, methods=["POST", "PUT"]),
        ],
        openapi_paths=PATHS,
        openapi_schemas=schemas(),
    )
