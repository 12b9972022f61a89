"""The frame of the command: groups, help that is never cut, JSON and errors of every command that there is."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner

import ladder as package
from ladder.cli import app
from ladder.terminal.command_line import WITHOUT_JSON, Group
from tests.client.conftest import Terminal
from tests.client.test_commands import FIRST, OTHER, SECOND, incident, listed
from tests.ladder.running import environment

NARROW: Final = (80, 60)


def _commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that there is, by how it is typed; a group is one, too."""
    for name, command in group.commands.items():
        yield f"{path}{name}", command
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path}{name} ")


ROOT: Final = typer.main.get_command(app)
COMMANDS: Final[Mapping[str, Any]] = dict(_commands(ROOT))


def _options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def _help(name: str, width: int) -> str:
    runner = CliRunner(env={"COLUMNS": str(width), "TERM": "dumb"})
    printed = runner.invoke(app, [*name.split(), "--help"], terminal_width=width)
    assert printed.exit_code == 0, printed.output
    return printed.stdout


# --- every command that there is ---------------------------------------------------------------------------


GROUPS = {"dead-letters", "deliveries"}


def test_every_command_has_json_or_says_why_not() -> None:
    acting = {name: command for name, command in COMMANDS.items() if name not in GROUPS}
    without = {name for name, command in acting.items() if "--json" not in _options(command)}
    assert without == WITHOUT_JSON.keys()


@pytest.mark.parametrize("width", NARROW)
def test_no_help_is_cut_or_wider_than_the_terminal(width: int) -> None:
    for name in ("", *COMMANDS):
        shown = _help(name, width)
        assert not re.search(r"(?<![]}])[.]{3}", shown), shown  # `{ID}...` is several ids
        too_wide = [line for line in shown.splitlines() if len(line) > width]
        assert not too_wide, f"ladder {name} --help: {too_wide}"


def test_the_help_lists_every_command_in_its_group_with_its_first_sentence() -> None:
    for name, command in COMMANDS.items():
        if " " not in name:
            assert isinstance(command.rich_help_panel, Group), f"{name} belongs to no group"
    shown = _help("", 80)
    headings = [
        line.removesuffix(":") for line in shown.splitlines() if line.endswith(":") and line[0] != " "
    ]
    assert headings == ["Options", *Group]
    look = shown.partition("Look:\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in look.splitlines() if line[2] != " "] == [
        *("incidents", "show", "explain", "watch"),
    ]
    assert "next\n             unless somebody acts." in look


def test_every_option_and_argument_is_explained() -> None:
    for name, command in COMMANDS.items():
        silent = [each.name for each in command.params if not (each.help or "").strip()]
        assert not silent, f"{name}: {silent}"


def test_ladder_says_which_release_it_is(ladder: Terminal) -> None:
    printed = ladder("--version")
    assert (printed.exit_code, printed.out) == (0, f"ladder {package.__version__}\n")


# --- errors -------------------------------------------------------------------------------------------------


def _problem(err: str) -> dict[str, Any]:
    """The one line of stderr."""
    [line] = err.splitlines()
    problem: dict[str, Any] = json.loads(line)
    assert problem["type"]
    assert problem["title"]
    return problem


def test_an_error_is_a_problem_on_stderr_with_the_exit_status_of_its_kind(
    server: HTTPServer, ladder: Terminal, tmp_path: Path
) -> None:
    refusal = {
        "type": "urn:ladder:problem:conflict", "title": "Impossible now", "status": 409,
        "detail": "It is closed.", "possible": ["reopen"],
    }  # fmt: skip
    server.expect_request(f"/v1/incidents/{FIRST}/actions").respond_with_json(refusal, status=409)
    refused = ladder("resolve", FIRST, "--json")
    assert (refused.exit_code, refused.out, _problem(refused.err)) == (1, "", refusal)

    for wrong in (
        ["incidents", "--jsn"],
        ["snooze", FIRST, "soon"],
        ["no-such-command"],
        ["ack"],
        ["report", "x"],
    ):
        misunderstood = ladder(*wrong, "--json")
        assert (misunderstood.exit_code, misunderstood.out) == (2, "")
        assert _problem(misunderstood.err)["type"] == "urn:ladder:problem:usage"

    away = Terminal("http://127.0.0.1:9")("incidents", "--json")
    assert (away.exit_code, _problem(away.err)["type"]) == (3, "urn:ladder:problem:unreachable")

    later = {"type": "urn:ladder:problem:unavailable", "title": "Not now", "status": 503}
    server.expect_request("/v1/oncall").respond_with_json(later, status=503)
    not_now = ladder("oncall", "--json")
    assert (not_now.exit_code, _problem(not_now.err)) == (3, later)

    (tmp_path / "bad.yaml").write_text("version: 1\nusers: {ana: {name: Ana, contakts: {}}}\n")
    unsound = ladder("apply", str(tmp_path / "bad.yaml"), "--json")
    errors = {each["field"]: each for each in _problem(unsound.err)["errors"]}
    assert unsound.exit_code == 1
    assert (errors["users.ana.contakts"]["line"], errors["users.ana.contakts"]["file"][-8:]) == (
        2,
        "bad.yaml",
    )


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://ladder:80a", "http://-a..b", "http://a b", "http://ladder/?x"]
)
def test_an_address_with_a_slip_is_told_as_one(url: str) -> None:
    for place in ({"LADDER_URL": url}, {"LADDER_INTAKE_URL": url}):
        refused = Terminal("http://127.0.0.1:9")("send", "It is down", **place)
        assert (refused.exit_code, refused.out) == (2, "")
        assert refused.err.startswith(f"{url!r} is not an address; give one such as http://127.0.0.1:8080")


def test_a_key_that_no_header_can_carry_is_told_and_not_shown() -> None:
    refused = Terminal("http://127.0.0.1:9")("incidents", key="schlüssel")
    assert (refused.exit_code, refused.out) == (2, "")
    assert refused.err.startswith("A key has only characters of ASCII")
    assert "schl" not in refused.err


def test_a_migration_that_cannot_begin_says_so_as_json_too() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "ladder", "migrate", "--json"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "LADDER_DATABASE_URL" in _problem(ran.stderr)["detail"]


def test_a_group_alone_prints_its_help_whatever_was_asked(ladder: Terminal) -> None:
    assert "Look at records" in ladder("dead-letters").err


# --- JSON of what acts ----------------------------------------------------------------------------------------


def test_apply_and_check_answer_as_json(server: HTTPServer, ladder: Terminal) -> None:
    answer = {"hash": "ab" * 32, "revision": 7, "not_in_force": [], "warnings": ["x"]}
    server.expect_request("/v1/policy", method="PUT").respond_with_json(answer)
    policy = str(files("ladder.samples").joinpath("policy.yaml"))
    assert json.loads(ladder("apply", policy, "--json").out) == answer
    assert json.loads(ladder("check", policy, "--json").out)["ok"] is True
    assert json.loads(ladder("schema", "--json").out)["$schema"]


def test_watch_says_one_object_a_line(server: HTTPServer, ladder: Terminal) -> None:
    entry = {"at": "2026-03-01T12:00:00Z", "kind": "paged", "actor": "", "text": "page → ana", "reason": {}}
    server.expect_request(f"/v1/incidents/{FIRST}").respond_with_json(incident(status="resolved"))
    server.expect_request(f"/v1/incidents/{FIRST}/timeline").respond_with_json({"items": [entry, entry]})
    printed = ladder("watch", FIRST, "--json", "--every", "0.1")
    told = [json.loads(line) for line in printed.out.splitlines()]
    assert told == [{**entry, "incident": incident(status="resolved")}] * 2


def test_what_was_removed_or_imported_comes_as_json(
    server: HTTPServer, ladder: Terminal, tmp_path: Path
) -> None:
    server.expect_request("/v1/customers/globex", method="DELETE").respond_with_data(status=204)
    assert json.loads(ladder("customers", "remove", "globex", "--json").out) == {"removed": "globex"}
    done = {"lines": 1, "added": 1, "changed": 0, "unchanged": 0, "removed": 0, "dry_run": False, "notes": []}
    server.expect_request("/v1/customers/import").respond_with_json(done)
    (tmp_path / "c.csv").write_text("id,name\nx,X\n")
    assert json.loads(ladder("customers", "import", str(tmp_path / "c.csv"), "--json").out) == done


# --- several incidents ------------------------------------------------------------------------------------------

CLOSED: Final = {
    "type": "urn:ladder:problem:conflict", "title": "Impossible now", "status": 409, "detail": "It is closed.",
}  # fmt: skip
SEVERAL: Final = (
    "ack {}", "unack {}", "assign {} petra", "escalate {}", "snooze {} 1h", "wait {} 1h", "resume {}",
    "set {} --priority 1", "resolve {}", "reopen {}", "close {}", f"merge {{}} --into {OTHER}",
    "subscribe {}", "unsubscribe {}", "reapply {}",
)  # fmt: skip


def test_every_command_that_takes_several_incidents_is_tried_here() -> None:
    several = {name for name, command in COMMANDS.items() if any(each.nargs == -1 for each in command.params)}
    assert several == {each.split()[0] for each in SEVERAL}


@pytest.mark.parametrize("command", ["ack {}", "snooze {} 1h"])
def test_all_of_several_are_tried_and_each_says_what_became_of_it(
    server: HTTPServer, ladder: Terminal, command: str
) -> None:
    for one in (FIRST, OTHER):
        server.expect_request(f"/v1/incidents/{one}/actions").respond_with_json(incident(one))
    server.expect_request(f"/v1/incidents/{SECOND}/actions").respond_with_json(CLOSED, status=409)
    asked = command.format(f"{FIRST} {SECOND} {OTHER}").split()
    printed = ladder(*asked)
    assert printed.exit_code == 1
    assert [line.partition(": Checkout")[0][-8:] for line in printed.out.splitlines()] == [
        FIRST[:8],
        OTHER[:8],
    ]
    assert printed.err.splitlines() == [
        f"not done {SECOND}: Impossible now: It is closed.",
        "1 of 3 could not be done.",
    ]
    as_json = ladder(*asked, "--json")
    assert (as_json.exit_code, as_json.err) == (1, "")
    first, second, third = json.loads(as_json.out)
    assert (first["id"], second, third["id"]) == (FIRST, {"asked": SECOND, "problem": CLOSED}, OTHER)


def test_one_that_nobody_knows_does_not_stop_the_others(server: HTTPServer, ladder: Terminal) -> None:
    server.expect_request("/v1/incidents").respond_with_json(listed())
    server.expect_request(f"/v1/incidents/{FIRST}/actions").respond_with_json(incident(status="resolved"))
    printed = ladder("resolve", "nonsense", FIRST)
    assert printed.exit_code == 1
    assert "not done nonsense: No incident starts with 'nonsense'" in printed.err
    assert "is resolved" in printed.out
