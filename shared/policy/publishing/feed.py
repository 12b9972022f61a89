"""Following the policy on the log: what intake and notifier know of keys, people, contacts and templates."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from shared import telemetry
from shared.eventlog import EventLog, Received
from shared.eventlog.codec import UnreadableRecordError
from shared.events import POLICY, PolicyPublished
from shared.loops.alongside import alongside
from shared.loops.outage import Outage
from shared.loops.repeat import Failures, repeat
from shared.policy.model.bundle import Bundle
from shared.policy.model.bundle_json import load_json
from shared.policy.publishing import wire_format

log = telemetry.logger(__name__)


@dataclass(frozen=True, slots=True)
class PublishedPolicy:
    """The bundle in force, as the router published it."""

    hash: str
    revision: int
    at: datetime
    bundle: Bundle


class PolicyFeed:
    """The newest policy on `ladder.policy`; an older revision never replaces a newer one.

    A record that cannot be read is logged and passed over: the last good policy stays.
    """

    def __init__(self, event_log: EventLog, *, topic: str = POLICY) -> None:
        self._log: Final = event_log
        self._topic: Final = topic
        self._callbacks: Final[list[Callable[[PublishedPolicy], None]]] = []
        self._known: Final = asyncio.Event()
        self.current: PublishedPolicy | None = None

    def on_change(self, callback: Callable[[PublishedPolicy], None]) -> None:
        """Call this with every new policy, and at once with the one in force if there is one."""
        self._callbacks.append(callback)
        if self.current is not None:
            callback(self.current)

    async def wait(self, timeout_seconds: float) -> PublishedPolicy | None:
        """The policy in force, as soon as there is one; None when there was none in this time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._known.wait()
        return self.current

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the topic inside the block."""
        async with alongside("policy feed", self._follow()):
            yield

    async def apply_once(self, records: Sequence[Received]) -> None:
        """Take the newest policy of these records that can be read, if it is newer than the one in force."""
        known = self.current.revision if self.current else -1
        read = [await asyncio.to_thread(_read, record) for record in records]
        messages = [message for message in read if message and message.revision > known]
        for message in sorted(messages, key=lambda each: each.revision, reverse=True):
            try:
                bundle = await asyncio.to_thread(load_json, bytes(message.bundle))
            except ValidationError:
                log.exception(
                    "a published policy is invalid: ignored", action="policy_unreadable", hash=message.hash
                )
                continue
            self._switch(PublishedPolicy(message.hash, message.revision, message.at, bundle))
            return

    def _switch(self, policy: PublishedPolicy) -> None:
        self.current = policy
        self._known.set()
        log.info("policy in force", action="policy_taken", hash=policy.hash, revision=policy.revision)
        for callback in self._callbacks:
            callback(policy)

    async def _follow(self) -> None:
        failures = Failures("policy feed", Outage(log, "policy_feed_lost"))

        async def step() -> None:
            async for records in self._log.follow(self._topic):
                await self.apply_once(records)
                await failures.worked()

        await repeat(failures, step)


def _read(record: Received) -> PolicyPublished | None:
    try:
        return wire_format.read(record)
    except UnreadableRecordError:
        log.exception(
            "a policy record could not be read: ignored", action="policy_unreadable", offset=record.offset
        )
        return None
