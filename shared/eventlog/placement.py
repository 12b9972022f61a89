"""Where a record goes and how large it is: the same in both adapters."""

import zlib

from shared.eventlog import Record, RecordTooLargeError


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of records with this key, the same for ever (CRC-32, as librdkafka's `consistent`)."""
    return zlib.crc32(key) % partitions


def size_of(record: Record) -> int:
    """What a record counts against the limit: key, value and headers, in bytes."""
    size = len(record.key) + len(record.value)
    for name, value in record.headers.items():
        size += len(name) + len(value)
    return size


def check_size(record: Record, max_bytes: int) -> None:
    """Raises RecordTooLargeError."""
    if (size := size_of(record)) > max_bytes:
        raise RecordTooLargeError(f"{size} bytes for {record.topic}, {max_bytes} allowed")
