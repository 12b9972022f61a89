"""`ladder replay`: a log in, figures and a comparison out."""

import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ladder.client.options import LOCAL, ApiKey, AsJson, IntakeKey, IntakeUrl, Url
from ladder.client.output import print_json, say, say_lines
from shared.json_object import JsonObject

if TYPE_CHECKING:
    from ladder.client.connection import Remote
    from ladder.replay.comparison import Comparison
    from ladder.replay.events import Translator
    from ladder.replay.lanes import Pace, Tally
    from ladder.replay.row_mapping import Row


def replay(
    file: Annotated[Path, typer.Argument(help="The log: .csv or .csv.gz")],
    *,
    rules: Annotated[str, typer.Option("--map", help="volvo, servicenow, or a map of your own (YAML).")],
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Events a request.")] = 200,
    concurrency: Annotated[int, typer.Option(min=1, max=16, help="Requests at a time.")] = 4,
    rate: Annotated[float, typer.Option(min=0, help="Events a second; 0 is as fast as it goes.")] = 0,
    limit: Annotated[int, typer.Option(min=0, help="Stop after this many rows; 0 reads all.")] = 0,
    run: Annotated[str, typer.Option(help="Under a new name the log counts once more, as of now.")] = "",
    verify: Annotated[
        bool,
        typer.Option("--verify/--no-verify", help="Compare each incident's end with the log's last row."),
    ] = False,
    patience: Annotated[float, typer.Option(help="Seconds without progress before verifying ends.")] = 60,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
    intake_url: IntakeUrl = "",
    key: IntakeKey = "",
) -> None:
    """Post a recorded incident log through the HTTP intake, in order per incident."""
    from ladder.client.connection import Remote
    from ladder.replay.lanes import Pace

    remote = Remote.of(url, api_key, intake_url, key)
    pace = Pace(run=run, batch=batch, concurrency=concurrency, rate=rate)
    agreed = replay_file(
        file, rules, remote, pace, limit=limit, verify=verify, patience=patience, as_json=json
    )
    raise typer.Exit(0 if agreed else 1)


def replay_file(
    file: Path,
    rules: str,
    remote: "Remote",
    pace: "Pace",
    *,
    limit: int,
    verify: bool,
    patience: float,
    as_json: bool = False,
) -> bool:
    """Post the log, print the figures and, with `verify`, compare; False when something differs.

    Raises ClientError for whatever the person at the terminal can act on.
    """
    import asyncio
    from dataclasses import replace
    from itertools import islice

    from ladder.client.connection import UsageError
    from ladder.replay.comparison import verdict_lines
    from ladder.replay.events import Translator
    from ladder.replay.lanes import post
    from ladder.replay.row_mapping import MapError, load_map
    from ladder.replay.rows import name_of, rows_of

    try:
        translator = Translator(load_map(rules), times=not pace.run)
        pace = replace(pace, run=f"replay/{name_of(file, translator.rules)}/{pace.run}")
        before = _applied(remote, translator, rows_of(file, translator.rules)) if verify else 0
        rows = rows_of(file, translator.rules)
        events = translator.translate(islice(rows, limit) if limit else rows)
        tally = asyncio.run(post(remote, events, pace, _show_progress))
    except (MapError, OSError, UnicodeDecodeError, EOFError) as err:
        raise UsageError(f"{file}: {err}") from err
    if not as_json:
        say(
            f"{translator.rows} rows of {len(translator.courses)} incidents became {tally.accepted} accepted"
            f" events in {tally.seconds:.1f} s: {tally.accepted / max(tally.seconds, 0.001):.0f} a second"
            f" ({tally.batches} requests, {tally.retries} tried again)"
        )
    found = _verified(remote, translator, tally.accepted, before, patience) if verify else None
    if as_json:
        print_json(_figures(translator, tally, found, before))
    elif found is not None:
        comparison, seconds = found
        say(f"settled {seconds:.1f} s after the last answer")
        say_lines(verdict_lines(comparison, tally.accepted, before))
    return found is None or found[0].settled(tally.accepted, before)


def _figures(
    translator: "Translator", tally: "Tally", found: "tuple[Comparison, float] | None", before: int
) -> JsonObject:
    """What --json prints; `verified` is null when nothing was compared."""
    figures = {"rows": translator.rows, "incidents": len(translator.courses), **asdict(tally)}
    if found is None:
        return figures | {"verified": None}
    comparison, seconds = found
    agreed = comparison.settled(tally.accepted, before)
    return figures | {"verified": {"agreed": agreed, "settled_seconds": seconds, **asdict(comparison)}}


def _applied(remote: "Remote", translator: "Translator", rows: "Iterable[Row]") -> int:
    """How many events with this log's keys Ladder has already applied: it may have been replayed before."""
    from ladder.client.connection import Connection
    from ladder.replay.comparison import look
    from ladder.replay.events import Course

    rules = translator.rules
    with Connection(remote, timeout=60) as connection:
        return look(connection, {str(rules.value(rules.key, row)): Course() for row in rows}).events


def _show_progress(tally: "Tally") -> None:
    """One line, overwritten each time; nothing without a terminal."""
    if sys.stderr.isatty():
        print(f"\r{tally.accepted} accepted, {tally.seconds:.0f} s ", end="", file=sys.stderr, flush=True)


def _verified(
    remote: "Remote", translator: "Translator", accepted: int, before: int, patience: float
) -> "tuple[Comparison, float]":
    """Look until everything agrees or nothing has changed for `patience` seconds; with the seconds taken."""
    from ladder.client.connection import Connection
    from ladder.replay.comparison import look

    with Connection(remote, timeout=60) as connection:
        started = moved = time.monotonic()
        comparison = look(connection, translator.courses)
        while not comparison.settled(accepted, before) and time.monotonic() - moved < patience:
            time.sleep(1)
            seen, comparison = comparison, look(connection, translator.courses)
            moved = moved if comparison == seen else time.monotonic()
    return comparison, time.monotonic() - started
