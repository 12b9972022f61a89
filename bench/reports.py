"""Seconds of each report over 1,000,000 incidents. Aim: 1 s each.

On the PostgreSQL that `ladder up` starts, with its settings; the rows are made up by the database itself.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.rounds import Series, show
from bench.router_database import on_a_database_of_its_own
from services.router import report_queries
from services.router.domain.reporting.periods import periods
from services.router.report_queries import Group, Question
from shared.database.pool import Database

INCIDENTS: Final = 1_000_000
ROUNDS: Final = 5
SINCE: Final = datetime(2025, 1, 1, tzinfo=UTC)
UNTIL: Final = SINCE + timedelta(days=365)
# Groupings: few groups, many, periods in a zone with daylight saving; 5,000 customers, 40 services.
ASKED: Final[tuple[tuple[Group, ...], ...]] = (
    (),
    ("tier",),
    ("customer",),
    ("period",),
    ("period", "tier"),
    ("tier", "service", "policy"),
)
# levels adds policy and level by itself: with 5,000 customers, 100,000 items, more than it returns
ASKED_OF_LEVELS: Final = tuple(by for by in ASKED if "customer" not in by)
OUTCOMES: Final = """
    INSERT INTO router.outcome
        (incident_id, opened_at, taken_ms, machine_first, person_after, person_ms, solved_ms,
         taken_after, solved_after, promises, flags, reopened, rating, priority,
         tier, service, customer, policy)
    SELECT gen_random_uuid(), CAST(:since AS timestamptz) + make_interval(secs => n * 31.5),
        CAST(random() * 999 AS integer), random() < 0.2, CAST(exp(random() * 8) AS integer),
        CAST(random() * 999 AS integer), CAST(random() * 999 AS integer),
        CASE WHEN random() < 0.95 THEN CAST(exp(random() * 8) AS integer) END,
        CASE WHEN random() < 0.98 THEN CAST(300 + exp(random() * 13) AS integer) END,
        31 | 2 << 15
           | CASE WHEN random() < 0.1 THEN 32 ELSE 0 END | CASE WHEN random() < 0.1 THEN 256 ELSE 0 END
           | CASE WHEN random() < 0.9 THEN 31 << 10 ELSE 1 << 10 END,
        CAST(random() * 63 AS integer), CASE WHEN random() < 0.05 THEN 1 ELSE 0 END,
        CAST(random() * 5 AS integer), 1 + CAST(random() * 4 AS integer),
        (ARRAY['gold', 'silver', 'standard'])[1 + CAST(random() * 2 AS integer)],
        'service-' || n % 40, 'customer-' || CAST(random() * 4999 AS integer), 'policy-' || n % 10
    FROM generate_series(1, :incidents) AS n
"""
_STAYS: Final = """
    INSERT INTO router.stay
        (incident_id, opened_at, entered_at, held, ended, pages, priority, tier, service, customer, policy,
         level)
    SELECT incident_id, opened_at, opened_at, COALESCE(taken_after, 300), 1 + CAST(random() * 3 AS integer),
        1, priority, tier, service, customer, policy, 'level-' || n
    FROM router.outcome, generate_series(1, 1 + CAST(random() AS integer)) AS n
"""


def run() -> None:
    on_a_database_of_its_own(_fill_and_measure)


async def _fill_and_measure(database: Database, _: str) -> None:
    await _fill(database)
    await _measure(database)


async def _fill(database: Database) -> None:
    async with database.unhurried() as connection:
        await connection.execute(text(OUTCOMES), {"since": SINCE, "incidents": INCIDENTS})
        await connection.execute(text(_STAYS))
    for table in ("outcome", "stay"):  # as autovacuum does in time
        async with database.unhurried() as connection:
            await connection.execute(text(f"ANALYZE router.{table}"))


async def _measure(database: Database) -> None:
    made: dict[tuple[str, tuple[Group, ...]], Series] = {}
    for _ in range(ROUNDS):
        for report in (report_queries.sla, report_queries.response, report_queries.levels):
            for by in ASKED if report is not report_queries.levels else ASKED_OF_LEVELS:
                name = f"{report.__name__} by {', '.join(by) or 'nothing'}"
                series = made.setdefault((report.__name__, by), Series(name, "s"))
                async with database.reading.transaction("", report=True) as connection:
                    series.values.append(await _seconds(report, connection, by))
    show(f"Reports over {INCIDENTS:,} incidents (aim: 2 s each)", list(made.values()))


async def _seconds(
    report: report_queries.Report, connection: AsyncConnection, by: tuple[Group, ...]
) -> float:
    weeks = periods(SINCE, UNTIL, "week", ZoneInfo("Europe/Prague"), 1000) or ()
    began = time.perf_counter()
    list((await report(connection, Question(SINCE, UNTIL, by, weeks))).rows)
    return time.perf_counter() - began
