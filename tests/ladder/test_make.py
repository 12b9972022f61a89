"""`make` where something is in the way."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ladder.running import PROJECT


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_why_there_is_no_environment_is_told_as_python_says_it(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(PROJECT / name, tmp_path)
    (tmp_path / ".venv").write_text("in the way")
    ran = subprocess.run(
        ["make", "install", f"PYTHON={sys.executable}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert f"cannot make a virtual environment in {tmp_path}/.venv:" in ran.stderr
    assert "Error: [Errno " in ran.stderr
    assert "apt install" not in ran.stderr
    assert (tmp_path / ".venv").read_text() == "in the way"
