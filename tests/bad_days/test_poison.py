"""A record that nobody can read is set aside with its reason; its neighbours pass and somebody is told."""

from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.eventlog import codec
from shared.events import DEAD_LETTER, INCIDENTS, DeadLetter
from tests.waiting import until
from tests.world.posting import keys
from tests.world.stage import World

POISON = b'{"event_id": 7, "this is not": "an event"'


async def put(bootstrap: str, count: int) -> None:
    """The unreadable record, once on each of the first partitions, so that it has neighbours everywhere."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for partition in range(count):
            await producer.send_and_wait(INCIDENTS, POISON, key=b"tests:poison", partition=partition)
    finally:
        await producer.stop()


async def letters(bootstrap: str) -> Sequence[DeadLetter]:
    """Every dead letter that the log holds."""
    consumer = AIOKafkaConsumer(DEAD_LETTER, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        batches = await consumer.getmany(timeout_ms=2000)
        return [
            codec.decode(DeadLetter, record.value, dict(record.headers))
            for batch in batches.values()
            for record in batch
        ]
    finally:
        await consumer.stop()


async def test_a_poison_record_is_set_aside_while_its_neighbours_pass(world: World) -> None:
    bootstrap = world.cluster.kafka
    told_before = len(world.sink.pages("/karel"))
    loader = world.loader()
    await loader.post(keys("before", 40))
    await put(bootstrap, 3)
    await loader.post(keys("beside", 40))

    for prefix in ("before", "beside"):
        account = await world.account(prefix, loader)
        assert account.clean, account
        assert account.incidents == 40
    await until(lambda: len(world.sink.pages("/karel")) > told_before, 20)
    set_aside = [letter for letter in await letters(bootstrap) if letter.record_value == POISON]
    assert {letter.partition for letter in set_aside} == {0, 1, 2}
    assert all(letter.reason and letter.from_topic == INCIDENTS for letter in set_aside)
