"""Who should own which partition of a consumer group: every member works out the same answer."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from shared.eventlog import Partition


def share_out(
    owners: Mapping[Partition, str | None], members: Mapping[str, frozenset[str]]
) -> dict[Partition, str]:
    """Each partition's owner to be; partitions of a topic that no member reads are left out.

    `owners` names the present owner of every partition, `members` the topics each living member reads. Shares
    differ by at most one per topic, and a partition moves only when fairness asks for it.
    """
    by_topic: defaultdict[str, list[Partition]] = defaultdict(list)
    for partition in sorted(owners, key=lambda p: (p.topic, p.number)):
        by_topic[partition.topic].append(partition)
    result: dict[Partition, str] = {}
    for topic, partitions in by_topic.items():
        readers = sorted(member for member, topics in members.items() if topic in topics)
        if readers:
            result |= _share_topic(partitions, owners, readers)
    return result


def _share_topic(
    partitions: Sequence[Partition], owners: Mapping[Partition, str | None], readers: Sequence[str]
) -> dict[Partition, str]:
    owned = {reader: [p for p in partitions if owners[p] == reader] for reader in readers}
    least, extra = divmod(len(partitions), len(readers))
    by_most_owned = sorted(readers, key=lambda reader: (-len(owned[reader]), reader))
    quota = {reader: least + (rank < extra) for rank, reader in enumerate(by_most_owned)}
    result = {p: reader for reader in readers for p in owned[reader][: quota[reader]]}
    free = iter([p for p in partitions if p not in result])
    for reader in by_most_owned:
        for _ in range(quota[reader] - len(owned[reader][: quota[reader]])):
            result[next(free)] = reader
    return result
