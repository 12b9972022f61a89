"""Page latency by itself, and while a viewer's key keeps asking for the most expensive things there are.

The database holds 200,000 incidents with as many deliveries and outcomes. Eight requests at once, from a
process of their own: pages of 500, searches without a match, the most pressing, a timeline of 5,000 entries
explained, reports, deliveries. POST → webhook through three processes on Kafka, in rounds with and without
them. Aim: ≤ 1.5 × at p50 and p99.
"""

import asyncio
import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx2
from sqlalchemy import text

from bench.reports import OUTCOMES, SINCE
from bench.rounds import Ratio, Series, alternating, percentile, show
from bench.stage import Stage, stage
from shared.database.pool import Database
from tests.world.bundle import KEY
from tests.world.programs import REPOSITORY

ROUNDS: Final = 5
SECONDS: Final = 6.0
RATE: Final = 20
ROWS: Final = 200_000
AT_ONCE: Final = 8
ALONE, READ = "alone", "with a viewer in a loop"


def run() -> None:
    asyncio.run(_run())


async def _run() -> None:
    async with stage() as where:
        await where.cluster.up("router", "intake", "notifier")
        _paged(where, "warm")
        incident = await _fill(where)
        _paged(where, "warm-again")
        series = {(name, p): Series(f"{name} p{p}", "ms") for p in (50, 99) for name in (ALONE, READ)}
        answers: Counter[str] = Counter()
        for number in range(ROUNDS):
            for name in alternating((ALONE, READ), number):
                if name == READ:
                    with _viewer(where, incident) as said:
                        latencies = _paged(where, f"{number}-read")
                    answers.update(said)
                else:
                    latencies = _paged(where, f"{number}-alone")
                for p in (50, 99):
                    series[name, p].values.append(percentile(latencies, p / 100))
        ratios = [
            Ratio(f"p{p}: read / alone", series[READ, p], series[ALONE, p], aim="≤ 1.5") for p in (50, 99)
        ]
        show(f"POST → webhook at {RATE} a second, {ROWS:,} incidents", list(series.values()), ratios)
        print(f"what the viewer was answered in {ROUNDS * SECONDS:g} s:", dict(answers))


def _paged(where: Stage, label: str) -> list[float]:
    answer = where.load.ask(
        port=where.own_port(), path="/v1/events", prefix=label, rate=RATE, seconds=SECONDS
    )
    if answer["missing"]:
        raise RuntimeError(f"{answer['missing']} of {answer['posted']} pages did not arrive")
    return list(answer["milliseconds"])


@contextmanager
def _viewer(where: Stage, incident: str) -> Iterator[Counter[str]]:
    """The viewer at work; afterwards the count of each answer."""
    ports = where.cluster.ports
    argv = [sys.executable, "-m", "bench.readers", str(ports["router"]), str(ports["notifier"]), incident]
    said: Counter[str] = Counter()
    with subprocess.Popen(
        argv, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as one:
        assert one.stdin is not None
        assert one.stdout is not None
        one.stdout.readline()
        try:
            yield said
        finally:
            one.stdin.close()
            said.update(json.loads(one.stdout.readline()))


async def _fill(where: Stage) -> str:
    """Copies of past pages; returns the id of an incident with a long history."""
    database = Database(where.cluster.database_url)
    try:
        async with database.unhurried() as connection:
            incident = str(
                (await connection.execute(text("SELECT id FROM router.incident LIMIT 1"))).scalar_one()
            )
            for schema, table, changes in (
                ("router", "incident", _INCIDENT),
                ("router", "timeline", _TIMELINE),
                ("notifier", "delivery", _DELIVERY),
            ):
                columns = (
                    (await connection.execute(text(_COLUMNS), {"schema": schema, "table": table}))
                    .scalars()
                    .all()
                )
                chosen = ", ".join(changes.get(name, f'"{name}"') for name in columns)
                names = ", ".join(f'"{name}"' for name in columns)
                own = "incident_id = :incident" if table == "timeline" else "true"
                rows = 5_000 if table == "timeline" else ROWS
                await connection.execute(
                    text(f"""
                        INSERT INTO {schema}.{table} ({names})
                        SELECT {chosen} FROM (SELECT * FROM {schema}.{table} WHERE {own} LIMIT 1) AS one,
                            generate_series(1, {rows}) AS n
                    """),
                    {"incident": incident} if table == "timeline" else {},
                )
            await connection.execute(text(OUTCOMES), {"since": SINCE, "incidents": ROWS})
        for table in ("router.incident", "router.timeline", "router.outcome", "notifier.delivery"):
            async with database.engine.connect() as connection:
                plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
                await plain.execute(text(f"VACUUM ANALYZE {table}"))
    finally:
        await database.close()
    return incident


_COLUMNS: Final = """
    SELECT column_name FROM information_schema.columns
    WHERE table_schema = :schema AND table_name = :table AND is_identity = 'NO'
"""
_INCIDENT: Final = {
    "id": "gen_random_uuid()",
    "dedup_key": "'old-' || n",
    "status": "CASE WHEN n % 10 = 0 THEN 'acknowledged' ELSE 'closed' END",
    "next_due_at": "CASE WHEN n % 10 = 0 THEN now() + interval '1 day' END",
    "opened_at": "opened_at - n * interval '1 minute'",
    "customer": "'c' || lpad((n % 500)::text, 4, '0')",
    "service": "'s' || (n % 40)",
}
_TIMELINE: Final[dict[str, str]] = {}
_DELIVERY: Final = {
    "id": "gen_random_uuid()",
    "state": "'delivered'",
    "lease_until": "NULL",
    "held": "NULL",
    "created_at": "created_at - n * interval '1 minute'",
    "incident_id": "gen_random_uuid()::text",
}


def _asked(incident: str) -> dict[str, list[str]]:
    """The viewer's most expensive requests of each kind, by service."""
    year = "from=2025-01-01&to=2027-01-01"
    return {
        "router": [
            "/v1/incidents?limit=500",
            "/v1/incidents?limit=500&q=nobody+has+this",
            "/v1/incidents?limit=500&sort=pressing&q=nobody+has+this",
            "/v1/incidents?limit=500&status=resolved&integration=tests",
            f"/v1/incidents/{incident}/explain",
            f"/v1/incidents/{incident}/timeline?limit=1000",
            f"/v1/reports/response?{year}&by=customer",
            f"/v1/reports/sla?{year}&by=period,customer&period=week",
        ],
        "notifier": ["/v1/deliveries?limit=500", "/v1/deliveries?limit=500&recipient=nobody"],
    }


async def _view(ports: dict[str, str], incident: str) -> None:
    """Send requests in concurrent loops until standard input ends; then print the answers counted."""
    said: Counter[str] = Counter()
    paths = [(ports[name], path) for name, listed in _asked(incident).items() for path in listed]
    turns = itertools.cycle(paths)
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as client:

        async def loop() -> None:
            while True:
                port, path = next(turns)
                async with client.stream("GET", f"http://127.0.0.1:{port}{path}") as answer:
                    async for _ in answer.aiter_raw():
                        pass
                said[str(answer.status_code)] += 1

        loops = [asyncio.create_task(loop()) for _ in range(AT_ONCE)]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for each in loops:
            each.cancel()
        ended = await asyncio.gather(*loops, return_exceptions=True)
    failed = [repr(each) for each in ended if not isinstance(each, asyncio.CancelledError)]
    said.update(failed)
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    asyncio.run(_view({"router": sys.argv[1], "notifier": sys.argv[2]}, sys.argv[3]))
