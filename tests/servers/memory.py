"""Where tests and their servers keep their files: in memory, where there is enough of it.

A database for every test is written once and read by nobody. On a disk that others use, too, making and dropping
one costs ten times as much of the processor, and as much again of waiting.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")
_ENOUGH: Final = 4 << 30  # bytes; the suite fills about a quarter of it


def folder() -> str:
    """For temporary files: what TMPDIR says, else memory, else (as in many containers) the system's usual place."""
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK | os.X_OK):
        return tempfile.gettempdir()
    runs_programs = not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    roomy = shutil.disk_usage(_MEMORY).free >= _ENOUGH
    return str(_MEMORY) if runs_programs and roomy else tempfile.gettempdir()
