"""The inbox: what was applied once is not applied again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from shared.clock import utcnow
from shared.database.pool import Database
from shared.database.retention import delete_expired
from shared.outbox import processed_messages


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    async with opened.transaction() as connection:
        await connection.execute(text("CREATE SCHEMA owner"))
        for statement in (processed_messages.ddl("owner"), *processed_messages.retention_ddl("owner")):
            await connection.execute(text(statement))
    yield opened
    await opened.close()


async def test_an_id_is_new_once(database: Database) -> None:
    async with database.transaction() as connection:
        assert await processed_messages.new_ids(connection, "owner", ["b", "a", "a"], utcnow()) == {"a", "b"}
    async with database.transaction() as connection:
        assert await processed_messages.new_ids(connection, "owner", ["b", "c"], utcnow()) == {"c"}
        assert await processed_messages.new_ids(connection, "owner", [], utcnow()) == set()


async def test_an_id_whose_transaction_was_rolled_back_is_still_new(database: Database) -> None:
    async with database.engine.connect() as connection:
        await processed_messages.new_ids(connection, "owner", ["a"], utcnow())
        await connection.rollback()

    async with database.transaction() as connection:
        assert await processed_messages.new_ids(connection, "owner", ["a"], utcnow()) == {"a"}


async def test_two_transactions_with_the_same_ids_wait_and_one_of_them_finds_them_new(
    database: Database,
) -> None:
    async def apply(ids: list[str]) -> set[str]:
        async with database.transaction() as connection:
            return await processed_messages.new_ids(connection, "owner", ids, utcnow())

    ids = [str(number) for number in range(200)]
    found = await asyncio.gather(apply(ids), apply(ids[::-1]), apply(ids))

    assert sorted(map(len, found)) == [0, 0, 200]


async def test_ids_are_forgotten_after_eight_days(database: Database) -> None:
    now = utcnow()
    async with database.transaction() as connection:
        await processed_messages.new_ids(connection, "owner", ["old"], now - timedelta(days=8, seconds=1))
        await processed_messages.new_ids(connection, "owner", ["recent"], now - timedelta(days=7, hours=23))
    assert await delete_expired(database, "owner", [processed_messages.retention_rule("owner")], now) == {
        "owner.inbox": 1
    }
    async with database.transaction() as connection:
        assert await processed_messages.new_ids(connection, "owner", ["old", "recent"], now) == {"old"}
