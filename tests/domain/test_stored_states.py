"""States of incidents as replicas of earlier releases have written them, and what they meant to those.

During a roll-out old and new replicas share the rows: each line of data/states.jsonl has a state (`state`),
what the release that wrote it made of it (`means`), and what it showed of it (`shown`). The states came out of
the rules' own stories; of all of them those are kept that together have every field in every kind of state.
"""

import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from services.router.domain.model.snapshot import snapshot
from services.router.domain.model.stored import decode, encode

_KEPT: Final = Path(__file__).parent / "data" / "states.jsonl"
_LINES: Final[list[dict[str, Any]]] = [
    json.loads(line) for line in _KEPT.read_text(encoding="utf-8").splitlines()
]
_ALL: Final = pytest.mark.parametrize("line", [pytest.param(line, id=line["name"]) for line in _LINES])


@_ALL
def test_a_stored_state_means_what_it_meant_to_the_release_that_wrote_it(line):
    incident = decode(json.dumps(line["state"]))
    means = {name: getattr(incident, name) for name in line["means"]}
    shown = json.loads(msgspec.json.encode(snapshot(incident, "", incident.decided_at, {})))
    assert (means, _as_far_as(line["shown"], shown)) == (line["means"], line["shown"])


def _as_far_as(known: Any, shown: Any) -> Any:
    """What is shown, without the fields that the older release did not know."""
    if isinstance(known, dict):
        return {name: _as_far_as(value, shown[name]) for name, value in known.items()}
    if isinstance(known, list) and len(known) == len(shown):
        return [_as_far_as(*each) for each in zip(known, shown, strict=True)]
    return shown


@_ALL
def test_an_older_replica_reads_what_this_one_writes(line):
    """Written again it is the very same JSON, so that nobody sees who of them wrote it."""
    assert json.loads(encode(decode(json.dumps(line["state"])))) == line["state"]
