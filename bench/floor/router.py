"""The floor's middle process: one bulk statement per fetch, then each record to the next topic."""

import asyncio
import uuid

import asyncpg
import uvloop

from bench.floor.common import EVENTS, PAGES, consumer, database_url, producer

DDL = """
CREATE TABLE IF NOT EXISTS floor_events (
    id uuid PRIMARY KEY, key text NOT NULL, body bytea NOT NULL, at timestamptz NOT NULL DEFAULT now()
)
"""
INSERT = "INSERT INTO floor_events (id, key, body) SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[])"


async def main() -> None:
    pool = await asyncpg.create_pool(database_url(), min_size=1, max_size=2)
    await pool.execute(DDL)
    sending, reading = producer(), consumer(EVENTS, "floor-router")
    await sending.start()
    await reading.start()
    print("ready", flush=True)
    while True:
        batches = await reading.getmany(timeout_ms=1000, max_records=500)
        records = [record for batch in batches.values() for record in batch]
        if not records:
            continue
        ids = [uuid.uuid4() for _ in records]
        await pool.execute(INSERT, ids, [r.key.decode() for r in records], [r.value for r in records])
        sent = [await sending.send(PAGES, record.value, key=record.key) for record in records]
        await asyncio.gather(*sent)
        await reading.commit()


if __name__ == "__main__":
    uvloop.run(main())
