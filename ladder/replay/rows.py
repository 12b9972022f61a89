"""A log's rows, from a CSV file that may be gzipped."""

import csv
import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from ladder.replay.row_mapping import Map, MapError, Row


def rows_of(file: Path, rules: Map) -> Iterator[Row]:
    """Row by row. Raises MapError if the file does not fit the map, OSError if it cannot be read."""
    with _open(file) as text:
        reader = csv.DictReader(text, restval="")
        rules.check(reader.fieldnames or ())
        try:
            yield from reader
        except csv.Error as err:
            raise MapError(f"line {reader.line_num}: {err}") from err


def _open(file: Path) -> IO[str]:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def name_of(file: Path, rules: Map) -> str:
    """A name for what a replay of this file with this map sends: the same when it is restarted."""
    content = hashlib.sha256(file.read_bytes())
    content.update(msgspec.json.encode(rules, order="deterministic"))
    return content.hexdigest()[:16]
