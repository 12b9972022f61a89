"""The feed on a real PostgreSQL log and a real Kafka."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from shared.codec import encode
from shared.events import PolicyPublished
from shared.policy import Bundle, content_hash, dump_json
from shared.policy.feed import PolicyFeed
from tests.eventlog.places import Place
from tests.policy.bundles import smallest
from tests.waiting import until

AT = datetime(2026, 1, 5, 8, tzinfo=UTC)
ONE, TWO = smallest(), smallest(tiers=["gold", "standard"])


def record(place: Place, revision: int, bundle: Bundle):
    body = msgspec.Raw(dump_json(bundle))
    message = PolicyPublished(hash=content_hash(bundle), revision=revision, at=AT, bundle=body)
    return replace(encode(message), topic=place.compacted)


async def test_a_policy_that_was_published_is_in_force_wherever_it_is_followed(place: Place):
    async with place.log() as log:
        await log.publish([record(place, 1, ONE)])
        feed = PolicyFeed(log, topic=place.compacted)
        async with feed.running():
            first = await feed.wait(20)
            await log.publish([record(place, 2, TWO)])
            await until(lambda: feed.current is not None and feed.current.revision == 2, 20)

    assert first is not None
    assert first.bundle == ONE
    assert feed.current is not None
    assert feed.current.bundle == TWO
