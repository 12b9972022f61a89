"""The command line against a Ladder that runs: what a person types in the first hour."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ladder.install_command import script
from tests.client.conftest import Terminal
from tests.ladder.running import POLICY, PROJECT, Up

KEY = "ladder-demo-key"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    up = Up(tmp_path_factory.mktemp("up") / "data")
    asyncio.run(up.start())
    yield Terminal(up.url)
    asyncio.run(up.end())


def _opened(ladder: Terminal, *keys: str) -> list[str]:
    """Incidents by these keys, as they are known to `show`."""
    for key in keys:
        sent = ladder("send", f"{key} is down", "--dedup-key", key, "--customer", "acme", key=KEY)
        assert sent.exit_code == 0, sent.err
    found: dict[str, str] = {}
    while set(found) != set(keys):
        listed = json.loads(ladder("incidents", "--json", key=KEY).out)
        found = {each["dedup_key"]: each["id"] for each in listed if each["dedup_key"] in keys}
    return [found[key] for key in keys]


def test_ack_of_three_tries_all_and_says_what_became_of_each(running: Terminal) -> None:
    first, second, third = _opened(running, "one", "two", "three")
    running("resolve", second, key=KEY)
    printed = running("ack", first, second, third, "--assignee", "ana", key=KEY)
    assert printed.exit_code == 1
    assert (
        printed.out.splitlines()
        == [
            f"taken {first[:8]}: one is down is acknowledged, taken by Ana",
            f"taken {third[:8]}: three is down is acknowledged, taken by Ana",
        ]
        or printed.out.count(", taken by ana") == 2
    )
    refused, count = printed.err.splitlines()[0], printed.err.splitlines()[-1]
    assert refused.startswith(f"not done {second}: ")
    assert count == "1 of 3 could not be done."
    snoozed = running("snooze", first, second, third, "2h", "--json", key=KEY)
    assert snoozed.exit_code == 1
    assert [each.get("status", "refused") for each in json.loads(snoozed.out)] == [
        *("acknowledged", "refused", "acknowledged"),
    ]


def test_apply_and_its_refusal_are_json(running: Terminal) -> None:
    applied = running("apply", str(POLICY), "--json", key=KEY)
    assert (applied.exit_code, applied.err) == (0, "")
    assert json.loads(applied.out)["hash"]
    denied = running("apply", str(POLICY), "--json", key="nobody's key")
    problem = json.loads(denied.err)
    assert (denied.exit_code, problem["status"]) == (1, 401)


def test_watch_is_one_object_a_line(running: Terminal) -> None:
    [incident] = _opened(running, "watched")
    running("resolve", incident, "--note", "restarted", key=KEY)
    told = [json.loads(line) for line in running("watch", incident, "--json", key=KEY).out.splitlines()]
    assert told[0]["kind"] == "opened"
    assert told[-1]["incident"]["id"] == incident
    assert told[-1]["incident"]["status"] == "resolved"


def test_a_file_that_excel_saved_says_how_it_was_read(running: Terminal, tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_bytes(
        "id;name;match\nMUELLER;Müller;m.example,m.test\n".encode("cp1252")
    )
    printed = running("customers", "import", str(tmp_path / "customers.csv"), key=KEY)
    assert printed.out.splitlines()[0] == "1 customer: 1 added", printed.err
    assert "read as Windows-1252" in printed.out
    shown = running("customer", "mueller", key=KEY).out
    assert shown.splitlines()[0] == "Müller"
    assert "known as: m.example, m.test" in shown


def test_the_response_report_fits_a_terminal(running: Terminal) -> None:
    _opened(running, "reported")
    printed = running("report", "response", "--by", "tier,service,customer", key=KEY, COLUMNS="80")
    assert printed.exit_code == 0, printed.err
    assert "…" not in printed.out
    assert max(map(len, printed.out.splitlines())) <= 80
    assert printed.out.startswith("tier")


def test_the_tab_key_completes_commands_and_open_incidents(running: Terminal, tmp_path: Path) -> None:
    [incident] = _opened(running, "completed")
    command = tmp_path / "ladder"
    command.write_text(script(Path(sys.executable)))
    command.chmod(0o755)
    asked = """
        source <(ladder completion bash)
        for words in "ladder sil" "ladder ack "; do
            IFS=" " read -ra COMP_WORDS <<< "$words"
            [[ $words == *" " ]] && COMP_WORDS+=("")
            COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
            _ladder_completion ladder
            printf "%s\\n" "${COMPREPLY[@]}"
        done
    """
    ran = subprocess.run(
        ["bash", "-c", asked],
        env=os.environ
        | {"LADDER_URL": running.url, "LADDER_API_KEY": KEY, "PYTHONPATH": str(PROJECT)}
        | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert {"silence", "silences", incident[:8], "latest"} <= set(ran.stdout.split()), ran.stderr
