"""Receipts: what a provider says later of a message that it took.

They come in any order, more than once, and the first may come before the attempt itself is written down: then
the address that the provider posts to names the delivery. What has ended stays as it ended.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias, assert_never

from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier import metrics
from services.notifier.channels import Delivered, Rejected, Unavailable
from services.notifier.domain.delivery import Delivery, State
from services.notifier.domain.delivery_outcome import Verdict, after_failure, digest_reports, report
from services.notifier.sending.record import first_time
from services.notifier.storage import attempt_outcomes, end_notices, later_steps, receipts, superseded_pages
from services.notifier.storage.receipts import Known
from services.notifier.storage.tables import SCHEMA
from shared import telemetry
from shared.database.pool import Database
from shared.eventlog.codec import encode
from shared.outbox import outbox
from shared.outbox.memory import Written

TRIES: Final = 2
"""What may work later is tried once more, and no more often: each try rings or costs."""
Taken: TypeAlias = Literal["taken", "not known yet"]
log = telemetry.logger(__name__)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider says of one message of a channel, which it calls `reference`.

    `message` and `attempt` are those that the address named; '' and 0 where it named none. A message that
    stands for several deliveries has an id of its own.
    """

    reference: str
    channel: str
    result: Delivered | Rejected | Unavailable
    message: str = ""
    attempt: int = 0


class Receipts:
    """Writes receipts down, with the reports for the router.

    `committed` is given what the relay may take over after each commit; `wake` is called when something is to
    be sent. `resting` gives the endpoints that are sent nothing for now.
    """

    def __init__(
        self,
        database: Database,
        *,
        committed: Callable[[Written | None], None],
        wake: Callable[[], None],
        resting: Callable[[datetime], Collection[str]] = lambda _: (),
    ) -> None:
        self._database = database
        self._resting = resting
        self._committed = committed
        self._wake = wake

    async def take(self, receipt: Receipt, now: datetime) -> Taken:
        """Write one down, for every delivery that the message stood for. Raises the database's errors."""
        changed: list[Changed] = []
        async with self._database.transaction() as connection:
            known = await receipts.locked(connection, receipt.channel, receipt.reference, receipt.message)
            verdicts = [verdict_on(each, receipt, now) for each in known]
            if not known or "too early" in verdicts:
                return "not known yet"
            for each, verdict in zip(known, verdicts, strict=True):
                if isinstance(verdict, Verdict):
                    state = await receipts.write(connection, each, verdict, receipt.reference, now)
                    changed.append(Changed(each.delivery, state, verdict.reason))
            written = await self._told(connection, changed, now)
        self._committed(written)
        self._wake()
        for one in changed:
            _observe(one)
        return "taken"

    async def _told(
        self, connection: AsyncConnection, changed: Sequence["Changed"], now: datetime
    ) -> Written | None:
        """Write what follows: for the router, for a person's other contacts, for who is to hear the end."""
        failed = [one.delivery for one in changed if one.state == "failed"]
        lost = await attempt_outcomes.unreachable_pages(connection, failed) if failed else set[str]()
        reports = [
            report(
                one.delivery,
                one.state,
                one.reason,
                unreachable=first_time(lost, one.delivery.page_id),
                now=now,
            )
            for one in changed
        ]
        for one in changed:
            reports += digest_reports(one.delivery, one.state, one.reason, now)
        pages = [one for one in changed if one.delivery.is_page]
        again = [one.delivery.incident_id for one in pages if one.state == "pending"]
        reports += await superseded_pages.supersede(connection, again, now)
        missed = [one.delivery for one in pages if one.state in ("failed", "pending")]
        await later_steps.start_early(connection, missed, self._resting(now), now)
        if pages:
            await end_notices.judge(connection, [one.delivery.incident_id for one in pages], now)
        return await outbox.write(connection, SCHEMA, [encode(one) for one in reports if one is not None])


@dataclass(frozen=True, slots=True)
class Changed:
    """A delivery that a receipt has brought into this state."""

    delivery: Delivery
    state: State
    reason: str


def _observe(one: Changed) -> None:
    metrics.RECEIPTS.labels(one.delivery.channel, one.state).inc()
    write_line = log.info if one.state == "delivered" else log.warning
    write_line(
        f"receipt: {one.state}",
        action="receipt",
        incident=one.delivery.incident_id,
        delivery=one.delivery.id,
        channel=one.delivery.channel,
        contact=one.delivery.contact,
        why=one.reason,
    )


def verdict_on(
    known: Known, receipt: Receipt, now: datetime
) -> Verdict | Literal["too early", "nothing new"]:
    """The state that the receipt brings, or why it brings none.

    That it arrived counts for every attempt: it is not sent again. That it did not counts only for the last.
    What is to be sent again has to be written down as sent before.
    """
    if isinstance(receipt.result, Delivered):
        return Verdict("delivered") if known.state in ("pending", "sending", "sent") else "nothing new"
    delivery = known.delivery
    together = bool(delivery.message_id) and delivery.message_id == receipt.message
    under_way = known.state == "sending" and (together or receipt.attempt == delivery.attempts)
    if not under_way and not (known.state == "sent" and known.reference == receipt.reference):
        return "nothing new"
    match receipt.result:
        case Unavailable(reason=reason, retry_after=wait) if delivery.attempts < TRIES:
            return "too early" if under_way else after_failure(delivery, reason, wait, 0.0, now)
        case Unavailable(reason=reason) | Rejected(reason=reason):
            return Verdict("failed", reason)
        case _:
            assert_never(receipt.result)
