"""The feed on a real PostgreSQL log and a real Kafka."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from shared.eventlog.codec import encode
from shared.events import PolicyPublished
from shared.policy import Bundle, content_hash, dump_json
from shared.policy.publishing.feed import PolicyFeed
from shared.policy.publishing.wire_format import record_of
from tests.eventlog.places import LogPlace
from tests.policy.bundles import smallest
from tests.policy.large import large
from tests.waiting import until

AT = datetime(2026, 1, 5, 8, tzinfo=UTC)
ONE, TWO = smallest(), smallest(tiers=["gold", "standard"])


def record(place: LogPlace, revision: int, bundle: Bundle):
    body = msgspec.Raw(dump_json(bundle))
    message = PolicyPublished(hash=content_hash(bundle), revision=revision, at=AT, bundle=body)
    return replace(encode(message), topic=place.compacted)


async def test_a_policy_that_was_published_is_in_force_wherever_it_is_followed(place: LogPlace):
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


async def test_ten_thousand_people_and_a_thousand_policies_reach_everybody(place: LogPlace):
    """A policy larger than any record goes through the log whole, to those who listen and those who start."""
    many = Bundle.model_validate(large())
    body = msgspec.Raw(dump_json(many))
    message = PolicyPublished(hash=content_hash(many), revision=2, at=AT, bundle=body)
    async with place.log() as log:
        await log.publish([record(place, 1, ONE)])
        listening, starting = (PolicyFeed(log, topic=place.compacted) for _ in range(2))
        async with listening.running():
            await listening.wait(20)
            await log.publish([replace(record_of(message), topic=place.compacted)])
            await until(lambda: listening.current is not None and listening.current.revision == 2, 20)
        async with starting.running():
            taken = await starting.wait(20)

    assert taken is not None
    assert (taken.revision, len(taken.bundle.users), len(taken.bundle.policies)) == (2, 10_000, 1_000)
    assert content_hash(taken.bundle) == message.hash
