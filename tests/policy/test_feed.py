"""The feed takes the newest policy that can be read, and never goes back to an older one."""

import asyncio
import re
from datetime import UTC, datetime

import msgspec

from shared.eventlog import Partition, Received
from shared.eventlog.codec import encode
from shared.events import POLICY, PolicyPublished
from shared.policy import content_hash, dump_json
from shared.policy.publishing.feed import PolicyFeed
from tests.policy.bundles import smallest

AT = datetime(2026, 1, 5, 8, tzinfo=UTC)


class OneTopic:
    """An event log of one compacted topic, in memory; `follow` ends in an error when told so."""

    def __init__(self):
        self.batches = asyncio.Queue()

    async def follow(self, topic):
        assert topic == POLICY
        while True:
            batch = await self.batches.get()
            if isinstance(batch, Exception):
                raise batch
            yield batch


def published(revision, bundle, body=None):
    message = PolicyPublished(
        hash=content_hash(bundle), revision=revision, at=AT, bundle=msgspec.Raw(body or dump_json(bundle))
    )
    record = encode(message)
    return Received(Partition(POLICY, 0), revision, record.key, record.value, record.headers, AT)


def unreadable(revision):
    return Received(Partition(POLICY, 0), revision, b"bundle", b"not json", {}, AT)


ONE, TWO = smallest(), smallest(tiers=["gold", "standard"])


async def test_the_newest_policy_is_in_force_and_everybody_hears_of_it():
    feed, heard = PolicyFeed(OneTopic()), []
    feed.on_change(lambda policy: heard.append(policy.revision))

    await feed.apply_once([published(1, ONE), published(2, TWO)])
    feed.on_change(lambda policy: heard.append(policy.hash))

    assert feed.current is not None
    assert (feed.current.bundle, feed.current.revision) == (TWO, 2)
    assert heard == [2, content_hash(TWO)]


async def test_an_older_revision_never_replaces_a_newer_one():
    feed = PolicyFeed(OneTopic())
    await feed.apply_once([published(5, TWO)])
    await feed.apply_once([published(4, ONE), published(5, ONE)])

    assert feed.current is not None
    assert feed.current.bundle == TWO


async def test_the_last_good_policy_stays_when_the_next_cannot_be_read():
    feed = PolicyFeed(OneTopic())
    await feed.apply_once([published(1, ONE), unreadable(2), published(3, TWO, b'{"version":9}')])

    assert feed.current is not None
    assert feed.current.bundle == ONE


async def test_the_feed_waits_for_the_first_policy_and_survives_the_log():
    log = OneTopic()
    feed = PolicyFeed(log)
    assert await feed.wait(0.01) is None

    async with feed.running():
        log.batches.put_nowait([])
        log.batches.put_nowait(ConnectionError("gone"))
        log.batches.put_nowait([published(1, ONE)])
        policy = await feed.wait(5)

    assert policy is not None
    assert re.fullmatch("[0-9a-f]{64}", policy.hash)
