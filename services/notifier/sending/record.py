"""Writing down what became of attempts, with the reports for the router.

They are written in groups, so that a storm costs few commits. One that the database refuses does not hold up
its neighbours.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias, assert_never

from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier import metrics
from services.notifier.channels import Delivered, Rejected, Unavailable
from services.notifier.domain.delivery import STATE, TEST, Delivery, State, without_secrets
from services.notifier.domain.delivery_outcome import Verdict, after_failure, digest_reports, report
from services.notifier.sending.attempt import Attempt, Unwanted
from services.notifier.sending.conversations import Later
from services.notifier.sending.disabled_endpoints import DisabledEndpoints
from services.notifier.sending.still_wanted import Claims
from services.notifier.storage import (
    attempt_outcomes,
    conversations,
    end_notices,
    later_steps,
    superseded_pages,
)
from services.notifier.storage.attempt_outcomes import AttemptOutcome
from services.notifier.storage.tables import SCHEMA
from shared import telemetry
from shared.database.pool import Database
from shared.errors.bisect import bisect
from shared.errors.kinds import Kind, kind_of, words
from shared.eventlog.codec import encode
from shared.events import DeliveryReport, canary
from shared.outbox import outbox
from shared.outbox.memory import Written

_BATCH_SIZE: Final = 500
_GATHER_SECONDS: Final = 0.02  # results that come this close together share one commit
_LONGEST_IDLE_SECONDS: Final = 30.0
_NOT_STORED: Final = "what became of it cannot be stored"
log = telemetry.logger(__name__)

Judged: TypeAlias = tuple[Attempt, Verdict]


class Recorder:
    """Keeps finished attempts until they are written down.

    `committed` is given what the relay may take over after each commit. `due` is set when an attempt that is
    to be repeated is due, or one that starts early. `sends` are the channels by which people can be reached
    from here, `resting` gives the endpoints that are sent nothing for now.
    """

    def __init__(
        self,
        database: Database,
        claims: Claims,
        disabled: DisabledEndpoints,
        *,
        committed: Callable[[Written | None], None],
        due: asyncio.Event,
        sends: tuple[str, ...],
        resting: Callable[[datetime], Collection[str]],
    ) -> None:
        self._database = database
        self._claims = claims
        self._disabled = disabled
        self._committed = committed
        self._due = due
        self._sends = sends
        self._resting = resting
        self._finished: list[Attempt] = []
        self._any_finished = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many attempts are finished and not written down."""
        return len(self._finished)

    def add(self, attempt: Attempt) -> None:
        """This attempt is over."""
        self._finished.append(attempt)
        self._any_finished.set()

    async def step(self) -> None:
        """Wait until attempts are finished, then write all of them down."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_IDLE_SECONDS):
                await self._any_finished.wait()
        if not self._any_finished.is_set():
            return  # so that the loop shows that it is alive
        await asyncio.sleep(_GATHER_SECONDS)
        self._any_finished.clear()
        try:
            await self.record_all()
        except BaseException:
            self._any_finished.set()
            raise

    async def record_all(self) -> None:
        """Write down everything that has finished."""
        while await self.record_once(self._database.now()):
            pass

    async def record_once(self, now: datetime) -> int:
        """Write down one batch of what has finished; how many."""
        batch = self._finished[:_BATCH_SIZE]
        if not batch:
            return 0
        judged = [(attempt, _verdict(attempt, random.random(), now)) for attempt in batch]  # noqa: S311 - jitter
        await bisect(
            judged, lambda some: self._record(some, now), lambda one, err: self._refuse(one, err, now)
        )
        return len(batch)

    async def _record(
        self, judged: Sequence[Judged], now: datetime, *, reporting: bool = True
    ) -> Sequence[None]:
        written = await self._write(judged, now, reporting=reporting)
        self._forget([attempt for attempt, _ in judged])
        self._committed(written)
        for attempt, verdict in judged:
            _observe(attempt, verdict)
            if verdict.next_attempt_at is not None:
                wait = (verdict.next_attempt_at - now).total_seconds()
                asyncio.get_running_loop().call_later(max(0.0, wait), self._due.set)
        return ()

    def _forget(self, attempts: Sequence[Attempt]) -> None:
        gone = set(map(id, attempts))
        self._finished = [attempt for attempt in self._finished if id(attempt) not in gone]
        for attempt in attempts:
            self._claims.drop(attempt.delivery)

    async def _refuse(self, judged: Judged, err: Exception, now: datetime) -> Sequence[None]:
        """The database refuses this outcome: only the state is written, with a reason in our own words.

        First with the report for the router, then without it. Where even that fails, its lease ends and it is
        sent again, until its time is over: others do not wait for it.
        """
        attempt, verdict = judged
        why = words(err)
        log.error(
            "the database refused an outcome: recorded without its details",
            action="outcome_refused",
            delivery=attempt.delivery.id,
            error=why,
        )
        plain = attempt
        if isinstance(attempt.result, Rejected):
            plain = replace(attempt, result=Rejected(_NOT_STORED))
        for reporting in (True, False):
            try:
                await self._record([(plain, replace(verdict, reason=_NOT_STORED))], now, reporting=reporting)
            except Exception as again:
                if kind_of(again) is not Kind.REFUSED:
                    raise
            else:
                break
        self._forget([attempt])
        return ()

    async def _write(self, judged: Sequence[Judged], now: datetime, *, reporting: bool) -> Written | None:
        outcomes = [
            AttemptOutcome(
                attempt.delivery,
                verdict.state,
                at=attempt.finished_at,
                started_at=attempt.started_at,
                error=verdict.reason,
                next_attempt_at=verdict.next_attempt_at,
                reference=_reference(attempt),
                tried=not isinstance(attempt.result, Later),
            )
            for attempt, verdict in judged
        ]
        failed = [outcome.delivery for outcome in outcomes if outcome.state == "failed"]
        followed = [
            one.delivery for one in outcomes if one.delivery.later and one.error and one.delivery.is_page
        ]
        async with self._database.transaction() as connection:
            if failed or followed:
                await attempt_outcomes.lock_pages(connection, [*failed, *followed])
            after = await attempt_outcomes.record(connection, outcomes)
            held = [_sent(attempt) for attempt, _ in judged if _holds(attempt)]
            if held and await conversations.record(connection, held, now):
                self._due.set()
            unreachable = await attempt_outcomes.unreachable_pages(connection, failed) if failed else set()
            reports = [
                report(
                    outcome.delivery,
                    after[outcome.delivery.id].state if outcome.delivery.id in after else "",
                    outcome.error,
                    unreachable=first_time(unreachable, outcome.delivery.page_id),
                    now=now,
                )
                for outcome in outcomes
                if reporting
            ]
            for one in outcomes if reporting else ():
                if one.delivery.id in after:
                    reports += digest_reports(one.delivery, after[one.delivery.id].state, one.error, now)
            again = [one.delivery for one in outcomes if _is_in(after, one.delivery, "pending")]
            reports += await superseded_pages.supersede(connection, [one.incident_id for one in again], now)
            if followed and await later_steps.start_early(connection, followed, self._resting(now), now):
                self._due.set()
            messages = [self._with_channels(one) for one in reports if one is not None]
            written = await outbox.write(connection, SCHEMA, [encode(one) for one in messages])
            ended = [one.delivery.incident_id for one in outcomes if _is_over(after, one.delivery)]
            if ended:
                await end_notices.judge(connection, ended, now)
            await self._disable(connection, judged, now)
        return written

    async def _disable(self, connection: AsyncConnection, judged: Sequence[Judged], now: datetime) -> None:
        for attempt, _ in judged:
            result = attempt.result
            if isinstance(result, Rejected) and result.disable and attempt.delivery.has_endpoint:
                await self._disabled.disable(connection, attempt.delivery.endpoint, result.reason, now)

    def _with_channels(self, report: DeliveryReport) -> DeliveryReport:
        """The canary's report says by which channels people can be reached from here."""
        return structs.replace(report, sends=self._sends) if report.channel == canary.CHANNEL else report


def first_time(pages: set[str], page_id: str) -> bool:
    """Whether this page is among them; true once a page, so that only one report says it."""
    if page_id not in pages:
        return False
    pages.discard(page_id)
    return True


def _is_in(after: Mapping[str, attempt_outcomes.StateAfter], page: Delivery, state: State) -> bool:
    return page.is_page and page.id in after and after[page.id].state == state


def _is_over(after: Mapping[str, attempt_outcomes.StateAfter], page: Delivery) -> bool:
    """Whether its incident was settled while this page was under way: an end notice waited for it."""
    return page.is_page and page.id in after and after[page.id].settled


def _verdict(attempt: Attempt, jitter: float, now: datetime) -> Verdict:
    match attempt.result:
        case Unwanted(why=why):
            return Verdict("cancelled", why)
        case Later(seconds=seconds):
            return Verdict("pending", "", now + timedelta(seconds=seconds))
        case Delivered(confirmed=confirmed):
            return Verdict("delivered" if confirmed else "sent")
        case Rejected(reason=reason):
            return Verdict("failed", _storable(reason))
        case Unavailable(reason=reason, retry_after=retry_after):
            return after_failure(attempt.delivery, _storable(reason), retry_after, jitter, now)
        case _:
            assert_never(attempt.result)


def _holds(attempt: Attempt) -> bool:
    return attempt.conversation is not None and attempt.conversation.holds


def _sent(attempt: Attempt) -> conversations.Sent:
    """What others in the conversation waited for."""
    delivery, talk = attempt.delivery, attempt.conversation
    if not isinstance(attempt.result, Delivered) or talk is None:
        return conversations.Sent(delivery)
    return conversations.Sent(delivery, None if talk.edits else _reference(attempt), delivery.version)


def _reference(attempt: Attempt) -> str:
    return _storable(attempt.result.reference) if isinstance(attempt.result, Delivered) else ""


def _storable(reason: str) -> str:
    """What a provider said, as the database takes it."""
    return reason.encode(errors="replace").decode().replace("\0", "�")[:500]


def _observe(attempt: Attempt, verdict: Verdict) -> None:
    delivery = attempt.delivery
    if isinstance(attempt.result, Later):
        return
    named = delivery.event in ("call", STATE, TEST)
    sort = delivery.event if named else "page" if delivery.is_page else "notice"
    result = type(attempt.result).__name__.lower()
    metrics.DELIVERIES.labels(delivery.channel, sort, result).inc()
    if sort == "page" and verdict.state != "pending":
        metrics.PAGES.labels(delivery.channel, verdict.state).inc()
    write_line = log.info if verdict.state in ("sent", "delivered", "cancelled") else log.warning
    write_line(
        f"{sort} {verdict.state if verdict.state != 'pending' else 'will be tried again'}",
        action=f"{sort}_{verdict.state}",
        incident=delivery.incident_id,
        delivery=delivery.id,
        sort=delivery.event,
        recipient=f"{delivery.recipient_kind}:{without_secrets(delivery.recipient)}",
        channel=delivery.channel,
        contact=delivery.contact,
        attempt=delivery.attempts,
        why=verdict.reason or (delivery.content.page.reason if delivery.content.page else ""),
    )
