"""A policy of any size that is taken reaches intake and notifier; one that could not is refused before."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from shared.eventlog import Partition, Received, Record, codec
from shared.eventlog.codec import UnreadableRecordError
from shared.eventlog.placement import size_of
from shared.events import LARGEST_RECORD, POLICY, PolicyPublished
from shared.policy import Bundle, PolicyErrors, content_hash, dump_json, load
from shared.policy.publishing.compression import PolicyTooLargeError
from shared.policy.publishing.feed import PolicyFeed
from shared.policy.publishing.wire_format import PACKED_KEY, read, record_of
from tests.policy.bundles import smallest
from tests.policy.large import as_json, incompressible, large
from tests.policy.test_feed import OneTopic

AT = datetime(2026, 1, 5, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def many_people(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Ten thousand users and a thousand policies, loaded as a file is."""
    file = tmp_path_factory.mktemp("large") / "bundle.json"
    file.write_bytes(as_json(large()))
    return load(file)


def published(bundle: Bundle, revision: int) -> PolicyPublished:
    raw = msgspec.Raw(dump_json(bundle))
    return PolicyPublished(hash=content_hash(bundle), revision=revision, at=AT, bundle=raw)


def received(record: Record, offset: int = 0) -> Received:
    return Received(Partition(POLICY, 0), offset, record.key, record.value, record.headers, AT)


def test_a_policy_of_ten_thousand_people_fits_into_one_record(many_people: Bundle) -> None:
    """It is larger than a record, and travels compressed."""
    policy = published(many_people, 7)
    assert len(bytes(policy.bundle)) > LARGEST_RECORD
    record = record_of(policy)
    assert size_of(record) < LARGEST_RECORD / 4
    assert record.key == PACKED_KEY
    again = read(received(record))
    assert (again.revision, again.hash, bytes(again.bundle)) == (7, policy.hash, bytes(policy.bundle))


def test_a_small_policy_travels_as_releases_before_this_one_read_it() -> None:
    policy = published(smallest(), 1)
    assert record_of(policy) == codec.encode(policy)


async def test_a_reader_of_the_release_before_keeps_the_last_policy_that_it_can_read(
    many_people: Bundle,
) -> None:
    """It cannot read the new form, says so, and goes on; on the compacted topic the old form stays as well."""
    small, packed = record_of(published(smallest(), 1)), record_of(published(many_people, 2))
    with pytest.raises(UnreadableRecordError):
        codec.decode(PolicyPublished, packed.value, packed.headers)
    assert packed.key != small.key


async def test_whoever_starts_takes_the_newest_of_both_forms(many_people: Bundle) -> None:
    """Whichever record comes last: the revision decides."""
    small, packed = record_of(published(smallest(), 3)), record_of(published(many_people, 2))
    feed = PolicyFeed(OneTopic())  # type: ignore[arg-type]
    await feed.apply_once([received(small), received(packed, 1)])
    assert feed.current is not None
    assert feed.current.revision == 3
    await feed.apply_once([received(record_of(published(many_people, 4)), 2)])
    assert (feed.current.revision, len(feed.current.bundle.users)) == (4, 10_000)


@pytest.mark.parametrize("value", [b"no gzip", b"\x1f\x8b\x08\x00", b""])
def test_a_policy_that_cannot_be_unpacked_is_passed_over(value: bytes) -> None:
    headers = {**codec.encode(published(smallest(), 1)).headers, "content-encoding": b"gzip"}
    with pytest.raises(UnreadableRecordError):
        read(received(Record(POLICY, PACKED_KEY, value, headers)))


def test_a_policy_that_no_record_can_carry_is_refused_with_its_size(tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    file.write_bytes(as_json(incompressible(5_000_000)))
    with pytest.raises(
        PolicyErrors, match=r"bundle.json: found 5025016 bytes as JSON and 38\d+ compressed"
    ) as caught:
        load(file)
    assert "at most 3143680 compressed" in str(caught.value)


def test_a_policy_beyond_what_readers_unpack_is_refused() -> None:
    body = msgspec.Raw(b'"' + b"x" * (16 * 1024 * 1024 + 1024) + b'"')
    with pytest.raises(PolicyTooLargeError, match=r"1677\d+ bytes as JSON, at most 16777216"):
        record_of(PolicyPublished(hash="0", revision=1, at=AT, bundle=body))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"version": 1,\n "last_resort": ["user:ana"] "users": {}}', "2:"),  # no comma
        ('{"version": 1,\n "version": 1}', "2:2"),  # a key twice
        ('{"version": 1,\n "tiers": ["\\u0000"]}', "2:12"),  # what no database takes
        ('{"version": 1,\n "tiers": ["\\ud800"]}', "2:12"),  # half a surrogate pair
        ('{"version": 1,\n "last_resort": ["user:nobody"]}', "2:"),  # nobody of this name
    ],
)
def test_json_with_an_error_says_where(text: str, where: str, tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    file.write_text(text)
    with pytest.raises(PolicyErrors) as caught:
        load(file)
    assert any(f"bundle.json:{where}" in str(error) for error in caught.value.errors), str(caught.value)


def test_an_error_among_ten_thousand_people_is_found_at_its_line(tmp_path: Path) -> None:
    plain = large(users=2_000, policies=10)
    plain["users"]["user-01500"]["manager"] = "nobody"
    file = tmp_path / "bundle.json"
    file.write_text(as_json(plain).decode().replace('"user-01500": {', '\n"user-01500": {'))
    with pytest.raises(PolicyErrors, match=r"bundle\.json:2:\d+: users\.user-01500\.manager: found 'nobody'"):
        load(file)


def test_json_and_yaml_of_the_same_bundle_are_the_same(tmp_path: Path) -> None:
    """The quick way reads nothing otherwise than the slow one."""
    bundle = smallest(
        tiers=["gold", "standard"],
        users={"ana": {"name": "Ána \U0001f600", "contacts": {"box": {"inbox": "ana"}}}},
    )
    json_file, yaml_file = tmp_path / "bundle.json", tmp_path / "bundle.yaml"
    json_file.write_bytes(dump_json(bundle))
    yaml_file.write_bytes(b"# YAML\n" + dump_json(bundle))
    assert load(json_file) == load(yaml_file) == bundle
