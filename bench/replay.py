"""Events a second of a replayed incident log, on Kafka (three processes) and on the default (`ladder up`).

The log is the file in LADDER_BENCH_LOG with the map in LADDER_BENCH_MAP, or else a generated one of the same
shape. Posted: until the last 202. Applied: until every event stands in its incident, as `--verify` sees it.
"""

import asyncio
import csv
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.rounds import Ratio, Series, alternating, show
from bench.stage import stage
from tests.world.bundle import KEY
from tests.world.programs import LADDER, REPOSITORY, bare_environment
from tests.world.stage import TRIO, one_process

ROUNDS: Final = 5
ROWS: Final = 6000
_POSTED: Final = re.compile(r"became (\d+) accepted events in ([\d.]+) s")
_SETTLED: Final = re.compile(r"settled ([\d.]+) s after")

_HEAD: Final = (
    "SR Number",
    "Change Date+Time",
    "Status",
    "Sub Status",
    "SR Latest Impact",
    "Product",
    "ST Level",
    "Involved ST",
    "Involved Org line 3",
    "Country",
)
_LIFE: Final = (
    ("Accepted", "In Progress"),
    ("Queued", "Awaiting Assignment"),
    ("Accepted", "In Progress"),
    ("Accepted", "Wait - Customer"),
    ("Accepted", "In Progress"),
    ("Queued", "Awaiting Assignment"),
    ("Accepted", "In Progress"),
    ("Completed", "Resolved"),
)


def run() -> None:
    asyncio.run(_run())


async def _run() -> None:
    series = {
        (log, what): Series(f"{what}, {log}", "events/s")
        for what in ("posted", "applied")
        for log in ("Kafka", "PostgreSQL")
    }
    async with stage() as where, one_process(forked=False) as alone:
        await where.cluster.up(*TRIO)
        await alone.cluster.up("up")
        urls = {
            "Kafka": (where.cluster.url("router"), where.cluster.url("intake")),
            "PostgreSQL": (alone.cluster.url("up"), alone.cluster.url("up")),
        }
        for number in range(ROUNDS):
            for log in alternating(list(urls), number):
                posted, applied = await asyncio.to_thread(_replay, *urls[log], f"round-{number}")
                series[log, "posted"].values.append(posted)
                series[log, "applied"].values.append(applied)
    ratio = Ratio("applied: Kafka / PostgreSQL", series["Kafka", "applied"], series["PostgreSQL", "applied"])
    show(f"Replay of {ROWS} rows", list(series.values()), [ratio])


def _replay(url: str, intake_url: str, name: str) -> tuple[float, float]:
    """One run under a new name; returns events a second posted, and applied."""
    with _log() as (file, rules):
        keys = ("--api-key", KEY, "--key", KEY, "--url", url, "--intake-url", intake_url)
        options = ("--map", rules, "--limit", str(ROWS), "--run", name, "--verify")
        done = subprocess.run(
            [*LADDER, "replay", str(file), *options, *keys],
            cwd=REPOSITORY,
            env=bare_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    posted, settled = _POSTED.search(done.stdout), _SETTLED.search(done.stdout)
    if done.returncode or posted is None or settled is None:
        raise RuntimeError(f"ladder replay ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    events, seconds = int(posted[1]), float(posted[2])
    return events / seconds, events / (seconds + float(settled[1]))


@contextmanager
def _log() -> Iterator[tuple[Path, str]]:
    """The log to replay and the name of its map."""
    if given := os.environ.get("LADDER_BENCH_LOG"):
        yield Path(given), os.environ.get("LADDER_BENCH_MAP", "volvo")
        return
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_HEAD)
        incidents = ROWS // len(_LIFE)
        for step, (status, sub_status) in enumerate(_LIFE):
            for number in range(incidents):
                at = f"2013-01-{1 + step:02d}T{number % 24:02d}:{number % 60:02d}:00+01:00"
                place = (f"PROD{number % 40}", "L1", f"G{number % 90}", "Org A2", "se")
                writer.writerow((f"1-{number:06d}", at, status, sub_status, "Medium", *place))
        file.flush()
        yield Path(file.name), "volvo"
