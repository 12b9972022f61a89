"""`ladder demo`, as `make demo` runs it: a Ladder of its own, a real incident log, and what became of it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from ladder.embedded import data_folder
from ladder.embedded.os_processes import working_in
from tests.waiting import until


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
    assert re.search(r"because policies\.support\.levels\[\d\]", explained)
    assert re.search(r"What happens next\n.*\(in ", explained)


async def test_a_signal_ends_it_with_all_that_it_started(tmp_path: Path):
    environment = {name: text for name, text in os.environ.items() if not name.startswith("LADDER_")}
    folder, said = tmp_path / "demo", tmp_path / "said"
    with said.open("wb") as output:
        demo = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
            [sys.executable, "-u", "-m", "ladder", "demo", "--folder", str(folder), "--rate", "1"],
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,  # the signal reaches it alone
        )
    await until(lambda: "It listens on" in said.read_text(), seconds=60)
    demo.send_signal(signal.SIGTERM)
    await until(lambda: demo.poll() is not None, seconds=30)
    assert demo.returncode == 128 + signal.SIGTERM, said.read_text()
    with data_folder.locked(folder):  # its `ladder up` has left
        assert not list(working_in(folder / "postgres" / "data"))
