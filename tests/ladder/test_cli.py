import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from ladder.install_command import script
from tests.ladder.running import POLICY, PROJECT, environment

COMMANDS = "up intake router notifier migrate apply check schema send incidents show explain ack resolve oncall watch replay"


def _processor_seconds(*arguments: str) -> float:
    """What one run takes of a processor: other programs take their time, not this one's."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=PROJECT, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _ladder(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ladder", *arguments],
        cwd=PROJECT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_costs_hardly_more_than_the_library_that_prints_it() -> None:
    """The best of five rounds, side by side."""
    rounds = [
        (_processor_seconds("-m", "ladder", "--help"), _processor_seconds("-c", "import typer"))
        for _ in range(5)
    ]
    assert min(ours for ours, _ in rounds) < 2 * min(theirs for _, theirs in rounds) + 0.1


@pytest.mark.parametrize("heavy", ["fastapi", "sqlalchemy", "pydantic", "aiokafka", "httpx2", "rich"])
def test_help_imports_nothing_heavy(heavy: str) -> None:
    code = f"import sys, ladder.cli; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0


@pytest.mark.parametrize("command", COMMANDS.split())
def test_every_command_explains_itself(command: str) -> None:
    ran = _ladder(command, "--help")
    assert ran.returncode == 0
    assert ran.stdout.startswith(f"Usage: ladder {command}")


def test_check_accepts_the_example_and_says_what_is_not_proved() -> None:
    ran = _ladder("check", str(POLICY))
    assert ran.returncode == 0
    assert "not proved yet" in ran.stdout


def test_check_of_a_broken_policy_ends_with_one(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("version: 2\n")
    ran = _ladder("check", str(tmp_path / "broken.yaml"))
    assert ran.returncode == 1
    assert "broken.yaml:1:" in ran.stdout


def test_the_command_runs_from_a_path_that_is_long_and_has_spaces(tmp_path: Path) -> None:
    """A `#!` line may be neither."""
    python = tmp_path / ("long and spaced " * 12).strip() / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    command = tmp_path / "ladder"
    command.write_text(script(python))
    command.chmod(0o755)
    ran = subprocess.run(
        [command, "--help"],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
