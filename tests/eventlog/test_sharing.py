"""Who should own which partition: fair, the same for everybody, and with as few moves as fairness allows."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from shared.eventlog import Partition
from shared.eventlog.postgres.assignment import share_out

MEMBERS = st.sets(st.sampled_from("abcdef"), min_size=1)
OWNERS = st.dictionaries(
    st.builds(Partition, st.sampled_from(["t", "u"]), st.integers(0, 11)),
    st.one_of(st.none(), st.sampled_from("abcdefgone")),
)


def partitions(owners: str) -> dict[Partition, str | None]:
    """`partitions("a-b")`: partition 0 is a's, 1 is nobody's, 2 is b's."""
    return {Partition("t", i): None if who == "-" else who for i, who in enumerate(owners)}


def reading(*members: str) -> dict[str, frozenset[str]]:
    return {member: frozenset({"t"}) for member in members}


@given(owners=OWNERS, members=MEMBERS)
def test_every_partition_has_an_owner_and_shares_differ_by_at_most_one(owners, members) -> None:
    share = share_out(owners, {member: frozenset({"t", "u"}) for member in members})

    assert share.keys() == owners.keys()
    for topic in ("t", "u"):
        counts = Counter(owner for partition, owner in share.items() if partition.topic == topic)
        sizes = [counts[member] for member in members]
        assert max(sizes) - min(sizes) <= 1


@given(owners=OWNERS, members=MEMBERS)
def test_a_fair_share_stays_as_it_is(owners, members) -> None:
    reads = {member: frozenset({"t", "u"}) for member in members}
    share = share_out(owners, reads)

    assert share_out(share, reads) == share


def test_a_member_that_joins_takes_only_what_is_its_own() -> None:
    share = share_out(partitions("aaaa"), reading("a", "b"))

    assert [share[Partition("t", number)] for number in range(4)] == ["a", "a", "b", "b"]


def test_what_a_dead_member_had_goes_to_the_others() -> None:
    share = share_out(partitions("axxb"), reading("a", "b"))

    assert share[Partition("t", 0)] == "a"
    assert share[Partition("t", 3)] == "b"
    assert Counter(share.values()) == {"a": 2, "b": 2}


def test_a_topic_goes_only_to_those_who_read_it() -> None:
    owners = partitions("--") | {Partition("u", 0): None, Partition("v", 0): None}
    share = share_out(owners, {"a": frozenset({"t"}), "b": frozenset({"u"})})

    assert share == {Partition("t", 0): "a", Partition("t", 1): "a", Partition("u", 0): "b"}
