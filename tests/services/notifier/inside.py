"""A notifier's inside on a real database: it hears messages and sends over sockets, without the event log."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from services.notifier.app import REVISIONS
from services.notifier.channels import (
    CONCURRENCY,
    RATES,
    ChannelDependencies,
    build_channels,
    conversing,
)
from services.notifier.consume import Consumption
from services.notifier.domain.rates import Rates
from services.notifier.sending.attempt import Transport
from services.notifier.sending.concurrency import ConcurrencyLimits
from services.notifier.sending.pace import Pace
from services.notifier.sending.sender import LEASE, Sender
from services.notifier.settings import NotifierSettings
from services.notifier.storage import earlier_pages, mailbox
from shared import migrations
from shared.clock import utcnow
from shared.database.pool import Database
from shared.eventlog.codec import decode
from shared.eventlog.packed_headers import unpack
from shared.events import MESSAGES
from shared.network.outbound import Outbound
from shared.policy import Bundle
from shared.security.keys import Signer
from shared.security.secret_files import Secrets
from tests.services.notifier.building import received

SIGNER = Signer(("a key",))


class Office:
    """One notifier: `hear` messages, then look at rows and reports."""

    def __init__(
        self,
        database: Database,
        bundle: Bundle,
        secrets: Path | None = None,
        sender: type[Sender] = Sender,
        rates: Rates = RATES,
        **channel_settings: Any,
    ) -> None:
        settings = NotifierSettings.read(channel_settings=channel_settings).of_channel
        converses = conversing(None, settings)
        self.database = database
        self.bundle = bundle
        self.concurrency = ConcurrencyLimits(CONCURRENCY)
        self.channels = build_channels(
            ChannelDependencies(
                outbound=Outbound.allowing(["127.0.0.1"]),
                signer=SIGNER,
                keep=lambda envelopes: mailbox.keep(database, envelopes),
                settings=settings,
                earlier=lambda delivery: earlier_pages.reference(database, delivery),
                public_url="http://ladder.test",
            )
        )
        transport = Transport(
            self.channels, Secrets(secrets), SIGNER, "http://ladder.test", lambda: self.bundle
        )
        self.sender = sender(
            database, transport, self.concurrency, Pace(rates), sent=lambda _: None, converses=converses
        )
        self.policies_awaited = 0
        self.consumption = Consumption(
            database,
            self.sender,
            bundle=lambda: self.bundle,
            newer_policy=self._await_policy,
            lease=LEASE,
            committed=lambda _: None,
            converses=converses,
            rates=rates,
        )
        self.next_bundle: Bundle | None = None

    async def _await_policy(self) -> None:
        self.policies_awaited += 1
        self.bundle = self.next_bundle or self.bundle

    async def hear(
        self,
        *messages,
        now: datetime | None = None,
        age: timedelta = timedelta(0),
        partition=0,
        apart: bool = False,
    ) -> None:
        """Apply these messages in one batch; `age` is how long ago the log took them."""
        now = now or utcnow()
        await self.consumption.apply_once(
            [received(message, at=now - age, partition=partition) for message in messages], now, apart=apart
        )

    async def rows(self, where: str = "true", **values) -> list:
        async with self.database.transaction() as connection:
            result = await connection.execute(
                text(f"SELECT * FROM notifier.delivery WHERE {where} ORDER BY created_at, id"), values
            )
            return list(result)

    async def states(self) -> dict[str, int]:
        """How many deliveries are in which state."""
        counted: dict[str, int] = {}
        for row in await self.rows():
            counted[row.state] = counted.get(row.state, 0) + 1
        return counted

    async def outbox(self) -> list:
        """The messages that wait to be published."""
        kinds = {kind.type.encode(): kind for kind in MESSAGES}
        async with self.database.transaction() as connection:
            rows = list(await connection.execute(text("SELECT * FROM notifier.outbox ORDER BY id")))
        found = []
        for row in rows:
            headers = unpack(row.headers)
            found.append(decode(kinds[headers["ce_type"]], row.value, headers))
        return found

    async def execute(self, statement: str, **values) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(text(statement), values)


@asynccontextmanager
async def office(
    database_url: str,
    bundle: Bundle,
    *,
    sending: bool = True,
    secrets: Path | None = None,
    sender: type[Sender] = Sender,
    rates: Rates = RATES,
    **channel_settings: Any,
) -> AsyncIterator[Office]:
    """An office on a migrated database; with `sending` its loops run. `secrets`: its secret folder."""
    database = Database(database_url)
    place = Office(database, bundle, secrets, sender, rates, **channel_settings)
    try:
        if await migrations.pending(database, "notifier", REVISIONS):
            await migrations.upgrade(database, "notifier", REVISIONS)
        async with AsyncExitStack() as stack:
            if sending:
                await stack.enter_async_context(place.sender.running())
            yield place
    finally:
        await place.sender.abandon()
        for channel in place.channels.values():
            await channel.close()
        await database.close()
