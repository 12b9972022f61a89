"""What both logs promise (shared.eventlog). Every test runs against a real PostgreSQL and a real Kafka."""

import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.clock import stopwatch, utcnow
from shared.eventlog import (
    Consumer,
    EventLog,
    LogSilentError,
    LogUnavailableError,
    Partition,
    RecordTooLargeError,
)
from tests.eventlog.places import PARTITIONS, SESSION_SECONDS, LogPlace, opened, read, read_until, values
from tests.waiting import until

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def member_process(place: LogPlace, group: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.eventlog.member", place.adapter, place.address, place.name, group),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def owns(consumer: Consumer, count: int) -> None:
    await until(lambda: len(consumer.assignment()) == count, seconds=20)


async def publish_again_and_again(log: EventLog, place: LogPlace, key: str, value: str) -> None:
    """Publish until it is acknowledged, as a client that gets 503 does."""

    async def acknowledged() -> bool:
        try:
            await log.publish([place.record(key, value)])
        except LogUnavailableError:
            return False
        return True

    await until(acknowledged, seconds=30)


async def test_records_with_one_key_arrive_in_the_order_they_were_published(place: LogPlace) -> None:
    async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
        for number in range(20):
            await log.publish([place.record(f"k{key}", f"{key}-{number}") for key in range(10)])

        by_key = defaultdict(list)
        for record in await read(consumer, 200):
            by_key[record.key].append(int(record.value.decode().split("-")[1]))

    assert all(numbers == list(range(20)) for numbers in by_key.values())
    assert len(by_key) == 10


async def test_a_partition_that_is_drained_late_is_asked_for_at_once(place: LogPlace) -> None:
    """A consumer that was busy does not wait for the end of a fetch that left this partition out."""
    async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
        await log.publish([place.record("k", "first")])
        await read(consumer, 1)
        took = []
        for number in range(3):
            await log.publish([place.record("k", f"early {number}")])
            busy_until = stopwatch() + 0.15
            await until(lambda: stopwatch() >= busy_until)  # noqa: B023 - awaited in this round
            await read(consumer, 1)
            began = stopwatch()
            await log.publish([place.record("k", f"late {number}")])
            await read(consumer, 1)
            took.append(stopwatch() - began)

    assert min(took) < 0.2


async def test_a_record_comes_with_its_key_headers_place_and_time(place: LogPlace) -> None:
    async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
        before = utcnow()
        await log.publish([place.record("k", "v")])
        (record,) = await read(consumer, 1)

    assert (record.key, record.value, record.headers) == (b"k", b"v", {"ce_id": b"k"})
    assert record.partition.topic == place.topic
    assert record.offset == 0
    assert abs((record.at - before).total_seconds()) < 5


async def test_many_publishers_at_once_lose_nothing_and_leave_no_gaps(place: LogPlace) -> None:
    async with place.log() as one, place.log() as two, one.consumer("g", [place.topic]) as consumer:
        records = [place.record(f"k{number}", str(number)) for number in range(400)]
        await asyncio.gather(*[(one, two)[i % 2].publish([record]) for i, record in enumerate(records)])

        got = await read(consumer, 400)

    assert Counter(values(got)) == Counter(str(number) for number in range(400))
    by_partition = defaultdict(list)
    for record in got:
        by_partition[record.partition].append(record.offset)
    assert all(offsets == list(range(len(offsets))) for offsets in by_partition.values())


async def test_members_share_the_partitions_and_each_record_goes_to_one_of_them(place: LogPlace) -> None:
    async with place.log() as log, place.log() as other:
        async with log.consumer("g", [place.topic]) as one, other.consumer("g", [place.topic]) as two:
            await owns(one, PARTITIONS // 2)
            await owns(two, PARTITIONS // 2)
            assert not one.assignment() & two.assignment()

            await log.publish([place.record(f"k{number}", str(number)) for number in range(100)])
            got: Counter[str] = Counter()

            async def read_some(consumer: Consumer) -> None:
                while got.total() < 100:
                    records = await consumer.fetch(wait_seconds=0.2)
                    assert {record.partition for record in records} <= consumer.assignment()
                    got.update(values(records))
                    await consumer.commit(records)

            async with asyncio.timeout(20):
                await asyncio.gather(read_some(one), read_some(two))

    assert got == Counter(str(number) for number in range(100))


async def test_two_groups_both_get_every_record(place: LogPlace) -> None:
    async with place.log() as log:
        async with log.consumer("one", [place.topic]) as one, log.consumer("two", [place.topic]) as two:
            await log.publish([place.record(f"k{number}", str(number)) for number in range(30)])

            assert len(await read(one, 30)) == 30
            assert len(await read(two, 30)) == 30


async def test_a_new_group_starts_at_the_beginning_and_a_known_one_where_it_stood(place: LogPlace) -> None:
    async with place.log() as log:
        await log.publish([place.record("k", "first")])
        async with log.consumer("g", [place.topic]) as consumer:
            assert values(await read(consumer, 1)) == ["first"]

        await log.publish([place.record("k", "second")])
        async with log.consumer("g", [place.topic]) as consumer:
            assert values(await read(consumer, 1)) == ["second"]


async def test_what_a_killed_member_did_not_commit_comes_again_to_another(place: LogPlace) -> None:
    async with place.log() as log:
        await log.publish([place.record(f"k{number}", str(number)) for number in range(20)])
        async with member_process(place, "g") as killed:
            assert killed.stdout is not None
            async with asyncio.timeout(20):
                seen = {(await killed.stdout.readline()).decode().strip() for _ in range(20)}
            killed.kill()
            await killed.wait()

        async with log.consumer("g", [place.topic]) as survivor:
            got = await read(survivor, 20, seconds=SESSION_SECONDS * 5)

    assert set(values(got)) == seen


async def test_a_member_that_leaves_hands_over_before_its_session_would_have_ended(place: LogPlace) -> None:
    async with place.log() as log, log.consumer("g", [place.topic]) as staying:
        async with place.log() as other, other.consumer("g", [place.topic]) as leaving:
            await owns(leaving, PARTITIONS // 2)
        await until(lambda: len(staying.assignment()) == PARTITIONS, seconds=SESSION_SECONDS)


async def test_a_commit_for_partitions_that_were_taken_away_is_passed_over(place: LogPlace) -> None:
    async with place.log() as log, log.consumer("g", [place.topic]) as slow:
        await log.publish([place.record(f"k{number}", str(number)) for number in range(40)])
        got = await read(slow, 40, commit=False)

        async with place.log() as other, other.consumer("g", [place.topic]) as quick:
            await owns(quick, PARTITIONS // 2)
            await owns(slow, PARTITIONS // 2)
            await slow.commit(got)

            expected = {record.value for record in got if record.partition in quick.assignment()}
            again = await read(quick, len(expected))

    assert {record.value for record in again} == expected


async def test_a_member_knows_whether_it_ever_had_its_share(place: LogPlace) -> None:
    async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
        assert not consumer.ever_assigned
        await owns(consumer, PARTITIONS)
        assert consumer.ever_assigned
        assert consumer.assignment() == {Partition(place.topic, number) for number in range(PARTITIONS)}


async def test_while_the_server_is_away_publishing_fails_and_afterwards_all_goes_on(place: LogPlace) -> None:
    async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
        await log.publish([place.record("k", "before")])
        assert values(await read(consumer, 1)) == ["before"]
        await log.publish([place.record("k", "unread")])

        place.server.stop()
        try:
            async with asyncio.timeout(5):
                with pytest.raises(LogUnavailableError):
                    await log.publish([place.record("k", "lost or not")])
            meanwhile = list(await consumer.fetch(wait_seconds=0.2))
        finally:
            await asyncio.to_thread(place.server.start)

        await publish_again_and_again(log, place, "k", "after")
        got = await read_until(consumer, lambda records: "after" in values(records), seconds=40)

    assert "unread" in values(meanwhile + got)


async def test_nothing_acknowledged_is_lost_when_the_server_vanishes_under_load(place: LogPlace) -> None:
    acknowledged = []

    async def post(log: EventLog, number: int) -> None:
        try:
            await log.publish([place.record(f"k{number}", str(number))])
        except LogUnavailableError:
            return
        acknowledged.append(str(number))

    async with place.log() as log:
        await log.publish([place.record("k", "warm")])
        posts = []
        for number in range(300):
            posts.append(asyncio.create_task(post(log, number)))
            if number == 150:
                await until(lambda: len(acknowledged) > 20)
                place.server.stop()
        await asyncio.to_thread(place.server.start)
        await asyncio.gather(*posts)
        await publish_again_and_again(log, place, "k", "last")

        async with log.consumer("g", [place.topic]) as consumer:
            wanted = {*acknowledged, "warm", "last"}
            await read_until(consumer, lambda got: wanted <= set(values(got)), seconds=30)


async def test_while_the_server_hangs_publishing_fails_in_time_and_afterwards_all_goes_on(
    place: LogPlace,
) -> None:
    async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
        await log.publish([place.record("k", "before")])
        assert values(await read(consumer, 1)) == ["before"]

        place.server.freeze()
        try:
            async with asyncio.timeout(5):
                with pytest.raises(LogUnavailableError):
                    await log.publish([place.record("k", "lost or not")])
        finally:
            place.server.thaw()

        await publish_again_and_again(log, place, "k", "after")
        await read_until(consumer, lambda got: "after" in values(got), seconds=40)


async def test_a_log_whose_server_is_away_at_the_start_works_once_it_is_there(place: LogPlace) -> None:
    place.server.stop()
    try:
        async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
            with pytest.raises(LogUnavailableError):
                await log.publish([place.record("k", "early")], timeout_seconds=1)
            assert await consumer.fetch(wait_seconds=0.2) == []
            assert not consumer.ever_assigned
            assert await log.verify_topics()

            await asyncio.to_thread(place.server.start)
            await publish_again_and_again(log, place, "k", "v")
            await read_until(consumer, lambda got: "v" in values(got), seconds=40)
    finally:
        await asyncio.to_thread(place.server.start)


async def test_leaving_a_dead_log_takes_a_few_seconds_at_most(place: LogPlace) -> None:
    try:
        async with asyncio.timeout(30):
            async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
                await owns(consumer, PARTITIONS)
                await log.publish([place.record("k", "v")])
                place.server.stop()
                stopped_at = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - stopped_at < 12
    finally:
        await asyncio.to_thread(place.server.start)


async def test_a_record_of_one_mebibyte_passes(place: LogPlace) -> None:
    value = bytes(range(256)) * 4096
    async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
        await log.publish([place.record("k", value)])
        (record,) = await read(consumer, 1)

    assert record.value == value


async def test_a_record_larger_than_the_topic_takes_is_refused_and_the_next_one_passes(
    place: LogPlace,
) -> None:
    async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
        with pytest.raises(RecordTooLargeError):
            await log.publish([place.record("k", b"x" * (3 * 1024 * 1024 + 1))])
        await log.publish([place.record("k", "small")])

        assert values(await read(consumer, 1)) == ["small"]


async def test_a_fetch_is_bounded_in_records_and_in_bytes(place: LogPlace) -> None:
    async with place.log() as log:
        await log.publish([place.record(f"k{number}", str(number)) for number in range(120)])
        async with log.consumer("records", [place.topic]) as consumer:
            sizes = []
            while sum(sizes) < 120:
                sizes.append(len(await consumer.fetch(max_records=50)))
            assert max(sizes) <= 50

        for number in range(24):
            await log.publish([place.record(f"k{number}", b"x" * 1024 * 1024)])
        async with log.consumer("bytes", [place.topic]) as consumer:
            left = 24 + 120
            while left:
                records = await consumer.fetch(wait_seconds=5)
                assert sum(len(record.value) for record in records) <= 17 * 1024 * 1024
                left -= len(records)


async def test_a_fetch_returns_as_soon_as_there_is_something(place: LogPlace) -> None:
    loop = asyncio.get_running_loop()
    async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
        await log.publish([place.record("k", "first")])
        await read(consumer, 1)
        took = []
        for number in range(20):
            fetching = asyncio.create_task(consumer.fetch(wait_seconds=5))
            started = loop.time()
            await log.publish([place.record("k", str(number))])
            assert values(await fetching) == [str(number)]
            took.append(loop.time() - started)

    assert sorted(took)[10] < 0.1


async def test_lag_counts_what_is_not_committed_a_batch_in_hand_included(place: LogPlace) -> None:
    """While the batch is stuck in hand its age grows; once it is committed nothing is left of it."""
    async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
        await log.publish([place.record("k", str(number)) for number in range(10)])
        in_hand = await read(consumer, 10, commit=False)

        async def behind() -> tuple[int, float]:
            lags = (await consumer.lag(utcnow())).values()
            return sum(lag.records for lag in lags), max(lag.seconds for lag in lags)

        assert (await behind())[0] == 10
        first = (await behind())[1]
        assert 0 < first < 30
        await until(lambda: _grew(behind, first))

        await consumer.commit(in_hand[:4])
        assert (await behind())[0] == 6
        await consumer.commit(in_hand)
        assert await behind() == (0, 0.0)

        await log.publish([place.record("k", "unread")])
        assert (await behind())[0] == 1


async def _grew(behind: Callable[[], Awaitable[tuple[int, float]]], first: float) -> bool:
    return (await behind())[1] > first + 0.5


async def test_a_member_that_joins_knows_what_the_group_has_left_to_do(place: LogPlace) -> None:
    """Before it has fetched anything."""
    async with place.log() as log:
        await log.publish([place.record("k", str(number)) for number in range(10)])
        async with log.consumer("g", [place.topic]) as consumer:
            await consumer.commit((await read(consumer, 10, commit=False))[:3])
        async with log.consumer("g", [place.topic]) as consumer:
            await owns(consumer, PARTITIONS)
            assert sum(lag.records for lag in (await consumer.lag(utcnow())).values()) == 7


async def test_a_look_at_a_silent_server_says_so_and_at_one_that_is_down_that_it_refuses(
    place: LogPlace,
) -> None:
    """Never the last good figure: neither kind is a lag of 0."""
    async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
        await log.publish([place.record("k", "v")])
        await read(consumer, 1)
        place.server.freeze()
        try:
            with pytest.raises(LogSilentError):
                async with asyncio.timeout(10):
                    await consumer.lag(utcnow())
        finally:
            place.server.thaw()
        place.server.stop()
        try:
            with pytest.raises(LogUnavailableError) as refusal:
                async with asyncio.timeout(10):
                    await consumer.lag(utcnow())
            assert not isinstance(refusal.value, LogSilentError)
        finally:
            await asyncio.to_thread(place.server.start)


async def test_following_starts_with_all_there_is_and_goes_on(place: LogPlace) -> None:
    async with place.log() as log:
        following = log.follow(place.compacted)
        async with asyncio.timeout(30):
            assert list(await anext(following)) == []  # up to date: there is nothing

            await log.publish([place.record("policy", "one", place.compacted)])
            assert values(await anext(following)) == ["one"]
            await log.publish([place.record("policy", "two", place.compacted)])
            assert values(await anext(following)) == ["two"]

            late = log.follow(place.compacted)
            assert values(await anext(late))[-1] == "two"
        await following.aclose()
        await late.aclose()


async def test_following_survives_the_server_going_away(place: LogPlace) -> None:
    async with place.log() as log:
        following = log.follow(place.compacted)
        async with asyncio.timeout(60):
            await log.publish([place.record("policy", "one", place.compacted)])
            assert values(await anext(following)) == ["one"]

            place.server.stop()
            await asyncio.to_thread(place.server.start)

            async def published() -> bool:
                try:
                    await log.publish([place.record("policy", "two", place.compacted)])
                except LogUnavailableError:
                    return False
                return True

            await until(published, seconds=30)
            assert values(await anext(following))[-1] == "two"
        await following.aclose()


async def test_missing_topics_are_named_and_making_them_twice_changes_nothing(place: LogPlace) -> None:
    async with opened(place.adapter, place.address, "other") as log, log.running():
        assert [text for text in await log.verify_topics() if "records-other is missing" in text]
        with pytest.raises(LogUnavailableError):
            await log.publish([place.record("k", "v", "records-other")], timeout_seconds=2)

    async with place.log() as log:
        await log.publish([place.record("k", "v")])
        await log.create_topics()
        assert list(await log.verify_topics()) == []
        async with log.consumer("g", [place.topic]) as consumer:
            assert values(await read(consumer, 1)) == ["v"]
