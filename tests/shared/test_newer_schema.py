"""An old replica meets a newer schema: it goes on where it can, and stops and says so where it must not."""

import asyncio
from pathlib import Path

import pytest

from shared import migrations
from shared.database.pool import Database
from shared.errors.kinds import Kind, kind_of
from shared.migrations import OutdatedCodeError
from tests.waiting import until

REVISION = '''
"""A step."""
from alembic import op
revision = "{revision}"
down_revision = {before!r}
branch_labels = None
depends_on = None
{mark}

def upgrade() -> None:
    op.execute("CREATE TABLE demo.t{revision} (id int)")
'''


def release(folder: Path, *revisions: str, oldest_code: str = "") -> Path:
    """A release that knows these revisions; its last one asks for code of `oldest_code`."""
    folder.mkdir()
    for before, revision in zip((None, *revisions), revisions, strict=False):
        mark = f'oldest_code = "{oldest_code}"' if oldest_code and revision == revisions[-1] else ""
        written = REVISION.format(revision=revision, before=before, mark=mark)
        (folder / f"{revision}_step.py").write_text(written)
    return folder


@pytest.fixture
async def database(database_url: str):
    found = Database(database_url)
    yield found
    await found.close()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return release(tmp_path / "old", "0001", "0002")


async def pending(database: Database, versions: Path) -> str | None:
    return await migrations.pending(database, "demo", versions)


async def upgrade(database: Database, versions: Path) -> None:
    await migrations.upgrade(database, "demo", versions)


async def test_an_old_replica_goes_on_with_a_newer_schema_that_only_adds(
    database: Database, old: Path, tmp_path: Path
) -> None:
    """Migrate first, then replace the replicas one by one: nobody stops meanwhile."""
    await upgrade(database, old)
    await upgrade(database, release(tmp_path / "new", "0001", "0002", "0003"))
    assert await pending(database, old) is None


@pytest.mark.parametrize("oldest", ["0002", "0001"])
async def test_an_old_replica_goes_on_when_the_schema_asks_for_code_as_old_as_it(
    database: Database, old: Path, tmp_path: Path, oldest: str
) -> None:
    """The mark names the oldest code that may go on, and this is not older."""
    await upgrade(database, release(tmp_path / "new", "0001", "0002", "0003", oldest_code=oldest))
    assert await pending(database, old) is None


async def test_an_old_replica_does_not_run_on_a_schema_that_needs_newer_code(
    database: Database, old: Path, tmp_path: Path
) -> None:
    """It says which, and what to do; the newer one runs."""
    new = release(tmp_path / "new", "0001", "0002", "0003", oldest_code="0003")
    await upgrade(database, new)
    assert await pending(database, new) is None
    why = await pending(database, old)
    assert why is not None
    assert "needs code of revision 0003 or newer" in why
    assert "this code is of 0002" in why


async def test_the_mark_stays_while_later_migrations_only_add(
    database: Database, old: Path, tmp_path: Path
) -> None:
    """Each later revision is at least as new as the last one that broke something."""
    breaking = release(tmp_path / "breaking", "0001", "0002", "0003", oldest_code="0003")
    later = release(tmp_path / "later", "0001", "0002")
    for file in breaking.glob("0003*"):
        (later / file.name).write_text(file.read_text())
    (later / "0004_step.py").write_text(REVISION.format(revision="0004", before="0003", mark=""))
    await upgrade(database, later)
    assert await pending(database, breaking) is None
    assert await pending(database, old) is not None


async def test_an_old_release_does_not_migrate_a_newer_schema_back(
    database: Database, old: Path, tmp_path: Path
) -> None:
    """It leaves the schema alone, and refuses to start where it could not work."""
    await upgrade(database, release(tmp_path / "new", "0001", "0002", "0003"))
    await upgrade(database, old)
    await upgrade(
        database, release(tmp_path / "breaking", "0001", "0002", "0003", "0004", oldest_code="0004")
    )
    with pytest.raises(OutdatedCodeError, match="replace this replica") as raised:
        await upgrade(database, old)
    assert kind_of(raised.value) is Kind.MISMATCH


async def test_a_replica_notices_a_schema_that_leaves_it_behind_while_it_runs(
    database: Database, old: Path, tmp_path: Path
) -> None:
    """Not only when it starts; and a database that is away is no reason to stop."""
    await upgrade(database, old)
    looking = asyncio.create_task(migrations.outdated(database, "demo", old, every_seconds=0.02))
    await upgrade(database, release(tmp_path / "new", "0001", "0002", "0003"))
    nobody = Database("postgresql://nobody@127.0.0.1:1/none")
    away = asyncio.create_task(migrations.outdated(nobody, "demo", old, every_seconds=0.02))
    assert not looking.done()
    await upgrade(
        database, release(tmp_path / "breaking", "0001", "0002", "0003", "0004", oldest_code="0004")
    )
    await until(looking.done)
    assert isinstance(looking.exception(), OutdatedCodeError)
    assert not away.done()
    away.cancel()
    await asyncio.gather(away, return_exceptions=True)
    await nobody.close()
