"""Owns an embedded PostgreSQL as `ladder up` does, as a process of its own: `python owner.py FOLDER HOW`.

Writes one row, says `ready PID`, then ends by `clean`, `killed` (SIGKILL of itself) or `all` (of the server too).
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg

from ladder.embedded.postgres import EmbeddedPostgres


async def own(folder: Path, how: str) -> None:
    server = EmbeddedPostgres(folder)
    connection = await asyncpg.connect(await server.start())
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
    await connection.execute("INSERT INTO kept VALUES ($1)", how)
    await connection.close()
    sys.stdout.write(f"ready {server.pid}\n")
    sys.stdout.flush()
    if how == "all":
        os.kill(server.pid, signal.SIGKILL)
    if how != "clean":
        os.kill(os.getpid(), signal.SIGKILL)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(own(Path(sys.argv[1]), sys.argv[2]))
