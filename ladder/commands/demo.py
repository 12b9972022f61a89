"""`ladder demo`: a part of a real incident log runs through a Ladder of its own, which is gone afterwards."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from ladder.client.output import say_lines

if TYPE_CHECKING:
    from ladder.client.connection import Connection

READY_WITHIN: Final = 60.0  # seconds; the first start of a fresh data folder makes a database
LEAVES_WITHIN: Final = 20.0
_READY: Final = re.compile(r"^Ladder is up on (\S+)", re.MULTILINE)


def demo(
    *,
    rate: float = typer.Option(0.0, min=0, help="Events a second; 0 is as fast as it goes."),
    folder: Path | None = typer.Option(None, help="Keep its data in this folder."),
) -> None:
    """Replay a part of a real incident log through a Ladder of its own, and say what became of it."""
    _end_in_order_when_told_to()
    from ladder.client.connection import Connection, Remote
    from ladder.replay.command import replay_file
    from ladder.replay.lanes import Pace

    with as_file(files("ladder.samples")) as samples, _place_of_its_own(folder) as own:
        typer.echo("Starting a Ladder with three levels of support (ladder/samples/policy.yaml) …")
        with _running(own, samples / "policy.yaml") as url:
            typer.echo(f"It listens on {url}. Replaying 61 incidents of Volvo IT, 2011 and 2012:")
            remote, log = Remote.of(url), samples / "volvo_it_incidents_sample.csv"
            agreed = replay_file(
                log, "volvo", remote, Pace(run="", batch=50, rate=rate), limit=0, verify=True, patience=20
            )
            with Connection(remote) as connection:
                _tell_one(connection)
    raise typer.Exit(0 if agreed else 1)


def _end_in_order_when_told_to() -> None:
    """SIGTERM and a closed terminal end it as Ctrl-C does, so that nothing is left behind."""

    def leave(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def _tell_one(connection: "Connection") -> None:
    """The most telling incident: it came back, moved between levels, and is still open."""
    from ladder.client.wording import explain_lines
    from shared.clock import utcnow

    still_open = [("status", "triggered"), ("status", "acknowledged")]
    found = sorted(connection.incidents(still_open, 500), key=lambda one: (one["reopened"], one["events"]))
    if found:
        chosen = found[-1]
        explained = connection.get(f"/v1/incidents/{chosen['id']}/explain")
        typer.echo("\nOne that the log leaves open, explained (`ladder explain`):\n")
        say_lines(explain_lines(chosen, explained, utcnow()))


@contextmanager
def _place_of_its_own(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="ladder-demo-") as made:
        yield Path(made)


@contextmanager
def _running(folder: Path, policy: Path) -> Iterator[str]:
    """`ladder up` as a process of its own on a free port; yields its address once it is ready."""
    from ladder.client.connection import UnreachableError

    ours = {name: text for name, text in os.environ.items() if not name.startswith("LADDER_")}
    ours |= {"LADDER_LISTEN": "127.0.0.1:0", "LADDER_POLICY": str(policy), "LADDER_DATA_DIR": str(folder)}
    with tempfile.NamedTemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "ladder", "up", "--no-story"], env=ours, stdout=said, stderr=said
        )
        try:
            url = _address(process, Path(said.name))
            if url is None:
                raise UnreachableError(f"It did not start:\n{Path(said.name).read_text().strip()}")
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(LEAVES_WITHIN)


def _address(process: "subprocess.Popen[bytes]", said: Path) -> str | None:
    """What it prints once it is ready; None when it ended, or takes too long."""
    patience = time.monotonic() + READY_WITHIN
    while process.poll() is None and time.monotonic() < patience:
        if found := _READY.search(said.read_text(errors="replace")):
            return found.group(1)
        time.sleep(0.05)
    return None
