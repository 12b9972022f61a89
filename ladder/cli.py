"""The command `ladder`. Only typer is imported here; each command imports what it needs when it runs."""

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from ladder.client import commands
from ladder.refusal import RefusedError

BEGAN: Final = time.monotonic()  # before the slow imports: what the banner's seconds are counted from
REFUSED: Final = 2

app = typer.Typer(
    name="ladder",
    help="Ladder moves each problem up until somebody solves it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_PROCESSES: Final = "Processes"
_POLICY: Final = "Policy"


@app.command(rich_help_panel=_PROCESSES)
def up(
    *,
    story: Annotated[bool, typer.Option(help="Tell what happens to incidents, a line each.")] = True,
) -> None:
    """Run everything in this one process, on a PostgreSQL of its own under LADDER_DATA_DIR."""
    with _unswept():
        from ladder.up import run_up

    run_up(began=BEGAN, tell_story=story)


@app.command(rich_help_panel=_PROCESSES)
def intake() -> None:
    """Run the service that accepts events."""
    _run("intake")


@app.command(rich_help_panel=_PROCESSES)
def router() -> None:
    """Run the service that decides who handles what, and by when."""
    _run("router")


@app.command(rich_help_panel=_PROCESSES)
def notifier() -> None:
    """Run the service that reaches people."""
    _run("notifier")


@app.command(rich_help_panel=_PROCESSES)
def migrate() -> None:
    """Make or bring up to date all tables and topics; changes nothing that is up to date."""
    with _unswept():
        from ladder.processes import run_migrate

    run_migrate()


@app.command(rich_help_panel=_POLICY)
def check(
    policy: Annotated[
        Path, typer.Argument(envvar="LADDER_POLICY", help="A file, or a folder of them.", show_envvar=True)
    ],
    *,
    style: Annotated[Literal["text", "json", "github"], typer.Option("--format")] = "text",
) -> None:
    """Check a policy: syntax, names and types. Exit status 1 when something is wrong."""
    from shared.policy import report

    status, text = report(policy, style)
    typer.echo(text)
    raise typer.Exit(status)


@app.command(rich_help_panel=_POLICY)
def schema() -> None:
    """Print the JSON Schema of policies, for editors that complete and check while one types."""
    import json

    from shared.policy import schema as bundle_schema

    typer.echo(json.dumps(bundle_schema(), indent=2))


@contextmanager
def _unswept() -> Iterator[None]:
    """Imports make only what stays: to look for garbage meanwhile would be a sixth of their time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _run(name: str) -> None:
    with _unswept():
        from ladder.processes import run_one

    run_one(name)


commands.register(app)


def main() -> None:
    """The console's entry: what cannot be done as asked is said in a sentence, with exit code 2."""
    try:
        app(prog_name="ladder")
    except RefusedError as err:
        print(err, file=sys.stderr)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
