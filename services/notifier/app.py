"""The notifier, assembled: what it consumes, the loops it runs, and whether it is ready."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter

from services.notifier import migrations as revisions
from services.notifier.api.receipts import receipts_of_twilio
from services.notifier.api.routes import routes
from services.notifier.api.trials import trial_routes
from services.notifier.channels import (
    CONCURRENCY,
    RATES,
    ChannelDependencies,
    build_channels,
    conversing,
    hidden_words,
    readiness,
    sendable,
)
from services.notifier.channels.twilio import TwilioSettings
from services.notifier.consume import Consumption
from services.notifier.consumer import ChangeConsumer
from services.notifier.deadman import Deadman
from services.notifier.sending.attempt import Transport
from services.notifier.sending.concurrency import ConcurrencyLimits
from services.notifier.sending.pace import Pace
from services.notifier.sending.receipts import Receipts
from services.notifier.sending.sender import LEASE, Sender
from services.notifier.settings import NotifierSettings
from services.notifier.storage import earlier_pages, mailbox, retention
from services.notifier.storage.tables import SCHEMA
from shared import migrations, telemetry
from shared.clock import stopwatch, utcnow
from shared.database import stopped_clients
from shared.database.pool import Database
from shared.database.retention import delete_expired
from shared.eventlog import EventLog
from shared.health.probes import DatabaseProbe
from shared.loops.alongside import alongside
from shared.loops.pulse import Pulses
from shared.loops.repeat import Failures, for_ever, repeat
from shared.network.outbound import Outbound
from shared.outbox.relay import Relay
from shared.policy import Bundle
from shared.policy.publishing.feed import PolicyFeed
from shared.policy.publishing.usable_keys import UsableKeys
from shared.security.secret_files import Secrets
from shared.service import KnownPolicy, Service

log = telemetry.logger(__name__)
REVISIONS: Final = Path(str(revisions.__file__)).parent
_NEWER_POLICY_SECONDS: Final = 1.0
_DELETE_EVERY_SECONDS: Final = 60.0


class Notifier:
    """The parts of one notifier and their state."""

    def __init__(
        self,
        settings: NotifierSettings,
        event_log: EventLog,
        database: Database,
        *,
        clock: Callable[[], float] = stopwatch,
    ) -> None:
        self._settings = settings
        self._database = database
        self._feed = PolicyFeed(event_log)
        self._keys = UsableKeys(loopback=settings.loopback)
        self._changed = asyncio.Event()
        self._feed.on_change(lambda _: self._changed.set())
        self._pulses = Pulses(clock=clock)
        self._relay = Relay(database, event_log, SCHEMA)
        self.concurrency = ConcurrencyLimits(CONCURRENCY)
        self.readiness = readiness(settings.mail, settings.of_channel)
        self._channels = build_channels(
            ChannelDependencies(
                outbound=Outbound.allowing(settings.outbound_allow),
                signer=settings.signer,
                keep=lambda envelopes: mailbox.keep(database, envelopes),
                mail=settings.mail,
                settings=settings.of_channel,
                earlier=lambda delivery: earlier_pages.reference(database, delivery),
                public_url=settings.public_url.rstrip("/"),
            )
        )
        transport = Transport(
            channels=self._channels,
            secrets=Secrets(settings.secrets_dir),
            signer=settings.signer,
            public_url=settings.public_url.rstrip("/"),
            bundle=self.bundle,
            hidden=hidden_words(settings.mail, settings.of_channel),
        )
        converses = conversing(settings.mail, settings.of_channel)
        self._sender = Sender(
            database,
            transport,
            self.concurrency,
            Pace(RATES),
            sent=self._relay.hand,
            sends=sendable(settings.mail, settings.of_channel),
            converses=converses,
            pulses=self._pulses,
        )
        self.receipts = Receipts(
            database,
            committed=self._relay.hand,
            wake=self._sender.wake,
            resting=self.concurrency.open_breakers,
        )
        consumption = Consumption(
            database,
            self._sender,
            bundle=self.bundle,
            newer_policy=self._newer_policy,
            lease=LEASE,
            committed=self._relay.hand,
            converses=converses,
            rates=RATES,
        )
        self._starting = Failures("notifier", database.outage)
        self._database_probe = DatabaseProbe(database, SCHEMA, clock=clock)
        self._deadman = Deadman(
            settings.deadman,
            Outbound.allowing([*settings.outbound_allow, *_hosts(settings.deadman)]),
        )
        self._consumer = ChangeConsumer(
            event_log,
            database,
            consumption,
            self._deadman,
            clock=clock,
            beat=self._pulses.beat_of("notifier consume"),
        )
        self._schema: str | None = "the database has not been reached yet"

    def bundle(self) -> Bundle:
        """The policy in force; only asked for once there is one."""
        assert self._feed.current is not None
        return self._feed.current.bundle

    def guarding_bundle(self) -> Bundle | None:
        """The policy in force with the keys that count here, if there is one."""
        return self._keys.of(self._feed.current.bundle) if self._feed.current else None

    def wake(self) -> None:
        """A delivery is due."""
        self._sender.wake()

    def unready(self) -> Sequence[str]:
        """Why nobody can be paged yet. A later outage of the log does not change the answer."""
        reasons = [self._schema] if self._schema else []
        if self._feed.current is None:
            reasons.append("no policy is known yet")
        if not self._consumer.ever_assigned:
            reasons.append("no share of the event log has been held yet")
        if (stalled := self._relay.stalled()) is not None:
            reasons.append(stalled)
        return [f"notifier: {reason}" for reason in reasons]

    def policy(self) -> KnownPolicy | None:
        """The policy that it follows."""
        return KnownPolicy.followed(self._feed)

    def stuck(self) -> Sequence[str]:
        """Why only a new start would help."""
        silent = self._database_probe.probe.silent()
        reasons = [] if silent is None else [silent]
        return [*reasons, *self._consumer.progress.stuck(utcnow()), *self._pulses.stopped()]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything runs inside the block; on leaving, sends under way are finished first."""
        said = {one.channel: one.missing for one in self.readiness if one.sends != "all"}
        able = [one.channel for one in self.readiness if one.sends == "all"]
        log.info("channels", action="channels_known", sends=able, missing=said)
        async with self._feed.running():
            try:
                async with alongside("notifier", repeat(self._starting, self._work)):
                    yield
            finally:
                for channel in self._channels.values():
                    await channel.close()
                await self._deadman.close()

    async def _work(self) -> None:
        await migrations.awaited(self._database, SCHEMA, REVISIONS, self._learned)
        while await self._feed.wait(60) is None:
            log.warning("no policy published yet: waiting for one", action="policy_awaited")
        await self._starting.worked()
        async with AsyncExitStack() as stack:
            stack.enter_context(self._pulses.beating())
            await stack.enter_async_context(self._relay.running())
            await stack.enter_async_context(self._sender.running())
            # It ends once its tasks have: the sender, which stops after it, is handed nothing more.
            group = await stack.enter_async_context(asyncio.TaskGroup())
            outage = self._database.outage
            deleting = for_ever("notifier upkeep", self._delete_expired, outage, every=_DELETE_EVERY_SECONDS)
            group.create_task(self._consumer.run(), name="notifier consume")
            group.create_task(deleting, name="notifier upkeep")
            group.create_task(self._database_probe.run(), name="notifier database look")
            group.create_task(stopped_clients.run(self._database), name="notifier stopped clients")
            group.create_task(migrations.outdated(self._database, SCHEMA, REVISIONS), name="notifier schema")

    def _learned(self, why: str | None) -> None:
        self._schema = why

    async def _newer_policy(self) -> None:
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_NEWER_POLICY_SECONDS):
                await self._changed.wait()

    async def _delete_expired(self) -> None:
        tables = retention.tables(self._settings.keep)
        await delete_expired(self._database, SCHEMA, tables, self._database.now())


def _hosts(url: str) -> Sequence[str]:
    """What the operator set passes the guard."""
    host = urlsplit(url).hostname
    return [host] if host else []


def build(settings: NotifierSettings, *, log: EventLog, database: Database | None) -> Service:
    """The service; the caller runs the log and closes the database. Raises BadSettingError."""
    if database is None:
        raise ValueError("the notifier keeps its state in a database")
    notifier = Notifier(settings, log, database)
    guarding, wake = notifier.guarding_bundle, notifier.wake
    api = APIRouter()  # what a path inherits from a router is not for pages, nor for providers
    api.include_router(routes(database, guarding, notifier.concurrency, notifier.readiness, wake))
    api.include_router(trial_routes(database, guarding, notifier.readiness, settings.signer, wake))
    tokens = settings.of_channel(TwilioSettings).tokens
    api.include_router(receipts_of_twilio(notifier.receipts, database.now, tokens, settings.public_url))
    return Service(
        name="notifier",
        api=api,
        running=notifier.running,
        unready=notifier.unready,
        stuck=notifier.stuck,
        policy=notifier.policy,
    )
