"""The command `ladder`. Only typer is imported here; each command imports what it needs when it runs."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

import ladder
from ladder.client.options import ApiKey, AsJson
from ladder.client.output import say
from ladder.commands.register import register
from ladder.terminal.command_line import COMPLETING, Commands, Group

BEGAN: Final = time.monotonic()  # before the slow imports: what the banner's seconds are counted from

app = typer.Typer(
    name="ladder",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        say(f"ladder {ladder.__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print which release this is.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Ladder moves each problem up until somebody solves it."""


@app.command(rich_help_panel=Group.run)
def up(
    *,
    story: Annotated[bool, typer.Option(help="Tell what happens to incidents, a line each.")] = True,
) -> None:
    """Run everything in this one process, on a PostgreSQL of its own under LADDER_DATA_DIR."""
    with _unswept():
        from ladder.up import run_up

    run_up(began=BEGAN, tell_story=story)


@app.command(rich_help_panel=Group.run)
def intake() -> None:
    """Run the service that accepts events."""
    _run("intake")


@app.command(rich_help_panel=Group.run)
def router() -> None:
    """Run the service that decides who handles what, and by when."""
    _run("router")


@app.command(rich_help_panel=Group.run)
def notifier() -> None:
    """Run the service that reaches people."""
    _run("notifier")


@app.command(rich_help_panel=Group.run)
def migrate(*, json: AsJson = False) -> None:
    """Make or bring up to date all tables and topics; changes nothing that is up to date."""
    with _unswept():
        from ladder.processes import run_migrate

    run_migrate()
    if json:
        say('{"migrated": true}')


@app.command(rich_help_panel=Group.policy)
def check(
    policy: Annotated[
        Path, typer.Argument(envvar="LADDER_POLICY", help="A file, or a folder of them.", show_envvar=True)
    ],
    *,
    style: Annotated[
        Literal["text", "json", "github"], typer.Option("--format", help="How the findings are printed.")
    ] = "text",
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    server: Annotated[
        str, typer.Option(metavar="URL", help="Ask this Ladder, too: what it can send, who is absent.")
    ] = "",
    api_key: ApiKey = "",
) -> None:
    """Check a policy: what is wrong in it, and what will not work. Exit status 1 when something is wrong."""
    from ladder.client.findings import checked
    from ladder.commands.mapping_samples import with_samples
    from shared.clock import utcnow

    chosen = "json" if json else style
    status, text = with_samples(policy, chosen, checked(policy, chosen, server, api_key), utcnow())
    say(text)
    raise typer.Exit(status)


@app.command(rich_help_panel=Group.policy)
def schema(
    *,
    json: Annotated[bool, typer.Option("--json", help="It is JSON anyway.")] = False,  # noqa: ARG001
) -> None:
    """Print the JSON Schema of policies, for editors that complete and check while one types."""
    from ladder.client.output import print_json
    from shared.policy import schema as bundle_schema

    print_json(bundle_schema())


_COMPLETION: Final = """Print a script that lets the Tab key complete commands, options, ids and names.

\b
bash  source <(ladder completion bash)    in ~/.bashrc
zsh   source <(ladder completion zsh)     in ~/.zshrc
fish  ladder completion fish | source     in config.fish
"""


@app.command(rich_help_panel=Group.run, help=_COMPLETION)
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="The shell it is for.")],
) -> None:
    from typer._completion_shared import get_completion_script

    typer.echo(get_completion_script(prog_name="ladder", complete_var=COMPLETING, shell=shell))


@contextmanager
def _unswept() -> Iterator[None]:
    """Imports create objects that stay: collecting garbage meanwhile would take a sixth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _run(name: str) -> None:
    with _unswept():
        from ladder.processes import run_one

    run_one(name)


register(app)


def main() -> None:
    """The console's entry."""
    app(prog_name="ladder")


if __name__ == "__main__":
    main()
