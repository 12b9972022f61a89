"""The frame of the command `ladder`: commands in groups, uncut help, errors for people and programs.

Every command has `--json`, apart from those that WITHOUT_JSON names with the reason. With it an error is one
problem document (RFC 9457) on one line of stderr; without it a sentence. Importing this is cheap.
"""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import typer
from typer.core import TyperGroup

from ladder.refusal import PROBLEM, NotPossibleError
from ladder.terminal.plain_text import on_lines
from shared.json_object import JsonObject

COMPLETING: Final = "_LADDER_COMPLETE"
_FIRST_SENTENCE: Final = re.compile(r".+?\.(?=\s|$)")

WITHOUT_JSON: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("up", "intake", "router", "notifier"),
        "runs until it is told to end; what it says is its log: LADDER_LOG_FORMAT=json",
    ),
    "demo": "a show for somebody who watches; `ladder replay --json` gives the figures",
    "completion": "prints a script for a shell",
}


class Group(StrEnum):
    """What a command is for, in the order in which `ladder --help` lists them."""

    look = "Look"
    act = "Act on incidents"
    send = "Send"
    plan = "On call, silences, maintenance"
    policy = "Policy"
    report = "Customers and reports"
    run = "Run and repair"


class Commands(TyperGroup):
    """A group of commands as Ladder shows them and ends them."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's
        """By group, each with the whole first sentence of its help."""
        shown = {name: command for name, command in self.commands.items() if not command.hidden}
        for group in [*Group, None]:
            rows = [
                (name, first_sentence(command.help or ""))
                for name, command in shown.items()
                if _group_of(command) == group
            ]
            if rows:
                with formatter.section(group or "Commands"):
                    formatter.write_dl(rows)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """What the Tab key offers; shells that show help show all of it."""
        offered = super().shell_complete(ctx, incomplete)
        for item in offered:
            if item.value in self.commands:
                item.help = first_sentence(self.commands[item.value].help or "")
        return offered

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> Any:
        """Run a command; a failure is printed, and the process exits with the status of its kind."""
        given = list(sys.argv[1:] if args is None else args)
        if COMPLETING in os.environ:  # somebody presses Tab
            from typer._completion_classes import completion_init

            completion_init()
        try:
            status = super().main(given, *rest, **more | {"standalone_mode": False})
        except NotPossibleError as err:
            status = tell(err, as_json=wants_json(given))
        except typer.Abort:
            status = 130
        except typer.TyperException as err:  # the command cannot be understood
            status = err.exit_code
            if wants_json(given) and not _is_help(err):
                _print_problem(_usage(err))
            else:
                err.show()  # type: ignore[attr-defined] # every one that typer raises can
        sys.exit(status or 0)


def tell(err: NotPossibleError, *, as_json: bool) -> int:
    """Print an error on stderr, as sentences or as a line of problem+json; its exit status."""
    if as_json:
        _print_problem(err.problem())
    else:
        print(on_lines(str(err)), file=sys.stderr, flush=True)
    return err.exit_code


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether JSON was asked for, even if the rest of the command line makes no sense."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def first_sentence(text: str) -> str:
    """Of a command's help, on one line."""
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    found = _FIRST_SENTENCE.match(paragraph)
    return found[0] if found else paragraph


def _group_of(command: Any) -> Group | None:
    named = getattr(command, "rich_help_panel", None)
    return named if isinstance(named, Group) else None


def _is_help(err: Exception) -> bool:
    """A group alone: typer raises its help as an error."""
    return type(err).__name__ == "NoArgsIsHelpError"


def _usage(err: Exception) -> JsonObject:
    detail = err.format_message() if hasattr(err, "format_message") else str(err)
    return {"type": f"{PROBLEM}usage", "title": "The command cannot be understood", "detail": detail}


def _print_problem(document: Mapping[str, Any]) -> None:
    print(json.dumps(document), file=sys.stderr, flush=True)
