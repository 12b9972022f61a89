"""The story in the terminal: what happens to incidents, one readable line each, with its reason.

Read from the event log by a consumer group of its own, so that it sees exactly what the notifier sees. Pure
rendering below, one loop on top.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from typing import Final

from ladder.terminal.plain_text import on_one_line
from shared import telemetry
from shared.clock import utcnow
from shared.eventlog import Consumer, EventLog, LogUnavailableError, codec
from shared.events import ESCALATIONS, Announced, IncidentChanged, Notice, Page, canary

GROUP: Final = "ladder-terminal"
_STALE: Final = timedelta(minutes=1)
_MOST_LINES: Final = 60  # of one batch; a storm is counted, not scrolled past

log = telemetry.logger(__name__)


async def tell(eventlog: EventLog, say: Callable[[str], None], zone: tzinfo | None = None) -> None:
    """Print every change as it happens, for ever. Those older than a minute are skipped."""
    async with eventlog.consumer(GROUP, [ESCALATIONS]) as consumer:
        while True:
            await tell_once(consumer, say, utcnow(), zone)


async def tell_once(
    consumer: Consumer, say: Callable[[str], None], now: datetime, zone: tzinfo | None = None
) -> None:
    """Print the next batch of changes."""
    records = await consumer.fetch()
    if not records:
        return
    said = [line for record in records for line in _lines_of(record.value, record.headers, now, zone)]
    for line in said[:_MOST_LINES]:
        say(line)
    if len(said) > _MOST_LINES:
        say(f"          … and {len(said) - _MOST_LINES} lines more: `ladder incidents` lists them")
    with suppress(LogUnavailableError):
        await consumer.commit(records)


def _lines_of(
    value: bytes, headers: Mapping[str, bytes], now: datetime, zone: tzinfo | None
) -> Iterable[str]:
    try:
        if headers.get("ce_type") == Announced.type.encode():
            announced = codec.decode(Announced, value, headers)
            return announcement(announced, zone) if now - announced.at < _STALE else ()
        change = codec.decode(IncidentChanged, value, headers)
    except codec.UnreadableRecordError as err:
        log.warning("a change could not be read: not shown", action="story_unreadable", error=str(err))
        return ()
    if change.incident.id == canary.ID:
        return ()
    return lines(change, zone) if now - change.at < _STALE else ()


def lines(change: IncidentChanged, zone: tzinfo | None = None) -> Iterator[str]:
    """One change in words: what changed, who is paged and why, who is told."""
    return _timed(change.at, _facts(change), zone)


def announcement(message: Announced, zone: tzinfo | None = None) -> Iterator[str]:
    """News about no single incident: that a silence or maintenance is about to end."""
    why = f": {message.reason}" if message.reason else ""
    told = [f"  tell → {each.name} ({message.event}){why}" for each in message.recipients]
    return _timed(message.at, [one for one in (message.title, *told) if one], zone)


def _timed(at: datetime, facts: Iterable[str], zone: tzinfo | None) -> Iterator[str]:
    shown = at.astimezone(zone).strftime("%H:%M:%S")
    for fact in facts:
        yield f"{shown}  {on_one_line(fact)}"


def _facts(change: IncidentChanged) -> Iterator[str]:
    yield _head(change)
    for page in change.pages:
        yield _page(page)
    for notice in change.notices:
        yield _notice(notice)


def _head(change: IncidentChanged) -> str:
    incident = change.incident
    what = ", ".join(word for word in change.changes if word != "paged") or ", ".join(change.changes)
    customer = f"{incident.customer_name or incident.customer} ({incident.tier})" if incident.customer else ""
    parts = [f"“{incident.title}”", customer, f"priority {incident.priority}", incident.id[:8]]
    by = f" by {change.actor}" if change.actor not in ("", "ladder") else ""
    stops = f": pages stop ({change.settled.why})" if change.settled else ""
    return f"{what or 'changed'}{by}{stops} · {' · '.join(part for part in parts if part)}"


def _page(page: Page) -> str:
    level = f" ({page.level}, round {page.round})" if page.level else ""
    otherwise = f"; otherwise {page.otherwise}" if page.otherwise else ""
    return f"  page → {page.recipient.name}{level}: {page.reason.rstrip('.')}{otherwise}"


def _notice(notice: Notice) -> str:
    why = f": {notice.reason}" if notice.reason else ""
    return f"  tell → {notice.recipient.name} ({notice.event}){why}"
