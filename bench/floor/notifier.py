"""The floor's last process: one row, then one POST per record; records are sent concurrently."""

import asyncio
import json
import os
import uuid

import asyncpg
import httpx2
import uvloop
from aiokafka import ConsumerRecord

from bench.floor.common import PAGES, consumer, database_url

DDL = """
CREATE TABLE IF NOT EXISTS floor_deliveries (
    id uuid PRIMARY KEY, key text NOT NULL, at timestamptz NOT NULL DEFAULT now()
)
"""


async def main() -> None:
    pool = await asyncpg.create_pool(database_url(), min_size=1, max_size=5)
    await pool.execute(DDL)
    target = os.environ["BENCH_SINK"]
    reading = consumer(PAGES, "floor-notifier")
    await reading.start()
    print("ready", flush=True)

    async def deliver(client: httpx2.AsyncClient, record: ConsumerRecord) -> None:
        event = json.loads(record.value)
        await pool.execute(
            "INSERT INTO floor_deliveries (id, key) VALUES ($1, $2)", uuid.uuid4(), event["dedup_key"]
        )
        body = {"type": "page", "data": {"incident": event, "page": {"id": event["dedup_key"]}}}
        await client.post(f"{target}/{event['customer']}", json=body)

    async with httpx2.AsyncClient(timeout=15) as client:
        while True:
            batches = await reading.getmany(timeout_ms=1000, max_records=500)
            records = [record for batch in batches.values() for record in batch]
            if records:
                await asyncio.gather(*(deliver(client, record) for record in records))
                await reading.commit()


if __name__ == "__main__":
    uvloop.run(main())
