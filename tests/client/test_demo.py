"""`ladder demo`, as `make demo` runs it: a Ladder of its own, a real incident log, and what became of it."""

import os
import re
import subprocess
import sys


def test_the_sample_of_a_real_log_ends_as_its_last_rows_say():
    environment = {name: text for name, text in os.environ.items() if not name.startswith("LADDER_")}
    done = subprocess.run(
        [sys.executable, "-m", "ladder", "demo"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "390 rows of 61 incidents became 391 accepted events" in done.stdout
    assert "61 of 61 incidents end as the log's last row says: 56 solved, 5 open" in done.stdout
    assert "391 of 391 accepted events applied, 0 dead letters" in done.stdout
    explained = done.stdout.partition("explained")[2]
    assert re.search(r"because policies\.support\.levels\[\d\]\.handles", explained)
    assert re.search(r"What happens next\n.*\(in ", explained)
