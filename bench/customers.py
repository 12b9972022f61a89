"""Seconds to import 100,000 customers, as CSV and as NDJSON; and what a look-up costs among 1,000,000.

Aims: an import of 100,000 within 60 s; a batch that names 500 customers is looked up among 1,000,000 as
quickly as among 1,000. Through the router's paths without a socket, on the PostgreSQL of `ladder up`.
"""

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Final

import httpx2
from pydantic import SecretStr
from sqlalchemy import text

from bench.router_database import on_a_database_of_its_own
from ladder.web.host import assemble
from services.router import api
from services.router.batch.engine import Engine
from services.router.customers.book import CustomerBook
from services.router.policy import store
from services.router.settings import RouterSettings
from shared.database.pool import Database
from shared.policy import Bundle
from shared.security.keys import digest
from shared.service import Service

IMPORTED: Final = 100_000
MANY: Final = 1_000_000
FEW: Final = 1_000
ASKED: Final = 500
ROUNDS: Final = 7
KEY: Final = "a key of the bench"


def run() -> None:
    on_a_database_of_its_own(_measure)


async def _measure(database: Database, _: str) -> None:
    await _imports(database)
    await _look_ups(database)


async def _imports(database: Database) -> None:
    async with _client(database) as client:
        for kind, lines in (("text/csv", _csv()), ("application/x-ndjson", _ndjson())):
            body = "".join(lines).encode()
            for what in ("at first", "again, unchanged"):
                started = time.perf_counter()
                answer = await client.post(
                    "/v1/customers/import", content=body, headers={"content-type": kind}, timeout=600
                )
                seconds = time.perf_counter() - started
                assert answer.status_code == 200, answer.text
                print(f"import of {IMPORTED:,} as {kind}, {what}: {seconds:.1f} s (aim: 60 s)")
            async with database.transaction() as connection:
                await connection.execute(text("TRUNCATE router.customer, router.customer_name"))


async def _look_ups(database: Database) -> None:
    medians = {}
    for count in (FEW, MANY):
        async with database.unhurried() as connection:
            await connection.execute(text("TRUNCATE router.customer, router.customer_name"))
            for statement in (_CUSTOMERS, _NAMES):
                await connection.execute(text(statement), {"count": count})
        async with database.unhurried() as connection:
            await connection.execute(text("ANALYZE router.customer, router.customer_name"))
        medians[count] = await _median(database, count)
        print(f"look-up of {ASKED} texts among {count:,} customers: {medians[count] * 1000:.1f} ms a batch")
    print(f"ratio: {medians[MANY] / medians[FEW]:.2f}")


async def _median(database: Database, count: int) -> float:
    seconds = []
    for turn in range(ROUNDS):
        said = [_said((turn * 7919 + n * 104_729) % count, n) for n in range(ASKED)]
        async with database.transaction() as connection:
            started = time.perf_counter()
            found = await CustomerBook().find(connection, 1, said)
            seconds.append(time.perf_counter() - started)
        assert len(set(found) & set(said)) == len(set(said)), "somebody was not found"
    return sorted(seconds)[ROUNDS // 2]


def _said(number: int, turn: int) -> str:
    """By id, by name and by mail domain in turn."""
    return (f"customer-{number}", f"CUSTOMER No. {number}", f"ops@c{number}.example")[turn % 3]


def _csv() -> Iterator[str]:
    yield "id,name,tier,value,owner,match,email\n"
    for n in range(IMPORTED):
        yield f"customer-{n},Customer No. {n},gold,{n * 10},ana,c{n}.example;Konto {n},ops@c{n}.example\n"


def _ndjson() -> Iterator[str]:
    for n in range(IMPORTED):
        customer: dict[str, Any] = {"id": f"customer-{n}", "name": f"Customer No. {n}", "tier": "gold"}
        customer |= {"value": n * 10, "owner": "ana", "match": [f"c{n}.example", f"Konto {n}"]}
        yield json.dumps(customer | {"contacts": {"mail": {"email": f"ops@c{n}.example"}}}) + "\n"


@asynccontextmanager
async def _client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    bundle = Bundle.model_validate(
        {
            "version": 1,
            "last_resort": ["user:ana"],
            "users": {"ana": {"name": "Ana", "contacts": {"box": {"inbox": "ana"}}}},
            "tiers": ["gold", "standard"],
            "policies": {"main": {"levels": [_LEVEL], "finally": {"notify": ["user:ana"], "every": "15m"}}},
            "routes": [{"policy": "main"}],
            "api_keys": {"lead": {"keys": [{"sha256": digest(KEY)}], "role": "lead"}},
        }
    )
    async with database.transaction() as connection:
        await store.switch(connection, bundle, source="api", by="bench")
    settings = RouterSettings(secret_key=SecretStr("a secret of the bench"))
    paths = api.routes(Engine(database), settings, lambda: None)
    service = Service("router", paths, nullcontext, tuple, tuple, openapi_schemas=api.schemas())
    transport = httpx2.ASGITransport(app=assemble([service], loopback=True))
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://ladder", headers=headers) as client:
        yield client


_LEVEL: Final = {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m"}
_CUSTOMERS: Final = """
    INSERT INTO router.customer (id, name, tier, match, contacts, changed_at, changed_by)
    SELECT 'customer-' || n, 'Customer No. ' || n, 'gold', ARRAY['c' || n || '.example'],
           '{"mail": {"email": "ops@example.com"}}', now(), 'bench'
    FROM generate_series(0, CAST(:count AS integer) - 1) AS n
"""
_NAMES: Final = """
    INSERT INTO router.customer_name (known_as, customer_id, by_match)
    SELECT 'c' || n || '.example', 'customer-' || n, true
    FROM generate_series(0, CAST(:count AS integer) - 1) AS n
    UNION ALL
    SELECT 'customer no. ' || n, 'customer-' || n, false
    FROM generate_series(0, CAST(:count AS integer) - 1) AS n
"""
