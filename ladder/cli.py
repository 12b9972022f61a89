"""The command `ladder`. Only typer is imported here; each command imports what it needs when it runs."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from ladder.client import commands
from ladder.refusal import RefusedError

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
    from ladder.up import run_up

    run_up(tell_story=story)


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
    from ladder.processes import run_migrate

    run_migrate()


@app.command(rich_help_panel=_POLICY)
def check(
    bundle: Annotated[Path, typer.Argument(metavar="POLICY", help="A file, or a folder of them.")],
    *,
    style: Annotated[str, typer.Option("--format", help="text, json or github.")] = "text",
) -> None:
    """Check a policy: syntax, names and types. Exit status 1 when something is wrong."""
    from ladder.policy_commands import check_policy

    raise typer.Exit(check_policy(bundle, style))


@app.command(rich_help_panel=_POLICY)
def schema() -> None:
    """Print the JSON Schema of policies, for editors that complete and check while one types."""
    from ladder.policy_commands import print_schema

    print_schema()


def _run(name: str) -> None:
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
