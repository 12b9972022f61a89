"""Make `ladder` a command of this Python's virtual environment: `python ladder/install_command.py`.

What an editable install does, without a build backend to download: the project's folder goes on the path of
the environment, and a script calls the entry point. The script starts as a shell script, because the path of
an interpreter in `#!` may neither be long nor hold spaces.
"""

import sys
import sysconfig
from pathlib import Path
from typing import Final

_SCRIPT: Final = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys

from ladder.cli import main

sys.exit(main())
"""


def script(python: Path) -> str:
    """The command's text for this interpreter."""
    return _SCRIPT.format(python=python)


def install(project: Path, python: Path) -> Path:
    """Returns the command's path."""
    place = Path(sysconfig.get_path("purelib")) / "ladder-project.pth"
    place.write_text(f"{project}\n", encoding="utf-8")
    command = python.parent / "ladder"
    command.write_text(script(python), encoding="utf-8")
    command.chmod(0o755)
    return command


if __name__ == "__main__":
    install(Path(__file__).absolute().parents[1], Path(sys.executable))
